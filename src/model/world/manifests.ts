// Manifests of a world: their texts with their places, and the pods in them as statements of the language, so that
// everything else treats them alike. A pod without a node is placed, one without an address gets one of its node's range;
// both are functions of its name.
import { hash32, numbersFor } from '../../base/hash.ts'
import type { Span } from '../../base/text.ts'
import { formatIp, type IpAddress, ipv4From, isIpv4, parseIp } from '../../net/address.ts'
import { formatPrefix, networkOf, parsePrefix, prefixOf } from '../../net/prefix.ts'
import type { Manifest, Pod, TopologyItem, Word } from '../../syntax/ast.ts'
import type { ClusterKnowledge, ManifestPod, ManifestText } from '../cluster.ts'
import { optionValue } from '../words/options.ts'
import { type Files, importPath } from './link.ts'

const quotes = 3

/** Where a block's text begins: behind the quotes, and behind the line break that follows them. */
export function blockStart({ source, start }: Span): number {
  const blank = /^[ \t]*\r?\n/.exec(source.text.slice(start + quotes))
  return start + quotes + (blank?.[0].length ?? 0)
}

/** The texts of a manifest: its block, or the files that its path names. */
export function manifestTexts({ text }: Manifest, files: Files): readonly ManifestText[] {
  if (text.form === 'block')
    return [{ text: text.text, source: text.span.source, start: blockStart(text.span) }]
  const sources = files.manifests?.get(importPath(text.span.source.name, text.text)) ?? []
  return sources.map((source) => ({ text: source.text, source, start: 0 }))
}

/** All manifests of a world, in the order of the files. */
export function manifestsOf(
  top: readonly Manifest[],
  items: readonly TopologyItem[],
  files: Files,
): readonly ManifestText[] {
  const own = items.filter((item) => item.kind === 'manifest')
  return [...top, ...own].flatMap((item) => manifestTexts(item, files))
}

/** The words of a range of a manifest. A text with variables in it has other offsets than the file: its block is meant. */
export function manifestSpan(
  { source, start, text }: ManifestText,
  range: { readonly start: number; readonly end: number },
): Span {
  const isVerbatim = source.text.startsWith(text.slice(0, 64), start)
  if (!isVerbatim) return { source, start, end: Math.min(start + 1, source.text.length) }
  return { source, start: start + range.start, end: start + range.end }
}

function word(text: string, span: Span): Word {
  return { kind: 'word', span, text, form: 'quoted', parts: [] }
}

/** The first range of pods of each node: around the first pod with an address, else 10.0.N.0/24. */
function rangesOf(nodes: readonly string[], pods: readonly Pod[]): ReadonlyMap<string, IpAddress> {
  const ranges = new Map<string, IpAddress>()
  for (const { node, addresses } of pods) {
    const [first] = addresses
      .map(({ text }) => parseIp(text) ?? parsePrefix(text)?.address)
      .filter((each) => each !== undefined && isIpv4(each))
    if (first !== undefined && !ranges.has(node.text))
      ranges.set(node.text, networkOf(prefixOf(first, 24)).address)
  }
  const used = new Set([...ranges.values()].map(formatIp))
  let next = 0
  for (const node of nodes) {
    if (ranges.has(node)) continue
    do next += 1
    while (used.has(`10.0.${next}.0`))
    ranges.set(node, ipv4From(0x0a00_0000 + next * 256))
  }
  return ranges
}

/** A node's range of pods as text, for those who need it without a pod. */
export function podRanges(nodes: readonly string[], pods: readonly Pod[]): ReadonlyMap<string, string> {
  return new Map(
    [...rangesOf(nodes, pods)].map(([node, address]) => [node, formatPrefix(prefixOf(address, 24))]),
  )
}

interface Placing {
  readonly nodes: readonly string[]
  readonly nodeLabels: ReadonlyMap<string, Readonly<Record<string, string>>>
}

/** The node of a pod that names none: replicas of one Deployment go round. */
function placed(pod: ManifestPod, { nodes, nodeLabels }: Placing): string {
  const wanted = Object.entries(pod.nodeSelector)
  const fit = nodes.filter((node) => wanted.every(([key, value]) => nodeLabels.get(node)?.[key] === value))
  const replica = /^(.*?)-([0-9]+)$/.exec(pod.name)
  const first = hash32(`${pod.namespace}/${replica?.[1] ?? pod.name}`, 0)
  return fit[(first + Number(replica?.[2] ?? 0)) % Math.max(fit.length, 1)] ?? ''
}

/** The pods of the manifests that the topology does not write itself, as statements. Who reads the manifests reports their mistakes. */
export function manifestPods(
  texts: readonly ManifestText[],
  items: readonly TopologyItem[],
  readManifest: ClusterKnowledge['readManifest'],
): readonly Pod[] {
  const read = texts.map((text) => ({ text, reading: readManifest(text.text) }))
  const nodes = items.flatMap((item) => (item.kind === 'node' ? [item.name.text] : []))
  const nodeLabels = new Map(read.flatMap(({ reading }) => [...reading.nodeLabels]))
  const written = items.filter((item) => item.kind === 'pod')
  const already = new Set(written.map(writtenName))
  const drafts = read.flatMap(({ text, reading }) =>
    reading.pods
      .filter((pod) => !already.has(nameOf({ pod })))
      .map((pod) => ({
        pod,
        span: manifestSpan(text, pod),
        node: pod.node ?? placed(pod, { nodes, nodeLabels }),
      })),
  )
  const explicit = drafts.map(({ pod, span, node }) => statement(pod, span, node, pod.addresses))
  const ranges = rangesOf(nodes, [...written, ...explicit])
  const taken = new Set(
    [...written, ...explicit].flatMap(({ addresses }) => addresses.map(({ text }) => text)),
  )
  return drafts.map(({ pod, span, node }) => {
    const range = ranges.get(node)
    if (pod.addresses.length > 0 || pod.hostNetwork || range === undefined || !isIpv4(range))
      return statement(pod, span, node, pod.addresses)
    const own = drafts.filter((each) => each.node === node && each.pod.addresses.length === 0)
    const inUse = new Set([...taken].flatMap((text) => lastByte(text, range)))
    const numbers = numbersFor(own.map(nameOf), 2, 253, inUse)
    const address = formatIp(ipv4From(range + (numbers.get(nameOf({ pod })) ?? 2)))
    return statement(pod, span, node, [address])
  })
}

/** A pod that the topology writes too: its line says where it is and what listens, the manifest the rest. */
function writtenName({ name, options }: Pod): string {
  return `${optionValue(options, 'namespace')?.text ?? 'default'}/${name.text}`
}

function nameOf({ pod }: { readonly pod: ManifestPod }): string {
  return `${pod.namespace}/${pod.name}`
}

function lastByte(text: string, range: IpAddress): readonly number[] {
  const address = parseIp(text)
  if (address === undefined || !isIpv4(address) || !isIpv4(range) || address >>> 8 !== range >>> 8) return []
  return [address & 0xff]
}

function statement(pod: ManifestPod, span: Span, node: string, addresses: readonly string[]): Pod {
  const option = (name: 'namespace' | 'service-account', text: string): Pod['options'][number] => ({
    kind: 'option',
    span,
    name,
    values: [word(text, span)],
  })
  return {
    kind: 'pod',
    span,
    name: word(pod.name, span),
    node: word(node, span),
    addresses: addresses.map((text) => word(text, span)),
    labels: Object.entries(pod.labels).map(([key, value]) => ({
      kind: 'label',
      span,
      key: word(key, span),
      value: word(value, span),
    })),
    options: [
      option('namespace', pod.namespace),
      option('service-account', pod.serviceAccount),
      ...(pod.hostNetwork
        ? [{ kind: 'option' as const, span, name: 'hostnetwork' as const, values: [] }]
        : []),
    ],
    items: [],
  }
}

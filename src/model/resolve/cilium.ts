// `cluster cilium 1.19 { ... }` with its nodes, pods, policies and manifests, resolved. What the options mean is not known
// here: they leave as they were written, with their places.
import { type IpAddress, isIpv4, sameIp } from '../../net/address.ts'
import { covers, formatPrefix, networkOf, type Prefix, parsePrefix, prefixOf } from '../../net/prefix.ts'
import type { Cluster, ClusterItem, Label, Pod, Policy } from '../../syntax/ast.ts'
import type {
  CiliumModel,
  CiliumNodeModel,
  CiliumOption,
  CiliumPodModel,
  ManifestText,
  PolicyModel,
} from '../cluster.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { NamespaceModel } from '../model.ts'
import { optionValue } from '../words/options.ts'
import { ciliumDevice } from '../world/cluster-devices.ts'
import type { HostDraft } from '../world/entities.ts'
import { podRanges } from '../world/manifests.ts'
import type { Scope } from './scope.ts'
import { headSpan } from './unavailable.ts'

/** The length of a node's range of pods (cluster-pool's mask for IPv4; a /64 for IPv6). */
const rangeLength = { 4: 24, 6: 64 } as const

/** RT_TABLE_MAIN. */
const tableMain = 254

/** The cluster of an agent, or undefined where there is none. */
export function readCilium(
  scope: Scope,
  namespaces: ReadonlyMap<string, NamespaceModel>,
  manifests: readonly ManifestText[],
): CiliumModel | undefined {
  const { entities } = scope
  const [cluster] = entities.clusters
  if (cluster?.type !== 'cilium') return undefined
  const pods = entities.pods.flatMap((pod) => readPod(pod, scope) ?? [])
  const late = entities.latePods.flatMap((each) => {
    const pod = readPod(each, scope)
    const host = namespaces.get(each.name.text)
    return pod === undefined || host === undefined ? [] : [{ pod, host }]
  })
  const all = [...pods, ...late.map(({ pod }) => pod)]
  const hosts = [...entities.hosts.values()].filter(({ kind }) => kind === 'node')
  const ranges = podRanges(
    hosts.map(({ name }) => name),
    entities.pods,
  )
  const nodes = withRanges6(
    hosts.flatMap((host): readonly CiliumNodeModel[] => {
      const bare = namespaces.get(host.name)
      return bare === undefined ? [] : [readNode(host, bare, all, ranges)]
    }),
  )
  rangesHold(nodes, all, scope)
  return {
    version: cluster.version?.text,
    span: headOf(cluster),
    options: cluster.items.flatMap(readOption),
    nodes,
    pods,
    policies: [...entities.policies.values()].map(readPolicy),
    manifests,
    late,
    insides: new Map(
      all.flatMap(({ name }) => {
        const inside = namespaces.get(name)
        return inside === undefined ? [] : [[name, inside] as const]
      }),
    ),
    changes: [],
  }
}

function headOf(cluster: Cluster): CiliumModel['span'] {
  const { span, version } = cluster
  if (version !== null) return headSpan(span, version.span)
  return { source: span.source, start: span.start, end: span.start + 'cluster cilium'.length }
}

function readOption(item: ClusterItem): readonly CiliumOption[] {
  if (item.kind === 'option') {
    const { span, name, values } = item
    const [first] = values
    const keySpan = { source: span.source, start: span.start, end: span.start + name.length }
    return [
      {
        form: 'word',
        key: name,
        values: values.map(({ text }) => text),
        keySpan,
        valueSpan: first?.span ?? keySpan,
      },
    ]
  }
  if (item.kind !== 'setting') return []
  const { form, key, value } = item
  const text = form === 'flag' ? key.text.replace(/^--/, '') : key.text
  return [{ form, key: text, values: [value.text], keySpan: key.span, valueSpan: value.span }]
}

function recordOf(labels: readonly Label[]): Readonly<Record<string, string>> {
  return Object.fromEntries(labels.map(({ key, value }) => [key.text, value.text]))
}

/** `annotation "KEY=VALUE"`, as often as wanted. */
function readAnnotations(pod: Pod, { report }: Scope): Readonly<Record<string, string>> {
  const pairs = pod.options.flatMap(({ name, values: [word] }) => {
    if (name !== 'annotation' || word === undefined) return []
    const at = word.text.indexOf('=')
    if (at > 0) return [[word.text.slice(0, at), word.text.slice(at + 1)] as const]
    const hint = 'a key, `=` and a value: `annotation "kubernetes.io/egress-bandwidth=10M"`'
    report(mistakeIn('S146', word, `\`${word.text}\` is no annotation`, { hint }))
    return []
  })
  return Object.fromEntries(pairs)
}

function readPod(pod: Pod, scope: Scope): CiliumPodModel | undefined {
  const name = pod.name.text
  const draft = scope.entities.hosts.get(name)
  const eth0 = draft?.devices.get('eth0')
  if (draft?.kind !== 'pod' || eth0 === undefined) return undefined
  const addresses = eth0.addresses.map(({ prefix }) => prefix.address)
  if (addresses.length === 0) {
    if (!eth0.isMisread) {
      const hint = `write it behind the node: \`pod ${name} on ${pod.node.text} 10.0.1.10\``
      scope.report(mistake('S143', pod.name.span, `pod \`${name}\` has no address`, { hint }))
    }
    return undefined
  }
  const hostDevice = ciliumDevice(name)
  const hostMac = scope.entities.hosts.get(pod.node.text)?.devices.get(hostDevice)?.mac
  if (hostMac === undefined) return undefined
  return {
    name,
    namespace: optionValue(pod.options, 'namespace')?.text ?? 'default',
    node: pod.node.text,
    labels: recordOf(pod.labels),
    serviceAccount: optionValue(pod.options, 'service-account')?.text ?? 'default',
    annotations: readAnnotations(pod, scope),
    addresses,
    mac: eth0.mac,
    keepsMac: optionValue(pod.options, 'mac') !== undefined,
    hostDevice,
    hostMac,
    span: pod.name.span,
  }
}

function rangeAround(address: IpAddress): Prefix {
  return networkOf(prefixOf(address, rangeLength[isIpv4(address) ? 4 : 6]))
}

function readNode(
  host: HostDraft,
  bare: NamespaceModel,
  pods: readonly CiliumPodModel[],
  ranges: ReadonlyMap<string, string>,
): CiliumNodeModel {
  const own = pods.filter((pod) => pod.node === host.name).flatMap(({ addresses }) => addresses)
  const four = own.find(isIpv4)
  const six = own.find((address) => !isIpv4(address))
  const fallback = parsePrefix(ranges.get(host.name) ?? '')
  return {
    name: host.name,
    kernel: bare.kernel,
    devices: bare.devices
      .filter(({ addresses }) => addresses.length > 0)
      .map(({ name, mac, mtu, addresses }) => ({ name, mac, mtu, addresses })),
    defaultRoutes: { four: defaultDevice(bare, 4), six: defaultDevice(bare, 6) },
    podCidrs: [
      ...(four === undefined ? (fallback === undefined ? [] : [fallback]) : [rangeAround(four)]),
      ...(six === undefined ? [] : [rangeAround(six)]),
    ],
    rulesets: bare.rulesets ?? [],
    macs: new Map([...host.devices.values()].map(({ name, mac }) => [name, mac])),
    span: host.word.span,
  }
}

/** Where pods have IPv6, a node without any has a range, too: the next that is free behind the first node's. */
function withRanges6(nodes: readonly CiliumNodeModel[]): readonly CiliumNodeModel[] {
  const range6 = ({ podCidrs }: CiliumNodeModel) => podCidrs.find(({ address }) => !isIpv4(address))
  const taken = nodes.map((node) => range6(node)?.address).filter((each) => each !== undefined)
  const [first] = taken
  if (first === undefined || isIpv4(first)) return nodes
  const [a, b, c, d] = first
  let behind = 0
  return nodes.map((node) => {
    if (range6(node) !== undefined) return node
    const next = (): IpAddress => [a, (b + ++behind) >>> 0, c, d]
    let address = next()
    while (taken.some((each) => sameIp(each, address))) address = next()
    return { ...node, podCidrs: [...node.podCidrs, prefixOf(address, rangeLength[6])] }
  })
}

/** The device of a host's default route: the one that it names, or on whose net its gateway is. */
function defaultDevice({ routes, devices }: NamespaceModel, family: 4 | 6): string | undefined {
  const found = routes.find(
    ({ prefix, type, table }) =>
      type === 'unicast' &&
      table === tableMain &&
      prefix.length === 0 &&
      isIpv4(prefix.address) === (family === 4),
  )
  const [hop] = found?.nexthops ?? []
  if (hop?.device !== undefined) return hop.device
  const { via } = hop ?? {}
  if (via === undefined) return undefined
  return devices.find(({ addresses }) =>
    addresses.some((own) => isIpv4(own.address) === isIpv4(via) && covers(networkOf(own), via)),
  )?.name
}

/** A node has one range for each family; pods of other nodes are not in it. */
function rangesHold(nodes: readonly CiliumNodeModel[], pods: readonly CiliumPodModel[], scope: Scope): void {
  for (const pod of pods) {
    const draft = scope.entities.hosts.get(pod.name)?.devices.get('eth0')
    for (const { prefix, word } of draft?.addresses ?? []) {
      for (const node of nodes) {
        const range = node.podCidrs.find((each) => isIpv4(each.address) === isIpv4(prefix.address))
        if (range === undefined || covers(range, prefix.address) === (node.name === pod.node)) continue
        const own = node.name === pod.node
        const message = own
          ? `\`${word.text}\` is not in the range of node \`${node.name}\``
          : `\`${word.text}\` is in the range of node \`${node.name}\``
        const hint = own
          ? `the other pods of \`${node.name}\` are in ${formatPrefix(range)}`
          : `a node has a range of its own, as cluster-pool gives it: ${formatPrefix(range)} is \`${node.name}\`'s`
        scope.report(mistakeIn('S105', word, message, { hint }))
      }
    }
  }
}

/** `policy NAME on LABELS { ... }`. */
export function readPolicy(policy: Policy): PolicyModel {
  return {
    name: policy.name.text,
    selector: recordOf(policy.selector),
    rules: policy.rules.map(({ direction, decision, peer, entities, protocol, ports }) => ({
      direction,
      decision,
      labels: recordOf(peer),
      peers: entities.map(({ text }) => text),
      protocol: protocol ?? undefined,
      ports: ports.map(({ text }) => text),
    })),
    span: policy.name.span,
  }
}

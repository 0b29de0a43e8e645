// Security identities: reserved ones, pods' (by labels), and those that policies make for CIDRs and names (`facts` 5.1).
// The numbers of pods' identities are made of their labels, so that a pod more or less changes no other number.
import { numbersFor } from '../../base/hash.ts'
import { formatIp, isIpv4 } from '../../net/address.ts'
import { covers, formatPrefix, type Prefix } from '../../net/prefix.ts'
import { formatLabel, type Label, labelsKey, reservedLabel, sortLabels } from './labels.ts'

/** pkg/identity/numericidentity.go. */
export const reservedIdentity = {
  unknown: 0,
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  'remote-node': 6,
  'kube-apiserver': 7,
  ingress: 8,
  'world-ipv4': 9,
  'world-ipv6': 10,
} as const
export type ReservedName = keyof typeof reservedIdentity

export interface Identity {
  readonly id: number
  /** Sorted by key. */
  readonly labels: readonly Label[]
  /** The prefix of an identity that stands for addresses outside. */
  readonly prefix?: Prefix
}

const firstPod = 256
const lastPod = 65_535
/** IdentityScopeLocal (pkg/identity): identities of addresses outside, of one node alone, begin here. */
export const localScope = 0x0100_0000
const lastLocal = 0x00ff_ffff

/** What differs between versions and stacks. */
export interface IdentityScheme {
  /** 1.19 in dual stack: world is two identities. */
  readonly splitsWorld: boolean
  /** 1.10 knows neither kube-apiserver nor ingress. */
  readonly hasApiServer: boolean
}

/** The identity of everything outside, by family. */
export function worldIdentity(scheme: IdentityScheme, version: 4 | 6): number {
  if (!scheme.splitsWorld) return reservedIdentity.world
  return version === 4 ? reservedIdentity['world-ipv4'] : reservedIdentity['world-ipv6']
}

function worldLabels(scheme: IdentityScheme): readonly Label[] {
  if (!scheme.splitsWorld) return [reservedLabel('world')]
  return [worldLabel(scheme, 4), worldLabel(scheme, 6)]
}

function worldLabel(scheme: IdentityScheme, version: 4 | 6): Label {
  return reservedLabel(scheme.splitsWorld ? `world-ipv${version}` : 'world')
}

/** The reserved identities that the selectors of policies can choose. */
export function reservedIdentities(scheme: IdentityScheme): readonly Identity[] {
  const names: ReservedName[] = ['host', 'world', 'unmanaged', 'health', 'init', 'remote-node']
  if (scheme.splitsWorld) names.push('world-ipv4', 'world-ipv6')
  if (scheme.hasApiServer) names.push('ingress')
  const identities: Identity[] = names.map((name) => ({
    id: reservedIdentity[name],
    labels: [reservedLabel(name)],
  }))
  if (!scheme.hasApiServer) return identities
  const apiServer = {
    id: reservedIdentity['kube-apiserver'],
    labels: [reservedLabel('kube-apiserver'), reservedLabel('remote-node')],
  }
  return [...identities, apiServer]
}

/**
 * Numbers of the identities of pods, by the key of their labels. Those that were allocated before stay, also when no pod
 * has them any more: until the operator has deleted its object every agent knows an identity (identity-gc.ts).
 */
export function allocatePodIdentities(
  sets: Iterable<readonly Label[]>,
  known: ReadonlyMap<string, Identity> = new Map(),
): ReadonlyMap<string, Identity> {
  const byKey = new Map([...known].map(([key, { labels }]) => [key, labels]))
  for (const labels of sets) byKey.set(labelsKey(labels), labels)
  const before = new Map([...known].map(([key, { id }]) => [key, id]))
  const numbers = numbersFor(byKey.keys(), firstPod, lastPod, undefined, before)
  return new Map([...byKey].map(([key, labels]) => [key, { id: numbers.get(key) ?? 0, labels }]))
}

/** A prefix that policies speak of, with the names that resolved to it. */
export interface OutsidePrefix {
  readonly prefix: Prefix
  /** Whether a policy names it, as CIDR or exception. */
  readonly named: boolean
  /** Labels of the names that resolved to it: `www.example.com`, `*.example.com`. */
  readonly names: readonly string[]
}

/** The text of a prefix in its label: `cidr:10.0.0.0/8`. */
export function cidrLabel(prefix: Prefix): Label {
  return { source: 'cidr', key: formatPrefix(prefix), value: '' }
}

/**
 * Identities of prefixes outside the cluster, in the scope of the node (0x01......). The one for everything is world. An
 * address that only a name resolved to belongs to the longest CIDR around it, too (pkg/ipcache mergeParentLabels). `known`
 * ones keep their numbers; one that no policy names any more is gone at once. `names` have an identity before they resolved to
 * anything (pkg/fqdn/namemanager/preallocator.go).
 */
export function allocateOutside(
  prefixes: readonly OutsidePrefix[],
  scheme: IdentityScheme,
  known: readonly Identity[] = [],
  names: readonly string[] = [],
): readonly Identity[] {
  const named = prefixes.filter((each) => each.named && each.prefix.length > 0)
  const drafts = prefixes
    .filter(({ prefix }) => prefix.length > 0)
    .map((each) => {
      const { prefix, names } = each
      const around = each.named ? prefix : longestAround(prefix, named)
      const labels = sortLabels([
        ...(around === undefined ? [] : [cidrLabel(around)]),
        ...names.map((key): Label => ({ source: 'fqdn', key, value: '' })),
        worldLabel(scheme, isIpv4(prefix.address) ? 4 : 6),
      ])
      return { prefix, labels }
    })
  const ahead = names.flatMap((key) =>
    worldLabels(scheme).map((world) => ({ labels: sortLabels([{ source: 'fqdn', key, value: '' }, world]) })),
  )
  const numbers = numbersFor(
    [...drafts, ...ahead].map(({ labels }) => labelsKey(labels)),
    1,
    lastLocal,
    undefined,
    new Map(known.map(({ id, labels }) => [labelsKey(labels), id - localScope])),
  )
  const idOf = (labels: readonly Label[]): number => localScope + (numbers.get(labelsKey(labels)) ?? 0)
  return [
    ...drafts.map(({ prefix, labels }) => ({ id: idOf(labels), labels, prefix })),
    ...ahead.map(({ labels }) => ({ id: idOf(labels), labels })),
  ]
}

function longestAround(inner: Prefix, named: readonly OutsidePrefix[]): Prefix | undefined {
  let best: Prefix | undefined
  for (const { prefix } of named) {
    if (prefix.length > inner.length || !covers(prefix, inner.address)) continue
    if (best === undefined || prefix.length > best.length) best = prefix
  }
  return best
}

/** `reserved:host`, `app=web`: an identity in a few words, for tables. */
export function describeIdentity({ id, labels, prefix }: Identity): string {
  if (prefix !== undefined && labels.every(({ source }) => source !== 'fqdn')) return formatPrefix(prefix)
  const names = labels.filter(({ source }) => source === 'fqdn').map(({ key }) => key)
  if (prefix !== undefined) return `${formatIp(prefix.address)} (${names.join(', ')})`
  return labels.length === 0 ? String(id) : labels.map(formatLabel).join(' ')
}

// The entries of one policy map of Cilium 1.10: a hash of identity, port and protocol without precedence. The datapath looks
// (identity, port), (any, port), (identity, any) and (any, any) up in this order, so denials are written for every port
// that others are allowed (cilium v1.10 pkg/policy/mapstate.go denyPreferredInsertWithChanges, l4.go ToMapState).
import { reservedIdentity } from '../identity.ts'
import type { L4Filter, SelectorPolicy } from './l4.ts'
import type { PolicyMapEntry } from './map-entry.ts'
import { allowEntry } from './map-state.ts'
import { isWildcard, type Selector } from './selector.ts'

interface LegacyDirection {
  readonly ingress: boolean
  readonly enforced: boolean
  readonly filters: readonly L4Filter[]
}

interface LegacyOptions {
  readonly port: (filter: L4Filter) => number | undefined
  readonly entry: (
    filter: L4Filter,
    policy: SelectorPolicy,
  ) => Omit<PolicyMapEntry, 'identity' | 'port' | 'portLength' | 'origins'>
  readonly select: (selector: Selector) => readonly number[]
  readonly allowLocalhost: boolean
}

function keyOf({ identity, port, protocol, egress }: PolicyMapEntry): string {
  return `${egress ? 1 : 0} ${identity} ${port} ${protocol}`
}

const isL3Only = ({ identity, port, protocol }: PolicyMapEntry): boolean =>
  identity !== 0 && port === 0 && protocol === 0
const isAll = ({ identity, port, protocol }: PolicyMapEntry): boolean =>
  identity === 0 && port === 0 && protocol === 0

class LegacyState {
  readonly #entries = new Map<string, PolicyMapEntry>()

  insert(entry: PolicyMapEntry): void {
    const all = { ...entry, identity: 0, port: 0, protocol: 0 }
    if (this.#entries.get(keyOf(all))?.deny === true) return
    if (entry.deny) this.#deny(entry)
    else if (entry.identity === 0 && entry.port !== 0) this.#allowPort(entry)
    else {
      if (this.#entries.get(keyOf({ ...entry, port: 0, protocol: 0 }))?.deny === true) return
      const known = this.#entries.get(keyOf(entry))
      if (known === undefined || (known.proxyPort === 0 && !known.deny)) this.#set(entry)
    }
  }

  #deny(entry: PolicyMapEntry): void {
    if (isL3Only(entry)) {
      const ports = [...this.#same(entry)].filter((each) => !each.deny && each.identity === 0)
      for (const { port, protocol, portLength } of ports) this.#set({ ...entry, port, protocol, portLength })
      for (const each of [...this.#same(entry)]) {
        const isOwn = each.identity === entry.identity && each.port !== 0 && each.protocol !== 0
        const isNeeded = ports.some(({ port, protocol }) => port === each.port && protocol === each.protocol)
        if (isOwn && !isNeeded) this.#entries.delete(keyOf(each))
      }
    } else if (isAll(entry)) {
      for (const each of [...this.#same(entry)]) this.#entries.delete(keyOf(each))
    } else if (this.#entries.get(keyOf({ ...entry, port: 0, protocol: 0 }))?.deny === true) return
    this.#set(entry)
  }

  /** A port for everybody: whoever is denied altogether is denied this port, too. */
  #allowPort(entry: PolicyMapEntry): void {
    for (const each of [...this.#same(entry)]) {
      if (!each.deny || !isL3Only(each)) continue
      this.#set({ ...each, port: entry.port, protocol: entry.protocol, portLength: entry.portLength })
    }
    this.#set(entry)
  }

  *#same({ egress }: PolicyMapEntry): Iterable<PolicyMapEntry> {
    for (const each of this.#entries.values()) if (each.egress === egress) yield each
  }

  #set(entry: PolicyMapEntry): void {
    const known = this.#entries.get(keyOf(entry))
    const origins = [
      ...(known?.origins ?? []).filter((each) => !entry.origins.includes(each)),
      ...entry.origins,
    ]
    this.#entries.set(keyOf(entry), { ...entry, origins })
  }

  entries(): readonly PolicyMapEntry[] {
    return [...this.#entries.values()].sort(
      (left, right) =>
        Number(left.egress) - Number(right.egress) ||
        left.protocol - right.protocol ||
        left.port - right.port ||
        left.identity - right.identity,
    )
  }
}

/** __canSkip: the entry for everybody on this port has the same effect, or a stronger one. */
function canSkip(own: SelectorPolicy, wild: SelectorPolicy): boolean {
  if (wild.deny) return true
  if (own.deny) return false
  return own.parser === '' || wild.parser !== ''
}

function filterEntries(filter: L4Filter, options: LegacyOptions): readonly PolicyMapEntry[] {
  const port = options.port(filter)
  if (port === undefined) return []
  const all = [...filter.selectors.values()]
  const wild = all.find(({ selector }) => isWildcard(selector))
  const hasPort = filter.port !== 0 || filter.portName !== ''
  const state = new LegacyState()
  for (const each of all) {
    const { selector, policy, origins } = each
    if (hasPort && wild !== undefined && each !== wild && canSkip(policy, wild.policy)) continue
    const identities = each === wild ? [0] : options.select(selector)
    for (const identity of identities) {
      state.insert({
        ...options.entry(filter, policy),
        identity,
        port,
        portLength: port === 0 ? 0 : 16,
        origins,
      })
    }
  }
  return state.entries()
}

/** The entries of both directions. */
export function legacyMapState(
  directions: readonly LegacyDirection[],
  options: LegacyOptions,
): readonly PolicyMapEntry[] {
  const state = new LegacyState()
  const allow = (egress: boolean, identity: number, origin: string): void => {
    state.insert({ ...allowEntry(egress, identity, origin), precedence: 0 })
  }
  for (const { ingress, enforced, filters } of directions) {
    if (!enforced) allow(!ingress, 0, ingress ? 'allow-any-ingress' : 'allow-any-egress')
    for (const filter of filters) for (const entry of filterEntries(filter, options)) state.insert(entry)
  }
  if (options.allowLocalhost) allow(false, reservedIdentity.host, 'allow-localhost-ingress')
  return state.entries()
}

/** The verdict of the 1.10 datapath for one packet (bpf/lib/policy.h __policy_can_access): the first of four lookups. */
export function lookupLegacyPolicy(
  entries: readonly PolicyMapEntry[],
  packet: {
    readonly identity: number
    readonly egress: boolean
    readonly protocol: number
    readonly port: number
  },
): PolicyMapEntry | undefined {
  const { identity, egress, protocol, port } = packet
  const at = (
    id: number,
    l4: { readonly protocol: number; readonly port: number },
  ): PolicyMapEntry | undefined =>
    entries.find(
      (each) =>
        each.egress === egress &&
        each.identity === id &&
        each.protocol === l4.protocol &&
        each.port === l4.port,
    )
  const any = { protocol: 0, port: 0 }
  const exact = { protocol, port }
  return at(identity, exact) ?? at(0, exact) ?? at(identity, any) ?? at(0, any)
}

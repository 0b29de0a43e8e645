// The entries of one policy map of Cilium 1.19. Two lookups of the datapath must find the right one, so an entry that a
// broader one of higher precedence covers is never written (cilium pkg/policy/mapstate.go insertWithChanges).
import {
  allowPrecedence,
  denyPrecedence,
  type L4Key,
  type PolicyMapEntry,
  withoutRedirect,
} from './map-entry.ts'

/** Which kinds of rules are there: without them nothing has to be compared. */
export interface PolicyFeatures {
  /** Denials, redirects. */
  precedence: boolean
  auth: boolean
}

function lpmKey({ egress, protocol, portLength, port }: L4Key): number {
  return (((egress ? 1 : 0) * 256 + protocol) * 32 + portLength) * 65536 + port
}

function coversL4(outer: L4Key, inner: L4Key): boolean {
  if (outer.egress !== inner.egress) return false
  if (outer.protocol === 0) return true
  if (outer.protocol !== inner.protocol || outer.portLength > inner.portLength) return false
  return (outer.port ^ inner.port) >>> (16 - outer.portLength) === 0
}

function sameL4(left: L4Key, right: L4Key): boolean {
  return lpmKey(left) === lpmKey(right)
}

/** Two allowed entries of one key (MapStateEntry.Merge): the higher redirect, the stricter authentication. */
function merge(own: PolicyMapEntry, other: PolicyMapEntry): PolicyMapEntry {
  const origins = [...own.origins, ...other.origins.filter((each) => !own.origins.includes(each))]
  if (own.deny || other.deny) return { ...own, origins }
  const wins =
    other.proxyPort !== 0 &&
    (other.precedence > own.precedence ||
      (other.precedence === own.precedence && other.proxyPort < own.proxyPort))
  const redirect = wins ? other : own
  const auth =
    own.hasExplicitAuth === other.hasExplicitAuth
      ? other.authType > own.authType
        ? other
        : own
      : other.hasExplicitAuth
        ? other
        : own
  return {
    ...own,
    origins,
    proxyPort: redirect.proxyPort,
    precedence: redirect.precedence,
    authType: auth.authType,
    hasExplicitAuth: auth.hasExplicitAuth,
    cookie: Math.max(own.cookie, other.cookie),
  }
}

/** A policy map while it is being made. */
export class MapState {
  readonly #entries = new Map<number, { readonly key: L4Key; readonly ids: Map<number, PolicyMapEntry> }>()

  /** Puts an entry in unless a covering one of higher precedence makes it void; takes out what it makes void. */
  insert(entry: PolicyMapEntry, features: PolicyFeatures): void {
    if (!entry.deny && features.auth) {
      this.#insertAuth(entry)
      return
    }
    if (entry.deny || features.precedence) {
      for (const covering of this.#covering(entry, true)) {
        const isOther = covering.identity !== entry.identity || !sameL4(covering, entry)
        if (covering.precedence > entry.precedence) return
        if (entry.deny && covering.precedence === entry.precedence && isOther) return
      }
      for (const covered of this.#covered(entry)) {
        const isOther = covered.identity !== entry.identity || !sameL4(covered, entry)
        const same = entry.deny && covered.precedence === entry.precedence && isOther
        if (covered.precedence < entry.precedence || same) this.#remove(covered)
      }
    }
    this.#upsert(entry)
  }

  /** Every entry, in an order that depends on nothing but the entries. */
  entries(): readonly PolicyMapEntry[] {
    const all = [...this.#entries.values()].flatMap(({ ids }) => [...ids.values()])
    return all.sort((left, right) => lpmKey(left) - lpmKey(right) || left.identity - right.identity)
  }

  /** authPreferredInsert: entries of one identity pass their authentication on to narrower ones. */
  #insertAuth(given: PolicyMapEntry): void {
    let entry = given
    let derived = false
    const covering = [...this.#covering(entry, false)].sort(
      (left, right) => right.portLength - left.portLength,
    )
    for (const each of covering.sort((left, right) => right.protocol - left.protocol)) {
      if (each.precedence > entry.precedence) {
        if (each.deny || !given.hasExplicitAuth) return
        entry = { ...entry, proxyPort: each.proxyPort, precedence: each.precedence }
        break
      }
      const passes =
        each.hasExplicitAuth && withoutRedirect(each.precedence) >= withoutRedirect(entry.precedence)
      if (!derived && !given.hasExplicitAuth && !sameL4(each, entry) && passes) {
        entry = { ...entry, authType: each.authType }
        derived = true
      }
    }
    this.#passAuthOn(entry)
    this.#upsert(entry)
  }

  #passAuthOn(entry: PolicyMapEntry): void {
    const narrower = [...this.#covered(entry)]
      .filter(({ identity }) => identity === entry.identity)
      .sort((left, right) => left.portLength - right.portLength)
    let stops = false
    for (const each of narrower) {
      let current = each
      if (each.precedence < entry.precedence) {
        if (!each.hasExplicitAuth) {
          this.#remove(each)
          continue
        }
        current = { ...each, proxyPort: entry.proxyPort, precedence: entry.precedence }
        this.#set(current)
      }
      if (stops || !entry.hasExplicitAuth || sameL4(each, entry)) continue
      if (each.deny || each.hasExplicitAuth) stops = true
      else this.#set({ ...current, authType: entry.authType, hasExplicitAuth: false })
    }
  }

  /** Entries for at least this traffic: of the same identity, and of every identity if `wild`. */
  *#covering(key: PolicyMapEntry, wild: boolean): Iterable<PolicyMapEntry> {
    for (const { key: broader, ids } of this.#ancestors(key)) {
      if (!coversL4(broader, key)) continue
      const any = wild ? ids.get(0) : undefined
      if (any !== undefined) yield any
      const own = key.identity === 0 && wild ? undefined : ids.get(key.identity)
      if (own !== undefined) yield own
    }
  }

  *#ancestors(key: L4Key) {
    const { egress, protocol } = key
    const none = this.#entries.get(lpmKey({ egress, protocol: 0, port: 0, portLength: 0 }))
    if (none !== undefined) yield none
    if (protocol === 0) return
    for (let portLength = 0; portLength <= key.portLength; portLength += 1) {
      const port = key.port & (0xffff << (16 - portLength)) & 0xffff
      const found = this.#entries.get(lpmKey({ egress, protocol, port, portLength }))
      if (found !== undefined) yield found
    }
  }

  /** Entries for no more than this traffic. */
  #covered(key: PolicyMapEntry): readonly PolicyMapEntry[] {
    const found: PolicyMapEntry[] = []
    for (const { key: narrower, ids } of this.#entries.values()) {
      if (!coversL4(key, narrower)) continue
      if (key.identity === 0) found.push(...ids.values())
      else found.push(...[ids.get(key.identity)].filter((each) => each !== undefined))
    }
    return found
  }

  #upsert(entry: PolicyMapEntry): void {
    const known = this.#entries.get(lpmKey(entry))?.ids.get(entry.identity)
    if (known === undefined) this.#set(entry)
    else if (known.deny === entry.deny) this.#set(merge(known, entry))
    else if (known.precedence < entry.precedence) this.#set(entry)
  }

  #set(entry: PolicyMapEntry): void {
    const key = lpmKey(entry)
    const known = this.#entries.get(key)
    if (known === undefined) this.#entries.set(key, { key: entry, ids: new Map([[entry.identity, entry]]) })
    else known.ids.set(entry.identity, entry)
  }

  #remove(entry: PolicyMapEntry): void {
    this.#entries.get(lpmKey(entry))?.ids.delete(entry.identity)
  }
}

/** A plain entry that allows everything of a direction, or one identity. */
export function allowEntry(egress: boolean, identity: number, origin: string): PolicyMapEntry {
  return {
    egress,
    protocol: 0,
    port: 0,
    portLength: 0,
    identity,
    deny: false,
    proxyPort: 0,
    precedence: allowPrecedence,
    authType: 0,
    hasExplicitAuth: false,
    cookie: 0,
    origins: [origin],
  }
}

/**
 * The verdict of the datapath for one packet (bpf/lib/policy.h __policy_can_access): the longest prefix for the identity
 * and for every identity, then the higher precedence, then the longer prefix. Undefined: no entry, dropped as 133.
 */
export function lookupPolicy(
  entries: readonly PolicyMapEntry[],
  packet: {
    readonly identity: number
    readonly egress: boolean
    readonly protocol: number
    readonly port: number
  },
): PolicyMapEntry | undefined {
  const key: L4Key = { ...packet, portLength: 16 }
  const longest = (identity: number): PolicyMapEntry | undefined => {
    let best: PolicyMapEntry | undefined
    for (const each of entries) {
      if (each.identity !== identity || !coversL4(each, key)) continue
      if (best === undefined || prefixOf(each) > prefixOf(best)) best = each
    }
    return best
  }
  const own = longest(packet.identity)
  if (own?.precedence === denyPrecedence) return own
  const any = longest(0)
  if (own === undefined || any === undefined) return own ?? any
  if (any.precedence !== own.precedence) return any.precedence > own.precedence ? any : own
  return prefixOf(any) > prefixOf(own) ? any : own
}

function prefixOf({ protocol, portLength }: L4Key): number {
  return protocol === 0 ? 0 : 8 + portLength
}

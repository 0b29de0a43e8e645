// What stands in an endpoint's policy map: keys and entries as values, and the precedence of entries (cilium
// pkg/policy/types/entry.go, `facts` 5.4).

/** The part of a key that the trie indexes: direction, protocol, port and how much of them counts. */
export interface L4Key {
  readonly egress: boolean
  /** 0: every protocol, and then every port. */
  readonly protocol: number
  readonly port: number
  /** 0 to 16 bits of the port that count. */
  readonly portLength: number
}

/** An entry of a policy map. */
export interface PolicyMapEntry extends L4Key {
  /** 0: every identity. */
  readonly identity: number
  readonly deny: boolean
  /** Host byte order; 0: no redirect. */
  readonly proxyPort: number
  /** 0 in 1.10, whose map has none. */
  readonly precedence: number
  /** 0 disabled, 1 spire, 2 always fail. */
  readonly authType: number
  readonly hasExplicitAuth: boolean
  /** The policy's `log.value`, by number; 0: none. */
  readonly cookie: number
  /** Objects that the entry comes from, for people. */
  readonly origins: readonly string[]
}

/** Bits of protocol and port that count in the trie: 0, 8, or 9 to 24 (`lpm_prefix_length`). */
export function lpmLength({ protocol, portLength }: L4Key): number {
  return protocol === 0 ? 0 : 8 + portLength
}

const base = 0xffff_ff00
const byteMask = 0xff

export const denyPrecedence = 0xffff_ffff
export const allowPrecedence = base + 1
const maxListenerPriority = 126

/** The precedence of a redirect: 129 to 254 by the priority of the listener, 2 without one. */
export function redirectPrecedence(listenerPriority: number): number {
  if (listenerPriority === 0) return base + 2
  return base + byteMask - Math.min(listenerPriority, maxListenerPriority)
}

/** A precedence without what a redirect adds (AllowPrecedence). */
export function withoutRedirect(precedence: number): number {
  return precedence - (precedence % 0x100) + 1
}

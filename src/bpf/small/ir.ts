// The neutral form of a small program: what `boot` makes of a checked `.scn` program, and what the executor (compile.ts)
// and later a bytecode generator run. Everything is resolved: devices are ifindexes, codes are numbers, maps are live.
// Everything here can be said in eBPF: one pass over headers, 32-bit arithmetic, bounded lists, helper calls.
import type { Ipv6 } from '../../net/address.ts'
import type { AnyMap } from '../maps/create.ts'
import type { MapSpec } from '../maps/map.ts'
import type { FieldName, LayerName, SwapLayer } from './fields.ts'

export interface SmallIr {
  readonly name: string
  readonly type: 'xdp' | 'sched_cls' | 'cgroup_skb'
  /** cgroup_skb: at egress there are codes of congestion (expected_attach_type). */
  readonly egress?: boolean
  readonly maps: readonly IrMap[]
  /** Tried from top to bottom; the first whose test is true decides. */
  readonly rules: readonly IrRule[]
  /** The code when no rule decides. */
  readonly otherwise: number
}

/** What translation needs to know of a map; the map itself belongs to a run. */
export interface MapShape {
  readonly map: { readonly spec: MapSpec }
  readonly keyOrder: 'le' | 'be'
  readonly valueOrder: 'le' | 'be'
}

/** A small program without its maps: what all of its instances have in common. */
export type SmallShape = Omit<SmallIr, 'maps'> & { readonly maps: readonly MapShape[] }

/** A map and how numbers lie in its keys and values: `le` for host numbers, `be` for what is copied from packets (addresses, MACs). */
export interface IrMap extends MapShape {
  readonly map: AnyMap
  readonly keyOrder: 'le' | 'be'
  readonly valueOrder: 'le' | 'be'
}

export interface IrRule {
  /** Absent in `otherwise => CODE`. */
  readonly test?: IrTest
  readonly actions: readonly IrAction[]
  /** `continue` acts and goes on to the next rule. */
  readonly code: number | 'continue'
}

export type IrTest =
  | { readonly kind: 'compare'; readonly operator: IrCompare; readonly left: IrExpr; readonly right: IrExpr }
  /** One of several numbers or addresses. */
  | { readonly kind: 'one-of'; readonly value: IrExpr; readonly items: readonly IrItem[] }
  /** The map has an entry for it; in an LPM trie a prefix that covers it. */
  | { readonly kind: 'in-map'; readonly value: IrExpr; readonly map: number }
  /** The layer is there; the field is there and not 0. */
  | { readonly kind: 'layer'; readonly layer: LayerName }
  | { readonly kind: 'present'; readonly field: FieldName }
  | { readonly kind: 'not'; readonly test: IrTest }
  | { readonly kind: 'and' | 'or'; readonly tests: readonly IrTest[] }

export type IrCompare = '==' | '!=' | '<' | '<=' | '>' | '>='

/** An item of a list: a number (an IPv4 address is one), an IPv6 address, or a prefix. */
export type IrItem =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'prefix4'; readonly address: number; readonly length: number }
  | { readonly kind: 'prefix6'; readonly address: Ipv6; readonly length: number }

/** A number of up to 48 bits, a time of 64, or an IPv6 address. An absent field or map entry makes a test false and an action do nothing. */
export type IrExpr =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'ip6'; readonly value: Ipv6 }
  | { readonly kind: 'field'; readonly field: FieldName }
  /** The value of a map's entry as a number. */
  | { readonly kind: 'entry'; readonly map: number; readonly key: IrExpr }
  /** 32-bit arithmetic; 64-bit where one side has 64 bits (`isLong`). */
  | {
      readonly kind: 'arithmetic'
      readonly operator: IrOperator
      readonly left: IrExpr
      readonly right: IrExpr
    }

export type IrOperator = '+' | '-' | '&' | '|' | '^' | '<<' | '>>'

/** What a rule does, in order. A resize, VLAN or tunnel helper that fails ends the run: XDP_ABORTED or TC_ACT_SHOT. */
export type IrAction =
  | { readonly kind: 'swap'; readonly layer: SwapLayer }
  /** Checksums that cover the field are repaired; a write to a checksum field is not. */
  | { readonly kind: 'set'; readonly field: FieldName; readonly value: IrExpr }
  | { readonly kind: 'redirect'; readonly ifindex: number; readonly ingress: boolean }
  | {
      readonly kind: 'redirect-neigh'
      readonly ifindex: number
      /** An IPv4 address or an IPv6 address. */
      readonly nextHop?: number | Ipv6
    }
  | { readonly kind: 'redirect-peer'; readonly ifindex: number }
  | { readonly kind: 'clone-redirect'; readonly ifindex: number; readonly ingress: boolean }
  /** A rule with code REDIRECT returns what the helper answers, so that an empty slot gives the default in `flags`. */
  | { readonly kind: 'redirect-map'; readonly map: number; readonly key: IrExpr; readonly flags: number }
  /** Adds to a number in a map; an entry that is missing is made. */
  | { readonly kind: 'count'; readonly map: number; readonly key: IrExpr; readonly by: IrExpr }
  | { readonly kind: 'update'; readonly map: number; readonly key: IrExpr; readonly value: IrExpr }
  | { readonly kind: 'delete'; readonly map: number; readonly key: IrExpr }
  /** Falls through when the slot is empty. `tail NAME` is slot 0 of a program array that only boot knows. */
  | { readonly kind: 'tail-call'; readonly map: number; readonly index: IrExpr }
  | {
      readonly kind: 'adjust'
      readonly part: 'head' | 'tail' | 'meta' | 'room'
      /** Signed. In tc, `head` grows only (bpf_skb_change_head) and `tail` is the difference in length. */
      readonly bytes: number
    }
  | { readonly kind: 'push-vlan'; readonly id: IrExpr }
  | { readonly kind: 'pop-vlan' }
  /** bpf_skb_set_tunnel_key with a struct bpf_tunnel_key (`writeTunnelKey`). */
  | { readonly kind: 'tunnel'; readonly key: Uint8Array; readonly flags: number }
  /** A record through a perf event array or ring buffer: fixed bytes, or a number as eight bytes. */
  | { readonly kind: 'emit'; readonly map: number; readonly value: Uint8Array | IrExpr }

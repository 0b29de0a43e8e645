// Programs as written: small programs with maps and rules, or objects from a file.
import type { Expr, Field, MapEntry, Option, Span, Test, Word } from './ast-words.ts'

/** `prog NAME xdp { ... }` or `prog NAME xdp from "x.o" section "xdp"`. */
export interface Program {
  readonly kind: 'prog'
  readonly span: Span
  readonly name: Word
  /** `xdp`, `tc`, `tcx`, `netkit`, `sk_skb` or `cgroup/...`. */
  readonly type: string
  readonly typeSpan: Span
  readonly body: SmallProgram | ObjectProgram
}

/** An ELF object and the section of the program in it. */
export interface ObjectProgram {
  readonly kind: 'object'
  readonly span: Span
  readonly path: Word
  readonly section: Word | null
}

/** Maps, then rules tried from top to bottom; the first whose test is true decides. */
export interface SmallProgram {
  readonly kind: 'small'
  readonly span: Span
  readonly items: readonly ProgramItem[]
}

export type ProgramItem = MapDeclaration | ProgramRule

export type MapType =
  | 'array'
  | 'hash'
  | 'lru-hash'
  | 'lpm-trie'
  | 'percpu-array'
  | 'percpu-hash'
  | 'lru-percpu-hash'
  | 'devmap'
  | 'devmap-hash'
  | 'cpumap'
  | 'prog-array'
  | 'perf-event-array'
  | 'ringbuf'

export type MapOptionName = 'key' | 'value' | 'max-entries' | 'flags' | 'pinned'

/**
 * `map deny lpm-trie [10.1.0.66/32, 192.0.2.0/24]` or
 * `map ports hash key u16 value u32 max-entries 16 { 80 -> 8080; 443 -> 8443 }`.
 * An item of the `[...]` form has no value.
 */
export interface MapDeclaration {
  readonly kind: 'map'
  readonly span: Span
  readonly name: Word
  readonly type: MapType
  readonly options: readonly Option<MapOptionName>[]
  readonly entries: readonly InitialEntry[]
}

export interface InitialEntry {
  readonly kind: 'initial-entry'
  readonly span: Span
  readonly key: Expr
  readonly value: Expr | null
}

/** `TEST => CODE { actions }`; `otherwise => CODE` has no test. The code `continue` acts and goes on to the next rule. */
export interface ProgramRule {
  readonly kind: 'program-rule'
  readonly span: Span
  readonly test: Test | null
  readonly code: Word
  readonly actions: readonly Action[]
}

export type Action =
  | Swap
  | SetField
  | Redirect
  | RedirectMap
  | Count
  | UpdateMap
  | DeleteEntry
  | TailCall
  | Resize
  | Vlan
  | Tunnel
  | Emit

/** `swap eth ip udp`: source and destination of each named layer. */
export interface Swap {
  readonly kind: 'swap'
  readonly span: Span
  readonly layers: readonly Word[]
}

/** `set tcp.dport = 80`, `set mark = 0x200`, `set meta = 7` (in an XDP program: grows data_meta by 4 bytes and writes it). */
export interface SetField {
  readonly kind: 'set-field'
  readonly span: Span
  readonly field: Field
  readonly value: Expr
}

/** `redirect veth0 [egress | ingress]`, `redirect-neigh veth0 [via A]`, `redirect-peer veth0`, `clone-redirect veth0`. */
export interface Redirect {
  readonly kind: 'redirect'
  readonly span: Span
  readonly helper: 'redirect' | 'redirect-neigh' | 'redirect-peer' | 'clone-redirect'
  /** A device of the host, or an ifindex. */
  readonly device: Word
  readonly direction: 'egress' | 'ingress' | null
  readonly via: Word | null
}

/** `redirect-map ports[0] [default XDP_PASS] [flags F ...]`. */
export interface RedirectMap {
  readonly kind: 'redirect-map'
  readonly span: Span
  readonly entry: MapEntry
  readonly options: readonly Option<'default' | 'flags'>[]
}

/** `count hits[ip.proto]`: adds 1, or `by EXPR`. */
export interface Count {
  readonly kind: 'count'
  readonly span: Span
  readonly entry: MapEntry
  readonly by: Expr | null
}

/** `update seen[ip.src] = 1`. */
export interface UpdateMap {
  readonly kind: 'update'
  readonly span: Span
  readonly entry: MapEntry
  readonly value: Expr
}

/** `delete seen[ip.src]`. */
export interface DeleteEntry {
  readonly kind: 'delete-entry'
  readonly span: Span
  readonly entry: MapEntry
}

/** `tail-call jumps[2]`; `tail other` names the program itself. Without an entry the program goes on. */
export interface TailCall {
  readonly kind: 'tail-call'
  readonly span: Span
  readonly target: MapEntry | Word
}

/** `adjust-head -14`, `adjust-tail 4`, `adjust-meta -4`, `adjust-room 8`: bytes, negative and positive as in the helper. */
export interface Resize {
  readonly kind: 'resize'
  readonly span: Span
  readonly part: 'adjust-head' | 'adjust-tail' | 'adjust-meta' | 'adjust-room'
  readonly bytes: Expr
}

/** `push-vlan 100`, `pop-vlan` (vlan is null). */
export interface Vlan {
  readonly kind: 'vlan'
  readonly span: Span
  readonly vlan: Expr | null
}

/** `tunnel vni 7 remote 10.0.0.2 ttl 64`: bpf_skb_set_tunnel_key. */
export interface Tunnel {
  readonly kind: 'tunnel'
  readonly span: Span
  readonly options: readonly Option<'vni' | 'remote' | 'local' | 'ttl' | 'tos'>[]
}

/** `emit events "text" | EXPR`: a record through a perf or ring buffer map. */
export interface Emit {
  readonly kind: 'emit'
  readonly span: Span
  readonly map: Word
  readonly value: Expr
}

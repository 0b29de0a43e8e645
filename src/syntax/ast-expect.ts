// What must be true, as written: expectations about packets and flows.
import type { CompareOperator, Endpoint, Expr, Field, Place, Span, Test, Word } from './ast-words.ts'

/** `expect f1.syn { ... }`, `expect p all verdict ... == ...`. */
export interface Expect {
  readonly kind: 'expect'
  readonly span: Span
  readonly subject: PacketName
  /** `all`: every packet of that name (`p` of a repeat). */
  readonly quantity: 'one' | 'all'
  readonly lines: readonly ClaimLine[]
}

/** `f1`, `f1.syn`, `f1.syn.retry1`, `p[17]`, `f1.syn.icmp`. `label` is what a step declares; `rest` names the packet, in order. */
export interface PacketName {
  readonly kind: 'packet-name'
  readonly span: Span
  readonly label: Word
  readonly index: Word | null
  readonly rest: readonly Word[]
}

/** One line of an expectation: `[dsr] at n2/eth0/rx ip.opt.dsr == n1:30080`, `never to-proxy`. All its claims share guard and place. */
export interface ClaimLine {
  readonly kind: 'claim-line'
  readonly span: Span
  /** The ids of `[id, id2]`; empty for a line of every case. */
  readonly cases: readonly Word[]
  /** The place after a leading `at`; the final place of the packet otherwise. */
  readonly at: Place | null
  readonly polarity: 'is' | 'never'
  /** One, or several tests with commas between. */
  readonly claims: readonly Claim[]
}

export type Claim =
  | Delivered
  | Dropped
  | Reason
  | Outcome
  | Path
  | Unchanged
  | Translated
  | Dsr
  | Encapsulated
  | Verdict
  | Chain
  | RuleMatch
  | PolicyClaim
  | ToProxy
  | Reply
  | FieldClaim
  | Monitor
  | EventClaim
  | Reaches
  | IcmpClaim
  | FlowState
  | ErrorQueue
  | Errno
  | SocketName
  | Counter
  | Capture
  | PlaceReached
  | Effect

/** `delivered to web`. */
export interface Delivered {
  readonly kind: 'delivered'
  readonly span: Span
  readonly to: Place
}

/** `dropped at n1/eth0/xdp reason "Policy denied"`. */
export interface Dropped {
  readonly kind: 'dropped'
  readonly span: Span
  readonly at: Place
  readonly reason: Word | null
}

/** `reason SKB_DROP_REASON_OTHERHOST`: of the packet's drop. */
export interface Reason {
  readonly kind: 'reason'
  readonly span: Span
  readonly reason: Word
}

/** `outcome dropped host/eth0/xdp`; `outcome $end $where`. */
export interface Outcome {
  readonly kind: 'outcome'
  readonly span: Span
  /** delivered, dropped, consumed, looped, unfinished, or a variable. */
  readonly outcome: Word
  readonly place: Place | null
}

/** `path client > n1/lxc-client > .. > server`. */
export interface Path {
  readonly kind: 'path'
  readonly span: Span
  readonly hops: readonly (Place | Gap)[]
}

/** The `..` of a path: any hops, also none. */
export interface Gap {
  readonly kind: 'gap'
  readonly span: Span
}

/** `unchanged ip.src ip.dst`: between the packet's first and final place. */
export interface Unchanged {
  readonly kind: 'unchanged'
  readonly span: Span
  readonly fields: readonly Field[]
}

/** `dnat A -> B [at PLACE] [by conntrack]`; `dnat none`; in `never snat` everything is null. */
export interface Translated {
  readonly kind: 'dnat' | 'snat'
  readonly span: Span
  readonly form: 'rewrite' | 'none' | 'any'
  readonly from: Endpoint | null
  readonly to: Endpoint | null
  readonly at: Place | null
  readonly by: Word | null
}

/** `dsr n1:30080 geneve`. */
export interface Dsr {
  readonly kind: 'dsr'
  readonly span: Span
  readonly address: Endpoint
  readonly dispatch: 'option' | 'geneve' | 'ipip' | null
}

/** `encap vxlan n1 > n2 vni client`. */
export interface Encapsulated {
  readonly kind: 'encap'
  readonly span: Span
  readonly protocol: 'vxlan' | 'geneve' | 'ipip' | 'gre' | 'wireguard' | 'esp' | null
  readonly from: Endpoint | null
  readonly to: Endpoint | null
  readonly vni: Word | null
  readonly at: Place | null
}

/** `verdict host/eth0/xdp == XDP_TX`; the code `-` asserts that the hook was not reached. */
export interface Verdict {
  readonly kind: 'verdict'
  readonly span: Span
  readonly place: Place
  readonly operator: CompareOperator
  readonly code: Word
}

/** `chain KUBE-SERVICES > KUBE-SVC-*`: visited in this order. */
export interface Chain {
  readonly kind: 'chain'
  readonly span: Span
  readonly chains: readonly Word[]
  readonly at: Place | null
}

/** `rule n1/nf/nat "-m recent --rcheck" matched`. */
export interface RuleMatch {
  readonly kind: 'rule-match'
  readonly span: Span
  readonly place: Place
  readonly text: Word
  readonly result: 'matched' | 'unmatched'
}

/** `policy allow ingress [at PLACE]`. */
export interface PolicyClaim {
  readonly kind: 'policy'
  readonly span: Span
  readonly decision: 'allow' | 'deny'
  readonly direction: 'ingress' | 'egress' | null
  readonly at: Place | null
}

/** `to-proxy at n1/lxc-api/policy`. */
export interface ToProxy {
  readonly kind: 'to-proxy'
  readonly span: Span
  readonly at: Place | null
}

/** `reply delivered to client`, `reply ip.src == n1`: a claim about the packet that answers this one. */
export interface Reply {
  readonly kind: 'reply'
  readonly span: Span
  readonly claim: Claim
}

/** `ip.ttl == 63`, `hops == 2`, `ip.src in 10.0.0.0/8`. */
export interface FieldClaim {
  readonly kind: 'test'
  readonly span: Span
  readonly test: Test
}

/** `monitor from-endpoint to-overlay`: these notifications, in this order. */
export interface Monitor {
  readonly kind: 'monitor'
  readonly span: Span
  readonly events: readonly Word[]
}

/** `event xdp_exception on host/eth0`. */
export interface EventClaim {
  readonly kind: 'event'
  readonly span: Span
  readonly event: Word
  readonly on: Place | null
}

/** `reaches api`; `-`: nothing did. */
export interface Reaches {
  readonly kind: 'reaches'
  readonly span: Span
  readonly target: Place
}

/** `icmp host-unreachable from n2 [within 90s]`. */
export interface IcmpClaim {
  readonly kind: 'icmp'
  readonly span: Span
  readonly type: Word
  readonly from: Place | null
  readonly within: Word | null
}

/** `established`, `timeout`, `closed`, `refused`, `reset`: the end of a flow. */
export interface FlowState {
  readonly kind: 'flow-state'
  readonly span: Span
  readonly state: 'established' | 'timeout' | 'closed' | 'refused' | 'reset'
}

/** `connect errno ECONNREFUSED`, `bind errno EPERM`. */
export interface Errno {
  readonly kind: 'errno'
  readonly span: Span
  readonly call: 'connect' | 'bind' | 'send' | 'recv' | 'accept'
  readonly errno: Word
}

/** `errqueue EHOSTUNREACH from n2`: what IP_RECVERR gathers. */
export interface ErrorQueue {
  readonly kind: 'error-queue'
  readonly span: Span
  readonly errno: Word
  readonly from: Place | null
}

/** `getpeername == svc/web:80`. */
export interface SocketName {
  readonly kind: 'socket-name'
  readonly span: Span
  readonly call: 'getpeername' | 'getsockname'
  readonly operator: CompareOperator
  readonly value: Endpoint
}

/** `counter n1/eth0 rx_packets == 1`; alone it is a statement. */
export interface Counter {
  readonly kind: 'counter'
  readonly span: Span
  readonly place: Place
  readonly name: Word
  readonly operator: CompareOperator
  readonly value: Expr
}

/** `capture $pport = proxy.port`: bound here, equal everywhere below. */
export interface Capture {
  readonly kind: 'capture'
  readonly span: Span
  /** Without the sign. */
  readonly variable: Word
  readonly field: Field
}

/** A place alone, after `never`: the packet must not be seen there. */
export interface PlaceReached {
  readonly kind: 'place-reached'
  readonly span: Span
  readonly place: Place
}

/** An effect alone, after `never`: `never drop`, `never redirect`. (`never snat` is a Translated with form any.) */
export interface Effect {
  readonly kind: 'effect'
  readonly span: Span
  readonly effect: EffectName
}

export type EffectName =
  | 'drop'
  | 'redirect'
  | 'encap'
  | 'decap'
  | 'fragment'
  | 'loop'
  | 'retransmit'
  | 'masquerade'
  | 'icmp'

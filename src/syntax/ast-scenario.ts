// What happens, as written: cases, traffic, steps.
import type { ClaimLine, Expect, Statement } from './ast-expect.ts'
import type { HostItem } from './ast-host.ts'
import type { TopologyItem } from './ast-topology.ts'
import type { Endpoint, Option, Place, Span, Word } from './ast-words.ts'

/** `scenario NAME "title" { ... }`. */
export interface Scenario {
  readonly kind: 'scenario'
  readonly span: Span
  readonly name: Word
  readonly title: Word | null
  readonly items: readonly ScenarioItem[]
}

/** What a guard `[id]` may stand before. */
export type GuardableItem = Tags | Golden | Let | Step | Expect | Invariant | Statement

export type ScenarioItem = GuardableItem | Cases | Guarded

/** `tags overlay smoke`. */
export interface Tags {
  readonly kind: 'tags'
  readonly span: Span
  readonly tags: readonly Word[]
}

/** `golden minimal`. */
export interface Golden {
  readonly kind: 'golden'
  readonly span: Span
  readonly level: 'minimal' | 'hops' | 'full' | 'off'
}

/** `let $port = 8080`; holds for the whole scenario. */
export interface Let {
  readonly kind: 'let'
  readonly span: Span
  /** Without the sign. */
  readonly name: Word
  readonly value: Word
}

/** The case table. The first column must be `id`; every row should have as many cells as `columns` (a check says so). */
export interface Cases {
  readonly kind: 'cases'
  readonly span: Span
  readonly columns: readonly Word[]
  readonly rows: readonly Row[]
}

/** A cell is one word; an empty cell is a word with empty text, `-` asserts "nothing, not reached". */
export interface Row {
  readonly kind: 'row'
  readonly span: Span
  readonly cells: readonly Word[]
}

/** `[id, id2] STATEMENT`: only in these cases. */
export interface Guarded {
  readonly kind: 'guarded'
  readonly span: Span
  readonly cases: readonly Word[]
  readonly item: GuardableItem
}

/** `never drop`: must not be true of any packet of the scenario, at any place. The line's claims are the forbidden ones. */
export interface Invariant {
  readonly kind: 'invariant'
  readonly span: Span
  readonly line: ClaimLine
}

export type Step =
  | Flow
  | Packet
  | Continue
  | Repeat
  | Choose
  | Wait
  | Link
  | Delete
  | Add
  | SetStep
  | Scale
  | Restart
  | OnHost

/** `f1: tcp client:40000 > svc/web:80 ttl 64 { open send 100 recv 200 }`: traffic through sockets. */
export interface Flow {
  readonly kind: 'flow'
  readonly span: Span
  readonly label: Word
  /** tcp, udp, http, sctp, icmp, icmp6, ping, dns, or a variable. */
  readonly protocol: Word
  readonly from: Endpoint
  readonly to: Endpoint
  readonly options: readonly Option<FlowOptionName>[]
  readonly operations: readonly Operation[]
}

export type FlowOptionName =
  | 'ttl'
  | 'tos'
  | 'mark'
  | 'mss'
  | 'df'
  | 'connected'
  | 'from-host'
  | 'uid'
  | 'count'
  | 'size'

export type OperationName =
  | 'open'
  | 'send'
  | 'recv'
  | 'request'
  | 'respond'
  | 'close'
  | 'reset'
  | 'shutdown'
  | 'bind'
  | 'connect'
  | 'ping'
  | 'getpeername'
  | 'wait'

/** `open`, `send 100`, `request GET /public`. */
export interface Operation {
  readonly kind: 'operation'
  readonly span: Span
  readonly name: OperationName
  readonly values: readonly Word[]
}

/** `p1: packet ... on n1/eth0`: a frame injected at the receive side of a device. Without a label it is nameless. */
export interface Packet {
  readonly kind: 'packet'
  readonly span: Span
  readonly label: Word
  readonly content: ShortPacket | LayeredPacket | HexPacket
  readonly at: Place
}

export type PacketOptionName =
  | 'ttl'
  | 'hoplimit'
  | 'tos'
  | 'dscp'
  | 'ecn'
  | 'ip-id'
  | 'df'
  | 'mf'
  | 'frag'
  | 'flags'
  | 'seq'
  | 'ack'
  | 'window'
  | 'mss'
  | 'urgent'
  | 'type'
  | 'code'
  | 'id'
  | 'mtu'
  | 'len'
  | 'payload'
  | 'hex'
  | 'eth.src'
  | 'eth.dst'
  | 'vlan'
  | 'checksum'
  | 'mark'
  | 'count'

/** `packet tcp SRC:PORT > DST:PORT ttl 64 flags syn+ack len 100`; `packet arp request 10.0.0.2 > 10.0.0.1`. */
export interface ShortPacket {
  readonly kind: 'short'
  readonly span: Span
  /** tcp, udp, sctp, icmp, icmp6, arp, ip, ip6, esp, gre ..., or a variable. */
  readonly protocol: Word
  /** `request` or `reply` of arp; `echo-request`, `ns` ... of icmp and icmp6. */
  readonly type: Word | null
  readonly from: Endpoint
  readonly to: Endpoint
  readonly options: readonly Option<PacketOptionName>[]
}

/** `packet eth { src M dst M } ip { ... } udp { ... } payload "text"`: outermost first. */
export interface LayeredPacket {
  readonly kind: 'layers'
  readonly span: Span
  readonly layers: readonly Layer[]
}

export type LayerName =
  | 'eth'
  | 'vlan'
  | 'arp'
  | 'ip'
  | 'ip6'
  | 'tcp'
  | 'udp'
  | 'sctp'
  | 'icmp'
  | 'icmp6'
  | 'vxlan'
  | 'geneve'
  | 'gre'
  | 'hop'
  | 'frag'
  | 'payload'
  | 'hex'

/** One layer. `payload "text"` and `hex "0a0b"` have their bytes in `data` and no fields. Field names are closed lists per layer. */
export interface Layer {
  readonly kind: 'layer'
  readonly span: Span
  readonly name: LayerName
  readonly fields: readonly Option[]
  readonly data: Word | null
}

/** `packet hex """ff ff ..."""`: the whole frame. */
export interface HexPacket {
  readonly kind: 'hex'
  readonly span: Span
  readonly data: Word
}

/** `f1 { send 100 }`: more operations of a flow. */
export interface Continue {
  readonly kind: 'continue'
  readonly span: Span
  readonly label: Word
  readonly operations: readonly Operation[]
}

/** `repeat $i in 1..100 { ... }`: both ends belong to the range. */
export interface Repeat {
  readonly kind: 'repeat'
  readonly span: Span
  readonly variable: Word
  readonly first: Word
  readonly last: Word
  readonly steps: readonly Step[]
}

/** `choose svc/web = web-1`: the next random selection. */
export interface Choose {
  readonly kind: 'choose'
  readonly span: Span
  readonly subject: Place
  readonly value: Word
}

/** `wait 30s`. */
export interface Wait {
  readonly kind: 'wait'
  readonly span: Span
  readonly duration: Word
}

/** `link n1/eth0 down`. */
export interface Link {
  readonly kind: 'link'
  readonly span: Span
  readonly device: Place
  readonly state: 'up' | 'down'
}

/** `delete pod web-1`, `delete service web`, `delete n1/eth0`. */
export interface Delete {
  readonly kind: 'delete'
  readonly span: Span
  /** pod, service, node, policy, netns, dev, or null for a place alone. */
  readonly what: 'pod' | 'service' | 'node' | 'policy' | 'netns' | 'dev' | null
  readonly target: Place
}

/** `add pod web-3 on n2 10.0.2.23 labels app=web`: any statement of a topology. */
export interface Add {
  readonly kind: 'add'
  readonly span: Span
  readonly item: TopologyItem
}

/** `set n1/eth0 mtu 1400`, `set n1 sysctl net.ipv4.ip_forward = 0`, `set cluster lb-mode dsr`, `set pod web labels app=x`. */
export interface SetStep {
  readonly kind: 'set'
  readonly span: Span
  readonly target: Place
  readonly option: Option
}

/** `scale web 3`. */
export interface Scale {
  readonly kind: 'scale'
  readonly span: Span
  readonly target: Place
  readonly replicas: Word
}

/** `restart agent n1`, `restart kube-proxy n1`, `restart node n1`, `restart pod web`. */
export interface Restart {
  readonly kind: 'restart'
  readonly span: Span
  readonly what: 'agent' | 'kube-proxy' | 'node' | 'pod'
  readonly target: Word
}

/** `on n1 { route add ...; neigh ... }`: statements of a host, carried out now; `del` removes what equals the statement. */
export interface OnHost {
  readonly kind: 'on-host'
  readonly span: Span
  readonly host: Place
  readonly changes: readonly Change[]
}

export interface Change {
  readonly kind: 'change'
  readonly span: Span
  readonly verb: 'add' | 'del' | 'replace'
  readonly item: HostItem
}

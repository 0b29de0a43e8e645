// Traffic as written: flows through sockets, and raw packets injected at a device.
import type { Endpoint, Option, Place, Span, Word } from './ast-words.ts'

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
  | 'recverr'
  | 'from-host'
  | 'uid'
  | 'count'
  | 'size'
  | 'sndbuf'
  | 'max-pacing-rate'
  | 'txtime'
  | 'tcp'

export type OperationName =
  | 'open'
  | 'send'
  | 'recv'
  | 'request'
  | 'respond'
  | 'query'
  | 'close'
  | 'reset'
  | 'shutdown'
  | 'bind'
  | 'connect'
  | 'ping'
  | 'getpeername'
  | 'wait'

export type RequestOptionName = 'header' | 'host' | 'body' | 'chunked' | 'pipelined'

/** `open`, `send 100`, `request GET /public`. */
export interface Operation {
  readonly kind: 'operation'
  readonly span: Span
  readonly name: OperationName
  readonly values: readonly Word[]
  /** Of a request. */
  readonly options?: readonly Option<RequestOptionName>[]
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

// What stands inside one host, as written: routes, rules, neighbours, sockets; devices and programs at hooks are in ast-device.ts.
import type { Attachment, Device } from './ast-device.ts'
import type { Endpoint, Option, Span, Word } from './ast-words.ts'

export type HostItem =
  | Device
  | Route
  | RoutingRule
  | Neighbour
  | Fdb
  | Neighbours
  | Sysctl
  | Ruleset
  | Ipvs
  | Listen
  | HostPort
  | Kernel
  | Attachment

export type RouteType = 'unicast' | 'local' | 'broadcast' | 'blackhole' | 'unreachable' | 'prohibit' | 'throw'

export type RouteOptionName =
  | 'table'
  | 'via'
  | 'dev'
  | 'metric'
  | 'scope'
  | 'src'
  | 'mtu'
  | 'onlink'
  | 'proto'
  | 'tos'
  | 'advmss'
  | 'weight'
  | 'encap'

/** `route default via 10.2.0.1`, `route 10.0.0.0/8 dev eth0 metric 5`, `route blackhole 10.9.0.0/16`. */
export interface Route {
  readonly kind: 'route'
  readonly span: Span
  readonly type: RouteType
  /** `default`, an address or a prefix. */
  readonly target: Word
  readonly options: readonly Option<RouteOptionName>[]
  /** The legs of `nexthop via A dev D weight N nexthop ...`; empty for a route with one next hop. */
  readonly nexthops: readonly Nexthop[]
}

export interface Nexthop {
  readonly kind: 'nexthop'
  readonly span: Span
  readonly options: readonly Option<RouteOptionName>[]
}

export type RuleOptionName =
  | 'pref'
  | 'not'
  | 'from'
  | 'to'
  | 'fwmark'
  | 'iif'
  | 'oif'
  | 'tos'
  | 'ipproto'
  | 'sport'
  | 'dport'
  | 'suppress_prefixlength'
  | 'lookup'
  | 'goto'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'

/** `rule [not] pref 100 from 10.0.0.0/8 fwmark 0x1/0xff lookup 200`. The action is the option lookup, goto, blackhole ... */
export interface RoutingRule {
  readonly kind: 'rule'
  readonly span: Span
  readonly options: readonly Option<RuleOptionName>[]
}

export type NeighbourState =
  | 'permanent'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'incomplete'
  | 'noarp'

/** `neigh 10.0.0.1 [lladdr] 02:00:00:00:00:01 dev eth0 permanent`; `neigh proxy 10.0.0.9 dev eth0` (mac is null). */
export interface Neighbour {
  readonly kind: 'neigh'
  readonly span: Span
  readonly form: 'entry' | 'proxy'
  readonly address: Word
  readonly mac: Word | null
  readonly device: Word
  readonly state: NeighbourState | null
}

export type FdbOptionName =
  | 'dev'
  | 'dst'
  | 'vni'
  | 'port'
  | 'via'
  | 'vlan'
  | 'master'
  | 'self'
  | 'static'
  | 'dynamic'
  | 'local'
  | 'permanent'
  | 'append'

/** `fdb 02:..:01 dev vxlan0 dst 192.168.5.12`. */
export interface Fdb {
  readonly kind: 'fdb'
  readonly span: Span
  readonly mac: Word
  readonly options: readonly Option<FdbOptionName>[]
}

/** `neighbours cold`: nothing is known before the first packet; `warm` is the rule anyway. */
export interface Neighbours {
  readonly kind: 'neighbours'
  readonly span: Span
  readonly state: 'cold' | 'warm'
}

/** `sysctl net.ipv4.ip_forward = 1`. */
export interface Sysctl {
  readonly kind: 'sysctl'
  readonly span: Span
  readonly key: Word
  readonly value: Word
}

type LaterTool = 'arptables' | 'ebtables'
export type RulesetTool = 'iptables' | 'ip6tables' | 'nft' | 'ipset' | 'ipvs' | 'xfrm' | LaterTool

/** `iptables """iptables-save text"""`: another tool's own save format, as is. */
export interface Ruleset {
  readonly kind: 'ruleset'
  readonly span: Span
  readonly tool: RulesetTool
  readonly text: Word
}

/** `ipvs { tcp 10.96.0.1:80 rr -> 10.0.0.1:80 masq weight 1, 10.0.0.2:80 }`. */
export interface Ipvs {
  readonly kind: 'ipvs'
  readonly span: Span
  readonly services: readonly IpvsService[]
}

export interface IpvsService {
  readonly kind: 'ipvs-service'
  readonly span: Span
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly address: Endpoint
  /** Null: ipvsadm's own, or that of the service that is changed. */
  readonly scheduler: Word | null
  readonly options: readonly Option<'persistent' | 'netmask' | 'flags'>[]
  readonly servers: readonly IpvsServer[]
}

export interface IpvsServer {
  readonly kind: 'ipvs-server'
  readonly span: Span
  readonly address: Endpoint
  readonly options: readonly Option<'masq' | 'route' | 'tunnel' | 'weight'>[]
}

export type ListenOptionName =
  | 'on'
  | 'status'
  | 'reply'
  | 'answer'
  | 'for'
  | 'chunked'
  | 'ttl'
  | 'backlog'
  | 'v6only'
  | 'reuseport'
  | 'transparent'
  | 'mark'

/** `listen tcp 80 [http | dns | echo | mute | discard] [on ADDRESS]`. */
export interface Listen {
  readonly kind: 'listen'
  readonly span: Span
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: Word
  readonly app: 'http' | 'dns' | 'echo' | 'mute' | 'discard' | null
  readonly options: readonly Option<ListenOptionName>[]
}

/** `hostport 8080 -> 80 [on ADDRESS]` in a pod. */
export interface HostPort {
  readonly kind: 'hostport'
  readonly span: Span
  readonly protocol: 'tcp' | 'udp' | 'sctp' | null
  readonly port: Word
  readonly target: Word
  readonly address: Word | null
}

/** `kernel 5.4`. */
export interface Kernel {
  readonly kind: 'kernel'
  readonly span: Span
  readonly version: Word
}

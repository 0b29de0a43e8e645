// What stands inside one host, as written: devices, programs at hooks, routes, rules, neighbours, sockets.
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

export type DeviceType =
  | 'phys'
  | 'veth'
  | 'bridge'
  | 'vxlan'
  | 'geneve'
  | 'ipip'
  | 'macvlan'
  | 'dummy'
  | 'vlan'
  | 'lo'
  | 'netkit'
  | 'wireguard'

/** Options without a value are flags: down, external, learning, nolearning, onlink ...; `df`, `stp`, `hairpin` take a word. */
export type DeviceOptionName =
  | 'peer'
  | 'mac'
  | 'mtu'
  | 'down'
  | 'driver'
  | 'id'
  | 'vni'
  | 'remote'
  | 'local'
  | 'group'
  | 'dstport'
  | 'srcport'
  | 'dev'
  | 'external'
  | 'learning'
  | 'nolearning'
  | 'ttl'
  | 'tos'
  | 'df'
  | 'udpcsum'
  | 'noudpcsum'
  | 'nopmtudisc'
  | 'proxy'
  | 'l2miss'
  | 'l3miss'
  | 'gbp'
  | 'mode'
  | 'master'
  | 'hairpin'
  | 'isolated'
  | 'flood'
  | 'neigh-suppress'
  | 'stp'
  | 'ageing'
  | 'vlan-filtering'
  | 'protocol'
  | 'queues'
  | 'txqlen'
  | 'key'
  | 'port'
  | 'endpoint'
  | 'allowed-ips'
  | 'policy'
  | 'scrub'
  | 'name'
  | 'offload'

/**
 * `dev eth0 [TYPE] [on NET] ADDRESS... [option ...] { ... }`. Options of the head and of the block are one list, in order.
 * The value of `peer` is one word `HOST/DEV`.
 */
export interface Device {
  readonly kind: 'dev'
  readonly span: Span
  readonly name: Word
  readonly type: DeviceType | null
  readonly net: Word | null
  readonly addresses: readonly Word[]
  readonly options: readonly Option<DeviceOptionName>[]
  readonly attachments: readonly Attachment[]
  readonly qdiscs: readonly Qdisc[]
  readonly sysctls: readonly Sysctl[]
}

export type QdiscOptionName =
  | 'limit'
  | 'flow_limit'
  | 'quantum'
  | 'initial_quantum'
  | 'maxrate'
  | 'horizon'
  | 'horizon_drop'
  | 'horizon_cap'
  | 'pacing'
  | 'nopacing'

/** `qdisc fq limit 100 horizon 2s`: the root queueing discipline, in the words of `tc qdisc add dev DEV root`. */
export interface Qdisc {
  readonly kind: 'qdisc'
  readonly span: Span
  readonly discipline: Word
  readonly options: readonly Option<QdiscOptionName>[]
}

export type DeviceHook = 'xdp' | 'tc-in' | 'tc-out' | 'tcx-in' | 'tcx-out' | 'netkit-primary' | 'netkit-peer'

/** A hook of a whole node, from the grammar's closed list: `cgroup/connect4`. */
export type CgroupHook = `cgroup/${string}`

export type AttachmentOptionName =
  | 'pref'
  | 'handle'
  | 'protocol'
  | 'classic'
  | 'classid'
  | 'action'
  | 'before'
  | 'after'
  | 'first'
  | 'last'

/**
 * A program at a hook: `xdp native blocklist`, `tc-in classify pref 2`, `tcx-out p before q`; in a node also
 * `cgroup/connect4 p`. `tc-in`/`tc-out` are clsact filters, direct-action unless `classic` stands there.
 * `action mirror eth1` (two words) and `action drop` say what a match of a classic filter does.
 * Several lines at one hook run in `pref` order, then in the order written.
 */
export interface Attachment {
  readonly kind: 'attachment'
  readonly span: Span
  readonly hook: DeviceHook | CgroupHook
  readonly mode: 'native' | 'generic' | 'offload' | null
  /** The mode of `xdp $mode blocklist`; then `mode` is null. */
  readonly modeVariable: Word | null
  readonly program: Word
  readonly options: readonly Option<AttachmentOptionName>[]
}

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

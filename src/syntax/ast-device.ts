// A device of a host, as written: its options, its queue, and programs at its hooks.
import type { Sysctl } from './ast-host.ts'
import type { Option, Span, Word } from './ast-words.ts'

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

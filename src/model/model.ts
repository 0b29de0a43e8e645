// A checked scenario: every name resolved, every address in its subnet, every value of the right kind, every case of a
// table written out. Immutable. `boot` makes a machine of the world, `run` carries out the steps and asks the claims.
//
// A file without a table has one case per scenario, without an id. A world that does not depend on the table's columns
// is one object shared by all cases.
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source, Span } from '../base/text.ts'
import type { IpAddress } from '../net/address.ts'
import type { Mac } from '../net/mac.ts'
import type { Prefix } from '../net/prefix.ts'
import type { NeighbourState } from '../syntax/ast.ts'
import type { Level } from '../trace/event.ts'
import type { Claim } from './claim.ts'
import type { CiliumModel, ClusterModel } from './cluster.ts'
import type { DeviceModel } from './device-model.ts'
import type { CgroupSkbHook, ProgramModel } from './program.ts'
import type { RulesetModel } from './ruleset.ts'
import type { Step } from './step.ts'

/** A value with the words it came from. `cell` is the cell of the case table that held it, where one did. */
export interface Given<T> {
  readonly value: T
  readonly span: Span
  readonly cell?: Span
}

/** One file, checked. */
export interface Model {
  readonly source: Source
  readonly doc: string
  readonly scenarios: readonly ScenarioModel[]
  /**
   * Constructs whose engine does not exist yet, as warnings. A file that has any can be checked, but not run (exit
   * code 4).
   */
  readonly unavailable: readonly Diagnostic[]
}

export interface ScenarioModel {
  readonly name: string
  readonly span: Span
  readonly tags: readonly string[]
  readonly golden: Level | 'off'
  readonly cases: readonly CaseModel[]
}

export interface CaseModel {
  readonly id?: string
  /** The row in the table, or the scenario's head. */
  readonly span: Span
  /** The scenario's title with this case's values in it. */
  readonly title: string
  readonly world: World
  readonly steps: readonly Step[]
  readonly expectations: readonly Expectation[]
}

/** The world before the first packet, derived and overridden: what `scn expand` prints. */
export interface World {
  readonly segments: readonly Segment[]
  readonly namespaces: readonly NamespaceModel[]
  readonly programs: readonly ProgramModel[]
  /** `cluster none` with a CNI plugin. */
  readonly cluster?: ClusterModel
  /** `cluster cilium`. */
  readonly cilium?: CiliumModel
  /** What a cluster's agents agreed on, for `scn expand`. */
  readonly notes?: () => readonly string[]
  /** Names for addresses in traces, in order of declaration: hosts, then services. */
  readonly bindings: readonly { readonly name: string; readonly addresses: readonly IpAddress[] }[]
}

/** The wire of a `net`. */
export interface Segment {
  readonly name: string
  readonly prefixes: readonly Prefix[]
}

export interface NamespaceModel {
  readonly name: string
  readonly kind: 'node' | 'netns' | 'external'
  /** The node whose kernel it lives on: itself for a node. */
  readonly node: string
  /** `kernel 5.4`, or undefined for the default. */
  readonly kernel?: string
  /** No sockets and no answers above ARP and ND: an `external` without `listen`. */
  readonly mute: boolean
  readonly neighbours: 'warm' | 'cold'
  /** In order of creation. lo is always there and not listed unless the file says something about it. */
  readonly devices: readonly DeviceModel[]
  readonly routes: readonly RouteModel[]
  readonly rules: readonly RuleModel[]
  readonly entries: readonly NeighbourModel[]
  readonly fdb: readonly FdbModel[]
  readonly sysctls: readonly { readonly key: string; readonly value: number; readonly span: Span }[]
  readonly listens: readonly ListenModel[]
  /** Programs of the cgroup that the sockets of this host are in, in order. */
  readonly cgroup?: readonly CgroupModel[]
  /** Where the rule of the table local stands, if an agent moved it. */
  readonly localRulePriority?: number
  /** What an agent decided for this host, for `scn expand`. */
  readonly notes?: () => readonly string[]
  /** Texts of iptables, ip6tables and ipset; absent where there are none. */
  readonly rulesets?: readonly RulesetModel[]
  readonly span: Span
}

/** `cgroup/egress PROG` at a host. */
export interface CgroupModel {
  readonly hook: CgroupSkbHook
  readonly program: string
  readonly span: Span
}

export interface NexthopModel {
  readonly via?: IpAddress
  readonly device?: string
  readonly weight: number
  readonly onlink: boolean
}

export interface RouteModel {
  readonly type: 'unicast' | 'local' | 'broadcast' | 'blackhole' | 'unreachable' | 'prohibit' | 'throw'
  readonly prefix: Prefix
  readonly table: number
  readonly metric: number
  readonly scope?: number
  readonly source?: IpAddress
  readonly mtu?: number
  /** rtm_protocol, 3 (boot) where it is absent. */
  readonly protocol?: number
  readonly tos: number
  readonly nexthops: readonly NexthopModel[]
  readonly span: Span
}

export interface RuleModel {
  readonly family: 4 | 6
  readonly priority?: number
  readonly not: boolean
  readonly from?: Prefix
  readonly to?: Prefix
  readonly mark?: { readonly value: number; readonly mask: number }
  readonly inDevice?: string
  readonly outDevice?: string
  readonly tos?: number
  readonly protocol?: number
  readonly sport?: { readonly first: number; readonly last: number }
  readonly dport?: { readonly first: number; readonly last: number }
  readonly suppressPrefixLength?: number
  readonly action:
    | { readonly kind: 'lookup'; readonly table: number }
    | { readonly kind: 'goto'; readonly priority: number }
    | { readonly kind: 'blackhole' | 'unreachable' | 'prohibit' }
  readonly span: Span
}

export interface NeighbourModel {
  readonly address: IpAddress
  /** Absent for a proxy entry. */
  readonly mac?: Mac
  readonly device: string
  readonly state: NeighbourState | 'proxy'
  readonly span: Span
}

export interface FdbModel {
  readonly mac: Mac
  readonly device: string
  readonly permanent: boolean
  /** `local` or `permanent` at a bridge: an address of this host, frames for it go up. */
  readonly own?: boolean
  /** vxlan: the remote host of the address, with what differs from the device's own. */
  readonly remote?: {
    readonly address: IpAddress
    readonly port?: number
    readonly vni?: number
    readonly via?: string
  }
  readonly span: Span
}

export interface ListenModel {
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly address?: IpAddress
  readonly app: 'accept' | 'echo' | 'http' | 'dns' | 'mute' | 'discard'
  /** http: what it answers, 200 and 3 bytes where they are absent. */
  readonly status?: number
  readonly bodyBytes?: number
  /** http: the body comes in chunks. */
  readonly chunked?: boolean
  /** dns: the names that it knows. */
  readonly answers?: readonly {
    readonly name: string
    readonly addresses: readonly IpAddress[]
    /** Seconds that an answer may be kept, 30 where it is absent. */
    readonly ttl?: number
  }[]
  /** IP_TTL and IPV6_UNICAST_HOPS, SO_MARK, IPV6_V6ONLY, SO_REUSEPORT of the socket and of what it accepts. */
  readonly ttl?: number
  readonly mark?: number
  readonly v6only?: boolean
  readonly reuseport?: boolean
  /** IP_TRANSPARENT: TPROXY may hand it packets for any address, and it answers from that address. */
  readonly transparent?: boolean
  /** tcp: how many connections may wait to be accepted, 128 where it is absent. */
  readonly backlog?: number
  readonly span: Span
}

/** A packet's name as expectations use it: `f1.syn`, `p[17]`, `p1.icmp`; `all` asks every packet of a repeat's label. */
export interface Subject {
  readonly kind: 'packet' | 'flow' | 'scenario' | 'state'
  /** The full name (`f1.syn`), or the label (`p`) with `all`. Empty for `scenario` and `state`. */
  readonly name: string
  readonly all: boolean
  readonly span: Span
}

/** One claim about one subject, for one case. `afterStep` is the index of the step it stands behind (-1: before all). */
export interface Expectation {
  readonly subject: Subject
  readonly claim: Claim
  readonly afterStep: number
  readonly span: Span
}

// What happens, resolved: traffic and changes in the order of the file, repeats written out.
import type { Span } from '../base/text.ts'
import type { IpAddress } from '../net/address.ts'
import type { Prefix } from '../net/prefix.ts'
import type { CiliumChange } from './cluster.ts'
import type { DeviceModel } from './device-model.ts'
import type { FdbModel, ListenModel, NeighbourModel, RouteModel, RuleModel } from './model.ts'
import type { RulesetModel } from './ruleset.ts'

/** An operation of a flow. Sizes are bytes, durations nanoseconds. */
export type FlowOperation =
  | { readonly kind: 'open' | 'close' | 'reset' | 'shutdown'; readonly span: Span }
  /** `text` is what is sent where the file says so; else `bytes` of anything. */
  | { readonly kind: 'send' | 'recv'; readonly bytes: number; readonly text?: string; readonly span: Span }
  | {
      readonly kind: 'request'
      readonly method: string
      /** A path, or `http://host/path`. */
      readonly url: string
      /** The Host header; undefined: whom the flow goes to. */
      readonly host?: string
      readonly headers: readonly { readonly name: string; readonly value: string }[]
      /** Length of the body; it comes in chunks, or has its length told. */
      readonly body?: number
      readonly chunked?: boolean
      /** The next request does not wait for the response. */
      readonly pipelined?: boolean
      readonly span: Span
    }
  | { readonly kind: 'query'; readonly name: string; readonly type: 'A' | 'AAAA'; readonly span: Span }
  | { readonly kind: 'respond'; readonly status: number; readonly span: Span }
  | { readonly kind: 'ping'; readonly count: number; readonly span: Span }
  | { readonly kind: 'getpeername'; readonly span: Span }
  | { readonly kind: 'wait'; readonly duration: number; readonly span: Span }

/** A change to one host between packets; `del` removes what equals the item. */
export interface HostChange {
  readonly namespace: string
  readonly verb: 'add' | 'del' | 'replace'
  readonly item:
    | { readonly kind: 'route'; readonly route: RouteModel }
    | { readonly kind: 'rule'; readonly rule: RuleModel }
    | { readonly kind: 'neigh'; readonly neighbour: NeighbourModel }
    | { readonly kind: 'fdb'; readonly fdb: FdbModel }
    | { readonly kind: 'sysctl'; readonly key: string; readonly value: number }
    | { readonly kind: 'dev'; readonly device: DeviceModel }
    | ({ readonly kind: 'listen' } & ListenModel)
    | { readonly kind: 'addr'; readonly device: string; readonly prefix: Prefix }
    | { readonly kind: 'ruleset'; readonly ruleset: RulesetModel }
}

export type Step =
  /** A frame that arrives at a device (receive side), as if it came from the wire. */
  | {
      readonly kind: 'packet'
      /** `p1`, or `p[17]` inside a repeat. */
      readonly name: string
      /** Repeats share one label: `p`. */
      readonly label: string
      readonly frame: Uint8Array
      readonly namespace: string
      readonly device: string
      readonly span: Span
    }
  /** Traffic through sockets; a continuation of an earlier flow repeats its label with `first: false`. */
  | {
      readonly kind: 'flow'
      readonly label: string
      readonly first: boolean
      readonly protocol: 'tcp' | 'udp' | 'icmp' | 'http' | 'dns'
      /** The client's namespace and, where given, its own address and port. */
      readonly from: { readonly namespace: string; readonly address?: IpAddress; readonly port?: number }
      readonly to: { readonly namespace?: string; readonly address: IpAddress; readonly port: number }
      readonly ttl?: number
      readonly tos?: number
      readonly mark?: number
      readonly dontFragment?: 'want' | 'do' | 'dont'
      readonly size?: number
      /** tcp: TCP_MAXSEG of the client's socket. */
      readonly mss?: number
      /** SO_SNDBUF as asked for (bytes). */
      readonly sendBuffer?: number
      /** SO_MAX_PACING_RATE (bytes a second). */
      readonly maxPacingRate?: number
      /** udp: SO_TXTIME, each datagram asks to leave this long after it was sent (nanoseconds). */
      readonly departAfter?: number
      /** udp: the socket is connected before it sends. */
      readonly connected?: boolean
      /** dns: asks over TCP. */
      readonly stream?: boolean
      /** IP_RECVERR, IPV6_RECVERR: soft errors are reported, and all are gathered in the error queue. */
      readonly recvErr?: boolean
      /** The longest that an operation waits (nanoseconds); absent: as long as the kernel tries. */
      readonly patience?: number
      readonly operations: readonly FlowOperation[]
      readonly span: Span
    }
  | { readonly kind: 'wait'; readonly duration: number; readonly span: Span }
  | {
      readonly kind: 'link'
      readonly namespace: string
      readonly device: string
      readonly up: boolean
      readonly span: Span
    }
  | { readonly kind: 'delete'; readonly namespace: string; readonly device?: string; readonly span: Span }
  /** What the agents of a cluster are told; `title` is unique among the steps of a case. */
  | { readonly kind: 'cluster'; readonly change: CiliumChange; readonly title: string; readonly span: Span }
  /** A pod of `cluster.late`: its plugin connects it. */
  | { readonly kind: 'add-pod'; readonly name: string; readonly span: Span }
  | {
      readonly kind: 'set'
      readonly namespace: string
      readonly device: string
      readonly mtu?: number
      readonly mac?: number
      /** Flags of a bridge's port. */
      readonly hairpin?: boolean
      readonly isolated?: boolean
      readonly span: Span
    }
  | { readonly kind: 'change'; readonly change: HostChange; readonly span: Span }
  /** What an agent is asked to do on its node; `title` is unique among the steps of a case. */
  | {
      readonly kind: 'run'
      readonly node: string
      readonly job: AgentJob
      readonly title: string
      readonly span: Span
    }
  /** What a tool prints on a host, for the golden; `title` is unique among the steps of a case. */
  | {
      readonly kind: 'show'
      readonly namespace: string
      readonly command: string
      readonly title: string
      /** The place of the command. */
      readonly span: Span
    }
  | ReachStep

/** Who reaches whom: each probe is sent on a copy of the world as it is at this step. */
export interface ReachStep {
  readonly kind: 'reach'
  /** Unique among the steps of a case. */
  readonly title: string
  /** Sources in the order of the file, of each what it asks for, of that its destinations in the order of the file. */
  readonly probes: readonly ReachProbe[]
  readonly wanted: readonly WantedPair[]
  readonly span: Span
}

/** One attempt: a connection, a datagram or an echo request of one host to one address. */
export interface ReachProbe {
  readonly from: string
  /** As the file calls it: a host, or an address. */
  readonly to: string
  /** The host that has the address. */
  readonly host?: string
  readonly address: IpAddress
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  /** 0 for icmp. */
  readonly port: number
}

/** What a line of a reach says of one pair. */
export interface WantedPair {
  /** Absent: of everything that the step asks for. */
  readonly asked?: readonly Pick<ReachProbe, 'protocol' | 'port'>[]
  readonly from: string
  readonly to: string
  /** `connected`, `denied ingress`; `denied` leaves the direction open. */
  readonly verdict: string
  readonly reason?: string
  /** The words of the destination, or the cell that the verdict came from. */
  readonly span: Span
  readonly usedAt?: Span
  readonly line: Span
}

/** A round of the collector of conntrack, or what empties its maps. */
export type AgentJob = 'ct-nat-map-gc' | 'ct flush' | 'nat flush'

/** Traffic through sockets. */
export type FlowStep = Extract<Step, { readonly kind: 'flow' }>

// What happened, as typed data. The kernel writes events through the Recorder; everything that people read (text,
// JSON, pcapng, diagrams, expectations, golden comparison) is computed from this tree and from nothing else.
//
// An effect is never claimed: header changes are the difference of two snapshots, table changes are the difference of
// a map, records are bytes that a program emitted, and the rest are decisions of the kernel itself.

import type { Decoders } from './effects/decoders.ts'

/** How much of a trace is written. Each level contains the one before. */
export type Level = 'minimal' | 'hops' | 'full'

/**
 * Where on a device or in a stack an event stands. With the device it makes a place: `n1/eth0/tc-in`.
 * `nic`, `irq`, `napi`, `alloc`, `tap-in`, `tap-out`, `qdisc`, `bridge`, `nf`, `neigh` show at level `full` only (unless
 * the packet ends there); the others at `hops`.
 */
export type Stage =
  | 'nic' // the frame lies in the receive ring (DMA)
  | 'irq' // hard interrupt, masked by the driver, softirq raised; or the completion interrupt after a transmission
  | 'napi' // the driver's poll function
  | 'alloc' // sk_buff built around the frame
  | 'gso' // a large packet is cut into segments
  | 'gro' // generic receive offload
  | 'rx' // arrival, before XDP; also the IP receive function's drops and the delivery to a socket
  | 'xdp'
  | 'tap-in' // AF_PACKET sockets on receive
  | 'tc-in'
  | 'bridge' // a bridge's forwarding decision
  | 'nf' // one netfilter chain; `chain` names it
  | 'route' // the routing decision
  | 'socket' // a socket's own work (NODE/socket)
  | 'xfrm' // IPsec: a packet is encrypted or decrypted, or ends in between
  | 'neigh' // neighbour resolution before transmission
  | 'tc-out'
  | 'netkit-primary' // programs of a netkit pair, on what the primary device sends
  | 'netkit-peer' // and on what its peer sends
  | 'qdisc'
  | 'tap-out'
  | 'tx' // after tc egress: the frame leaves by the driver
  | 'xmit' // a virtual device's own work: encapsulation
  | 'decap'
  | 'policy' // a nested policy run for an endpoint
  | 'proxy'
  | 'cgroup' // a cgroup socket hook; `chain` names it

/** A copy of a packet at one moment. Bytes start at the Ethernet header, or at the IP header where there is none yet. */
export interface Snapshot {
  readonly bytes: Uint8Array
  readonly start: 'ethernet' | 'ip'
  /** skb->mark, host byte order. */
  readonly mark: number
  /** PACKET_HOST 0, BROADCAST 1, MULTICAST 2, OTHERHOST 3, OUTGOING 4. */
  readonly pktType: number
  /** 802.1Q TCI kept beside the packet, or -1. */
  readonly vlanTci: number
  /** Length of data_meta in front of the frame (bytes), visible to tc only. */
  readonly metaBytes: number
  /** Where a metadata tunnel device is told to send the packet; absent where nobody said so. */
  readonly tunnel?: TunnelHint
}

/** struct ip_tunnel_info on its way to a tunnel device, as far as a reader of a trace wants it. */
export interface TunnelHint {
  readonly id: number
  /** IPv4 address in host byte order, or four 32-bit words of an IPv6 address. */
  readonly remote: number | readonly [number, number, number, number]
}

/** What a hook decided. `code` is without prefix (`PASS`, `REDIRECT`, `DELIVER`, `FORWARD`, `DROP`); `target` may follow. */
export interface Decision {
  readonly code: string
  readonly target?: string
  /** The number a program returned, where a program decided. */
  readonly value?: number
}

/** One thing that happened inside a hook besides the change of the packet. */
export type Fact =
  /** The packet ends here; `reason` is from the closed list in drop-reason.ts, or Cilium's. */
  | { readonly kind: 'drop'; readonly reason: string }
  /** The route that was chosen. Addresses are text; `via` is absent for on-link destinations. */
  | { readonly kind: 'fib'; readonly via?: string; readonly device: string; readonly table?: number }
  /** A tracepoint that a person can subscribe to fired (`xdp_exception`). */
  | { readonly kind: 'tracepoint'; readonly name: string }
  /** A map entry differs after the hook. `before` or `after` is absent when the entry was made or removed. */
  | {
      readonly kind: 'map'
      readonly map: string
      readonly key: Uint8Array
      readonly before?: Uint8Array
      readonly after?: Uint8Array
      /** Filled by the map's declared layout, for people. */
      readonly keyText: string
      readonly beforeText?: string
      readonly afterText?: string
    }
  /** A record sent through a perf event array or ring buffer. */
  | { readonly kind: 'record'; readonly map: string; readonly bytes: Uint8Array }
  /** Level full: a lookup, a helper call, a tail call. */
  | { readonly kind: 'lookup'; readonly map: string; readonly keyText: string; readonly valueText?: string }
  | { readonly kind: 'helper'; readonly name: string; readonly args: string; readonly result: number }
  | { readonly kind: 'tail-call'; readonly map: string; readonly index: number; readonly program?: string }
  /** Level full: what the kernel looked at or did (`arp cache hit`, `fdb learn`). `text` is stable and has no numbers of ours. */
  | { readonly kind: 'kernel'; readonly word: string; readonly text: string }

/** One hook that a packet passed. */
export interface HookEvent {
  /** The namespace: a node, a pod, a netns, an external host. */
  readonly node: string
  /** The device, or '' for a stage of the namespace itself (`route`, `nf`, `socket`). */
  readonly device: string
  readonly stage: Stage
  /** Netfilter `table/CHAIN`, or a cgroup hook's name. */
  readonly chain?: string | undefined
  /** `kernel`, `socket`, or the program's name; '' where a device merely sent or received. */
  readonly actor: string
  readonly decision?: Decision | undefined
  /** The packet as it entered, and as it left. Equal objects when nothing changed. */
  readonly before: Snapshot
  readonly after: Snapshot
  readonly facts: readonly Fact[]
  /** Runs inside this one (a policy program called for an endpoint). */
  readonly nested: readonly HookEvent[]
  /** The virtual time in nanoseconds since the scenario began. Never printed at `hops`. */
  readonly time: number
}

export type OutcomeKind = 'delivered' | 'dropped' | 'consumed' | 'looped' | 'unfinished'

/** How one copy of a packet ended, and where (`app`, `host/eth0/tc-in`). */
export interface Outcome {
  readonly kind: OutcomeKind
  readonly node: string
  readonly device: string
  readonly stage: Stage
  readonly reason?: string
}

/** One packet from its birth to its end; copies made on the way (floods, clones) write into the same record. */
export interface PacketTrace {
  /** `p1`, `f1.syn`, `p1.icmp`: unique in a scenario. */
  readonly name: string
  /** The packet that caused this one, or ''. */
  readonly cause: string
  /** The packet as it was born. */
  readonly first: Snapshot
  readonly events: readonly HookEvent[]
  readonly outcomes: readonly Outcome[]
}

/** A line of what a scenario left behind in a namespace: `neigh`, `conntrack`, a map's entry. */
export interface StateLine {
  readonly word: string
  readonly text: string
}

/** A name for an address, said once: `where app 10.2.0.2 fd00::2`. */
export interface Binding {
  readonly name: string
  readonly addresses: readonly string[]
  /** What else a reader must know of it: `identity 4521`. */
  readonly remarks: readonly string[]
}

/**
 * A number that may be another one in the next run (a port the kernel chose). Text shows it as a variable bound at
 * first sight: `$p1`, `$p2` for ports, `$s1` for sequence numbers, `$i1` for identifiers.
 */
export interface Unstable {
  readonly kind: 'port' | 'sequence' | 'identifier'
  readonly value: number
}

/** One thing that an agent did when it was told of a change: a map that it wrote, a program or a route that it changed. */
export type AgentAct =
  | Extract<Fact, { readonly kind: 'map' }>
  | {
      readonly kind: 'program'
      readonly what: 'attach' | 'replace' | 'detach'
      readonly device: string
      readonly stage: Stage
      readonly program: string
    }
  /** A line of `ip xfrm`, without keys. */
  | { readonly kind: 'xfrm'; readonly text: string }
  | { readonly kind: 'route'; readonly what: 'add' | 'delete'; readonly text: string }

/** How one attempt of a host to reach another one ended. */
export interface ReachedPair {
  readonly from: string
  readonly to: string
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  /** Absent for icmp. */
  readonly port?: number
  readonly family: 4 | 6
  /** `connected`, `denied ingress`, `lost`, `error EHOSTUNREACH`. */
  readonly verdict: string
  /** Why a packet was dropped, as its outcome says it. */
  readonly reason?: string
}

/** A step between packets that changed what agents are told, and what each of them did; or one that looks. */
export interface StepTrace {
  /** `delete policy api`: two words or more, unique in a case. */
  readonly title: string
  /** How many packets had been born before. */
  readonly packets: number
  readonly nodes: readonly { readonly node: string; readonly acts: readonly AgentAct[] }[]
  /** Of a step that looks: what a tool printed on a host, as it printed it. */
  readonly shown?: { readonly node: string; readonly text: string }
  /** Of a step that asks who reaches whom: every pair, those of one source together. */
  readonly reached?: readonly ReachedPair[]
}

/** Everything that one case of one scenario did. */
export interface Trace {
  readonly scenario: string
  readonly case?: string
  readonly bindings: readonly Binding[]
  readonly packets: readonly PacketTrace[]
  /** Absent where no step changed what agents are told, or looked. */
  readonly steps?: readonly StepTrace[]
  readonly state: readonly { readonly node: string; readonly lines: readonly StateLine[] }[]
  /** Numbers that nobody promised; absent where there are none. */
  readonly unstable?: readonly Unstable[]
  /** How the maps and records of the datapath that ran are read; absent where nobody knows more than their layouts. */
  readonly decoders?: Decoders
}

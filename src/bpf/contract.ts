// What a program is, and what it may ask of the kernel. Three kinds share this contract: programs written in
// TypeScript, small programs of .scn files, and eBPF objects run by a virtual machine. The kernel imports this folder
// and implements the interfaces below; this folder never imports the kernel.
import type { Recorder } from '../trace/recorder.ts'
import type { References } from './lifetime.ts'
import type { MapJournal } from './maps/journal.ts'

/** enum bpf_prog_type, in the kernel's words. */
export type ProgramType =
  | 'xdp'
  | 'sched_cls'
  | 'cgroup_skb'
  | 'cgroup_sock'
  | 'cgroup_sock_addr'
  | 'socket_filter'
  | 'sock_ops'
  | 'sk_lookup'

/** Something that runs on a context with helpers and maps and returns a code. */
export interface Program {
  readonly name: string
  readonly type: ProgramType
  /** The program's 32-bit return value (signed), as `BPF_PROG_RUN` hands it to the hook. */
  run(context: RunContext): number
  /** Who refers to it; attaching holds a reference (`holdProgram`), so that a program outlives its loader. */
  readonly references?: References
}

/**
 * struct xdp_buff: the frame before there is an skb. All positions are offsets into `bytes`;
 * `hardStart <= meta <= data < dataEnd <= frameEnd`. Headroom at the start is 256 bytes.
 */
export interface XdpBuff {
  bytes: Uint8Array
  readonly hardStart: number
  meta: number
  data: number
  dataEnd: number
  /** Where the frame's memory for packet bytes ends (skb_shared_info begins). */
  readonly frameEnd: number
  readonly ifindex: number
  readonly rxQueueIndex: number
  /** Native (driver) or generic (skb): some helpers differ. */
  readonly mode: 'native' | 'generic' | 'offload'
}

/** Metadata for an encapsulating device (struct ip_tunnel_info as bpf_skb_set_tunnel_key fills it). */
export interface TunnelKey {
  readonly id: number
  /** IPv4 address in host byte order, or four 32-bit words of an IPv6 address. */
  readonly remote: number | readonly [number, number, number, number]
  readonly local?: number | readonly [number, number, number, number]
  readonly tos: number
  readonly ttl: number
  /** BPF_F_ZERO_CSUM_TX, BPF_F_DONT_FRAGMENT, ... as given. */
  readonly flags: number
  /** Geneve options. */
  readonly options?: Uint8Array
  /** Filled by a tunnel device on receive (no IP_TUNNEL_INFO_TX): programs read it, no device sends by it. */
  readonly received?: boolean
}

/**
 * What a tc (or cgroup_skb) program sees of an sk_buff. Positions are offsets into `bytes`; in tc the packet starts at
 * the MAC header in both directions. Setters keep the kernel's own bookkeeping (header offsets) right.
 */
export interface SkbView {
  readonly bytes: Uint8Array
  /** Offset of the first packet byte (the MAC header at tc). */
  readonly start: number
  readonly end: number
  /** Bytes of data_meta in front of `start` left by XDP. */
  metaBytes: number
  mark: number
  priority: number
  queueMapping: number
  /** Ethertype, host byte order. */
  protocol: number
  /** PACKET_*. */
  pktType: number
  /** 802.1Q TCI, or -1 when there is no tag beside the packet; `vlanProtocol` is 0x8100 or 0x88a8. */
  vlanTci: number
  vlanProtocol: number
  readonly ifindex: number
  readonly ingressIfindex: number
  /** Flow hash; 0 until computed. `bpf_get_hash_recalc` asks the kernel for it. */
  hash: number
  /** `hash` is of the ports too, or was written by a program: it survives tunnels. */
  l4Hash: boolean
  tcIndex: number
  tcClassid: number
  /** skb->cb as programs see it: five 32-bit words. */
  readonly cb: Uint32Array
  /** Delivery time in nanoseconds, 0 = none. */
  tstamp: number
  /** The clock of `tstamp`: 0 for none in particular, 1 monotonic, 2 TAI. */
  tstampType: number
  readonly gsoSegs: number
  readonly gsoSize: number
  /** wire_len: bytes with the headers of every segment. */
  readonly wireLength: number
  tunnelKey: TunnelKey | undefined
  /** Cookie of the socket that owns the skb, 0 = none. */
  readonly socketCookie: number
  /**
   * Makes room for (positive) or removes (negative) bytes at `offset` from the packet's start; the part in front of
   * `offset` moves. New bytes are zero. `bytes`, `start` and `end` may all change.
   */
  resizeAt(offset: number, delta: number): void
  /** Room for a link-layer header in front of the packet (bpf_skb_change_head): zeros; the network header stays where it is. */
  pushHead(bytes: number): void
  /**
   * CHECKSUM_PARTIAL: whether the checksum at `at` stands outside of one that is unfinished. What changes such a sum takes it for
   * the unfinished one.
   */
  isSumOutside(at: number): boolean
  /** Sets the packet's length (bpf_skb_change_tail); new bytes are zero. */
  resizeTail(length: number): void
}

/** Parameters of bpf_fib_lookup (struct bpf_fib_lookup); addresses as 32-bit words, host order numbers of the big-endian field. */
export interface FibLookup {
  readonly family: 4 | 6
  readonly source: readonly number[]
  readonly destination: readonly number[]
  readonly protocol: number
  readonly sport: number
  readonly dport: number
  readonly totalLength: number
  readonly tos: number
  readonly ifindex: number
  readonly mark: number
}

/** The answer: `code` is BPF_FIB_LKUP_RET_* (0 success ... 7 no neighbour, 8 fragmentation needed). */
export interface FibAnswer {
  readonly code: number
  readonly ifindex: number
  /** Next hop, same form as the destination. */
  readonly gateway: readonly number[]
  readonly sourceMac: number
  readonly destinationMac: number
  readonly mtu: number
  readonly metric: number
  readonly preferredSource: readonly number[]
}

/** A socket found by bpf_sk_lookup_* / bpf_skc_lookup_*; opaque to programs except for these fields. */
export interface SocketHandle {
  readonly family: 4 | 6
  readonly protocol: number
  readonly cookie: number
  readonly state: number
}

/** What programs ask of the kernel that runs them: bound to one namespace and one hook's device. */
export interface KernelServices {
  /** bpf_ktime_get_ns: virtual nanoseconds since boot. */
  nowNs(): number
  /** bpf_get_prandom_u32: a pure function of seed, flow and purpose. */
  random32(): number
  /** bpf_get_smp_processor_id. */
  readonly cpu: number
  /** bpf_fib_lookup in the namespace of the device. */
  fibLookup(request: FibLookup, flags: number): FibAnswer
  /** bpf_clone_redirect: sends a copy now; 0 or a negative errno. */
  cloneRedirect(ifindex: number, flags: number): number
  /** Whether an ifindex exists in the namespace, and its MTU (bpf_check_mtu); undefined if not. */
  deviceMtu(ifindex: number): number | undefined
  /** bpf_skb_get_hash_recalc. */
  flowHash(): number
  /** bpf_get_netns_cookie of the sending socket's namespace (or of init_net). */
  netnsCookie(): number
  /** bpf_sk_lookup_tcp/udp, bpf_skc_lookup_tcp. */
  lookupSocket(tuple: {
    readonly family: 4 | 6
    readonly protocol: number
    readonly source: readonly number[]
    readonly sport: number
    readonly destination: readonly number[]
    readonly dport: number
  }): SocketHandle | undefined
  /** bpf_sk_assign: 0 or a negative errno. */
  assignSocket(socket: SocketHandle | undefined): number
}

/** Where a program asked the packet to go: kept per CPU until the hook consumes it (struct bpf_redirect_info). */
export type Redirect =
  | { readonly kind: 'none' }
  | { readonly kind: 'device'; readonly ifindex: number; readonly ingress: boolean }
  | {
      readonly kind: 'neigh'
      readonly ifindex: number
      readonly nextHop?: { readonly family: 4 | 6; readonly address: readonly number[] }
    }
  | { readonly kind: 'peer'; readonly ifindex: number }
  /** XDP: a devmap slot was found; cpumap and xskmap slots end as a failed redirect. `broadcast` lists several targets. */
  | { readonly kind: 'map'; readonly ifindex: number; readonly broadcast?: readonly number[] }

/** What a run is given. Exactly one of `skb`, `xdp`, `sock` is there, as the type says. */
export interface RunContext {
  readonly type: ProgramType
  readonly kernel: KernelServices
  /** Set when the run is traced; programs never see it, maps and helpers report facts to it. */
  readonly trace: Recorder | undefined
  readonly xdp?: XdpBuff
  readonly skb?: SkbView
  /** cgroup hooks: struct bpf_sock_addr over bytes; laid out in context.ts. */
  readonly sock?: DataView
  /** The redirect asked for; a later call replaces an earlier one. */
  redirect: Redirect
  /** bpf_set_retval for cgroup hooks; 0 = none. */
  retval: number
  /** Tail calls made so far in this run (limit 33, MAX_TAIL_CALL_CNT). */
  tailCalls: number
  /** The hook's direction at tc: redirect_peer works at ingress only. */
  readonly direction: 'ingress' | 'egress' | 'none'
  /** Where a tail call went; set by the helper, consumed by `runProgram`. Hooks leave it out. */
  next?: Program | undefined
  /** The device whose program `next` is, where the program array knows it; set and consumed together with `next`. */
  nextDevice?: string | undefined
  /** How many devices' programs the traced run has gone on into. */
  entered?: number
  /** Entries of maps as they were before this run touched them; made by `runProgram` while tracing. */
  journal?: MapJournal | undefined
  /**
   * Set by `runProgram` when the program did what the kernel's verifier would have refused (a read past the packet, a
   * helper of another type). The hook drops the packet with reason PROGRAM_FAULT_SCN, whatever the code says.
   */
  fault?: RunFault | undefined
}

/** What a program did wrong, for people. */
export interface RunFault {
  /** The program that was running: after a tail call, not the attached one. */
  readonly program: string
  readonly message: string
}

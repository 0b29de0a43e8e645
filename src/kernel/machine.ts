// The one box with state: every namespace, the clock, the wire, the trace. A run is a function of what is put in here
// and of the seed.
import type { KernelServices, Redirect } from '../bpf/contract.ts'
import { Recorder, type Site } from '../trace/recorder.ts'
import { Clock } from './clock.ts'
import type { DeviceNotifier, NetDevice } from './device/device.ts'
import type { Segment } from './device/segment.ts'
import { createIpStack, type IpStack } from './ip/state.ts'
import { nameHash } from './name-hash.ts'
import type { Namespace } from './namespace.ts'
import { installProtocols } from './protocols.ts'
import type { Skb } from './skb.ts'
import type { TcDirection } from './tc/hook.ts'
import { createWiring } from './wiring.ts'

/** Everything that may not grow without end; reaching one is a visible outcome with a name. */
export interface Limits {
  /** Softirq tasks in one scenario. */
  readonly tasksMax: number
  /** Packet records in one scenario. */
  readonly packetsMax: number
  /** Hooks that one packet may pass before it counts as `looped`. */
  readonly hopsMax: number
  /** Hooks that all copies of one packet may pass together: a packet that multiplies ends as `looped`. */
  readonly journeyHopsMax: number
}

type LimitName = keyof Limits

const defaultLimits: Limits = { tasksMax: 200_000, packetsMax: 20_000, hopsMax: 256, journeyHopsMax: 4096 }

/** Receives the packets of one ethertype (struct packet_type); `skb.data` stands at the network header. */
type ProtocolHandler = (skb: Skb) => void

/**
 * Functions that the data path calls in circles (transmit, redirect, neighbour, transmit). They are reached through the
 * machine so that the files that define them can be read, and imported, in one direction.
 */
export interface Wiring {
  /** skb_do_redirect: sends the packet where a tc program asked. `again` = redirect_peer: receive it on `skb.dev`. */
  readonly redirect: (
    skb: Skb,
    to: Redirect,
    from: TcDirection,
    at?: Site & { readonly device: string },
  ) => 'gone' | 'again'
  /** What a program that runs on a device may ask of the kernel; `skb` is absent for XDP in the driver. */
  readonly services: (dev: NetDevice, skb: Skb) => KernelServices
  /** dev_queue_xmit. */
  readonly transmit: (skb: Skb) => number
  /** netif_receive_skb after the driver. */
  readonly netifReceive: (skb: Skb) => void
}

export interface Machine {
  readonly clock: Clock
  readonly limits: Limits
  /** Limits that this run has come up against. */
  readonly reached: Set<LimitName>
  readonly seed: number
  /** major * 1000 + minor of the kernel that is simulated: gates what drivers can do. */
  readonly kernelVersion: number
  readonly namespaces: Map<string, Namespace>
  /** The wires of `net` statements, by name. */
  readonly segments: Map<string, Segment>
  /** Set while tracing; hooks test it before they do anything for the trace. */
  trace: Recorder | undefined
  /** Packets born so far. */
  packets: number
  /** Answers to the datagrams of a flow so far, by the flow's name, whoever sent them. */
  readonly answers: Map<string, number>
  /** Transmissions running inside one another (softnet_data.xmit.recursion). */
  transmitDepth: number
  /** The ICMP socket of each family is in use (ip/icmp-lock.ts). */
  readonly icmpSending: { 4: boolean; 6: boolean }
  /** ptype_base: handlers by ethertype, installed by ip/, ip6/, arp at start. */
  readonly protocols: Map<number, ProtocolHandler>
  /** packet_type.list_func: protocols that take several packets of one poll at once. */
  readonly listProtocols: Map<number, (skbs: readonly Skb[]) => void>
  /** What of IP is registered once for all namespaces. A field, because a weak table would keep dead machines for a while. */
  readonly ipStack: IpStack
  readonly notifiers: DeviceNotifier[]
  readonly wiring: Wiring
  /** Next SO_COOKIE: one counter for all sockets of a boot. */
  nextCookie(): number
  /**
   * A pure function of seed, purpose and key: an unsigned 32-bit number. Chance never depends on the order of unrelated
   * packets.
   */
  random(purpose: string, key: number): number
}

/** The latest kernel whose behaviour is described by the facts: 6.18. */
const currentKernel = 6018

/** The finalizer of MurmurHash3 over seed, purpose and both halves of the key. */
function randomOf(seed: number, purpose: string, key: number): number {
  let hash = mixed(mixed(0x811c_9dc5 ^ seed, nameHash(purpose)), key >>> 0)
  hash = mixed(hash, Math.floor(key / 0x1_0000_0000) >>> 0)
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function mixed(hash: number, word: number): number {
  const next = Math.imul(hash ^ word, 0x85eb_ca6b)
  return Math.imul(next ^ (next >>> 13), 0x0100_0193)
}

/** An empty machine at time zero. `trace` says how much to record; without it nothing is recorded. */
export function createMachine(options: {
  readonly seed: number
  readonly limits?: Partial<Limits> | undefined
  readonly trace?: { readonly full: boolean } | undefined
  readonly kernelVersion?: number
}): Machine {
  const limits = { ...defaultLimits, ...options.limits }
  const reached = new Set<LimitName>()
  const clock = new Clock({ tasksMax: limits.tasksMax, limitReached: () => reached.add('tasksMax') })
  let cookie = 0
  const machine: Machine = {
    clock,
    limits,
    reached,
    seed: options.seed,
    kernelVersion: options.kernelVersion ?? currentKernel,
    namespaces: new Map(),
    segments: new Map(),
    trace:
      options.trace === undefined
        ? undefined
        : new Recorder({ full: options.trace.full, now: () => clock.now }),
    packets: 0,
    answers: new Map(),
    transmitDepth: 0,
    icmpSending: { 4: false, 6: false },
    protocols: new Map(),
    listProtocols: new Map(),
    ipStack: createIpStack(),
    notifiers: [],
    wiring: createWiring(),
    nextCookie: () => {
      cookie += 1
      return cookie
    },
    random: (purpose, key) => randomOf(options.seed, purpose, key),
  }
  installProtocols(machine)
  return machine
}

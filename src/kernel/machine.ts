// The one box with state: every namespace, the clock, the wire, the trace. A run is a function of what is put in here
// and of the seed.
import type { Recorder } from '../trace/recorder.ts'
import type { Clock } from './clock.ts'
import type { Namespace } from './namespace.ts'
import type { Skb } from './skb.ts'

/** Everything that may not grow without end; reaching one is a visible outcome with a name. */
export interface Limits {
  /** Softirq tasks in one scenario. */
  readonly tasksMax: number
  /** Packet records in one scenario. */
  readonly packetsMax: number
  /** Hooks that one packet may pass before it counts as `looped`. */
  readonly hopsMax: number
}

export const defaultLimits: Limits = { tasksMax: 200_000, packetsMax: 20_000, hopsMax: 256 }

/** Receives the packets of one ethertype (struct packet_type); `skb.data` stands at the network header. */
export type ProtocolHandler = (skb: Skb) => void

export interface Machine {
  readonly clock: Clock
  readonly limits: Limits
  readonly seed: number
  readonly namespaces: Map<string, Namespace>
  /** Set while tracing; hooks test it before they do anything for the trace. */
  trace: Recorder | undefined
  /** ptype_base: handlers by ethertype, installed by ip/, ip6/, arp at start. */
  readonly protocols: Map<number, ProtocolHandler>
  /** A pure function of seed, purpose and key: chance never depends on the order of unrelated packets. */
  random(purpose: number, key: number): number
}

// What a bridge keeps: its ports with their flags, and its forwarding database.
import type { FdbEntry } from './bridge-fdb.ts'
import type { NetDevice } from './device.ts'

/** A device that is a port (struct net_bridge_port), with the flags of `bridge link set`. */
export interface BridgePort {
  readonly dev: NetDevice
  readonly bridge: NetDevice
  hairpin: boolean
  isolated: boolean
  learning: boolean
  flood: boolean
}

export interface BridgeState {
  /** Newest first: the order in which frames are flooded (facts: linux 5.2). */
  readonly ports: BridgePort[]
  readonly byDevice: Map<NetDevice, BridgePort>
  readonly fdb: Map<number, FdbEntry>
  readonly ageingNanoseconds: number
  /** Whether an administrator chose the bridge's MAC address; otherwise it is the lowest one of its ports. */
  macChosen: boolean
  /** Whether an administrator chose the bridge's MTU (BROPT_MTU_SET_BY_USER); otherwise it is the least one of its ports. */
  mtuChosen: boolean
}

/** The state of a bridge device. */
export function bridgeState(bridge: NetDevice): BridgeState {
  return bridge.private as BridgeState
}

// The wire of a `net`: an ideal learning switch. Frames come in from phys devices and go out to the port that owns or
// was seen with the destination address, else to all others. It has no place in a trace: the cable does not speak.
import { isMulticastMac, type Mac } from '../../net/mac.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import type { Machine } from '../machine.ts'
import type { NetDevice } from './device.ts'

export interface Segment {
  readonly name: string
  /** In the order in which they were plugged in. */
  readonly ports: NetDevice[]
  /** Where a MAC address is: owned by the port's device, or seen as a source on it. */
  readonly places: Map<number, NetDevice>
}

/** Lays a wire. */
export function addSegment(machine: Machine, name: string): Segment {
  const segment: Segment = { name, ports: [], places: new Map() }
  machine.segments.set(name, segment)
  return segment
}

/** Plugs a device in. */
export function plugIn(segment: Segment, dev: NetDevice): void {
  segment.ports.push(dev)
  segment.places.set(dev.mac, dev)
}

/** Pulls a device's cable. */
export function unplug(segment: Segment, dev: NetDevice): void {
  const at = segment.ports.indexOf(dev)
  if (at === -1) return
  segment.ports.splice(at, 1)
  for (const [mac, port] of segment.places) if (port === dev) segment.places.delete(mac)
}

/** 01:80:c2:00:00:00 to 0f are between two stations alone (IEEE 802.1Q table 8-1); 00 is passed by who runs no spanning tree. */
const linkLocalFirst = 0x0180_c200_0000

/** Why a switch takes no such frame; undefined when it does. A sender is one station (devlink-trap: source_mac_is_multicast). */
export function refusedFrame(destination: Mac, source: Mac): KernelDropReason | undefined {
  if (source === 0 || isMulticastMac(source)) return 'SKB_DROP_REASON_MAC_INVALID_SOURCE'
  const low = destination - linkLocalFirst
  return low > 0 && low < 16 ? 'SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL' : undefined
}

/** The port that a unicast frame goes to; undefined: to all others. */
export function portOf(segment: Segment, mac: number): NetDevice | undefined {
  return segment.places.get(mac)
}

/** Remembers where a source address was seen (a frame sent with another address than the device's own). */
export function learn(segment: Segment, mac: number, port: NetDevice): void {
  if (segment.places.get(mac) !== port) segment.places.set(mac, port)
}

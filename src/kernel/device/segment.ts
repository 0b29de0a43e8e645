// The wire of a `net`: an ideal learning switch. Frames come in from phys devices and go out to the port that owns or
// was seen with the destination address, else to all others. It has no place in a trace: the cable does not speak.
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

/** The port that a unicast frame goes to; undefined: to all others. */
export function portOf(segment: Segment, mac: number): NetDevice | undefined {
  return segment.places.get(mac)
}

/** Remembers where a source address was seen (a frame sent with another address than the device's own). */
export function learn(segment: Segment, mac: number, port: NetDevice): void {
  if (segment.places.get(mac) !== port) segment.places.set(mac, port)
}

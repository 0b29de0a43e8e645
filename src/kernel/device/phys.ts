// A network card on a wire: receive ring, hard interrupt, NAPI poll; transmit ring and completion interrupt.
import { isMulticastMac, macFrom, readMac } from '../../net/mac.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { countDriver, countSent } from '../counters.ts'
import { endPacket } from '../drop.ts'
import { segmentAt } from '../gso.ts'
import type { Namespace } from '../namespace.ts'
import { arrive } from '../napi.ts'
import type { Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { leaveNamespace } from './crossing.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitted } from './device.ts'
import { defaultDriver, driverSupport } from './drivers.ts'
import { learn, plugIn, portOf, refusedFrame, type Segment } from './segment.ts'
import { insertTag } from './vlan-tag.ts'

interface PhysState {
  readonly driver: string
  readonly segment: Segment | undefined
}

/** The driver of a phys device. */
export function driverOf(dev: NetDevice): string {
  return (dev.private as PhysState).driver
}

/** The frame on the wire: to the owner of the destination address, else to everybody else. */
function overTheWire(dev: NetDevice, segment: Segment, skb: Skb): void {
  const destination = readMac(skb.bytes, skb.data)
  const source = readMac(skb.bytes, skb.data + 6)
  const refused = refusedFrame(destination, source)
  if (refused !== undefined) return lost(dev, skb, refused)
  learn(segment, source, dev)
  leaveNamespace(skb)
  newAtTheFarEnd(skb)
  const owner = isMulticastMac(destination) ? undefined : portOf(segment, destination)
  if (owner !== undefined) {
    if (owner !== dev && owner.carrier) arrive(owner, skb)
    else lost(dev, skb)
    return
  }
  let last: NetDevice | undefined
  for (const port of segment.ports) {
    if (port === dev || !port.carrier || !port.up) continue
    if (last !== undefined) arrive(last, skb.clone())
    last = port
  }
  if (last === undefined) lost(dev, skb)
  else arrive(last, skb)
}

/** What arrives by a wire is a new sk_buff: nobody's, without a time, and without a hash (no card here computes one). */
function newAtTheFarEnd(skb: Skb): void {
  skb.sk = undefined
  skb.skAssigned = false
  skb.tstamp = 0
  skb.tstampType = 0
  skb.hash = 0
}

function lost(dev: NetDevice, skb: Skb, reason: KernelDropReason = 'NO_CARRIER_SCN'): void {
  endPacket(skb, {
    node: dev.ns.name,
    device: dev.name,
    stage: 'tx',
    kind: 'dropped',
    reason,
  })
}

/** A card with TSO cuts large packets itself, behind the taps. */
function transmit(dev: NetDevice, skb: Skb): number {
  if (skb.gsoSize === 0) return transmitOne(dev, skb)
  for (const piece of segmentAt(dev, skb, 'nic')) transmitOne(dev, piece)
  return transmitted
}

function transmitOne(dev: NetDevice, skb: Skb): number {
  countSent(dev, skb.length)
  insertTag(skb)
  const { trace } = dev.ns.machine
  if (trace?.full) {
    const site = { node: dev.ns.name, device: dev.name }
    trace.note(
      skb,
      { ...site, stage: 'nic' },
      { actor: 'kernel', decision: { code: 'DMA', target: 'tx ring' } },
    )
    trace.note(
      skb,
      { ...site, stage: 'irq' },
      { actor: 'kernel', decision: { code: 'COMPLETE', target: 'skb freed' } },
    )
  }
  const { segment } = dev.private as PhysState
  if (segment === undefined || !dev.carrier) lost(dev, skb)
  else overTheWire(dev, segment, skb)
  return transmitted
}

function xdpTarget(dev: NetDevice): boolean {
  const since = driverSupport(driverOf(dev))?.redirectTarget
  return since !== undefined && dev.ns.kernelVersion >= since
}

function xdpTransmit(dev: NetDevice, skb: Skb): boolean {
  if (!dev.carrier) return false
  countDriver(dev, 'tx_queue_0_xdp_xmit')
  transmit(dev, skb)
  return true
}

function changed(dev: NetDevice, what: DeviceChange): void {
  const { segment } = dev.private as PhysState
  if (what === 'mac' && segment !== undefined) segment.places.set(macFrom(dev.mac), dev)
}

const ops: DeviceOps = { transmit, xdpTarget, xdpTransmit, changed }

/** A network card, down until `setUp`. Without a segment its cable is unplugged. */
export function addPhys(
  ns: Namespace,
  options: DeviceOptions & {
    readonly driver?: string | undefined
    readonly segment?: Segment | undefined
  },
): NetDevice {
  const state: PhysState = { driver: options.driver ?? defaultDriver, segment: options.segment }
  // written out: spreading options is the slowest part of booting a case
  const dev = createDevice(ns, {
    name: options.name,
    mac: options.mac,
    mtu: options.mtu,
    kind: 'phys',
    ops,
    private: state,
    carrier: options.segment !== undefined,
  })
  if (options.segment !== undefined) plugIn(options.segment, dev)
  return dev
}

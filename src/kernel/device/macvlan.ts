// macvlan in bridge mode (drivers/net/macvlan.c): several MAC addresses on one lower device, talking to each other
// without a switch.
import { isMulticastMac, readMac } from '../../net/mac.ts'
import { countReceived, countSent } from '../counters.ts'
import { ethTypeTrans } from '../eth-type.ts'
import type { Namespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { leaveNamespace, scrub } from './crossing.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitted } from './device.ts'

function deliverCopy(dev: NetDevice, skb: Skb): void {
  const { wiring, clock } = dev.ns.machine
  if (skb.dev.ns === dev.ns) scrub(skb)
  else leaveNamespace(skb)
  ethTypeTrans(skb, dev)
  countReceived(dev, skb.length)
  clock.soon(() => wiring.netifReceive(skb))
}

/** Copies a group frame to every macvlan but the one that sent it. */
function broadcast(lower: NetDevice, skb: Skb, except: NetDevice | undefined): void {
  for (const dev of lower.macvlans?.values() ?? [])
    if (dev !== except && dev.up) deliverCopy(dev, skb.clone())
}

/** macvlan_queue_xmit(): a neighbour on the same lower device is reached through that device's receive path. */
function transmit(dev: NetDevice, skb: Skb): number {
  const lower = dev.lower as NetDevice
  countSent(dev, skb.length)
  const destination = readMac(skb.bytes, skb.data)
  if (isMulticastMac(destination)) broadcast(lower, skb, dev)
  else if (lower.macvlans?.has(destination)) {
    // dev_forward_skb(lower): its taps see the frame as somebody else's.
    deliverCopy(lower, skb)
    return transmitted
  }
  skb.dev = lower
  return dev.ns.machine.wiring.transmit(skb)
}

/** macvlan_handle_frame(), the rx_handler of the lower device. */
function handleFrame(lower: NetDevice, skb: Skb): 'passed' | 'another' {
  const destination = readMac(skb.bytes, skb.macHeader)
  if (isMulticastMac(destination)) {
    broadcast(lower, skb, lower.macvlans?.get(readMac(skb.bytes, skb.macHeader + 6)))
    return 'passed'
  }
  const dev = lower.macvlans?.get(destination)
  if (dev === undefined || !dev.up) return 'passed'
  if (dev.ns !== lower.ns) leaveNamespace(skb)
  skb.dev = dev
  skb.pktType = pktType.host
  countReceived(dev, skb.length)
  return 'another'
}

function changed(dev: NetDevice, what: DeviceChange): void {
  const macvlans = dev.lower?.macvlans
  if (what !== 'mac' || macvlans === undefined) return
  for (const [mac, other] of macvlans) if (other === dev) macvlans.delete(mac)
  macvlans.set(dev.mac, dev)
}

const ops: DeviceOps = { transmit, changed }

/** A macvlan device in bridge mode, down. It may stand in another namespace than its lower device. */
export function addMacvlan(ns: Namespace, options: DeviceOptions & { readonly lower: NetDevice }): NetDevice {
  const { lower } = options
  const dev = createDevice(ns, { mtu: lower.mtu, ...options, kind: 'macvlan', ops })
  lower.macvlans ??= new Map()
  lower.macvlans.set(dev.mac, dev)
  lower.rxHandler = handleFrame
  return dev
}

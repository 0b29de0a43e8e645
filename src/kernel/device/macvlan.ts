// macvlan (drivers/net/macvlan.c): several MAC addresses on one lower device. How much they hear of each other is the
// mode: `bridge` talks without a switch, `vepa` through one that sends frames back, `private` not at all; `passthru` is
// one device that takes over the lower one.
import { isMulticastMac, readMac } from '../../net/mac.ts'
import { countReceived, countSent } from '../counters.ts'
import { ethTypeTrans } from '../eth-type.ts'
import type { Namespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { setMac } from './change.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { leaveNamespace, scrub } from './crossing.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitted } from './device.ts'

/** `ip link add ... type macvlan mode MODE`; iproute2 leaves it to the kernel, which takes vepa. */
export type MacvlanMode = 'bridge' | 'private' | 'vepa' | 'passthru'

/** The mode of a macvlan device. */
export function macvlanMode(dev: NetDevice): MacvlanMode {
  return dev.private as MacvlanMode
}

/** A device is found by its address while it is up (macvlan_hash_add in macvlan_open). */
function macvlanAt(lower: NetDevice, mac: number): NetDevice | undefined {
  const dev = lower.macvlans?.get(mac)
  return dev?.up === true ? dev : undefined
}

/** dev_forward_skb(): no driver counts the frame. */
function forward(dev: NetDevice, skb: Skb): void {
  const { wiring, clock } = dev.ns.machine
  if (skb.dev.ns === dev.ns) scrub(skb)
  else leaveNamespace(skb)
  skb.priority = 0 // ____dev_forward_skb()
  ethTypeTrans(skb, dev)
  clock.soon(() => wiring.netifReceive(skb))
}

/** hash_64() */
const goldenRatio = 0x61c8_8646_80b5_83ebn

/** macvlan_eth_hash(): the bucket of an address, of 256. */
function bucketOf(mac: number): number {
  let value = 0n
  for (let at = 0; at < 6; at += 1)
    value |= BigInt(Math.floor(mac / 2 ** (40 - 8 * at)) & 0xff) << BigInt(8 * at + 16)
  return Number(((value * goldenRatio) & 0xffff_ffff_ffff_ffffn) >> 56n)
}

/** macvlan_broadcast(): copies a group frame to the devices of these modes, but not to the one that sent it; by buckets. */
function broadcast(
  lower: NetDevice,
  skb: Skb,
  to: { readonly except: NetDevice | undefined; readonly modes: readonly MacvlanMode[] },
): void {
  for (const dev of lower.macvlans?.values() ?? []) {
    if (dev === to.except || !dev.up || !to.modes.includes(macvlanMode(dev))) continue
    countReceived(dev, skb.length)
    forward(dev, skb.clone())
  }
}

const bridges: readonly MacvlanMode[] = ['bridge']
const reflected: readonly MacvlanMode[] = ['vepa', 'bridge']
const reflectedOnly: readonly MacvlanMode[] = ['vepa']
const everyMode: readonly MacvlanMode[] = ['private', 'vepa', 'passthru', 'bridge']

/** macvlan_queue_xmit(): in bridge mode a neighbour on the same lower device is reached through that device's receive path. */
function transmit(dev: NetDevice, skb: Skb): number {
  const lower = dev.lower as NetDevice
  countSent(dev, skb.length)
  if (macvlanMode(dev) === 'bridge') {
    const destination = readMac(skb.bytes, skb.data)
    if (isMulticastMac(destination)) broadcast(lower, skb, { except: dev, modes: bridges })
    else {
      const neighbour = macvlanAt(lower, destination)
      if (neighbour !== undefined && macvlanMode(neighbour) === 'bridge') {
        // dev_forward_skb(lower): its taps see the frame as somebody else's.
        forward(lower, skb)
        return transmitted
      }
    }
  }
  skb.dev = lower
  return dev.ns.machine.wiring.transmit(skb)
}

/** A group frame from the wire (macvlan_multicast_rx): whose sender is one of ours was sent back by a switch. */
function handleGroup(lower: NetDevice, skb: Skb): 'passed' | 'another' {
  const source = macvlanAt(lower, readMac(skb.bytes, skb.macHeader + 6))
  if (source === undefined) {
    broadcast(lower, skb, { except: undefined, modes: everyMode })
    return 'passed'
  }
  const mode = macvlanMode(source)
  if (mode === 'private' || mode === 'passthru') return onto(source, skb, skb.pktType)
  // bridge ports saw a bridge's frame on its way out
  broadcast(lower, skb, { except: source, modes: mode === 'vepa' ? reflected : reflectedOnly })
  return 'passed'
}

function onto(dev: NetDevice, skb: Skb, type: number): 'another' {
  if (dev.ns !== skb.dev.ns) leaveNamespace(skb)
  skb.dev = dev
  skb.pktType = type
  countReceived(dev, skb.length)
  return 'another'
}

/** macvlan_handle_frame(), the rx_handler of the lower device. */
function handleFrame(lower: NetDevice, skb: Skb): 'passed' | 'another' {
  const destination = readMac(skb.bytes, skb.macHeader)
  if (isMulticastMac(destination)) return handleGroup(lower, skb)
  const dev = passthruOf(lower) ?? macvlanAt(lower, destination)
  if (dev === undefined || !dev.up) return 'passed'
  return onto(dev, skb, pktType.host)
}

/** The one device of a port in passthru mode: it takes all that is not for a group. */
function passthruOf(lower: NetDevice): NetDevice | undefined {
  const first = lower.macvlans?.values().next().value
  return first !== undefined && macvlanMode(first) === 'passthru' ? first : undefined
}

/** macvlan_hash_add(): the newest comes first in its bucket. */
function enter(lower: NetDevice, dev: NetDevice): void {
  const all = [dev, ...(lower.macvlans?.values() ?? [])]
  all.sort((left, right) => bucketOf(left.mac) - bucketOf(right.mac))
  lower.macvlans = new Map(all.map((each) => [each.mac, each]))
}

/** macvlan_sync_address(): the lower device follows a passthru device's address. */
function changed(dev: NetDevice, what: DeviceChange): void {
  const { lower } = dev
  if (what !== 'mac' || lower?.macvlans === undefined) return
  for (const [mac, other] of lower.macvlans) if (other === dev) lower.macvlans.delete(mac)
  enter(lower, dev)
  if (macvlanMode(dev) === 'passthru') setMac(lower, dev.mac)
}

const ops: DeviceOps = { transmit, changed }

/**
 * A macvlan device, down. It may stand in another namespace than its lower device. In passthru mode it has the lower
 * device's address, and must be alone there.
 */
export function addMacvlan(
  ns: Namespace,
  options: DeviceOptions & { readonly lower: NetDevice; readonly mode: MacvlanMode },
): NetDevice {
  const { lower, mode } = options
  const own = mode === 'passthru' ? { mac: lower.mac } : {}
  const dev = createDevice(ns, { mtu: lower.mtu, ...options, ...own, kind: 'macvlan', ops, private: mode })
  enter(lower, dev)
  lower.rxHandler = handleFrame
  if (mode === 'passthru') lower.promiscuous = true
  return dev
}

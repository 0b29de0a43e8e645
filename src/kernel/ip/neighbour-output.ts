// From a next hop to a frame: broadcast and multicast addresses have a MAC address of their own, devices without ARP need
// none, everything else is a neighbour (net/ipv4/arp.c arp_constructor(), net/ipv4/ip_output.c ip_finish_output2()).
import { type IpAddress, isIpv4, isMulticast } from '../../net/address.ts'
import { broadcastMac, multicastMacOf4, multicastMacOf6 } from '../../net/mac.ts'
import type { NetDevice } from '../device/device.ts'
import { transmitted } from '../device/device.ts'
import { useNeighbour } from '../neighbour.ts'
import { findNeighbour, neighbourOf, settle } from '../neighbour-entry.ts'
import { sendResolved, sendTo } from '../neighbour-send.ts'
import type { Neighbour } from '../neighbour-table.ts'
import type { Skb } from '../skb.ts'
import { addressType } from './source.ts'

/** The MAC address that needs no asking, or -1. */
function fixedMac(dev: NetDevice, nextHop: IpAddress): number {
  if (!dev.arp) return dev.mac
  if (isMulticast(nextHop)) return isIpv4(nextHop) ? multicastMacOf4(nextHop) : multicastMacOf6(nextHop)
  if (isIpv4(nextHop) && addressType(dev.ns, nextHop) === 'broadcast') return broadcastMac
  return -1
}

/** The entry of a next hop; made, and if possible resolved at once, on first use. */
function entryOf(dev: NetDevice, nextHop: IpAddress): Neighbour {
  const found = findNeighbour(dev, nextHop)
  if (found !== undefined) return found
  const made = neighbourOf(dev, nextHop)
  const mac = fixedMac(dev, nextHop)
  if (mac >= 0) {
    made.state = 'NOARP'
    made.mac = mac
  }
  return made
}

/**
 * Sends a packet to a next hop on a device: at once when its MAC address is known, otherwise it waits in the neighbour's
 * queue. `skb.data` stands at the network header. Answers what dev_queue_xmit answers (0 while it waits).
 */
export function neighbourOutput(skb: Skb, dev: NetDevice, nextHop: IpAddress): number {
  if (dev.kind === 'loopback') return sendTo(dev, skb, dev.mac)
  skb.dev = dev
  const neighbour = settle(entryOf(dev, nextHop))
  const { trace } = dev.ns.machine
  if (useNeighbour(neighbour, skb)) return sendResolved(neighbour, skb)
  if (trace?.full) {
    trace.note(
      skb,
      { node: dev.ns.name, device: dev.name, stage: 'neigh' },
      { actor: 'kernel', facts: [{ kind: 'kernel', word: 'neigh', text: 'waits for the address' }] },
    )
  }
  return transmitted
}

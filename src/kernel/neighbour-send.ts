// The last step of the network layer: an Ethernet header in front of the packet, and off to the device.
// net/ipv4/ip_output.c ip_finish_output2(), net/core/neighbour.c neigh_resolve_output(), net/ethernet/eth.c eth_header().
import { present } from '../base/assert.ts'
import { writeU16 } from '../net/bytes.ts'
import { ethernetAt } from '../net/ethernet.ts'
import { macFrom, writeMac } from '../net/mac.ts'
import type { NetDevice } from './device/device.ts'
import type { Neighbour } from './neighbour-table.ts'
import type { Skb } from './skb.ts'

/** Puts an Ethernet header before `skb.data` and moves `data` to it; the type is `skb.protocol`. */
function pushEthernet(skb: Skb, ends: { readonly destination: number; readonly source: number }): void {
  skb.macHeader = -1
  skb.reserve(ethernetAt.payload)
  const at = skb.data - ethernetAt.payload
  writeMac(skb.bytes, at + ethernetAt.destination, macFrom(ends.destination))
  writeMac(skb.bytes, at + ethernetAt.source, macFrom(ends.source))
  writeU16(skb.bytes, at + ethernetAt.type, skb.protocol)
  skb.data = at
  skb.macHeader = at
}

/** Sends a packet to a MAC address; `skb.data` stands at the network header. Answers what dev_queue_xmit answers. */
export function sendTo(dev: NetDevice, skb: Skb, destination: number): number {
  skb.dev = dev
  if (dev.headerBytes === 0) return dev.ns.machine.wiring.transmit(skb)
  pushEthernet(skb, { destination, source: dev.mac })
  return dev.ns.machine.wiring.transmit(skb)
}

/** Sends a packet behind the header that a neighbour of lo makes: it has no address to put there, whatever device sends it. */
export function sendAsLoopback(dev: NetDevice, skb: Skb): number {
  skb.dev = dev
  pushEthernet(skb, { destination: 0, source: 0 })
  return dev.ns.machine.wiring.transmit(skb)
}

/** Sends a packet to a neighbour whose address is known. */
export function sendResolved(neighbour: Neighbour, skb: Skb): number {
  const { mac } = neighbour
  neighbour.cached = true
  return sendTo(neighbour.device, skb, present(mac < 0 ? undefined : mac, 'a valid neighbour has an address'))
}

// Mute namespaces (`external` endpoints): they take what is addressed to them at layer 2 and say nothing, except that
// the ordinary handlers of ARP and neighbour discovery answer for their addresses.
import { etherType, ipProtocol } from '../net/protocol.ts'
import type { NetDevice } from './device/device.ts'
import { deliverOutcome, drop } from './drop.ts'
import { pktType, type Skb } from './skb.ts'

/** Neighbour discovery: router solicitation (133) to redirect (137), right behind a plain IPv6 header. */
function isNeighbourDiscovery(skb: Skb): boolean {
  if (skb.protocol !== etherType.ipv6) return false
  const at = skb.networkHeader
  if (skb.bytes[at + 6] !== ipProtocol.icmp6) return false
  const type = skb.bytes[at + 40] ?? 0
  return type >= 133 && type <= 137
}

/** Ends the packet when it is not for a handler: delivered, or dropped when it is another host's. */
export function deliverToMute(dev: NetDevice, skb: Skb): boolean {
  if (isNeighbourDiscovery(skb)) return false
  const place = { node: dev.ns.name, device: dev.name, stage: 'rx' } as const
  if (skb.pktType === pktType.otherHost) drop(skb, { ...place, reason: 'SKB_DROP_REASON_OTHERHOST' })
  else deliverOutcome(skb, { ...place, actor: 'kernel', target: dev.ns.name })
  return true
}

// CHECKSUM_PARTIAL: a transport checksum that a card, or the last device without one, finishes. A tunnel finishes the sum of its
// own UDP header meanwhile (lco_csum), but who changes that header afterwards takes the mark for its own: skb_checksum_help()
// of net/core/dev.c, inet_proto_csum_replace*() of net/core/utils.c.
import { ipProtocol } from '../net/protocol.ts'
import { tcpAt } from '../net/tcp.ts'
import { udpAt } from '../net/udp.ts'
import type { NetDevice } from './device/device.ts'
import type { Skb } from './skb.ts'

/** NETIF_F_HW_CSUM: software devices have it; cards and veth here only with TSO; what stands on another device as that one. */
export function finishesSums(dev: NetDevice): boolean {
  if (dev.kind === 'vlan' || dev.kind === 'macvlan') return dev.lower !== undefined && finishesSums(dev.lower)
  return (dev.kind !== 'phys' && dev.kind !== 'veth') || dev.offloads.tso
}

/** CHECKSUM_PARTIAL for a packet built here, whose transport header begins at `l4`. */
export function leaveSumUnfinished(skb: Skb, l4: number, protocol: number): void {
  const field = protocol === ipProtocol.tcp ? tcpAt.checksum : udpAt.checksum
  skb.unfinishedSum = skb.tail - l4 - field
}

/** skb_checksum_help(): before the driver of a device that finishes no sums. */
export function finishSums(dev: NetDevice, skb: Skb): void {
  if (skb.unfinishedSum > 0 && !finishesSums(dev)) skb.unfinishedSum = 0
}

// eth_type_trans(): what a received frame is for this device.
import { readU16 } from '../net/bytes.ts'
import { broadcastMac, isMulticastMac, readMac } from '../net/mac.ts'
import type { NetDevice } from './device/device.ts'
import { pktType, type Skb } from './skb.ts'

const headerBytes = 14

/**
 * Makes `dev` the packet's device and reads its Ethernet header there: `data` must stand at it. Sets header offsets,
 * protocol and pkt_type. A frame shorter than its header reads as zeros.
 */
export function ethTypeTrans(skb: Skb, dev: NetDevice): void {
  skb.dev = dev
  skb.macHeader = skb.data
  skb.networkHeader = skb.data + headerBytes
  skb.protocol = readU16(skb.bytes, skb.data + 12)
  skb.pktType = pktTypeOn(skb, dev)
}

/** PACKET_* of a frame for a device, from its destination address. */
export function pktTypeOn(skb: Skb, dev: NetDevice): number {
  const destination = readMac(skb.bytes, skb.macHeader)
  if (destination === dev.mac) return pktType.host
  if (!isMulticastMac(destination)) return pktType.otherHost
  return destination === broadcastMac ? pktType.broadcast : pktType.multicast
}

// ARP suppression of a VXLAN device with `proxy`: arp_reduce(). A request is answered from the neighbour table of the device
// instead of travelling to every remote host. Neighbour solicitations are not answered (they are sent as without it).

import { readIpv4, writeIpv4 } from '../../net/address.ts'
import { arpAt } from '../../net/arp.ts'
import { readU16, readU48, writeU16, writeU48 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { macFrom, writeMac } from '../../net/mac.ts'
import { etherType } from '../../net/protocol.ts'
import { endPacket } from '../drop.ts'
import { ethTypeTrans } from '../eth-type.ts'
import { arriveFromTunnel } from '../napi.ts'
import { findNeighbour, isConnected } from '../neighbour-entry.ts'
import type { Skb } from '../skb.ts'
import type { NetDevice } from './device.ts'

const request = 1
const reply = 2

/**
 * Answers an ARP request for a neighbour that is known; the request itself is used up. False: the frame must be sent.
 */
export function answerArp(dev: NetDevice, skb: Skb): boolean {
  if (skb.protocol !== etherType.arp) return false
  const { bytes } = skb
  const at = skb.data + ethernetAt.payload
  if (skb.tail - at < arpAt.payload || readU16(bytes, at + arpAt.operation) !== request) return false
  const target = readIpv4(bytes, at + arpAt.targetIp)
  const neighbour = findNeighbour(dev, target)
  if (neighbour === undefined || !isConnected(neighbour.state)) return false
  const answer = skb.clone()
  const asker = readU48(bytes, at + arpAt.senderMac)
  const askerIp = readIpv4(bytes, at + arpAt.senderIp)
  writeMac(answer.bytes, answer.data + ethernetAt.destination, macFrom(asker))
  writeMac(answer.bytes, answer.data + ethernetAt.source, macFrom(neighbour.mac))
  writeU16(answer.bytes, at + arpAt.operation, reply)
  writeU48(answer.bytes, at + arpAt.senderMac, neighbour.mac)
  writeIpv4(answer.bytes, at + arpAt.senderIp, target)
  writeU48(answer.bytes, at + arpAt.targetMac, asker)
  writeIpv4(answer.bytes, at + arpAt.targetIp, askerIp)
  endPacket(skb, { node: dev.ns.name, device: dev.name, stage: 'xmit', kind: 'consumed' })
  ethTypeTrans(answer, dev)
  arriveFromTunnel(dev, answer)
  return true
}

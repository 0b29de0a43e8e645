// ARP messages that this host sends: net/ipv4/arp.c arp_solicit() with arp_announce, arp_send(), and what happens to
// packets whose neighbour never answered.
import { anyIpv4, type Ipv4, isIpv4, readIpv4 } from '../../net/address.ts'
import { arpOperation, encodeArp } from '../../net/arp.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { broadcastMac, macFrom, zeroMac } from '../../net/mac.ts'
import { etherType } from '../../net/protocol.ts'
import { bornFrom } from '../birth.ts'
import type { NetDevice } from '../device/device.ts'
import { sendTo } from '../neighbour-send.ts'
import type { Neighbour, NeighbourOps } from '../neighbour-table.ts'
import { type Skb, skbFromPacket } from '../skb.ts'
import { icmpSend } from './icmp-send.ts'
import { routeScope } from './route.ts'
import { addressType, isOnLink, selectAddress } from './source.ts'

interface ArpMessage {
  readonly operation: number
  readonly senderIp: Ipv4
  readonly targetMac: number
  readonly targetIp: Ipv4
  /** Where the frame goes; for requests usually the broadcast address. */
  readonly destination: number
  /** The packet because of which it is sent. */
  readonly cause: Skb | undefined
}

/** arp_send(): builds the message with the device's own MAC address and transmits it. No netfilter chain sees it. */
export function sendArp(dev: NetDevice, message: ArpMessage): void {
  if (!dev.arp) return
  const bytes = encodeArp({
    operation: message.operation,
    senderMac: macFrom(dev.mac),
    senderIp: message.senderIp,
    targetMac: macFrom(message.targetMac),
    targetIp: message.targetIp,
  })
  const skb = skbFromPacket(dev, bytes, etherType.arp)
  bornFrom(message.cause, skb, 'arp')
  sendTo(dev, skb, message.destination)
}

function packetSource(skb: Skb): Ipv4 {
  return readIpv4(skb.bytes, skb.networkHeader + ipv4At.source)
}

/** The address a request is sent from: the waiting packet's own, as far as arp_announce lets it. */
function announcedSource(dev: NetDevice, target: Ipv4, cause: Skb | undefined): Ipv4 {
  const announce = dev.ns.sysctls.max('net.ipv4.conf.DEV.arp_announce', dev.name)
  const usable = cause !== undefined && cause.protocol === etherType.ipv4 && announce < 2
  const source = usable ? packetSource(cause) : anyIpv4
  const local = source !== 0 && addressType(dev.ns, source) === 'local'
  if (local && (announce === 0 || isOnLink(dev, target, source))) return source
  return selectAddress(dev, target, routeScope.link)
}

function solicit(
  neighbour: Neighbour,
  options: { readonly unicast: boolean; readonly cause: Skb | undefined },
): void {
  const { device, address } = neighbour
  if (!isIpv4(address)) return
  sendArp(device, {
    operation: arpOperation.request,
    senderIp: announcedSource(device, address, options.cause),
    targetMac: zeroMac,
    targetIp: address,
    destination: options.unicast ? neighbour.mac : broadcastMac,
    cause: options.cause,
  })
}

/** arp_error_report(): the sender of a packet that could not be delivered on the link gets host unreachable. */
function unreachable(_neighbour: Neighbour, skb: Skb): void {
  icmpSend(skb, { type: icmpType.unreachable, code: icmpUnreachable.host, info: 0 })
}

/** What ARP does for the neighbour state machine. */
export const arpOps: NeighbourOps = { family: 4, solicit, unreachable }

// A bridged packet that was put together for conntrack, or that grew, is cut again before it leaves by a port:
// br_nf_ip_fragment(). Each piece gets the frame's Ethernet header.
import { readU16 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { ipv4At, ipv4Flag } from '../../net/ipv4.ts'
import { count } from '../counters.ts'
import { drop } from '../drop.ts'
import { fragmentPacket } from '../ip/fragment.ts'
import { fragmentPacket6 } from '../ip6/fragment.ts'
import type { Skb } from '../skb.ts'
import type { BridgePort } from './bridge-state.ts'

function mayNotBeCut(skb: Skb, family: 4 | 6): boolean {
  if (family === 6) return skb.fragmentMax === 0
  return (readU16(skb.bytes, skb.networkHeader + ipv4At.flagsAndOffset) & ipv4Flag.dontFragment) !== 0
}

function pushHeader(piece: Skb, frame: Uint8Array): void {
  piece.macHeader = -1
  piece.reserve(ethernetAt.payload)
  piece.data -= ethernetAt.payload
  piece.bytes.set(frame, piece.data)
  piece.macHeader = piece.data
}

/** Sends the frame in pieces if it is too big for the port; false when it may leave whole. */
export function sendBridgedPieces(port: BridgePort, skb: Skb, family: 4 | 6): boolean {
  const { dev } = port
  const { fragmentMax } = skb
  const mtu = fragmentMax > 0 ? Math.min(fragmentMax, dev.mtu) : dev.mtu
  if (skb.gsoSize > 0 || skb.tail - skb.networkHeader <= mtu) return false
  const prefix = family === 4 ? 'Ip' : 'Ip6'
  if (mayNotBeCut(skb, family)) {
    count(dev.ns, `${prefix}FragFails`)
    const reason = 'SKB_DROP_REASON_PKT_TOO_BIG'
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'bridge', reason })
    return true
  }
  const frame = skb.bytes.slice(skb.macHeader, skb.macHeader + ethernetAt.payload)
  skb.pullMac()
  const identification = dev.ns.machine.random('bridge fragment', skb.hops)
  const pieces = family === 4 ? fragmentPacket(skb, mtu) : fragmentPacket6(skb, mtu, identification)
  for (const piece of pieces) {
    count(dev.ns, `${prefix}FragCreates`)
    pushHeader(piece, frame)
    piece.dev = dev
    dev.ns.machine.wiring.transmit(piece)
  }
  count(dev.ns, `${prefix}FragOKs`)
  return true
}

// Whether a bridged frame is sound enough for the hooks of IP: br_validate_ipv4(), br_validate_ipv6(). Padding behind the
// packet is cut off, so that a bridge with netfilter forwards short frames without it.
import { readU8, readU16 } from '../../net/bytes.ts'
import { ipv4At, ipv4ChecksumIsRight, ipv4HeaderLength } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { count } from '../counters.ts'
import { drop } from '../drop.ts'
import type { Skb } from '../skb.ts'
import type { BridgePort } from './bridge-state.ts'

function refuse(port: BridgePort, skb: Skb, counter: string): false {
  const { dev } = port
  count(dev.ns, counter)
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'bridge', reason: 'SKB_DROP_REASON_IP_INHDR' })
  return false
}

/** False when the frame was dropped and counted. */
export function bridgedFrameIsSound(port: BridgePort, skb: Skb, family: 4 | 6): boolean {
  const { bytes, networkHeader: l3 } = skb
  const room = skb.tail - l3
  if (family === 6) {
    if (room < ipv6At.payload || readU8(bytes, l3) >>> 4 !== 6) return refuse(port, skb, 'Ip6InHdrErrors')
    const length = ipv6At.payload + readU16(bytes, l3 + ipv6At.payloadLength)
    if (length > room) return refuse(port, skb, 'Ip6InTruncatedPkts')
    skb.tail = l3 + length
    return true
  }
  const minimum = ipv4At.options
  const header = room < minimum ? 0 : ipv4HeaderLength(bytes, l3)
  if (header < minimum || readU8(bytes, l3) >>> 4 !== 4 || header > room) {
    return refuse(port, skb, 'IpInHdrErrors')
  }
  if (!ipv4ChecksumIsRight(bytes, l3)) {
    count(port.dev.ns, 'IpExtInCsumErrors')
    return refuse(port, skb, 'IpInHdrErrors')
  }
  const length = readU16(bytes, l3 + ipv4At.totalLength)
  if (length > room) return refuse(port, skb, 'IpExtInTruncatedPkts')
  if (length < header) return refuse(port, skb, 'IpInHdrErrors')
  skb.tail = l3 + length
  return true
}

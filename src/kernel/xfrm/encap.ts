// The IP header around an ESP packet: net/xfrm/xfrm_output.c xfrm4_tunnel_encap_add(), xfrm6_tunnel_encap_add(),
// xfrm4_transport_output(), xfrm6_transport_output(); and what is left of it in net/xfrm/xfrm_input.c.
import { isIpv4, writeIpv4, writeIpv6 } from '../../net/address.ts'
import { readU8, readU16, readU24, writeU8, writeU16, writeU24 } from '../../net/bytes.ts'
import { ipv4At, ipv4Flag, ipv4HeaderLength, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { extensionLength } from '../../net/ipv6-extensions.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { defaultTtl } from '../device/tunnel.ts'
import { ecnEncap, innerTos } from '../device/tunnel-ecn.ts'
import { selectIdent } from '../ip/ident.ts'
import type { Route } from '../ip/route.ts'
import type { Skb } from '../skb.ts'
import { espSeal } from './esp.ts'
import type { XfrmState } from './state.ts'

/** What of the packet inside its outer header repeats. */
interface Inner {
  readonly tos: number
  readonly dontFragment: boolean
  readonly flowLabel: number
}

const flowLabelMask = 0xf_ffff

function innerOf(skb: Skb, { flags }: XfrmState): Inner {
  const { bytes, data } = skb
  const four = skb.protocol === etherType.ipv4
  const whole = !four || (readU16(bytes, data + ipv4At.flagsAndOffset) & ipv4Flag.dontFragment) !== 0
  const tos = ecnEncap(innerTos(skb), skb)
  return {
    tos: flags.includes('noecn') ? tos & ~3 : tos,
    dontFragment: whole && !flags.includes('nopmtudisc'),
    flowLabel: four ? 0 : readU24(bytes, data + 1) & flowLabelMask,
  }
}

function outer4(skb: Skb, state: XfrmState, child: Route, inner: Inner, ignoreDontFragment: boolean): void {
  const { source, destination } = state
  if (!isIpv4(source) || !isIpv4(destination)) return
  const { ns } = child.device
  skb.data -= ipv4At.options
  const { bytes, data: at } = skb
  const protocol = ipProtocol.esp
  const { dontFragment, tos } = inner
  bytes.fill(0, at, at + ipv4At.options)
  writeU8(bytes, at + ipv4At.versionAndLength, 0x45)
  writeU8(bytes, at + ipv4At.tos, tos)
  writeU16(bytes, at + ipv4At.totalLength, skb.length)
  const ends = { source, destination, protocol, dontFragment, ignoreDontFragment }
  writeU16(bytes, at + ipv4At.identification, selectIdent(ns, ends))
  writeU16(bytes, at + ipv4At.flagsAndOffset, dontFragment ? ipv4Flag.dontFragment : 0)
  writeU8(bytes, at + ipv4At.ttl, defaultTtl(child.device, 4))
  writeU8(bytes, at + ipv4At.protocol, protocol)
  writeIpv4(bytes, at + ipv4At.source, source)
  writeIpv4(bytes, at + ipv4At.destination, destination)
  writeIpv4Checksum(bytes, at)
  skb.protocol = etherType.ipv4
}

function outer6(skb: Skb, state: XfrmState, child: Route, inner: Inner): void {
  const { source, destination } = state
  if (isIpv4(source) || isIpv4(destination)) return
  const payload = skb.length
  skb.data -= ipv6At.payload
  const { bytes, data: at } = skb
  writeU8(bytes, at, 0x60 | (inner.tos >>> 4))
  writeU24(bytes, at + 1, ((inner.tos & 15) << 20) | inner.flowLabel)
  writeU16(bytes, at + ipv6At.payloadLength, payload)
  writeU8(bytes, at + ipv6At.nextHeader, ipProtocol.esp)
  writeU8(bytes, at + ipv6At.hopLimit, defaultTtl(child.device, 6))
  writeIpv6(bytes, at + ipv6At.source, source)
  writeIpv6(bytes, at + ipv6At.destination, destination)
  skb.protocol = etherType.ipv6
}

/** The whole packet at `skb.data` becomes the payload of one between the ends of the state. */
export function encapTunnel(skb: Skb, state: XfrmState, child: Route, ignoreDontFragment: boolean): void {
  const inner = innerOf(skb, state)
  espSeal(skb, state, skb.protocol === etherType.ipv4 ? ipProtocol.ipip : ipProtocol.ipv6)
  if (isIpv4(state.source)) outer4(skb, state, child, inner, ignoreDontFragment)
  else outer6(skb, state, child, inner)
  skb.networkHeader = skb.data
}

/** Where what is protected begins, and where the byte that names it stands; both from the IP header on. */
interface Headers {
  readonly length: number
  readonly nextAt: number
}

/** esp6's hdr_offset, ip6_find_1stfragopt(): behind what routers on the way look at. */
function headersOf(skb: Skb): Headers {
  const { bytes, data } = skb
  if (skb.protocol === etherType.ipv4)
    return { length: ipv4HeaderLength(bytes, data), nextAt: ipv4At.protocol }
  let [length, nextAt] = [ipv6At.payload as number, ipv6At.nextHeader as number]
  for (;;) {
    const next = readU8(bytes, data + nextAt)
    if (next !== ipProtocol.hopByHop && next !== ipProtocol.routing) return { length, nextAt }
    nextAt = length
    length += extensionLength(bytes, data + length, next)
  }
}

/** What follows the IP header of the packet at `skb.data` is protected; the header stays in front of it. */
export function encapTransport(skb: Skb, state: XfrmState): void {
  const { length, nextAt } = headersOf(skb)
  const header = skb.bytes.slice(skb.data, skb.data + length)
  const next = readU8(header, nextAt)
  writeU8(header, nextAt, ipProtocol.esp)
  skb.data += length
  espSeal(skb, state, next)
  skb.reserve(length)
  skb.data -= length
  skb.bytes.set(header, skb.data)
  skb.networkHeader = skb.data
  finishLengths(skb)
}

/** Lengths and checksum of the IP header at `skb.networkHeader`, whose packet ends at `skb.tail`. */
export function finishLengths(skb: Skb): void {
  const { bytes, networkHeader: at, tail } = skb
  if (skb.protocol === etherType.ipv4) {
    writeU16(bytes, at + ipv4At.totalLength, tail - at)
    writeIpv4Checksum(bytes, at)
  } else writeU16(bytes, at + ipv6At.payloadLength, tail - at - ipv6At.payload)
}

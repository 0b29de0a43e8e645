// Large TCP packets: built by a sender for several segments at once, or merged by GRO, they pass the stack as one and are
// cut when they leave (net/core/gso.c skb_gso_segment(), net/ipv4/tcp_offload.c tcp_gso_segment(), af_inet.c
// inet_gso_segment(), udp_offload.c __skb_udp_tunnel_segment()).
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from '../net/bytes.ts'
import { writeSegmentChecksum } from '../net/checksum.ts'
import { ipv4At, ipv4HeaderLength, writeIpv4Checksum } from '../net/ipv4.ts'
import { ipv6At } from '../net/ipv6.ts'
import { ipProtocol } from '../net/protocol.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../net/tcp.ts'
import { udpAt } from '../net/udp.ts'
import type { Stage } from '../trace/event.ts'
import { born } from './birth.ts'
import type { NetDevice } from './device/device.ts'
import type { Skb } from './skb.ts'

/** sk_gso_max_size of an IPv4 socket, less what tcp_tso_autosize() leaves for headers (bytes of payload). */
export const gsoPayloadMax = 65_536 - 321

/** Makes a packet large: `skb.networkHeader` stands at the IP header in front of TCP, whose payload is cut every `size` bytes. */
export function markLarge(skb: Skb, size: number, segments: number): void {
  skb.gsoSize = size
  skb.gsoSegs = segments
  skb.gsoFromTail = skb.tail - skb.networkHeader
}

/** Where the IP header in front of TCP stands, behind whatever tunnels have pushed since. */
function innerOf(skb: Skb): number {
  return skb.tail - skb.gsoFromTail
}

function ipHeaderBytes(bytes: Uint8Array, l3: number): number {
  return readU8(bytes, l3) >>> 4 === 4 ? ipv4HeaderLength(bytes, l3) : ipv6At.payload
}

/** Where the payload of TCP begins. */
function payloadOf(skb: Skb): number {
  const l3 = innerOf(skb)
  const l4 = l3 + ipHeaderBytes(skb.bytes, l3)
  return l4 + tcpHeaderLength(skb.bytes, l4)
}

/** skb_gso_network_seglen(): the length of its largest segment from the IP header on (bytes); that of any other packet. */
export function networkLength(skb: Skb): number {
  const whole = skb.tail - skb.networkHeader
  return skb.gsoSize === 0 ? whole : payloadOf(skb) - skb.networkHeader + skb.gsoSize
}

/** qdisc_pkt_len_init(): bytes on the wire, with the headers of every segment. */
export function wireLength(skb: Skb): number {
  const length = skb.tail - skb.start
  if (skb.gsoSegs < 2) return length
  return length + (skb.gsoSegs - 1) * (payloadOf(skb) - skb.start)
}

/** Lengths, identification and checksum of the IP header at `l3` of segment number `index`, which ends at `end`. */
function finishIp(bytes: Uint8Array, l3: number, end: number, index: number): void {
  if (readU8(bytes, l3) >>> 4 !== 4) {
    writeU16(bytes, l3 + ipv6At.payloadLength, end - l3 - ipv6At.payload)
    return
  }
  writeU16(bytes, l3 + ipv4At.totalLength, end - l3)
  const identification = readU16(bytes, l3 + ipv4At.identification)
  writeU16(bytes, l3 + ipv4At.identification, (identification + index) & 0xffff)
  writeIpv4Checksum(bytes, l3)
}

/** TCP of segment number `index`: FIN and PSH on the last one only, CWR on the first. */
function finishTcp(
  bytes: Uint8Array,
  at: { readonly l3: number; readonly l4: number; readonly end: number },
  part: { readonly offset: number; readonly first: boolean; readonly last: boolean },
): void {
  const { l3, l4, end } = at
  writeU32(bytes, l4 + tcpAt.sequence, (readU32(bytes, l4 + tcpAt.sequence) + part.offset) >>> 0)
  let flags = readU8(bytes, l4 + tcpAt.flags)
  if (!part.last) flags &= ~(tcpFlag.fin | tcpFlag.psh)
  if (!part.first) flags &= ~tcpFlag.cwr
  writeU8(bytes, l4 + tcpAt.flags, flags)
  writeSegmentChecksum(bytes, { l3, l4, end, protocol: ipProtocol.tcp })
}

/** The outer headers of a tunnel: their lengths, and the UDP checksum if there was one. */
function finishOuter(bytes: Uint8Array, l3: number, inner: number, index: number): void {
  if (l3 === inner) return
  const end = bytes.length
  finishIp(bytes, l3, end, index)
  const four = readU8(bytes, l3) >>> 4 === 4
  const protocol = readU8(bytes, l3 + (four ? ipv4At.protocol : ipv6At.nextHeader))
  if (protocol !== ipProtocol.udp) return
  const l4 = l3 + ipHeaderBytes(bytes, l3)
  writeU16(bytes, l4 + udpAt.length, end - l4)
  if (readU16(bytes, l4 + udpAt.checksum) !== 0) writeSegmentChecksum(bytes, { l3, l4, end, protocol })
}

/** skb_segment(): the segments of a large packet, in order; `skb.data` stands at its first byte. Records are the caller's. */
function cut(skb: Skb): Skb[] {
  const { data, tail, gsoSize } = skb
  const payload = payloadOf(skb)
  const headers = skb.bytes.subarray(data, payload)
  const inner = innerOf(skb) - data
  const l4 = inner + ipHeaderBytes(skb.bytes, inner + data)
  const pieces: Skb[] = []
  for (let at = payload; at < tail; at += gsoSize) {
    const end = Math.min(tail, at + gsoSize)
    const bytes = new Uint8Array(headers.length + end - at)
    bytes.set(headers)
    bytes.set(skb.bytes.subarray(at, end), headers.length)
    const index = pieces.length
    const part = { offset: at - payload, first: index === 0, last: end === tail }
    finishTcp(bytes, { l3: inner, l4, end: bytes.length }, part)
    finishIp(bytes, inner, bytes.length, index)
    if (skb.networkHeader >= 0) finishOuter(bytes, skb.networkHeader - data, inner, index)
    const piece = skb.withBytes(bytes, data)
    piece.gsoSize = 0
    piece.gsoSegs = 0
    piece.gsoFromTail = 0
    pieces.push(piece)
  }
  return pieces
}

/**
 * The segments of a large packet where it is cut: at a device that takes none so large, or in a card. The first goes on
 * in the packet's record; the others are packets of their own, with the names that the sender had for them.
 */
export function segmentAt(dev: NetDevice, skb: Skb, stage: Stage): readonly Skb[] {
  const pieces = cut(skb)
  const { trace } = dev.ns.machine
  const { record } = skb
  pieces.forEach((piece, index) => {
    if (index > 0) {
      piece.record = undefined
      piece.seen = undefined
      born(
        piece,
        record === undefined ? '' : (skb.segmentNames?.[index] ?? `${record.name}.segment${index + 1}`),
        record?.name,
      )
      return
    }
    const target = `${pieces.length} x ${skb.gsoSize}`
    const site = { node: dev.ns.name, device: dev.name, stage }
    trace?.note(piece, site, { actor: 'kernel', decision: { code: 'SEGMENT', target } })
  })
  return pieces
}

/** netif_needs_gso(): whether a device takes large packets as they are. Those of software do; a veth whose far end runs native XDP does not. */
export function carriesLarge(dev: NetDevice): boolean {
  if (dev.kind !== 'phys' && dev.kind !== 'veth') return true
  return dev.offloads.tso && dev.peer?.xdp?.mode !== 'native'
}

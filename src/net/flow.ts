// The few numbers that forwarding, sockets and conntrack ask of every packet, read once into a record that the caller
// owns and uses again. Tunnels are not opened; see dissect.ts for everything else.
import { readU8, readU16, readU32 } from './bytes.ts'
import { ethernetAt } from './ethernet.ts'
import { ipv4At, ipv4Flag } from './ipv4.ts'
import { ipv6At } from './ipv6.ts'
import { extensionAt, extensionLength, isExtension } from './ipv6-extensions.ts'
import { etherType, ipProtocol, isVlanType } from './protocol.ts'

/** What `parseFrame` and `parseIp` fill in. Offsets count from the start of the array; -1 means "there is none". */
export interface Flow {
  /** the first EtherType behind any VLAN tags; 0 when only IP was parsed and it is neither version */
  etherType: number
  /** the outermost VLAN identifier, -1 without a tag */
  vlan: number
  family: 0 | 4 | 6
  /** offset of the IP header, or of whatever follows the Ethernet header */
  l3: number
  /** offset of the TCP, UDP, SCTP, ICMP or other upper header; -1 in a later fragment or when it is cut off */
  l4: number
  /** one past the last byte of the IP packet, never past the end of the bytes */
  end: number
  /** the upper protocol, behind IPv6 extension headers */
  protocol: number
  /** TCP, UDP and SCTP ports; an ICMP echo's identifier stands in both; else 0 */
  source: number
  destination: number
  /** bytes */
  fragmentOffset: number
  moreFragments: boolean
  fragmentId: number
}

/** A record for `parseFrame` and `parseIp` to fill. */
export function newFlow(): Flow {
  return {
    etherType: 0,
    vlan: -1,
    family: 0,
    l3: -1,
    l4: -1,
    end: 0,
    protocol: 0,
    source: 0,
    destination: 0,
    fragmentOffset: 0,
    moreFragments: false,
    fragmentId: 0,
  }
}

function reset(flow: Flow, l3: number, end: number): void {
  flow.etherType = 0
  flow.vlan = -1
  flow.family = 0
  flow.l3 = l3
  flow.l4 = -1
  flow.end = end
  flow.protocol = 0
  flow.source = 0
  flow.destination = 0
  flow.fragmentOffset = 0
  flow.moreFragments = false
  flow.fragmentId = 0
}

/** Parses the Ethernet frame `bytes[start, end)`; true when it carries an IP packet with a sound header. */
export function parseFrame(bytes: Uint8Array, start: number, end: number, flow: Flow): boolean {
  reset(flow, -1, end)
  if (end - start < ethernetAt.payload) return false
  let type = readU16(bytes, start + ethernetAt.type)
  let offset = start + ethernetAt.payload
  while (isVlanType(type) && end - offset >= 4) {
    if (flow.vlan < 0) flow.vlan = readU16(bytes, offset) & 0xfff
    type = readU16(bytes, offset + 2)
    offset += 4
  }
  flow.etherType = type
  flow.l3 = offset
  if (type === etherType.ipv4) return parseIpv4(bytes, offset, end, flow)
  return type === etherType.ipv6 && parseIpv6(bytes, offset, end, flow)
}

/**
 * Parses the IP packet `bytes[start, end)`; true when its header is sound. The packet may be cut off behind its header,
 * as the quote of an ICMP error is.
 */
export function parseIp(bytes: Uint8Array, start: number, end: number, flow: Flow): boolean {
  reset(flow, start, end)
  if (end <= start) return false
  const version = readU8(bytes, start) >>> 4
  if (version === 4) {
    flow.etherType = etherType.ipv4
    return parseIpv4(bytes, start, end, flow)
  }
  if (version !== 6) return false
  flow.etherType = etherType.ipv6
  return parseIpv6(bytes, start, end, flow)
}

function parseIpv4(bytes: Uint8Array, start: number, end: number, flow: Flow): boolean {
  if (end - start < ipv4At.options) return false
  const first = readU8(bytes, start)
  const headerLength = (first & 15) << 2
  const totalLength = readU16(bytes, start + ipv4At.totalLength)
  if (first >>> 4 !== 4 || headerLength < ipv4At.options || headerLength > end - start) return false
  if (totalLength < headerLength) return false
  const fragment = readU16(bytes, start + ipv4At.flagsAndOffset)
  flow.family = 4
  flow.end = Math.min(end, start + totalLength)
  flow.protocol = readU8(bytes, start + ipv4At.protocol)
  flow.fragmentOffset = (fragment & ipv4Flag.offsetMask) << 3
  flow.moreFragments = (fragment & ipv4Flag.moreFragments) !== 0
  flow.fragmentId = readU16(bytes, start + ipv4At.identification)
  if (flow.fragmentOffset === 0) parseUpper(bytes, start + headerLength, flow)
  return true
}

function parseIpv6(bytes: Uint8Array, start: number, end: number, flow: Flow): boolean {
  if (end - start < ipv6At.payload || readU8(bytes, start) >>> 4 !== 6) return false
  flow.family = 6
  flow.end = Math.min(end, start + ipv6At.payload + readU16(bytes, start + ipv6At.payloadLength))
  let protocol = readU8(bytes, start + ipv6At.nextHeader)
  let offset = start + ipv6At.payload
  while (isExtension(protocol)) {
    if (flow.end - offset < 8 || extensionLength(bytes, offset, protocol) > flow.end - offset) {
      flow.protocol = protocol
      return true
    }
    if (protocol === ipProtocol.fragment) parseFragment(bytes, offset, flow)
    const next = readU8(bytes, offset + extensionAt.nextHeader)
    offset += extensionLength(bytes, offset, protocol)
    protocol = next
    if (flow.fragmentOffset > 0) break
  }
  flow.protocol = protocol
  if (flow.fragmentOffset === 0) parseUpper(bytes, offset, flow)
  return true
}

function parseFragment(bytes: Uint8Array, offset: number, flow: Flow): void {
  const word = readU16(bytes, offset + extensionAt.fragmentOffset)
  flow.fragmentOffset = word & 0xfff8
  flow.moreFragments = (word & 1) === 1
  flow.fragmentId = readU32(bytes, offset + extensionAt.identification)
}

/** Ports need four bytes and an echo needs eight: an ICMP quote promises no more (RFC 792). */
function parseUpper(bytes: Uint8Array, l4: number, flow: Flow): void {
  const left = flow.end - l4
  const { protocol } = flow
  if (left < 1) return
  if (protocol === ipProtocol.tcp || protocol === ipProtocol.udp || protocol === ipProtocol.sctp) {
    if (left < 4) return
    flow.source = readU16(bytes, l4)
    flow.destination = readU16(bytes, l4 + 2)
  } else if (protocol === ipProtocol.icmp || protocol === ipProtocol.icmp6) {
    if (left < 8) return
    const type = readU8(bytes, l4)
    const echo = protocol === ipProtocol.icmp ? type === 0 || type === 8 : type === 128 || type === 129
    if (echo) {
      flow.source = readU16(bytes, l4 + 4)
      flow.destination = flow.source
    }
  }
  flow.l4 = l4
}

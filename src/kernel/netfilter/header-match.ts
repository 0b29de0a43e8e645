// The part of a rule that every rule has: addresses, devices, protocol, fragments (struct ipt_ip, ip6t_ip6). What enters is
// the text's values; what leaves is a test on numbers at fixed offsets.
import { type Ipv6, isIpv4 } from '../../net/address.ts'
import { readU16, readU32 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { ChainPacket } from './extension.ts'
import { bang, formatMaskedAddress, type MaskedAddress } from './values.ts'

/** A value that may be negated. */
export interface Maybe<T> {
  readonly value: T
  readonly inverted: boolean
}

/** A device name; with `prefix` any name that starts so (`eth+`). */
export interface DeviceName {
  readonly name: string
  readonly prefix: boolean
}

export interface HeaderMatch {
  readonly source?: Maybe<MaskedAddress>
  readonly destination?: Maybe<MaskedAddress>
  readonly in?: Maybe<DeviceName>
  readonly out?: Maybe<DeviceName>
  /** Number of the protocol; 0 is any. */
  readonly protocol?: Maybe<number>
  /** `-f`: later fragments (IPv4). */
  readonly fragment?: { readonly inverted: boolean }
}

/** Protocols by the names of /etc/protocols that rule sets use. */
export const protocolNumbers: ReadonlyMap<string, number> = new Map([
  ['all', 0],
  ['icmp', 1],
  ['igmp', 2],
  ['ipencap', 4],
  ['tcp', 6],
  ['egp', 8],
  ['udp', 17],
  ['dccp', 33],
  ['ipv6', 41],
  ['ipv6-route', 43],
  ['ipv6-frag', 44],
  ['rsvp', 46],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['ipv6-icmp', 58],
  ['icmpv6', 58],
  ['icmp6', 58],
  ['ipv6-nonxt', 59],
  ['ipv6-opts', 60],
  ['eigrp', 88],
  ['ospf', 89],
  ['ipip', 94],
  ['pim', 103],
  ['vrrp', 112],
  ['l2tp', 115],
  ['sctp', 132],
  ['udplite', 136],
  ['mobility-header', 135],
  ['mh', 135],
  ['ipv6-mh', 135],
])

/** The name that iptables-save prints for a protocol. */
export function protocolText(protocol: number): string {
  switch (protocol) {
    case 4:
      return 'ipencap'
    case 58:
      return 'ipv6-icmp'
    default:
      break
  }
  for (const [name, number] of protocolNumbers) if (number === protocol) return name
  return `${protocol}`
}

function deviceText({ name, prefix }: DeviceName): string {
  return prefix ? `${name}+` : name
}

/** The options as iptables-save prints them, each followed by a space. */
export function printHeader(header: HeaderMatch): string {
  let text = ''
  const { source, destination, protocol } = header
  if (source) text += `${bang(source.inverted)}-s ${formatMaskedAddress(source.value)} `
  if (destination) text += `${bang(destination.inverted)}-d ${formatMaskedAddress(destination.value)} `
  if (header.in && deviceText(header.in.value) !== '+')
    text += `${bang(header.in.inverted)}-i ${deviceText(header.in.value)} `
  if (header.out && deviceText(header.out.value) !== '+')
    text += `${bang(header.out.inverted)}-o ${deviceText(header.out.value)} `
  if (protocol && protocol.value !== 0)
    text += `${bang(protocol.inverted)}-p ${protocolText(protocol.value)} `
  if (header.fragment) text += `${bang(header.fragment.inverted)}-f `
  return text
}

/** An address test on 32-bit words; IPv4 uses the first only. */
interface WordTest {
  readonly address: Ipv6
  readonly mask: Ipv6
  readonly inverted: boolean
}

function wordTest(part: Maybe<MaskedAddress> | undefined): WordTest | undefined {
  if (part === undefined) return undefined
  const { address, mask } = part.value
  if (isIpv4(address)) {
    const only = isIpv4(mask) ? mask : 0
    if (only === 0 && !part.inverted) return undefined
    return { address: [address, 0, 0, 0], mask: [only, 0, 0, 0], inverted: part.inverted }
  }
  if (isIpv4(mask)) return undefined
  return { address, mask, inverted: part.inverted }
}

/** The bound form of a header match: plain fields, compared in the order that fails soonest. */
export interface HeaderTest {
  readonly source: WordTest | undefined
  readonly destination: WordTest | undefined
  readonly in: Maybe<DeviceName> | undefined
  readonly out: Maybe<DeviceName> | undefined
  /** -1 for any. */
  readonly protocol: number
  readonly protocolInverted: boolean
  readonly fragment: { readonly inverted: boolean } | undefined
}

/** Makes the test of a header match. */
export function bindHeader(header: HeaderMatch): HeaderTest {
  const protocol = header.protocol?.value ?? 0
  return {
    source: wordTest(header.source),
    destination: wordTest(header.destination),
    in: header.in,
    out: header.out,
    protocol: protocol === 0 ? -1 : protocol,
    protocolInverted: header.protocol?.inverted ?? false,
    fragment: header.fragment,
  }
}

function words4(bytes: Uint8Array, at: number, test: WordTest): boolean {
  return ((readU32(bytes, at) & test.mask[0]) >>> 0 === test.address[0]) !== test.inverted
}

function words6(bytes: Uint8Array, at: number, test: WordTest): boolean {
  let same = true
  for (let word = 0; word < 4 && same; word += 1) {
    const index = word as 0 | 1 | 2 | 3
    same = (readU32(bytes, at + word * 4) & test.mask[index]) >>> 0 === test.address[index]
  }
  return same !== test.inverted
}

/** Whether a device is the one that a rule names; no device has the name ''. */
export function deviceMatches(name: string, wanted: DeviceName): boolean {
  return wanted.prefix ? name.startsWith(wanted.name) : name === wanted.name
}

function devicePart(part: Maybe<DeviceName>, name: string | undefined): boolean {
  return deviceMatches(name ?? '', part.value) !== part.inverted
}

/** ip_packet_match(), ip6_packet_match(). */
export function headerMatches(test: HeaderTest, packet: ChainPacket): boolean {
  const { bytes } = packet.skb
  const { l3 } = packet
  if (packet.family === 4) {
    if (test.destination !== undefined && !words4(bytes, l3 + ipv4At.destination, test.destination))
      return false
    if (test.source !== undefined && !words4(bytes, l3 + ipv4At.source, test.source)) return false
  } else {
    if (test.destination !== undefined && !words6(bytes, l3 + ipv6At.destination, test.destination))
      return false
    if (test.source !== undefined && !words6(bytes, l3 + ipv6At.source, test.source)) return false
  }
  if (test.protocol !== -1 && (packet.protocol === test.protocol) === test.protocolInverted) return false
  if (test.in !== undefined && !devicePart(test.in, packet.in?.name)) return false
  if (test.out !== undefined && !devicePart(test.out, packet.out?.name)) return false
  return test.fragment === undefined || (packet.fragmentOffset !== 0) !== test.fragment.inverted
}

/** Total length of a packet in bytes as counters and `-m length` see it. */
export function packetLength(packet: ChainPacket): number {
  return packet.skb.tail - packet.l3
}

/** The source or destination port; 0 where there is no transport header. */
export function portAt(packet: ChainPacket, side: 'source' | 'destination'): number {
  if (packet.l4 + 4 > packet.skb.tail) return 0
  return readU16(packet.skb.bytes, packet.l4 + (side === 'source' ? 0 : 2))
}

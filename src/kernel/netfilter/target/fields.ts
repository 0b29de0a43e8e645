// Targets that write one field of the packet: TCPMSS, TOS, DSCP, TTL, HL, CHECKSUM.
import { anyIpv4, anyIpv6, readIpv4, readIpv6 } from '../../../net/address.ts'
import { readU8, readU16, writeU8, writeU16 } from '../../../net/bytes.ts'
import { replaceU16, segmentChecksum, writeSegmentChecksum } from '../../../net/checksum.ts'
import { ipv4At, writeIpv4Checksum } from '../../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../../net/ipv6.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../../../net/tcp.ts'
import { findTcpOption, readMss, tcpOptionKind, writeMss } from '../../../net/tcp-options.ts'
import { refreshHeaders } from '../chain-packet.ts'
import {
  type Action,
  actionVerdict,
  type ChainPacket,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, flag, read, withValue } from '../match/given.ts'
import { parseTos, readDscp } from '../match/header-fields.ts'
import { routeFromAnywhere } from '../reroute.ts'
import { type Masked, parseMasked, parseNumber } from '../values.ts'

const { next, drop } = actionVerdict

/** Writes the byte that holds DSCP and ECN. */
export function writeTrafficClass(packet: ChainPacket, value: number): void {
  const { skb, l3, family } = packet
  if (family === 6) {
    if (ipv6TrafficClass(skb.bytes, l3) === value) return
    // version 4 bits, traffic class 8 bits, flow label 20 bits
    writeU16(skb.bytes, l3, (readU16(skb.bytes, l3) & 0xf00f) | (value << 4))
  } else {
    const word = readU16(skb.bytes, l3)
    if ((word & 0xff) === value) return
    replaceU16(skb.bytes, l3, (word & 0xff00) | value, l3 + ipv4At.checksum)
  }
  packet.changed = true
}

function trafficClassOf({ skb, l3, family }: ChainPacket): number {
  return family === 6 ? ipv6TrafficClass(skb.bytes, l3) : readU8(skb.bytes, l3 + ipv4At.tos)
}

const tosForms: ReadonlyMap<string, (given: Masked) => Masked> = new Map([
  ['--set-tos', (given: Masked) => given],
  ['--and-tos', ({ value }: Masked) => ({ value: 0, mask: ~value & 0xff })],
  ['--or-tos', ({ value }: Masked) => ({ value, mask: value })],
  ['--xor-tos', ({ value }: Masked) => ({ value, mask: 0 })],
])

function hex2(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`
}

const tos: TargetKind = {
  name: 'TOS',
  tables: ['mangle'],
  options: [...tosForms.keys()].map((name) => withValue(name)),
  read: (given, scope, word): TargetSpec | undefined => {
    const [option] = given
    if (option === undefined) return scope.report(word, '`-j TOS` needs `--set-tos`')
    const parse =
      option.name === '--set-tos' ? parseTos : (text: string): Masked | undefined => parseMasked(text, 255)
    const wanted = read(option, scope, parse, 'type of service')
    const form = wanted && tosForms.get(option.name)?.(wanted)
    if (form === undefined) return undefined
    const action: Action = (packet) => {
      writeTrafficClass(packet, (trafficClassOf(packet) & ~form.mask & 0xff) ^ form.value)
      return next
    }
    return { text: `--set-tos ${hex2(form.value)}/${hex2(form.mask)}`, bind: () => action }
  },
}

const dscp: TargetKind = {
  name: 'DSCP',
  tables: ['mangle'],
  options: [withValue('--set-dscp'), withValue('--set-dscp-class')],
  read: (given, scope, word): TargetSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-j DSCP` needs `--set-dscp` or `--set-dscp-class`')
    const value = readDscp(given, scope, ['--set-dscp', '--set-dscp-class'])
    if (value === undefined) return undefined
    const action: Action = (packet) => {
      writeTrafficClass(packet, (value << 2) | (trafficClassOf(packet) & 3))
      return next
    }
    return { text: `--set-dscp ${hex2(value)}`, bind: () => action }
  },
}

function writeHops(packet: ChainPacket, value: number): void {
  const { skb, l3, family } = packet
  const at = l3 + (family === 4 ? ipv4At.ttl : ipv6At.hopLimit)
  if (readU8(skb.bytes, at) === value) return
  packet.changed = true
  if (family === 6) writeU8(skb.bytes, at, value)
  else replaceU16(skb.bytes, at, (value << 8) | readU8(skb.bytes, at + 1), l3 + ipv4At.checksum)
}

function hopsOf({ skb, l3, family }: ChainPacket): number {
  return readU8(skb.bytes, l3 + (family === 4 ? ipv4At.ttl : ipv6At.hopLimit))
}

function hopTarget(name: 'TTL' | 'HL', family: 4 | 6): TargetKind {
  const word = name.toLowerCase()
  return {
    name,
    families: [family],
    tables: ['mangle'],
    options: [withValue(`--${word}-set`), withValue(`--${word}-dec`), withValue(`--${word}-inc`)],
    read: (given, scope, place): TargetSpec | undefined => {
      const [option] = given
      if (option === undefined)
        return scope.report(place, `\`-j ${name}\` needs \`--${word}-set\`, \`-dec\` or \`-inc\``)
      const value = read(option, scope, (text) => parseNumber(text, 255), 'number from 0 to 255')
      if (value === undefined) return undefined
      if (value === 0 && !option.name.endsWith('-set'))
        return scope.report(option.values[0] ?? option.word, `\`${option.name}\` is at least 1`)
      const action: Action = (packet) => {
        const now = hopsOf(packet)
        if (option.name.endsWith('-set')) writeHops(packet, value)
        else if (option.name.endsWith('-dec')) writeHops(packet, Math.max(0, now - value))
        else writeHops(packet, Math.min(255, now + value))
        return next
      }
      return { text: `${option.name} ${value}`, bind: () => action }
    },
  }
}

/** The MSS that fits the path: the smaller MTU of the routes to both ends less the headers (tcpmss_reverse_mtu). */
function clampedMss(packet: ChainPacket): number | undefined {
  const { ns, family, skb, l3 } = packet
  const header = (family === 4 ? 20 : 40) + tcpAt.options
  if (skb.route === undefined) return undefined
  const four = family === 4
  const back = routeFromAnywhere(ns, {
    source: four ? anyIpv4 : anyIpv6,
    destination: four ? readIpv4(skb.bytes, l3 + ipv4At.source) : readIpv6(skb.bytes, l3 + ipv6At.source),
    mark: 0,
    tos: 0,
    oif: 0,
  })
  const mtu = Math.min(skb.route.mtu, back?.mtu ?? Number.POSITIVE_INFINITY)
  return mtu <= header ? undefined : mtu - header
}

/** Adds an MSS option right behind the fixed header. */
function insertMss(packet: ChainPacket, mss: number): void {
  const { skb, l3, l4, family } = packet
  const header = tcpHeaderLength(skb.bytes, l4)
  if (header >= 60) return
  skb.resizeTail(skb.tail - skb.start + 4)
  const { bytes } = skb
  const at = l4 + tcpAt.options
  bytes.copyWithin(at + 4, at, skb.tail - 4)
  writeU16(bytes, at, (tcpOptionKind.mss << 8) | 4)
  writeU16(bytes, at + 2, mss)
  writeU8(bytes, l4 + tcpAt.dataOffset, ((header + 4) << 2) | (readU8(bytes, l4 + tcpAt.dataOffset) & 15))
  const lengthAt = l3 + (family === 4 ? ipv4At.totalLength : ipv6At.payloadLength)
  writeU16(bytes, lengthAt, readU16(bytes, lengthAt) + 4)
  if (family === 4) writeIpv4Checksum(bytes, l3)
  writeSegmentChecksum(bytes, { l3, l4, end: skb.tail, protocol: ipProtocol.tcp })
  refreshHeaders(packet)
}

/** tcpmss_mangle_packet(): an MSS is only ever lowered; one is added where there is none (IPv4: 536 at most). */
function mangleMss(packet: ChainPacket, wanted: number | 'clamp'): boolean {
  const { skb, l3, l4, fragmentOffset, family } = packet
  if (fragmentOffset !== 0) return true
  if (l4 + tcpAt.options > skb.tail) return false
  const length = tcpHeaderLength(skb.bytes, l4)
  if (length < tcpAt.options || l4 + length > skb.tail) return false
  const target = wanted === 'clamp' ? clampedMss(packet) : wanted
  if (target === undefined) return false
  if (findTcpOption(skb.bytes, l4, tcpOptionKind.mss) >= 0) {
    if ((readMss(skb.bytes, l4) ?? 0) <= target) return true
    writeMss(skb.bytes, l4, target)
    const segment = { l3, l4, end: skb.tail, protocol: ipProtocol.tcp }
    writeU16(skb.bytes, l4 + tcpAt.checksum, segmentChecksum(skb.bytes, segment))
    packet.changed = true
    return true
  }
  if (skb.tail > l4 + tcpHeaderLength(skb.bytes, l4)) return true
  insertMss(packet, Math.min(target, family === 4 ? 536 : 1220))
  packet.changed = true
  return true
}

const tcpmss: TargetKind = {
  name: 'TCPMSS',
  options: [withValue('--set-mss'), flag('--clamp-mss-to-pmtu')],
  read: (given, scope, word): TargetSpec | undefined => {
    if (scope.protocol !== ipProtocol.tcp)
      return scope.report(word, '`-j TCPMSS` needs `-p tcp` and `--tcp-flags SYN`')
    const clamp = find(given, '--clamp-mss-to-pmtu') !== undefined
    const option = find(given, '--set-mss')
    if (option === undefined && !clamp)
      return scope.report(word, '`-j TCPMSS` needs `--set-mss` or `--clamp-mss-to-pmtu`')
    const value =
      option === undefined ? 0 : read(option, scope, (text) => parseNumber(text, 0xffff), 'size in bytes')
    if (value === undefined) return undefined
    if (!scope.onlySyn) return scope.report(word, '`-j TCPMSS` needs `-m tcp` with `--tcp-flags ... SYN`')
    const action: Action = (packet) => {
      const isSyn = (readU8(packet.skb.bytes, packet.l4 + tcpAt.flags) & tcpFlag.syn) !== 0
      if (!isSyn && packet.fragmentOffset === 0) return next
      return mangleMss(packet, clamp ? 'clamp' : value) ? next : drop
    }
    if (!clamp) return { text: `--set-mss ${value}`, bind: () => action }
    const text = '--clamp-mss-to-pmtu'
    const standing = { what: `\`${text}\``, hooks: ['FORWARD', 'OUTPUT', 'POSTROUTING'] } as const
    return { text, standing, bind: () => action }
  },
}

const checksum: TargetKind = {
  name: 'CHECKSUM',
  tables: ['mangle'],
  options: [flag('--checksum-fill')],
  read: (given, scope, word): TargetSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-j CHECKSUM` needs `--checksum-fill`')
    // it finishes what a sender left to the card (CHECKSUM_PARTIAL); here every checksum is finished, and a wrong one stays
    return { text: '--checksum-fill', bind: () => () => next }
  },
}

/** Targets that write fields. */
export const fieldTargets: readonly TargetKind[] = [
  tos,
  dscp,
  hopTarget('TTL', 4),
  hopTarget('HL', 6),
  tcpmss,
  checksum,
]

// Header fields that have no word of their own in a trace: `ip.tos 0 -> 4`. Enters: two packets of one protocol stack;
// leaves: one change per field. Lengths are left out, for they follow from what else changed; checksums are reported
// only when a right one became wrong or the other way round, which is what people look for.
import { readU8, readU16, readU32 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { icmpAt, icmpName, isIcmpEcho } from '../../net/icmp.ts'
import { ipv4At, ipv4ChecksumIsRight, ipv4HeaderLength, ipv4IsFragment } from '../../net/ipv4.ts'
import { decodeIpv4Options, type Ipv4Option } from '../../net/ipv4-options.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { formatTcpFlags, tcpAt } from '../../net/tcp.ts'
import { decodeTcpOptions } from '../../net/tcp-options.ts'
import type { Change } from './change.ts'
import type { Layers } from './layers.ts'

interface Field {
  readonly name: string
  /** The value as it is compared and printed; `at` is the offset of the header. */
  readonly read: (bytes: Uint8Array, at: number) => number
  readonly print?: (value: number) => string
}

const hex = (value: number): string => `0x${value.toString(16)}`

const ipv4Fields: readonly Field[] = [
  { name: 'ip.tos', read: (bytes, at) => readU8(bytes, at + ipv4At.tos) },
  { name: 'ip.id', read: (bytes, at) => readU16(bytes, at + ipv4At.identification) },
  { name: 'ip.flags', read: (bytes, at) => readU16(bytes, at + ipv4At.flagsAndOffset), print: hex },
  { name: 'ip.proto', read: (bytes, at) => readU8(bytes, at + ipv4At.protocol) },
]

const ipv6Fields: readonly Field[] = [
  { name: 'ip6.tclass', read: (bytes, at) => (readU16(bytes, at) >>> 4) & 0xff },
  { name: 'ip6.flow', read: (bytes, at) => readU32(bytes, at) & 0xf_ffff, print: hex },
  { name: 'ip6.next', read: (bytes, at) => readU8(bytes, at + 6) },
]

const tcpFields: readonly Field[] = [
  { name: 'tcp.seq', read: (bytes, at) => readU32(bytes, at + tcpAt.sequence) },
  { name: 'tcp.ack', read: (bytes, at) => readU32(bytes, at + tcpAt.acknowledgement) },
  {
    name: 'tcp.flags',
    read: (bytes, at) => readU16(bytes, at + tcpAt.dataOffset) & 0x1ff,
    print: formatTcpFlags,
  },
  { name: 'tcp.window', read: (bytes, at) => readU16(bytes, at + tcpAt.window) },
  { name: 'tcp.urgent', read: (bytes, at) => readU16(bytes, at + tcpAt.urgent) },
]

const icmpKind: Field = {
  name: 'icmp.type',
  read: (bytes, at) => readU16(bytes, at + icmpAt.type),
  print: (value) => icmpName(value >>> 8, value & 0xff).replaceAll(' ', '-'),
}
const icmpEchoFields: readonly Field[] = [
  { name: 'icmp.id', read: (bytes, at) => readU16(bytes, at + icmpAt.identifier) },
  { name: 'icmp.seq', read: (bytes, at) => readU16(bytes, at + icmpAt.sequence) },
]
const icmpRest: Field = {
  name: 'icmp.rest',
  read: (bytes, at) => readU32(bytes, at + icmpAt.rest),
  print: hex,
}
const icmp6Fields: readonly Field[] = [
  { name: 'icmp6.type', read: (bytes, at) => readU8(bytes, at) },
  { name: 'icmp6.code', read: (bytes, at) => readU8(bytes, at + 1) },
  { ...icmpRest, name: 'icmp6.rest' },
]
const sctpFields: readonly Field[] = [
  { name: 'sctp.vtag', read: (bytes, at) => readU32(bytes, at + 4), print: hex },
]
const none: readonly Field[] = []

interface Pair {
  readonly before: Uint8Array
  readonly beforeAt: number
  readonly after: Uint8Array
  readonly afterAt: number
}

function compareFields(fields: readonly Field[], pair: Pair, changes: Change[]): void {
  for (const { name, read, print = String } of fields) {
    const old = read(pair.before, pair.beforeAt)
    const now = read(pair.after, pair.afterAt)
    if (old !== now) changes.push({ kind: 'field', field: name, before: print(old), after: print(now) })
  }
}

/** Fields of the IP header besides addresses, TTL, lengths and checksum. */
export function compareNetworkFields(before: Layers, after: Layers, changes: Change[]): void {
  const pair = { before: before.bytes, beforeAt: before.l3, after: after.bytes, afterAt: after.l3 }
  compareFields(before.family === 4 ? ipv4Fields : ipv6Fields, pair, changes)
}

function transportFields(layers: Layers): readonly Field[] {
  switch (layers.protocol) {
    case ipProtocol.tcp:
      return tcpFields
    case ipProtocol.icmp:
      return isIcmpEcho(readU8(layers.bytes, layers.l4))
        ? [icmpKind, ...icmpEchoFields]
        : [icmpKind, icmpRest]
    case ipProtocol.icmp6:
      return icmp6Fields
    case ipProtocol.sctp:
      return sctpFields
    default:
      return none
  }
}

/** Fields of the transport header besides ports, length and checksum; both packets have one of the same protocol. */
export function compareTransportFields(before: Layers, after: Layers, changes: Change[]): void {
  const pair = { before: before.bytes, beforeAt: before.l4, after: after.bytes, afterAt: after.l4 }
  compareFields(transportFields(before), pair, changes)
  if (before.protocol !== ipProtocol.tcp) return
  const old = tcpOptionsText(before)
  const now = tcpOptionsText(after)
  if (old !== now) changes.push({ kind: 'field', field: 'tcp.options', before: old, after: now })
}

function tcpOptionsText(layers: Layers): string {
  const words: string[] = []
  for (const option of decodeTcpOptions(layers.bytes, layers.l4 + tcpAt.options, layers.payload)) {
    switch (option.kind) {
      case 'mss':
        words.push(`mss=${option.value}`)
        break
      case 'window-scale':
        words.push(`wscale=${option.shift}`)
        break
      case 'timestamps':
        words.push(`ts=${option.value}/${option.echo}`)
        break
      case 'other':
        words.push(`kind-${option.type}`)
        break
      case 'nop':
        break
      default:
        words.push(option.kind)
    }
  }
  return words.length === 0 ? 'none' : words.join(',')
}

/** IPv4 options that came and went, in the order of the header. */
export function compareOptions(before: Layers, after: Layers, changes: Change[]): void {
  if (before.family !== 4) return
  const oldEnd = before.l3 + ipv4HeaderLength(before.bytes, before.l3)
  const newEnd = after.l3 + ipv4HeaderLength(after.bytes, after.l3)
  if (oldEnd === before.l3 + ipv4At.options && newEnd === after.l3 + ipv4At.options) return
  const old = decodeIpv4Options(
    before.bytes,
    before.l3 + ipv4At.options,
    Math.min(oldEnd, before.bytes.length),
  )
  const now = decodeIpv4Options(after.bytes, after.l3 + ipv4At.options, Math.min(newEnd, after.bytes.length))
  const oldKeys = old.map(optionKey)
  const newKeys = now.map(optionKey)
  old.forEach((option, index) => {
    if (option.kind !== 'nop' && !newKeys.includes(oldKeys[index] ?? '')) {
      changes.push({ kind: 'option', action: 'remove', option })
    }
  })
  now.forEach((option, index) => {
    if (option.kind !== 'nop' && !oldKeys.includes(newKeys[index] ?? '')) {
      changes.push({ kind: 'option', action: 'add', option })
    }
  })
}

function optionKey(option: Ipv4Option): string {
  switch (option.kind) {
    case 'nop':
      return 'nop'
    case 'dsr':
      return `dsr ${option.address} ${option.port}`
    case 'other':
      return `${option.type} ${option.data.join()}`
    case 'end':
    case 'invalid':
      return `${option.kind} ${option.data.join()}`
  }
}

/** A checksum that was right and is wrong now, or the other way round. */
export function compareChecksums(before: Layers, after: Layers, changes: Change[]): void {
  if (before.family === 4) {
    const old = ipv4ChecksumIsRight(before.bytes, before.l3)
    const now = ipv4ChecksumIsRight(after.bytes, after.l3)
    if (old !== now) changes.push(checksumChange('ip.checksum', now))
  }
  const [old, now] = [transportIsRight(before), transportIsRight(after)]
  if (old === undefined || now === undefined || old === now) return
  changes.push(checksumChange(`${transportWord(after.protocol)}.checksum`, now))
}

function checksumChange(field: string, right: boolean): Change {
  return right
    ? { kind: 'field', field, before: 'wrong', after: 'right' }
    : { kind: 'field', field, before: 'right', after: 'wrong' }
}

function transportWord(protocol: number): string {
  switch (protocol) {
    case ipProtocol.tcp:
      return 'tcp'
    case ipProtocol.udp:
      return 'udp'
    case ipProtocol.icmp:
      return 'icmp'
    default:
      return 'icmp6'
  }
}

/** Whether the transport checksum is right; undefined where nobody can tell (fragments, other protocols). */
function transportIsRight({ bytes, l3, l4, end, protocol, family }: Layers): boolean | undefined {
  const known = protocol === ipProtocol.tcp || protocol === ipProtocol.udp
  const icmp = protocol === ipProtocol.icmp || protocol === ipProtocol.icmp6
  if (l4 < 0 || !(known || icmp)) return undefined
  if (family === 4 && ipv4IsFragment(bytes, l3)) return undefined
  if (family === 6 && readU8(bytes, l3 + 6) === ipProtocol.fragment) return undefined
  return segmentChecksumIsRight(bytes, { l3, l4, end, protocol })
}

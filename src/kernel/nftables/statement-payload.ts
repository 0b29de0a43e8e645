// `ip dscp set cs1`, `tcp dport set 8080`: a field of the packet is written and the checksums that cover it are corrected by the
// difference (nft_payload.c nft_payload_set_eval(); the fields and their checksums: src/proto.c).
import { readU16, writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { finishSum, foldSum, replacedInPseudo, sumWords } from '../../net/checksum.ts'
import { icmpAt } from '../../net/icmp.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { tcpAt } from '../../net/tcp.ts'
import { udpAt } from '../../net/udp.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import { readWords } from './constant.ts'
import type { Cursor } from './cursor.ts'
import { statementOf } from './relation.ts'
import { code, type Expression, type Statement } from './ruleset.ts'
import type { Words } from './types.ts'

/** Where a field stands in its header: bytes from `at`; `bits` of them, `shift` from the right, when it is no whole number of bytes. */
interface Place {
  readonly at: number
  readonly bytes: 1 | 2 | 4 | 16
  readonly bits?: number
  readonly shift?: number
  /** Part of the pseudo header (payload_needs_l4csum_update_pseudohdr()). */
  readonly pseudo?: true
}

/** TCP and UDP have them in the same place. */
const ports = [
  ['sport', { at: udpAt.source, bytes: 2 }],
  ['dport', { at: udpAt.destination, bytes: 2 }],
] as const
/** UDP-Lite; its checksum stands where that of UDP does. */
const udplite = 136

const places: ReadonlyMap<string, Place> = new Map<string, Place>([
  ['ip dscp', { at: 0, bytes: 2, bits: 6, shift: 2 }],
  ['ip ecn', { at: 0, bytes: 2, bits: 2, shift: 0 }],
  ['ip id', { at: ipv4At.identification, bytes: 2 }],
  ['ip ttl', { at: ipv4At.ttl, bytes: 1 }],
  ['ip saddr', { at: ipv4At.source, bytes: 4, pseudo: true }],
  ['ip daddr', { at: ipv4At.destination, bytes: 4, pseudo: true }],
  ['ip6 dscp', { at: 0, bytes: 2, bits: 6, shift: 6 }],
  ['ip6 ecn', { at: 0, bytes: 2, bits: 2, shift: 4 }],
  ['ip6 hoplimit', { at: ipv6At.hopLimit, bytes: 1 }],
  ['ip6 saddr', { at: ipv6At.source, bytes: 16, pseudo: true }],
  ['ip6 daddr', { at: ipv6At.destination, bytes: 16, pseudo: true }],
  ...ports.map(([name, place]): [string, Place] => [`tcp ${name}`, place]),
  ...ports.map(([name, place]): [string, Place] => [`udp ${name}`, place]),
  ['tcp window', { at: tcpAt.window, bytes: 2 }],
])

/** Fields that can be set. */
export const settableFields: readonly string[] = [...places.keys()]

/** Whether `FIELD set` is modelled. */
export function isSettable(field: string): boolean {
  return places.has(field)
}

function write(
  bytes: Uint8Array,
  start: number,
  { at, bytes: length, bits, shift = 0 }: Place,
  value: Words,
): void {
  const from = start + at
  const [first = 0] = value
  if (bits !== undefined) {
    const mask = ((1 << bits) - 1) << shift
    writeU16(bytes, from, (readU16(bytes, from) & ~mask) | ((first << shift) & mask))
  } else if (length === 1) writeU8(bytes, from, first)
  else if (length === 2) writeU16(bytes, from, first)
  else for (const [index, word] of value.entries()) writeU32(bytes, from + index * 4, word)
}

/** nft_csum_replace(): a sum of zero is written as its other form, also where that has no meaning of its own. */
function replaceSum(bytes: Uint8Array, at: number, before: number, after: number): void {
  const now = (~readU16(bytes, at) & 0xffff) + (~foldSum(before) & 0xffff) + foldSum(after)
  writeU16(bytes, at, finishSum(now) || 0xffff)
}

/** nft_payload_l4csum_offset(): where the checksum stands that covers the pseudo header; -1 when there is none to correct. */
function pseudoChecksumAt({ skb, l4, protocol, fragmentOffset }: ChainPacket): number {
  if (fragmentOffset !== 0) return -1
  let at = -1
  if (protocol === ipProtocol.tcp) at = tcpAt.checksum
  else if (protocol === ipProtocol.udp && l4 + udpAt.payload <= skb.tail)
    at = readU16(skb.bytes, l4 + udpAt.checksum) === 0 ? -1 : udpAt.checksum
  else if (protocol === udplite) at = udpAt.checksum
  else if (protocol === ipProtocol.icmp6) at = icmpAt.checksum
  return at === -1 || l4 + at + 2 > skb.tail ? -1 : l4 + at
}

/** The 16-bit words that a field lies in. */
function wordsAround(bytes: Uint8Array, start: number, { at, bytes: length }: Place): number {
  const from = start + (at & ~1)
  return sumWords(bytes, from, from + (((at & 1) + length + 1) & ~1))
}

function setNetwork(packet: ChainPacket, place: Place, value: Words): void {
  const { skb, l3, family } = packet
  const { bytes } = skb
  const before = wordsAround(bytes, l3, place)
  write(bytes, l3, place, value)
  const after = wordsAround(bytes, l3, place)
  if (before === after) return
  packet.changed = true
  if (family === 4) replaceSum(bytes, l3 + ipv4At.checksum, before, after)
  const at = place.pseudo === true ? pseudoChecksumAt(packet) : -1
  if (at === -1) return
  // nft_payload_l4csum_update() of CHECKSUM_PARTIAL
  if (skb.isSumOutside(at)) writeU16(bytes, at, replacedInPseudo(readU16(bytes, at), before, after))
  else replaceSum(bytes, at, before, after)
  // skb->csum is corrected although address and checksum cancel each other: the kept sum is wrong now
  if (family === 6 && skb.summedHeader >= 0) skb.summedHeader += 1
}

/** False (NFT_BREAK) for fragments, other protocols, and headers that are cut. */
function setTransport(packet: ChainPacket, protocol: number, place: Place, value: Words): boolean {
  const { skb, l4 } = packet
  const { bytes, tail } = skb
  const checksum = protocol === ipProtocol.tcp ? tcpAt.checksum : udpAt.checksum
  if (packet.protocol !== protocol || packet.fragmentOffset !== 0 || l4 + checksum + 2 > tail) return false
  const before = wordsAround(bytes, l4, place)
  write(bytes, l4, place, value)
  // nft_payload_set_eval() leaves all transport sums alone then; the unfinished one will be made of the new bytes
  if (skb.isSumOutside(l4 + checksum)) return true
  replaceSum(bytes, l4 + checksum, before, wordsAround(bytes, l4, place))
  return true
}

/** `FIELD set CONSTANT`; `set` has been read. */
export function readPayloadSet(cursor: Cursor, target: Expression): Statement {
  const place = places.get(target.text) as Place
  const [type] = target.types
  if (type === undefined) return cursor.fail('this field has no type')
  const value = readWords(cursor, type)
  const { protocol, family } = target
  return statementOf(target, {
    acts: true,
    text: `${target.text} set ${type.print(value)}`,
    bind:
      () =>
      ({ packet }) => {
        if (protocol !== undefined)
          return setTransport(packet, protocol, place, value) ? code.next : code.broken
        if (packet.family !== family) return code.broken
        setNetwork(packet, place, value)
        return code.next
      },
  })
}

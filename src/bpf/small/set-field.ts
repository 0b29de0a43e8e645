// `set FIELD = VALUE`: writes a header field and repairs the checksums that cover it, with the calls that a C program
// makes: in tc bpf_l3_csum_replace, bpf_l4_csum_replace and bpf_skb_store_bytes; in XDP by hand, in the frame.
import { writeU16, writeU24, writeU32, writeU48 } from '../../net/bytes.ts'
import { readLe16, readLe32, writeLe16 } from '../context/byte-order.ts'
import { fault } from '../fault.ts'
import { checksumFlag, l3CsumReplace, l4CsumReplace, replacedChecksum } from '../helpers/checksum.ts'
import { tracedCall } from '../helpers/note.ts'
import { skbStoreBytes } from '../helpers/skb-bytes.ts'
import { bytesOf, isWide, numberOf } from './expr.ts'
import { type HeaderField, type HeaderFieldName, headerFields, layers } from './fields.ts'
import type { SmallRun } from './headers.ts'
import type { IrExpr, MapShape } from './ir.ts'
import { reader } from './read.ts'
import { setMeta } from './set-meta.ts'

/** Acts on a run. */
export type ActionOf = (run: SmallRun) => void

const checksumAt = { ip: 10, tcp: 16, udp: 6, icmp: 2, icmp6: 2 } as const

/** The transport checksum that covers the addresses: position in `bytes`, or -1. ICMP over IPv4 has no pseudo header. */
function pseudoTarget(run: SmallRun): number {
  const tcp = run.layer(layers.tcp)
  if (tcp >= 0) return tcp + checksumAt.tcp
  const udp = run.layer(layers.udp)
  if (udp >= 0) return udp + checksumAt.udp
  const icmp6 = run.layer(layers.icmp6)
  return icmp6 >= 0 ? icmp6 + checksumAt.icmp6 : -1
}

/** The transport checksum that a field of this layer is summed in: position in `bytes`, or -1. */
function transportTarget(run: SmallRun, field: HeaderField): number {
  switch (field.layer) {
    case 'tcp':
    case 'udp':
    case 'icmp':
    case 'icmp6':
      return run.layer(layers[field.layer]) + checksumAt[field.layer]
    case 'vxlan':
    case 'geneve':
      return run.layer(layers.udp) + checksumAt.udp
    case 'ip':
      return field.bytes === 4 ? pseudoTarget(run) : -1
    case 'ip6':
      return field.bytes === 16 ? pseudoTarget(run) : -1
    case 'eth':
    case 'vlan':
    case 'arp':
    case 'sctp':
      return -1
  }
}

/** One repair in XDP: a UDP checksum of 0 means "none" and stays, and 0 never comes out of one. */
function repairFrame(run: SmallRun, at: number, words: Words, udp: boolean): void {
  const before = readLe16(run.bytes, at)
  if (udp && before === 0) return
  const after = replacedChecksum(before, words.from, words.to, words.size)
  writeLe16(run.bytes, at, udp && after === 0 ? 0xffff : after)
}

interface Words {
  readonly from: number
  readonly to: number
  readonly size: 2 | 4
}

function repairL3(run: SmallRun, at: number, words: Words): void {
  if (run.context.skb === undefined) {
    repairFrame(run, at, words, false)
    return
  }
  const { from, to, size } = words
  tracedCall(run.context, 'l3_csum_replace', l3CsumReplace, at - run.start, from, to, size)
}

function repairL4(run: SmallRun, at: number, words: Words, pseudo: boolean): void {
  const udp = run.layer(layers.udp) + checksumAt.udp === at
  if (run.context.skb === undefined) {
    repairFrame(run, at, words, udp)
    return
  }
  const { BPF_F_PSEUDO_HDR, BPF_F_MARK_MANGLED_0 } = checksumFlag
  const flags = words.size | (pseudo ? BPF_F_PSEUDO_HDR : 0) | (udp ? BPF_F_MARK_MANGLED_0 : 0)
  tracedCall(run.context, 'l4_csum_replace', l4CsumReplace, at - run.start, words.from, words.to, flags)
}

/** Repairs every checksum that covers `bytes[at, at + fresh.length)` and then writes it. The range is even and aligned. */
function replace(run: SmallRun, field: HeaderField, at: number, fresh: Uint8Array): void {
  const l4 = field.checksum ? -1 : transportTarget(run, field)
  const l3 = field.layer === 'ip' && !field.checksum ? run.layer(layers.ip) + checksumAt.ip : -1
  const pseudo = field.layer === 'ip' || field.layer === 'ip6'
  const step = fresh.length % 4 === 0 ? 4 : 2
  for (let word = 0; word < fresh.length; word += step) {
    const from = step === 4 ? readLe32(run.bytes, at + word) : readLe16(run.bytes, at + word)
    const to = step === 4 ? readLe32(fresh, word) : readLe16(fresh, word)
    if (from === to) continue
    const words: Words = { from, to, size: step }
    if (l3 >= 0) repairL3(run, l3, words)
    if (l4 >= 0) repairL4(run, l4, words, pseudo)
  }
  if (run.context.skb === undefined) run.bytes.set(fresh, at)
  else tracedCall(run.context, 'skb_store_bytes', skbStoreBytes, at - run.start, fresh, 0)
}

function writeWord(bytes: Uint8Array, at: number, size: number, value: number): void {
  if (size === 1) bytes[at] = value
  else if (size === 2) writeU16(bytes, at, value)
  else if (size === 3) writeU24(bytes, at, value)
  else if (size === 4) writeU32(bytes, at, value)
  else writeU48(bytes, at, value)
}

function setNumber(maps: readonly MapShape[], field: HeaderField, value: IrExpr): ActionOf {
  const number = numberOf(maps, value)
  const layer = layers[field.layer]
  const first = field.at & ~1
  const fresh = new Uint8Array(((field.at + field.bytes + 1) & ~1) - first)
  const read = reader(field.bytes)
  const part =
    field.mask !== Number.POSITIVE_INFINITY && (field.mask !== 2 ** (8 * field.bytes) - 1 || field.shift > 0)
  const bits = part ? (field.mask << field.shift) >>> 0 : 0
  return (run) => {
    const offset = run.layer(layer)
    const wanted = number(run)
    if (offset < 0 || Number.isNaN(wanted)) return
    const at = offset + field.at
    const scaled = Math.floor(wanted / field.scale)
    const word = part ? ((read(run.bytes, at) & ~bits) | ((scaled << field.shift) & bits)) >>> 0 : scaled
    fresh.set(run.bytes.subarray(offset + first, offset + first + fresh.length))
    writeWord(fresh, field.at - first, field.bytes, word)
    replace(run, field, offset + first, fresh)
    run.refresh()
  }
}

function setWide(maps: readonly MapShape[], field: HeaderField, value: IrExpr): ActionOf {
  const fill = bytesOf(maps, value, 'be')
  const layer = layers[field.layer]
  const fresh = new Uint8Array(16)
  return (run) => {
    const offset = run.layer(layer)
    if (offset < 0 || !fill(run, fresh)) return
    replace(run, field, offset + field.at, fresh)
  }
}

function isHeader(name: string): name is HeaderFieldName {
  return Object.hasOwn(headerFields, name)
}

/** Compiles `set`. A field of an absent layer, or a value that is not there, changes nothing. */
export function setField(
  maps: readonly MapShape[],
  name: Parameters<typeof setMeta>[1] | HeaderFieldName,
  value: IrExpr,
): ActionOf {
  if (!isHeader(name)) return setMeta(maps, name, value)
  const field = headerFields[name]
  if ((field.bytes === 16) !== isWide(value)) fault(`${name} and its new value are of different kinds`)
  return field.bytes === 16 ? setWide(maps, field, value) : setNumber(maps, field, value)
}

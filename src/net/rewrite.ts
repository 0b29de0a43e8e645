// Changing one field of a packet so that every checksum stays as right, or as wrong, as it was.
//
// A checksum is repaired by what changed (RFC 1624), never computed anew: that is what the kernel and every program do,
// and a packet that was broken must not leave a rewrite healed. Only SCTP's CRC has no incremental form.

import { readU16, writeU16 } from './bytes.ts'
import {
  checksumOffset,
  finishSum,
  foldSum,
  segmentChecksumIsRight,
  sumWords,
  writeSegmentChecksum,
} from './checksum.ts'
import type { FieldSpec, FieldValue } from './field-spec.ts'
import { ipv4At, ipv4ChecksumIsRight, writeIpv4Checksum } from './ipv4.ts'
import { type Dissection, ipLayerAt, type Layer, type LayerKind, transportLayerAt } from './layer.ts'
import { ipProtocol } from './protocol.ts'
import { sctpChecksumIsRight, writeSctpChecksum } from './sctp.ts'

/** What became of a write. */
export type Rewrite = 'changed' | 'unchanged' | 'read-only' | 'wrong-type' | 'out-of-range'

const protocolOf: Partial<Readonly<Record<LayerKind, number>>> = {
  tcp: ipProtocol.tcp,
  udp: ipProtocol.udp,
  icmp: ipProtocol.icmp,
  icmp6: ipProtocol.icmp6,
}

/** Offset of the Internet checksum that a transport header carries, or -1. */
function checksumAt(layer: Layer): number {
  const protocol = protocolOf[layer.kind]
  return protocol === undefined ? -1 : layer.start + checksumOffset(protocol)
}

/** Whether a value may be put into a field: the type fits and so does the number. */
function refusal(spec: FieldSpec, value: FieldValue): Rewrite | undefined {
  if (spec.write === undefined) return 'read-only'
  if (spec.type !== value.kind) return 'wrong-type'
  if (value.kind !== 'number' && value.kind !== 'flags') return undefined
  const fits = Number.isInteger(value.value) && value.value >= 0 && value.value <= spec.maximum
  return fits ? undefined : 'out-of-range'
}

/**
 * Puts a value into a header of the packet, in place, and repairs the checksums that cover it: the IPv4 header's, the
 * transport's (with its pseudo header; a UDP zero stays zero, a UDP result of zero becomes 0xffff), and the UDP checksums
 * of the tunnels around it when those are in use. A checksum written as a field is left as written.
 */
export function setField(dissection: Dissection, layer: Layer, spec: FieldSpec, value: FieldValue): Rewrite {
  const refused = refusal(spec, value)
  if (refused !== undefined) return refused
  const { bytes } = dissection
  const before = sumWords(bytes, layer.start, layer.payload)
  keepHeader(bytes, layer)
  spec.write?.(bytes, layer, value)
  if (headerIsAsKept(bytes, layer)) return 'unchanged'
  repair(dissection, layer, spec, sumWords(bytes, layer.start, layer.payload) - before)
  return 'changed'
}

/** The header before a write. The longest header with fields is Geneve's, 260 bytes. */
const kept = new Uint8Array(260)

function keepHeader(bytes: Uint8Array, { start, payload }: Layer): void {
  for (let offset = start; offset < payload; offset += 1) kept[offset - start] = bytes[offset] as number
}

function headerIsAsKept(bytes: Uint8Array, { start, payload }: Layer): boolean {
  for (let offset = start; offset < payload; offset += 1)
    if (kept[offset - start] !== bytes[offset]) return false
  return true
}

/** Repairs every checksum around a header whose words now sum to `change` more than before. */
function repair(dissection: Dissection, layer: Layer, spec: FieldSpec, change: number): void {
  const { bytes } = dissection
  let total = change
  if (spec.checksum !== true) {
    if (layer.kind === 'ip') total += adjust(bytes, layer.start + ipv4At.checksum, change)
    const transport = transportLayerAt(dissection, layer.depth)
    if (transport !== undefined && isCovered(layer, transport, spec)) {
      total += repairTransport(bytes, transport, change)
    }
  }
  for (let depth = layer.depth - 1; depth >= 0; depth -= 1) {
    const outer = transportLayerAt(dissection, depth)
    if (outer !== undefined && outer.kind === 'udp') total += repairTransport(bytes, outer, total)
  }
}

/** Whether a transport checksum covers a field: its own header, a tunnel header behind it, or the pseudo header. */
function isCovered(layer: Layer, transport: Layer, spec: FieldSpec): boolean {
  if (layer.start >= transport.start) return true
  // Neither ICMP for IPv4 nor SCTP has a pseudo header.
  return spec.pseudo === true && transport.kind !== 'icmp' && transport.kind !== 'sctp'
}

/** Repairs the checksum of a transport header; returns by how much its own words changed. */
function repairTransport(bytes: Uint8Array, transport: Layer, change: number): number {
  if (transport.kind === 'sctp') {
    writeSctpChecksum(bytes, transport.start, transport.end)
    return 0
  }
  const at = checksumAt(transport)
  if (at < 0) return 0
  const unused = transport.kind === 'udp' && readU16(bytes, at) === 0
  if (unused) return 0
  const changed = adjust(bytes, at, change)
  if (transport.kind !== 'udp' || readU16(bytes, at) !== 0) return changed
  writeU16(bytes, at, 0xffff)
  return changed + 0xffff
}

/** RFC 1624 equation 3 with the difference of sums; returns by how much the checksum field itself changed. */
function adjust(bytes: Uint8Array, at: number, change: number): number {
  const before = readU16(bytes, at)
  const sum = (~before & 0xffff) + foldSigned(change)
  const after = finishSum(sum)
  writeU16(bytes, at, after)
  return after - before
}

/** A difference of sums as a one's complement number: a negative one is the inverse of its absolute value. */
function foldSigned(change: number): number {
  return change < 0 ? ~foldSum(-change) & 0xffff : foldSum(change)
}

/** Whether a layer's own checksum is right; also for layers without one, and where nobody can tell (a fragment's). */
export function layerChecksumIsRight(dissection: Dissection, layer: Layer): boolean {
  const { bytes } = dissection
  if (layer.kind === 'ip') return ipv4ChecksumIsRight(bytes, layer.start)
  const segment = segmentOf(dissection, layer)
  if (segment === undefined) return true
  if (layer.kind === 'sctp') return sctpChecksumIsRight(bytes, layer.start, layer.end)
  return segmentChecksumIsRight(bytes, segment)
}

interface TransportSegment {
  readonly l3: number
  readonly l4: number
  readonly end: number
  readonly protocol: number
}

/** The whole segment of a transport layer, or undefined for other layers, fragments, and packets on a source route. */
function segmentOf(dissection: Dissection, layer: Layer): TransportSegment | undefined {
  const ip = ipLayerAt(dissection, layer.depth)
  const protocol = layer.kind === 'sctp' ? ipProtocol.sctp : protocolOf[layer.kind]
  if (ip === undefined || protocol === undefined || isFragment(dissection, ip)) return undefined
  if (hasSegmentsLeft(dissection, ip)) return undefined
  return { l3: ip.start, l4: layer.start, end: layer.end, protocol }
}

/** Whether a datagram lies here only in part. */
function isFragment(dissection: Dissection, ip: Layer): boolean {
  const { bytes, layers } = dissection
  if (ip.kind === 'ip') return (readU16(bytes, ip.start + ipv4At.flagsAndOffset) & 0x3fff) !== 0
  const header = layers.find(
    ({ kind, depth, protocol }) => kind === 'ext' && depth === ip.depth && protocol === ipProtocol.fragment,
  )
  return header !== undefined && (readU16(bytes, header.start + 2) & 0xfff9) !== 0
}

/** Whether a routing header holds another final destination, which the pseudo header would need (RFC 8200 section 8.1). */
function hasSegmentsLeft({ bytes, layers }: Dissection, ip: Layer): boolean {
  return layers.some(
    ({ kind, depth, protocol, start }) =>
      kind === 'ext' && depth === ip.depth && protocol === ipProtocol.routing && bytes[start + 3] !== 0,
  )
}

/** The layers whose checksum is wrong, outermost first. */
export function wrongChecksums(dissection: Dissection): readonly Layer[] {
  return dissection.layers.filter((layer) => !layerChecksumIsRight(dissection, layer))
}

/**
 * Computes every checksum of the packet anew, innermost first, in place. A UDP zero over IPv4 stays zero. `keep` names
 * layers whose field must stay as it is.
 */
export function writeChecksums(dissection: Dissection, keep: (layer: Layer) => boolean = () => false): void {
  const { bytes } = dissection
  for (const layer of dissection.layers.toReversed()) {
    if (keep(layer)) continue
    if (layer.kind === 'ip') {
      writeIpv4Checksum(bytes, layer.start)
      continue
    }
    const segment = segmentOf(dissection, layer)
    if (segment === undefined) continue
    if (layer.kind === 'sctp') writeSctpChecksum(bytes, layer.start, layer.end)
    else if (!isUnusedUdp(bytes, layer, segment.l3)) writeSegmentChecksum(bytes, segment)
  }
}

function isUnusedUdp(bytes: Uint8Array, layer: Layer, l3: number): boolean {
  const zero = layer.kind === 'udp' && readU16(bytes, checksumAt(layer)) === 0
  return zero && (bytes[l3] as number) >>> 4 === 4
}

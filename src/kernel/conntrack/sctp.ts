// SCTP in conntrack (nf_conntrack_proto_sctp.c): every chunk of a packet in its order, states and verification tags. A flow
// may begin with INIT, HEARTBEAT (a second path of an association) or SHUTDOWN ACK out of the blue.
import { readU8, readU16, readU32 } from '../../net/bytes.ts'
import { sctpAt, sctpChecksumIsRight, sctpChunkAt, sctpChunkType } from '../../net/sctp.ts'
import { type Connection, connStatus, directionOf, isConfirmed } from './connection.ts'
import type { TrackedPacket, TrackVerdict } from './packet.ts'
import { newSctpTrack, nextSctpState, type SctpTrack, sctpState } from './sctp-track.ts'
import { refreshCounted, sctpSeconds } from './timeouts.ts'

/** SCTP_CHUNK_FLAG_T: the tag is that of the peer. */
const flagT = 1
/** struct sctp_inithdr. */
const initBytes = 16
const { init, initAck, abort, shutdownAck, shutdownComplete } = sctpChunkType
const { cookieEcho, cookieAck, heartbeat, heartbeatAck, data } = sctpChunkType
/** Chunks that stand alone, and those that stand first. */
const alone: ReadonlySet<number> = new Set([init, initAck, shutdownComplete])
const first: ReadonlySet<number> = new Set([cookieEcho, cookieAck])
/** Chunks that begin no flow (RFC 9260 section 8.4). */
const outOfTheBlue: readonly number[] = [abort, shutdownComplete, cookieAck]
/** Chunks whose tags have rules of their own (section 8.5.1). */
const ownTagRules: readonly number[] = [
  init,
  shutdownComplete,
  cookieEcho,
  abort,
  shutdownAck,
  heartbeat,
  heartbeatAck,
]

interface Chunk {
  readonly type: number
  readonly flags: number
  /** Where its value begins. */
  readonly value: number
}

/** for_each_sctp_chunk() with do_basic_checks(); undefined when the packet fails them. */
function chunksOf(bytes: Uint8Array, l4: number, end: number): readonly Chunk[] | undefined {
  const chunks: Chunk[] = []
  let standsAlone = false
  for (let at = l4 + sctpAt.payload; at + sctpChunkAt.value <= end; ) {
    const type = readU8(bytes, at + sctpChunkAt.type)
    const length = readU16(bytes, at + sctpChunkAt.length)
    standsAlone ||= alone.has(type)
    if (length === 0 || (chunks.length > 0 && (standsAlone || first.has(type)))) return undefined
    chunks.push({ type, flags: readU8(bytes, at + sctpChunkAt.flags), value: at + sctpChunkAt.value })
    at += (length + 3) & ~3
  }
  return chunks.length === 0 ? undefined : chunks
}

/** sctp_error(). */
function isBroken({ ns, hook, skb, l4 }: TrackedPacket): boolean {
  if (l4 + sctpAt.payload > skb.tail) return true
  if (hook !== 'PREROUTING' || ns.sysctls.get('net.netfilter.nf_conntrack_checksum') === 0) return false
  return !sctpChecksumIsRight(skb.bytes, l4, skb.tail)
}

/** The tag that an INIT or INIT ACK gives; undefined when the chunk is too short for it. */
function initTag({ skb }: TrackedPacket, { value }: Chunk): number | undefined {
  return value + initBytes > skb.tail ? undefined : readU32(skb.bytes, value)
}

/** sctp_new(): whether these chunks may begin a flow; its tags are noted. */
function begins(track: SctpTrack, packet: TrackedPacket, chunks: readonly Chunk[], vtag: number): boolean {
  for (const chunk of chunks) {
    const { type } = chunk
    const next = nextSctpState(0, sctpState.none, type)
    if (next === sctpState.none || next === sctpState.invalid) return false
    if (type === init) {
      const tag = initTag(packet, chunk)
      if (vtag !== 0 || tag === undefined) return false
      track.vtag[1] = tag
    } else if (type === heartbeat) track.vtag[0] = vtag
    else if (type === shutdownAck) track.vtag[1] = vtag
  }
  return true
}

/** One packet while its chunks are looked at. */
interface Look {
  readonly track: SctpTrack
  readonly packet: TrackedPacket
  readonly direction: 0 | 1
  readonly vtag: number
  readonly hasData: boolean
  readonly confirmed: boolean
  /** The flow's time is not prolonged. */
  ignore: boolean
}

/** HEARTBEAT: a first wrong tag is let through, for the peer may have changed it. */
function heartbeatTag(look: Look): 'ok' | 'next' | 'invalid' {
  const { track, direction, vtag } = look
  if (track.vtag[direction] === 0) track.vtag[direction] = vtag
  else if (vtag !== track.vtag[direction]) {
    if (look.hasData || look.ignore) return 'invalid'
    track.heartbeatFailed = direction
    look.ignore = true
    return 'next'
  } else track.heartbeatFailed = -1
  return 'ok'
}

/** HEARTBEAT ACK: it confirms the tag that the other direction's HEARTBEAT came with. */
function heartbeatAckTag(look: Look): 'ok' | 'invalid' {
  const { track, direction, vtag } = look
  if (track.vtag[direction] === 0) track.vtag[direction] = vtag
  else if (vtag !== track.vtag[direction]) {
    if (look.hasData || look.ignore) return 'invalid'
    if (track.heartbeatFailed === -1 || track.heartbeatFailed === direction) return 'invalid'
    track.heartbeatFailed = -1
    track.vtag[direction] = vtag
    track.vtag[direction === 0 ? 1 : 0] = 0
  } else track.heartbeatFailed = -1
  return 'ok'
}

/** Special cases of the check of the tag (section 8.5.1). */
function checkTag(look: Look, { type, flags }: Chunk): 'ok' | 'next' | 'invalid' {
  const { track, direction, vtag } = look
  switch (type) {
    case init:
      return vtag === 0 ? 'ok' : 'invalid'
    case abort:
    case shutdownComplete: {
      const whose = (flags & flagT) === 0 ? direction : direction === 0 ? 1 : 0
      return vtag === track.vtag[whose] ? 'ok' : 'invalid'
    }
    case cookieEcho:
      return vtag === track.vtag[direction] ? 'ok' : 'invalid'
    case cookieAck:
      track.init[0] = false
      track.init[1] = false
      return 'ok'
    case heartbeat:
      return heartbeatTag(look)
    case heartbeatAck:
      return heartbeatAckTag(look)
    default:
      return 'ok'
  }
}

/** The tags that INIT and INIT ACK tell; false when they contradict what is known. */
function noteTag(look: Look, chunk: Chunk, before: number, after: number): boolean {
  const { track, direction } = look
  if (chunk.type !== init && chunk.type !== initAck) return true
  const tag = initTag(look.packet, chunk)
  if (tag === undefined) return false
  const other = direction === 0 ? 1 : 0
  if (chunk.type === init) {
    if (before === sctpState.none || track.vtag[other] !== tag) {
      if (track.init[direction] && track.init[other]) track.init[other] = false
      track.init[direction] = true
    }
    // a repeated INIT does not keep a closed flow, nor what NAT made of it
    if (before === sctpState.closed && after === sctpState.closed && look.confirmed) look.ignore = true
  } else {
    const known = track.vtag[other]
    if (!track.init[other] && known !== 0 && known !== tag) return false
    if (track.init[direction] && track.init[other] && known !== tag) return false
  }
  track.vtag[other] = tag
  return true
}

/** Every chunk in turn; the state that the last one led to, undefined for INVALID. */
function walk(look: Look, connection: Connection, chunks: readonly Chunk[]): number | undefined {
  const { track, direction } = look
  let after: number = sctpState.none
  for (const chunk of chunks) {
    const tag = checkTag(look, chunk)
    if (tag === 'invalid') return undefined
    if (tag === 'next') continue
    const before = track.state
    after = nextSctpState(direction, before, chunk.type)
    if (after === sctpState.invalid || !noteTag(look, chunk, before, after)) return undefined
    track.state = after
    if (before !== after && after === sctpState.established) connection.status |= connStatus.assured
  }
  return after
}

/** nf_conntrack_sctp_packet(). */
export function trackSctp(connection: Connection, packet: TrackedPacket, info: number): TrackVerdict {
  if (isBroken(packet)) return 'invalid'
  const { bytes, tail } = packet.skb
  const chunks = chunksOf(bytes, packet.l4, tail)
  if (chunks === undefined) return 'invalid'
  const has = (type: number): boolean => chunks.some((chunk) => chunk.type === type)
  const vtag = readU32(bytes, packet.l4 + sctpAt.verificationTag)
  const confirmed = isConfirmed(connection)
  let track = connection.sctp
  if (track === undefined || !confirmed) {
    track = newSctpTrack()
    connection.sctp = track
    if (outOfTheBlue.some(has) || !begins(track, packet, chunks, vtag)) return 'invalid'
  }
  const direction = directionOf(info)
  if (!ownTagRules.some(has) && vtag !== track.vtag[direction]) return 'invalid'
  const look: Look = { track, packet, direction, vtag, hasData: has(data), confirmed, ignore: false }
  const state = walk(look, connection, chunks)
  if (state === undefined) return 'invalid'
  if (!look.ignore) refreshCounted(packet, connection, sctpSeconds(packet.ns, state))
  return 'ok'
}

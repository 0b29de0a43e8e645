// TCP in conntrack: nf_conntrack_tcp_packet() of nf_conntrack_proto_tcp.c. What enters is a segment of a flow; what leaves
// is whether it belongs to the flow or is INVALID, and the flow's new state and timeout. Facts: linux 8.10, 8.11.
import { readU8 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../../net/tcp.ts'
import type { Namespace } from '../namespace.ts'
import { type Connection, connStatus, directionOf, isConfirmed } from './connection.ts'
import type { TrackedPacket, TrackVerdict } from './packet.ts'
import { before, plus } from './sequence.ts'
import {
  emptyTrack,
  flagsAreValid,
  kindOf,
  lastFlag,
  nextTcpState,
  segmentKind,
  sideFlag,
  type TcpTrack,
  tcpState,
} from './tcp-track.ts'
import { inWindow, readSegment, readSynOptions, type Segment } from './tcp-window.ts'
import { refresh, refreshCounted, secondsLeft, tcpSeconds, tcpTimeout } from './timeouts.ts'

/** tcp_error(): cut off, malformed, wrong checksum (checked where packets come in), flags that nobody sends. */
function isBroken(packet: TrackedPacket): boolean {
  const { bytes, tail } = packet.skb
  const { l3, l4, ns } = packet
  if (l4 + tcpAt.options > tail) return true
  const length = tcpHeaderLength(bytes, l4)
  if (length < tcpAt.options || l4 + length > tail) return true
  const checks = packet.hook === 'PREROUTING' && ns.sysctls.get('net.netfilter.nf_conntrack_checksum') !== 0
  if (checks && !segmentChecksumIsRight(bytes, { l3, l4, end: tail, protocol: ipProtocol.tcp })) return true
  return !flagsAreValid(bytes, l4)
}

/** tcp_new(): false when no flow may begin with this segment. */
function begin(connection: Connection, packet: TrackedPacket, segment: Segment): boolean {
  const state = nextTcpState(0, segment.kind, tcpState.none)
  if (state >= tcpState.ignore) return false
  if (state !== tcpState.synSent && packet.ns.sysctls.get('net.netfilter.nf_conntrack_tcp_loose') === 0) {
    return false
  }
  const track = emptyTrack()
  connection.tcp = track
  const [side, other] = track.sides
  side.end = segment.end
  side.maxWindow = segment.window === 0 ? 1 : segment.window
  if (state === tcpState.synSent) {
    side.maxEnd = segment.end
    readSynOptions(segment, side)
  } else {
    side.maxEnd = plus(segment.end, side.maxWindow)
    side.flags = sideFlag.sackPermitted | sideFlag.liberal
    other.flags = side.flags
  }
  return true
}

type Step =
  | { readonly kind: 'check'; readonly from: number; readonly to: number }
  /** Window checks are left out: what is known of the windows is out of date. */
  | { readonly kind: 'enter'; readonly from: number; readonly to: number }
  | { readonly kind: 'end'; readonly verdict: TrackVerdict }

const ended = (verdict: TrackVerdict): Step => ({ kind: 'end', verdict })

/** A SYN-ACK for a SYN that was let through as ignored: both ends agree, so the flow starts over from that SYN. */
function resynchronise(track: TcpTrack, segment: Segment): void {
  const side = track.sides[track.lastDirection === 0 ? 0 : 1]
  side.end = track.lastEnd
  side.maxEnd = track.lastEnd
  side.maxWindow = track.lastWindow === 0 ? 1 : track.lastWindow
  side.scale = track.lastScale
  track.lastFlags &= ~lastFlag.challengeAck
  side.flags = track.lastFlags & (lastFlag.windowScale | lastFlag.sackPermitted)
  Object.assign(track.sides[segment.direction], {
    end: 0,
    maxEnd: 0,
    maxWindow: 0,
    maxAck: 0,
    scale: 0,
    flags: 0,
  })
}

/** A segment that does not fit, but may be right and we wrong: it passes, and is remembered. */
function ignored(track: TcpTrack, segment: Segment): Step {
  const { kind, direction } = segment
  const answersIgnored =
    kind === segmentKind.synAck &&
    track.lastKind === segmentKind.syn &&
    track.lastDirection !== direction &&
    segment.acknowledgement === track.lastEnd
  if (answersIgnored) {
    resynchronise(track, segment)
    return { kind: 'check', from: tcpState.synSent, to: tcpState.synReceived }
  }
  track.lastKind = kind
  track.lastDirection = direction
  track.lastSequence = segment.sequence
  track.lastEnd = segment.end
  track.lastWindow = segment.window
  if (kind === segmentKind.syn && direction === 0) {
    const seen = { end: 0, maxEnd: 0, maxWindow: 0, maxAck: 0, scale: 0, flags: 0 }
    readSynOptions(segment, seen)
    track.lastScale = seen.scale
    track.lastFlags = seen.flags & (sideFlag.windowScale | sideFlag.sackPermitted)
    if (track.state === tcpState.lastAck) track.lastFlags |= lastFlag.challengeAck
  }
  if (track.state === tcpState.synSent && kind === segmentKind.ack && direction === 1) {
    track.lastAck = segment.acknowledgement
  }
  return ended('ok')
}

/** Whether a flow is so near its end that its numbers no longer matter (tcp_can_early_drop). */
function isNearlyOver(state: number): boolean {
  return state >= tcpState.finWait && state <= tcpState.close
}

/** nf_conntrack_tcp_established(). */
function isEstablished(connection: Connection, track: TcpTrack): boolean {
  return track.state === tcpState.established && (connection.status & connStatus.assured) !== 0
}

/** The sequence number of an RST against what the other side has acknowledged; undefined to go on. */
function judgeReset(
  connection: Connection,
  track: TcpTrack,
  segment: Segment,
  ns: Namespace,
): number | 'invalid' | undefined {
  const other = track.sides[segment.direction === 0 ? 1 : 0]
  if ((other.flags & sideFlag.maxAckSet) === 0 || track.lastKind === segmentKind.syn) return undefined
  const { sequence } = segment
  const established = isEstablished(connection, track)
  if (sequence === 0 && !established) return tcpState.close
  const lenient = ns.sysctls.get('net.netfilter.nf_conntrack_tcp_ignore_invalid_rst') !== 0
  if (before(sequence, other.maxAck) && !lenient) return 'invalid'
  if (!established || sequence === other.maxAck) return tcpState.close
  const inTrain =
    track.lastKind === segmentKind.ack &&
    track.lastDirection === segment.direction &&
    sequence === track.lastEnd
  return inTrain ? tcpState.close : track.state
}

function resetStep(connection: Connection, track: TcpTrack, segment: Segment, ns: Namespace): Step {
  const from = track.state
  if (isNearlyOver(from)) return { kind: 'enter', from, to: tcpState.close }
  const judged = judgeReset(connection, track, segment, ns)
  if (judged === 'invalid') return ended('invalid')
  if (judged === tcpState.close) return { kind: 'check', from, to: judged }
  const to = judged ?? tcpState.close
  const seenReply = (connection.status & connStatus.seenReply) !== 0
  const assured = (connection.status & connStatus.assured) !== 0
  const answersIgnored =
    ((seenReply && track.lastKind === segmentKind.syn) || (!assured && track.lastKind === segmentKind.ack)) &&
    segment.acknowledgement === track.lastEnd
  if (answersIgnored) return { kind: 'enter', from, to }
  const answersChallenge =
    from === tcpState.synSent &&
    track.lastKind === segmentKind.ack &&
    track.lastDirection === 1 &&
    segment.sequence === track.lastAck
  return { kind: answersChallenge ? 'enter' : 'check', from, to }
}

/** A SYN on a flow that is over: the entry goes, and the SYN begins a new one. */
function reopens(track: TcpTrack, segment: Segment): boolean {
  const closing = ((track.sides[0].flags | track.sides[1].flags) & sideFlag.closeInit) !== 0
  const reset = track.lastDirection === segment.direction && track.lastKind === segmentKind.rst
  return closing || reset
}

/** The state table's answer and its special cases. */
function decide(connection: Connection, track: TcpTrack, segment: Segment, packet: TrackedPacket): Step {
  const from = track.state
  const to = nextTcpState(segment.direction, segment.kind, from)
  switch (to) {
    case tcpState.synSent:
      if (from < tcpState.timeWait) break
      if (!reopens(track, segment)) return ignored(track, segment)
      packet.table.remove(connection)
      return ended('repeat')
    case tcpState.ignore:
      return ignored(track, segment)
    case tcpState.invalid:
      return ended('invalid')
    case tcpState.timeWait: {
      const challenge =
        from === tcpState.lastAck &&
        segment.kind === segmentKind.ack &&
        track.lastDirection !== segment.direction &&
        track.lastKind === segmentKind.syn &&
        (track.lastFlags & lastFlag.challengeAck) !== 0
      if (!challenge) break
      track.lastFlags &= ~lastFlag.challengeAck
      return ended('ok')
    }
    case tcpState.synSent2:
      track.lastFlags |= lastFlag.simultaneousOpen
      break
    case tcpState.synReceived: {
      const answers = segment.direction === 1 && segment.kind === segmentKind.ack
      if (answers && (track.lastFlags & lastFlag.simultaneousOpen) !== 0) {
        return { kind: 'check', from, to: tcpState.established }
      }
      break
    }
    case tcpState.close:
      if (segment.kind === segmentKind.rst) return resetStep(connection, track, segment, packet.ns)
      break
    default:
      break
  }
  return { kind: 'check', from, to }
}

function timeoutOf(ns: Namespace, track: TcpTrack, kind: number, state: number): number {
  const { sysctls } = ns
  const full = tcpSeconds(ns, state)
  const unacknowledged = ((track.sides[0].flags | track.sides[1].flags) & sideFlag.unacknowledged) !== 0
  const again = track.retransmissions >= sysctls.get('net.netfilter.nf_conntrack_tcp_max_retrans')
  if (again && full > sysctls.get(tcpTimeout.retransmission)) return sysctls.get(tcpTimeout.retransmission)
  if (kind === segmentKind.rst) return sysctls.get(tcpTimeout.close)
  if (unacknowledged && full > sysctls.get(tcpTimeout.unacknowledged))
    return sysctls.get(tcpTimeout.unacknowledged)
  if (track.lastWindow === 0) return Math.min(full, sysctls.get(tcpTimeout.retransmission))
  return full
}

/** The new state is entered: timeout, ASSURED, and the end of flows that were refused. */
function enter(
  connection: Connection,
  track: TcpTrack,
  segment: Segment,
  packet: TrackedPacket,
  change: { readonly from: number; readonly to: number },
): void {
  const { from, to } = change
  track.lastKind = segment.kind
  track.lastDirection = segment.direction
  track.state = to
  if (from !== to && to === tcpState.finWait) track.sides[segment.direction].flags |= sideFlag.closeInit
  let seconds = timeoutOf(packet.ns, track, segment.kind, to)
  if ((connection.status & connStatus.seenReply) === 0) {
    if ((segment.flags & tcpFlag.rst) !== 0) {
      packet.table.remove(connection)
      return
    }
    if (segment.kind === segmentKind.syn && from === tcpState.synSent) return
    if (to === tcpState.established)
      seconds = Math.min(seconds, packet.ns.sysctls.get(tcpTimeout.unacknowledged))
  } else if (
    (from === tcpState.synReceived || from === tcpState.established) &&
    to === tcpState.established
  ) {
    connection.status |= connStatus.assured
  }
  refreshCounted(packet, connection, seconds)
}

/** nf_tcp_handle_invalid(): a flow whose ends do not agree about its end is not kept for days. */
function afterInvalid(
  connection: Connection,
  track: TcpTrack,
  segment: Segment,
  packet: TrackedPacket,
): void {
  if ((connection.status & connStatus.assured) === 0) return
  const ends = (kind: number): boolean => kind === segmentKind.rst || kind === segmentKind.fin
  if (!ends(segment.kind)) return
  if (track.lastDirection === segment.direction || !ends(track.lastKind)) {
    track.lastKind = segment.kind
    track.lastDirection = segment.direction
    return
  }
  const { ns } = packet
  const left = secondsLeft(connection.expires, ns.machine.clock.now)
  const seconds = ns.sysctls.get(tcpTimeout.unacknowledged)
  if (left >= 120 && left > seconds) refresh(ns, connection, seconds)
}

/** nf_conntrack_tcp_packet(). */
export function trackTcp(connection: Connection, packet: TrackedPacket, info: number): TrackVerdict {
  if (isBroken(packet)) return 'invalid'
  const { bytes, tail } = packet.skb
  const kind = kindOf(readU8(bytes, packet.l4 + tcpAt.flags))
  const segment = readSegment(bytes, { l4: packet.l4, tail }, kind, directionOf(info))
  if (!isConfirmed(connection) && !begin(connection, packet, segment)) return 'invalid'
  const track = connection.tcp
  if (track === undefined) return 'invalid'
  const step = decide(connection, track, segment, packet)
  if (step.kind === 'end') return step.verdict
  if (step.kind === 'check') {
    const liberal = packet.ns.sysctls.get('net.netfilter.nf_conntrack_tcp_be_liberal') !== 0
    const verdict = inWindow(track, segment, { liberal })
    if (verdict === 'ignore') return 'ok'
    if (verdict === 'invalid') {
      afterInvalid(connection, track, segment, packet)
      return 'invalid'
    }
  }
  enter(connection, track, segment, packet, step)
  return 'ok'
}

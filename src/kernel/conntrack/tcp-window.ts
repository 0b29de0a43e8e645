// Window tracking: whether a segment lies where the other side allows it (tcp_in_window() of nf_conntrack_proto_tcp.c, after
// Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter"). What enters is a segment and both sides; what leaves
// is a verdict, and both sides brought up to date.
import { readU8, readU16, readU32 } from '../../net/bytes.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../../net/tcp.ts'
import { tcpOptionKind } from '../../net/tcp-options.ts'
import { after, before, plus } from './sequence.ts'
import { segmentKind, sideFlag, type TcpSide, type TcpTrack, tcpState } from './tcp-track.ts'

/** A segment as the tracker reads it. */
export interface Segment {
  readonly bytes: Uint8Array
  readonly l4: number
  readonly flags: number
  readonly kind: number
  readonly direction: 0 | 1
  readonly sequence: number
  readonly acknowledgement: number
  /** As in the header, not scaled. */
  readonly window: number
  /** Sequence number behind the segment, SYN and FIN counted. */
  readonly end: number
}

export type WindowVerdict = 'accept' | 'ignore' | 'invalid'

const largestScale = 14
/** MAXACKWINCONST. */
const acknowledgementRoom = 66_000

/** The segment whose TCP header is at `l4`; `tail` is one past its last byte. */
export function readSegment(
  bytes: Uint8Array,
  at: { readonly l4: number; readonly tail: number },
  kind: number,
  direction: 0 | 1,
): Segment {
  const { l4, tail } = at
  const flags = readU8(bytes, l4 + tcpAt.flags)
  const sequence = readU32(bytes, l4 + tcpAt.sequence)
  const counted = ((flags & tcpFlag.syn) !== 0 ? 1 : 0) + ((flags & tcpFlag.fin) !== 0 ? 1 : 0)
  const length = tail - l4 - tcpHeaderLength(bytes, l4)
  return {
    bytes,
    l4,
    flags,
    kind,
    direction,
    sequence,
    acknowledgement: readU32(bytes, l4 + tcpAt.acknowledgement),
    window: readU16(bytes, l4 + tcpAt.window),
    end: plus(sequence, length + counted),
  }
}

/** Calls `visit` for each option with a length until it answers false. */
function eachOption(segment: Segment, visit: (kind: number, at: number, length: number) => void): void {
  const { bytes, l4 } = segment
  const end = l4 + tcpHeaderLength(bytes, l4)
  for (let at = l4 + tcpAt.options; at < end; ) {
    const kind = readU8(bytes, at)
    if (kind === tcpOptionKind.end) return
    if (kind === tcpOptionKind.nop) {
      at += 1
      continue
    }
    const length = at + 1 < end ? readU8(bytes, at + 1) : 0
    if (length < 2 || at + length > end) return
    visit(kind, at, length)
    at += length
  }
}

/** tcp_options(): window scaling and SACK of a SYN. */
export function readSynOptions(segment: Segment, side: TcpSide): void {
  side.scale = 0
  side.flags &= sideFlag.liberal
  eachOption(segment, (kind, at, length) => {
    if (kind === tcpOptionKind.sackPermitted && length === 2) side.flags |= sideFlag.sackPermitted
    if (kind === tcpOptionKind.windowScale && length === 3) {
      side.scale = Math.min(readU8(segment.bytes, at + 2), largestScale)
      side.flags |= sideFlag.windowScale
    }
  })
}

/** tcp_sack(): the highest sequence number that SACK blocks acknowledge. */
function selectiveAck(segment: Segment): number {
  let highest = segment.acknowledgement
  eachOption(segment, (kind, at, length) => {
    if (kind !== tcpOptionKind.sack || length < 10 || (length - 2) % 8 !== 0) return
    for (let block = 0; block < length - 2; block += 8) {
      const right = readU32(segment.bytes, at + 2 + block + 4)
      if (after(right, highest)) highest = right
    }
  })
  return highest
}

/** tcp_init_sender(): the first segment seen of one side. */
function startSender(segment: Segment, sender: TcpSide, receiver: TcpSide, sack: number): void {
  sender.end = segment.end
  sender.maxEnd = segment.end
  sender.maxWindow = segment.window === 0 ? 1 : segment.window
  if ((segment.flags & tcpFlag.syn) !== 0) {
    readSynOptions(segment, sender)
    const bothScale = (sender.flags & receiver.flags & sideFlag.windowScale) !== 0
    if (segment.direction === 1 && !bothScale) {
      sender.scale = 0
      receiver.scale = 0
    }
    return
  }
  const window = segment.window * 2 ** sender.scale
  sender.maxWindow = window === 0 ? 1 : window
  sender.maxEnd = plus(segment.end, sender.maxWindow)
  if (receiver.maxWindow === 0) {
    receiver.end = sack
    receiver.maxEnd = sack
  } else if (sack === plus(receiver.end, 1)) {
    receiver.end = plus(receiver.end, 1)
  }
}

/** A SYN that restarts, or a SYN-ACK that may differ from the one before. */
function restart(track: TcpTrack, segment: Segment, sender: TcpSide): void {
  const { direction, end, window } = segment
  const original = track.state === tcpState.synSent && direction === 0
  const reply = track.state === tcpState.synReceived && direction === 1
  if (!(original || reply) || !after(end, sender.end)) return
  sender.end = end
  sender.maxEnd = end
  sender.maxWindow = window === 0 ? 1 : window
  readSynOptions(segment, sender)
}

/** Sequence and acknowledgement numbers as the checks use them. */
interface Numbers {
  readonly sequence: number
  readonly end: number
  readonly ack: number
  readonly sack: number
}

function numbersOf(track: TcpTrack, segment: Segment, sides: Sides): Numbers {
  const { sender, receiver } = sides
  let { sequence, end } = segment
  let ack = segment.acknowledgement
  let sack = (receiver.flags & sideFlag.sackPermitted) !== 0 ? selectiveAck(segment) : ack
  const hasAck = (segment.flags & tcpFlag.ack) !== 0
  const emptyReset = (segment.flags & tcpFlag.rst) !== 0 && hasAck && ack === 0
  if (!hasAck || emptyReset) {
    ack = receiver.end
    sack = receiver.end
  }
  const answersSyn = (segment.flags & tcpFlag.rst) !== 0 && sequence === 0
  if (answersSyn && track.state === tcpState.synSent) {
    sequence = sender.end
    end = sender.end
  }
  return { sequence, end, ack, sack }
}

interface Sides {
  readonly sender: TcpSide
  readonly receiver: TcpSide
}

/** The four bounds; `accept` when all hold. */
function inBounds({ sequence, end, sack }: Numbers, { sender, receiver }: Sides): WindowVerdict {
  const inReceiveWindow = receiver.maxWindow === 0 || after(end, plus(sender.end, -receiver.maxWindow - 1))
  const room = Math.max(sender.maxWindow, acknowledgementRoom)
  const ackInTime = after(sack, plus(receiver.end, -room - 1))
  const ackNotAhead = before(sack, plus(receiver.end, 1))
  if (!before(sequence, plus(sender.maxEnd, 1))) {
    const overshot = (end - sender.maxEnd + 1) >>> 0
    if (inReceiveWindow && ackInTime && ackNotAhead && overshot <= receiver.maxWindow) {
      sender.end = end
      sender.flags |= sideFlag.unacknowledged
    }
    return 'invalid'
  }
  if (!ackNotAhead || !inReceiveWindow) return 'invalid'
  return ackInTime ? 'accept' : 'ignore'
}

function updateSides(segment: Segment, numbers: Numbers, { sender, receiver }: Sides): void {
  const { end, ack, sack } = numbers
  const scaled = (segment.flags & tcpFlag.syn) !== 0 ? segment.window : segment.window * 2 ** sender.scale
  const reach = scaled + ((sack - ack) >>> 0)
  if (sender.maxWindow < reach) sender.maxWindow = reach
  if (after(end, sender.end)) {
    sender.end = end
    sender.flags |= sideFlag.unacknowledged
  }
  if ((segment.flags & tcpFlag.ack) !== 0) {
    if ((sender.flags & sideFlag.maxAckSet) === 0 || after(ack, sender.maxAck)) sender.maxAck = ack
    sender.flags |= sideFlag.maxAckSet
  }
  if (receiver.maxWindow !== 0 && after(end, sender.maxEnd)) {
    receiver.maxWindow += (end - sender.maxEnd) >>> 0
  }
  if (after(plus(sack, scaled), plus(receiver.maxEnd, -1))) {
    receiver.maxEnd = plus(sack, scaled + (scaled === 0 ? 1 : 0))
  }
  if (ack === receiver.end) receiver.flags &= ~sideFlag.unacknowledged
}

function countRetransmission(track: TcpTrack, segment: Segment, { sequence, end, ack }: Numbers): void {
  if (segment.kind !== segmentKind.ack) return
  const again =
    track.lastDirection === segment.direction &&
    track.lastSequence === sequence &&
    track.lastAck === ack &&
    track.lastEnd === end &&
    track.lastWindow === segment.window
  if (again) {
    track.retransmissions += 1
    return
  }
  track.lastDirection = segment.direction
  track.lastSequence = sequence
  track.lastAck = ack
  track.lastEnd = end
  track.lastWindow = segment.window
  track.retransmissions = 0
}

/** tcp_in_window(). `liberal` is nf_conntrack_tcp_be_liberal. */
export function inWindow(
  track: TcpTrack,
  segment: Segment,
  options: { readonly liberal: boolean },
): WindowVerdict {
  const sender = track.sides[segment.direction]
  const receiver = track.sides[segment.direction === 0 ? 1 : 0]
  const sides = { sender, receiver }
  const isSyn = (segment.flags & tcpFlag.syn) !== 0
  const simultaneous = isSyn && (segment.flags & tcpFlag.ack) === 0 && segment.direction === 1
  const again = isSyn && segment.direction === 1 && track.state === tcpState.synSent
  if (sender.maxWindow === 0 || again) {
    startSender(segment, sender, receiver, numbersOf(track, segment, sides).sack)
    if (simultaneous) return 'accept'
  } else {
    restart(track, segment, sender)
  }
  const numbers = numbersOf(track, segment, sides)
  const verdict = inBounds(numbers, sides)
  if (verdict !== 'accept') {
    return options.liberal || (sender.flags & sideFlag.liberal) !== 0 ? 'accept' : verdict
  }
  updateSides(segment, numbers, sides)
  countRetransmission(track, segment, numbers)
  return 'accept'
}

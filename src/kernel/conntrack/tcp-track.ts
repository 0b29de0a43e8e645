// What conntrack keeps of a TCP connection, and its state table (net/netfilter/nf_conntrack_proto_tcp.c). Before changing
// this file, read that file's comments on "ignored" packets, and RFC 9293 figure 5.
import { readU8 } from '../../net/bytes.ts'
import { tcpAt, tcpFlag } from '../../net/tcp.ts'

/** enum tcp_conntrack; `ignore` and `invalid` are answers of the table, not states. */
export const tcpState = {
  none: 0,
  synSent: 1,
  synReceived: 2,
  established: 3,
  finWait: 4,
  closeWait: 5,
  lastAck: 6,
  timeWait: 7,
  close: 8,
  synSent2: 9,
  ignore: 10,
  invalid: 11,
} as const

/** Names as `conntrack -L` prints them, by state. */
export const tcpStateNames = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
] as const

/** Kinds of segments, as the table is indexed. */
export const segmentKind = { syn: 0, synAck: 1, fin: 2, ack: 3, rst: 4, none: 5 } as const

/** Flags of one side (IP_CT_TCP_FLAG_*). */
export const sideFlag = {
  windowScale: 1,
  sackPermitted: 2,
  closeInit: 4,
  liberal: 8,
  unacknowledged: 16,
  maxAckSet: 32,
} as const

/** Flags of the last ignored segment. */
export const lastFlag = {
  windowScale: 1,
  sackPermitted: 2,
  challengeAck: 0x40,
  simultaneousOpen: 0x80,
} as const

/** One side's window (struct ip_ct_tcp_state); sequence numbers are unsigned 32-bit. */
export interface TcpSide {
  end: number
  maxEnd: number
  maxWindow: number
  maxAck: number
  scale: number
  flags: number
}

/** struct ip_ct_tcp. */
export interface TcpTrack {
  state: number
  readonly sides: readonly [TcpSide, TcpSide]
  lastKind: number
  lastDirection: number
  retransmissions: number
  lastSequence: number
  lastAck: number
  lastEnd: number
  lastWindow: number
  lastScale: number
  lastFlags: number
}

function emptySide(): TcpSide {
  return { end: 0, maxEnd: 0, maxWindow: 0, maxAck: 0, scale: 0, flags: 0 }
}

/** A connection of which nothing is known. */
export function emptyTrack(): TcpTrack {
  return {
    state: tcpState.none,
    sides: [emptySide(), emptySide()],
    lastKind: segmentKind.none,
    lastDirection: 0,
    retransmissions: 0,
    lastSequence: 0,
    lastAck: 0,
    lastEnd: 0,
    lastWindow: 0,
    lastScale: 0,
    lastFlags: 0,
  }
}

// Columns: NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2;
// letters: s r e f c l t x 2 are those states, `-` is ignored, `!` is invalid.
const letters = '.srefcltx2-!'
const tables: readonly (readonly string[])[] = [
  [
    'ss-----ss2', // SYN
    '!!r!!!!!!r', // SYN+ACK
    '!!ffllltx!', // FIN
    'e!eeccttx!', // ACK
    '!xxxxxxxxx', // RST
    '!!!!!!!!!!', // nothing
  ],
  [
    '!2!!!!!s!2', // SYN
    '!r-------r', // SYN+ACK
    '!!ffllltx!', // FIN
    '!-reccttx-', // ACK
    '!xxxxxxxxx', // RST
    '!!!!!!!!!!', // nothing
  ],
]

const numbers: readonly (readonly Uint8Array[])[] = tables.map((rows) =>
  rows.map((row) => Uint8Array.from(row, (letter) => letters.indexOf(letter))),
)

/** The next state of a flow, or `ignore`, or `invalid`. */
export function nextTcpState(direction: 0 | 1, kind: number, state: number): number {
  return numbers[direction]?.[kind]?.[state] ?? tcpState.invalid
}

/** get_conntrack_index(). */
export function kindOf(flags: number): number {
  if ((flags & tcpFlag.rst) !== 0) return segmentKind.rst
  if ((flags & tcpFlag.syn) !== 0) return (flags & tcpFlag.ack) !== 0 ? segmentKind.synAck : segmentKind.syn
  if ((flags & tcpFlag.fin) !== 0) return segmentKind.fin
  return (flags & tcpFlag.ack) !== 0 ? segmentKind.ack : segmentKind.none
}

const { syn, ack, rst, fin, urg } = tcpFlag
const validFlags: ReadonlySet<number> = new Set([
  syn,
  syn | urg,
  syn | ack,
  rst,
  rst | ack,
  fin | ack,
  fin | ack | urg,
  ack,
  ack | urg,
])

/** Whether the flags of a header at `l4` may stand together (tcp_valid_flags; PSH, ECE and CWR do not matter). */
export function flagsAreValid(bytes: Uint8Array, l4: number): boolean {
  return validFlags.has(readU8(bytes, l4 + tcpAt.flags) & (syn | ack | rst | fin | urg))
}

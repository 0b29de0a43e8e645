// What conntrack keeps of an SCTP association, and its state table (net/netfilter/nf_conntrack_proto_sctp.c). The names of
// the states are close to those of an end of an association, but they are states of the flow: read the comment there first.
import { sctpChunkType } from '../../net/sctp.ts'

/** Names as `conntrack -L` prints them, by state (enum sctp_conntrack). */
export const sctpStateNames = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
  'HEARTBEAT_SENT',
] as const

/** enum sctp_conntrack; `invalid` is an answer of the table, no state. */
export const sctpState = { none: 0, closed: 1, established: 4, invalid: 9 } as const

/** struct ip_ct_sctp; lists of two are indexed by direction. */
export interface SctpTrack {
  state: number
  /** Verification tags that packets of each direction must carry; 0: not known yet. */
  readonly vtag: [number, number]
  /** Whether an INIT of each direction waits for its answer. */
  readonly init: [boolean, boolean]
  /** A HEARTBEAT with a wrong tag has been seen (SCTP_FLAG_HEARTBEAT_VTAG_FAILED), in this direction; -1 for none. */
  heartbeatFailed: number
}

/** What is known of an association before its first packet. */
export function newSctpTrack(): SctpTrack {
  return { state: sctpState.none, vtag: [0, 0], init: [false, false], heartbeatFailed: -1 }
}

const c = sctpChunkType
/** Rows of the table. */
const rowOf: ReadonlyMap<number, number> = new Map(
  [
    c.init,
    c.initAck,
    c.abort,
    c.shutdown,
    c.shutdownAck,
    c.error,
    c.cookieEcho,
    c.cookieAck,
    c.shutdownComplete,
    c.heartbeat,
    c.heartbeatAck,
  ].map((type, row) => [type, row]),
)

/** sctp_conntracks: [direction][row][state]; one digit for each state that is left, 9 is invalid. */
const table: readonly (readonly string[])[] = [
  [
    '112341172', // init
    '112345671', // init_ack
    '111111111', // abort
    '112355671', // shutdown
    '712347777', // shutdown_ack
    '112345671', // error
    '113345671', // cookie_echo
    '112445671', // cookie_ack
    '112345611', // shutdown_complete
    '812345678', // heartbeat
    '112345678', // heartbeat_ack
  ],
  [
    '912345679', // init
    '922345679', // init_ack
    '911111119', // abort
    '912365679', // shutdown
    '912347779', // shutdown_ack
    '912145679', // error
    '913345679', // cookie_echo
    '912445679', // cookie_ack
    '912345619', // shutdown_complete
    '912345678', // heartbeat
    '912345674', // heartbeat_ack
  ],
]

/** sctp_new_state(): other chunks, like DATA and SACK, change nothing. */
export function nextSctpState(direction: 0 | 1, state: number, chunk: number): number {
  const row = rowOf.get(chunk)
  return row === undefined ? state : Number(table[direction]?.[row]?.[state])
}

// struct tcp_sock: one connection or listener. RFC 9293 section 3.3.1 names the variables; where Linux has another name it
// stands behind. The functions that change them are in the other tcp-*.ts files.
import { ipProtocol } from '../../net/protocol.ts'
import { millisecond, type Nanoseconds, second, type Timer } from '../clock.ts'
import type { Route } from '../ip/route.ts'
import type { Skb } from '../skb.ts'
import { Base, type BaseSocket, type OpenOptions } from './base.ts'
import type { Socket } from './socket.ts'

/** A piece of the stream that was sent or waits to be: at most one segment. */
export interface SendPiece {
  readonly sequence: number
  data: Uint8Array
  /** A FIN behind the data. */
  fin: boolean
  push: boolean
  /** When it was last sent, -1: never. */
  sentAt: Nanoseconds
  retries: number
  sacked: boolean
  /** Known to be lost, and not sent again yet (TCPCB_LOST). */
  lost: boolean
  /** It left, or would leave, in one packet with the piece before it: both are of one sk_buff. */
  joined: boolean
  name: string
  /** The packet that it answers or passes on; '' for none. */
  readonly cause: string
}

/** Received bytes that wait for those before them. */
export interface EarlyPiece {
  readonly sequence: number
  readonly data: Uint8Array
  readonly fin: boolean
}

/** Times the kernel is built with (include/net/tcp.h). */
export const tcpTime = {
  /** TCP_TIMEOUT_INIT */
  initial: second,
  /** TCP_RTO_MIN */
  rtoMin: 200 * millisecond,
  /** TCP_RTO_MAX */
  rtoMax: 120 * second,
  /** TCP_ATO_MIN, TCP_DELACK_MIN */
  delayedAck: 40 * millisecond,
  /** TCP_RESOURCE_PROBE_INTERVAL: after a packet was dropped on this host */
  localDrop: second / 2,
  /** TCP_TIMEOUT_MIN: least distance of a tail loss probe */
  probeMin: 8 * millisecond,
  /** TCP_TIMEWAIT_LEN */
  timeWait: 60 * second,
} as const

export interface TcpSocket extends BaseSocket {
  readonly protocol: 6
  /** Names of its packets: `data` from those who called connect, `rdata` from those who were called. */
  readonly role: 'client' | 'server'
  /** When it began; timers count from here. */
  born: Nanoseconds
  // --- send sequence space
  iss: number
  sndUna: number
  sndNxt: number
  sndWnd: number
  sndWl1: number
  sndWl2: number
  /** Sequence number behind everything written so far (write_seq). */
  writeSeq: number
  readonly pieces: SendPiece[]
  /** End of the last small segment sent, for Nagle (snd_sml). */
  sndSmall: number
  piecesNamed: number
  // --- receive sequence space
  irs: number
  rcvNxt: number
  rcvWup: number
  rcvWnd: number
  readonly early: EarlyPiece[]
  readonly received: Uint8Array[]
  receivedBytes: number
  /** The packet that brought the newest bytes, where packets are recorded. */
  newest: Skb | undefined
  // --- what both sides agreed on
  peerMss: number
  sndScale: number
  rcvScale: number
  rcvSpace: number
  rcvThreshold: number
  timestamps: boolean
  tsRecent: number
  sack: boolean
  // --- congestion and retransmission
  cwnd: number
  ssthresh: number
  dupAcks: number
  rto: Nanoseconds
  /** Smoothed round trip, -1 before the first sample. */
  srtt: Nanoseconds
  rttvar: Nanoseconds
  /** The shortest round trip seen (tcp_min_rtt). */
  minRtt: Nanoseconds
  retransmits: number
  /** How often the timer of a half-open connection fired (num_timeout): an answer to a repeated SYN does not count. */
  timeouts: number
  /** A tail loss probe is out (tlp_high_seq). */
  probing: boolean
  retransmitTimer: Timer | undefined
  retransmitKind: 'rto' | 'probe'
  /** tcp_wstamp_ns: when the last segment was to leave; segments of a paced connection leave one after the other. */
  departure: Nanoseconds
  /** Runs while the connection paces itself (pacing_timer). */
  pacingTimer: Timer | undefined
  /** Segments with data sent so far (data_segs_out). */
  dataSegments: number
  // --- acknowledgements
  ackScheduled: boolean
  quickAcks: number
  pingpong: number
  ato: Nanoseconds
  lastReceive: Nanoseconds
  rcvMss: number
  ackTimer: Timer | undefined
  /** When a program last wrote: what its segments cause at this very time finds the socket locked by send(2). */
  written: Nanoseconds
  /** TCP_MTU_REDUCED_DEFERRED: the smallest MTU heard of while the socket was locked, 0 for none. */
  mtuHeard: number
  /** When a segment out of the window was last answered (last_oow_ack_time); -1 for never. */
  lastOutOfWindow: Nanoseconds
  /** Bytes that came twice, until a segment has told the peer (duplicate_sack). */
  duplicate: { readonly start: number; readonly end: number } | undefined
  // --- life
  /** FIN is in `pieces` or was sent. */
  finQueued: boolean
  /** The peer's FIN was taken: no more bytes will come. */
  peerClosed: boolean
  /** SHUTDOWN_MASK: the connection there was is over (tcp_done). */
  shut: boolean
  /** sk_backlog: what came while a system call held the lock of the socket; undefined while nobody holds it. */
  waiting: (() => void)[] | undefined
  /** Nobody holds it any more (SOCK_DEAD). */
  orphan: boolean
  /** Ends TIME_WAIT, FIN_WAIT2 of an orphan, or a half-open request. */
  lifeTimer: Timer | undefined
  identification: number
  /** A 32-bit hash of its two ends. */
  flow: number
  route: Route | undefined
  routeGeneration: number
  /** The listener that this one came from, until it is accepted. */
  listener: TcpSocket | undefined
  /** Listener: connections ready for accept, oldest first, and how many may wait. */
  readonly acceptQueue: TcpSocket[]
  backlog: number
}

/** A class for its one hidden class: sixty fields copied into an object are slow to make and slow to read. */
class Tcp extends Base implements TcpSocket {
  declare readonly protocol: 6
  readonly role: 'client' | 'server'
  born: Nanoseconds
  iss = 0
  sndUna = 0
  sndNxt = 0
  sndWnd = 0
  sndWl1 = 0
  sndWl2 = 0
  writeSeq = 0
  readonly pieces: SendPiece[] = []
  sndSmall = 0
  piecesNamed = 0
  irs = 0
  rcvNxt = 0
  rcvWup = 0
  rcvWnd = 0
  readonly early: EarlyPiece[] = []
  readonly received: Uint8Array[] = []
  receivedBytes = 0
  newest: Skb | undefined = undefined
  peerMss = 536
  sndScale = 0
  rcvScale = 0
  rcvSpace = 0
  rcvThreshold = 0
  timestamps = false
  tsRecent = 0
  sack = false
  cwnd = 10
  ssthresh = Number.MAX_SAFE_INTEGER
  dupAcks = 0
  rto: Nanoseconds = tcpTime.initial
  srtt: Nanoseconds = -1
  rttvar: Nanoseconds = 0
  minRtt: Nanoseconds = Number.POSITIVE_INFINITY
  retransmits = 0
  timeouts = 0
  probing = false
  retransmitTimer: Timer | undefined = undefined
  retransmitKind: 'rto' | 'probe' = 'rto'
  departure = 0
  pacingTimer: Timer | undefined = undefined
  dataSegments = 0
  ackScheduled = false
  written = -1
  mtuHeard = 0
  quickAcks = 0
  pingpong = 0
  ato: Nanoseconds = 0
  lastReceive: Nanoseconds = Number.NEGATIVE_INFINITY
  rcvMss = 536
  ackTimer: Timer | undefined = undefined
  lastOutOfWindow: Nanoseconds = -1
  duplicate: TcpSocket['duplicate'] = undefined
  finQueued = false
  peerClosed = false
  shut = false
  waiting: (() => void)[] | undefined = undefined
  orphan = false
  lifeTimer: Timer | undefined = undefined
  identification = 0
  flow = 0
  route: Route | undefined = undefined
  routeGeneration = -1
  listener: TcpSocket | undefined = undefined
  readonly acceptQueue: TcpSocket[] = []
  backlog = 128

  constructor(open: OpenOptions, role: 'client' | 'server') {
    super(open, ipProtocol.tcp)
    this.role = role
    this.born = open.ns.machine.clock.now
  }
}

/** A new socket in CLOSE. */
export function createTcp(open: OpenOptions, role: 'client' | 'server'): TcpSocket {
  return new Tcp(open, role)
}

/** Whether a socket in a TCP table is one of these: they all are. */
export function asTcp(socket: Socket): TcpSocket {
  return socket as TcpSocket
}

// One segment of a connection leaves: tcp_output.c __tcp_transmit_skb(), tcp_select_window(), tcp_send_ack(). Retransmission
// and pacing are decided elsewhere; here a segment gets its window, its options, a route and a name.
import { isIpv4 } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { tcpFlag } from '../../net/tcp.ts'
import { cancel, monotonic, second } from '../clock.ts'
import { count } from '../counters.ts'
import { transmitCongested, transmitted } from '../device/device.ts'
import { markLarge } from '../gso.ts'
import type { Route } from '../ip/route.ts'
import { familyState } from '../ip/state.ts'
import type { Skb } from '../skb.ts'
import { familyOf } from './base.ts'
import { bornAs, buildPacket, localOut, routeFor } from './departure.ts'
import { hopsFor } from './names.ts'
import { dataOptions, synOptions, type Timestamps, writeSegment } from './tcp-segment.ts'
import { seqAdd, seqAfter, seqBefore, seqDiff, timestampNow } from './tcp-sequence.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { offeredMss, segmentSize } from './tcp-window.ts'

/** What to send. */
export interface Transmission {
  readonly sequence: number
  readonly flags: number
  readonly data: Uint8Array
  readonly name: string
  /** The name of the packet that it answers or passes on. */
  readonly cause?: string
  /** Sent before: not counted as an out-going segment, but as a retransmitted one. */
  readonly again?: boolean
  /** Several segments at once: the length of each, and their names. */
  readonly large?: { readonly size: number; readonly names: readonly string[] }
}

export const noData = new Uint8Array(0)

/** The connection's route, looked up again when tables changed; undefined when there is none any more (EHOSTUNREACH). */
export function currentRoute(socket: TcpSocket): Route | undefined {
  const state = familyState(socket.ns, familyOf(socket.remoteAddress))
  const fresh = socket.routeGeneration === state.generation && state.exceptions.size === 0
  if (socket.route !== undefined && fresh) return socket.route
  const answer = routeFor(socket.ns, {
    destination: socket.remoteAddress,
    source: socket.localAddress,
    protocol: ipProtocol.tcp,
    sport: socket.localPort,
    dport: socket.remotePort,
    oif: socket.options.device,
    mark: socket.options.mark,
    tos: socket.options.tos,
    anySource: socket.transparent,
  })
  socket.route = answer.kind === 'route' ? answer.route : undefined
  socket.routeGeneration = state.generation
  return socket.route
}

/** tcp_mss_clamp() of what the route allows: the MSS that this side offers. */
export function ownMss({ options }: TcpSocket, route: Route): number {
  const offered = offeredMss(route)
  return options.maxSegment === 0 ? offered : Math.min(offered, options.maxSegment)
}

/** Payload bytes that fit into one segment now (tcp_current_mss). */
export function currentMss(socket: TcpSocket): number {
  const route = currentRoute(socket)
  if (route === undefined) return socket.peerMss
  return segmentSize(route, socket.peerMss, socket.timestamps ? 12 : 0)
}

/** Bytes of the window told last that the peer has not used (tcp_receive_window). */
export function receiveWindow(socket: TcpSocket): number {
  return Math.max(0, seqDiff(socket.rcvWup, socket.rcvNxt) + socket.rcvWnd)
}

/** tcp_select_window(): never takes back what was told (RFC 9293 section 3.8.6), rounds up to what the scale can say. */
function selectWindow(socket: TcpSocket): number {
  const current = receiveWindow(socket)
  let waiting = socket.receivedBytes
  for (const piece of socket.early) waiting += piece.data.length
  const free = Math.max(0, Math.min(socket.rcvThreshold, socket.rcvSpace - waiting))
  const unit = 1 << socket.rcvScale
  const wanted = Math.max(free, current)
  socket.rcvWnd = Math.ceil(wanted / unit) * unit
  socket.rcvWup = socket.rcvNxt
  return Math.min(0xffff, socket.rcvWnd >> socket.rcvScale)
}

/** The timestamps of the next segment, where they were agreed on. */
export function timestampsOf(socket: TcpSocket): Timestamps | undefined {
  if (!socket.timestamps) return undefined
  return { value: timestampNow(socket.ns.machine, socket.flow), echo: socket.tsRecent }
}

const noBlocks: readonly { readonly start: number; readonly end: number }[] = []

/** What arrived early, as SACK blocks; joined where they touch, the newest first is not kept: by sequence. */
function sackBlocks(socket: TcpSocket): readonly { readonly start: number; readonly end: number }[] {
  if (!socket.sack || socket.early.length === 0) return noBlocks
  const blocks: { start: number; end: number }[] = []
  for (const piece of socket.early) {
    const last = blocks.at(-1)
    const end = seqAdd(piece.sequence, piece.data.length + (piece.fin ? 1 : 0))
    if (last !== undefined && !seqAfter(piece.sequence, last.end)) {
      if (seqAfter(end, last.end)) last.end = end
    } else blocks.push({ start: piece.sequence, end })
  }
  return blocks
}

/** tcp_established_options(): what came twice stands first. */
function blocksToTell(socket: TcpSocket): readonly { readonly start: number; readonly end: number }[] {
  const { duplicate } = socket
  if (duplicate === undefined) return sackBlocks(socket)
  socket.duplicate = undefined
  return [duplicate, ...sackBlocks(socket)]
}

function optionsFor(socket: TcpSocket, flags: number, route: Route): Uint8Array {
  if ((flags & tcpFlag.syn) === 0) return dataOptions(timestampsOf(socket), blocksToTell(socket))
  return synOptions({
    mss: ownMss(socket, route),
    sack: socket.sack,
    timestamps: timestampsOf(socket),
    scale: socket.rcvScale === 0 ? undefined : socket.rcvScale,
  })
}

/** An acknowledgement has left: nothing is owed any more (tcp_event_ack_sent). */
function acknowledged(socket: TcpSocket, flags: number): void {
  if ((flags & tcpFlag.ack) === 0) return
  if (socket.quickAcks > 0) socket.quickAcks -= 1
  socket.ackScheduled = false
  cancel(socket.ackTimer)
  socket.ackTimer = undefined
}

/** tcp_event_data_sent(): an answer soon after data makes the connection a conversation, whose ACKs may wait. */
function dataSent(socket: TcpSocket): void {
  const { now } = socket.ns.machine.clock
  if (now - socket.lastReceive < socket.ato) socket.pingpong = Math.min(255, socket.pingpong + 1)
}

function segmentsOf({ large }: Transmission): number {
  return large?.names.length ?? 1
}

function countSegment(socket: TcpSocket, what: Transmission): void {
  for (let sent = 0; sent < segmentsOf(what); sent += 1)
    count(socket.ns, what.again === true ? 'TcpRetransSegs' : 'TcpOutSegs')
  if (what.data.length > 0) dataSent(socket)
}

/** Identification: SYN-ACKs carry 0 with DF, everything else counts up from the connection's start. */
function nextIdentification(socket: TcpSocket, flags: number, segments: number): number {
  if ((flags & tcpFlag.syn) !== 0 && (flags & tcpFlag.ack) !== 0) return 0
  const value = socket.identification
  socket.identification = (value + segments) & 0xffff
  return value
}

/** SKB_CLOCK_MONOTONIC */
const clockMonotonic = 1

/** skb_set_delivery_time(): every segment has its time, which is now unless the connection is paced. */
function stamp(socket: TcpSocket, skb: Skb): number {
  const before = socket.departure
  socket.departure = Math.max(before, socket.ns.machine.clock.now)
  skb.tstamp = monotonic(socket.departure)
  skb.tstampType = clockMonotonic
  return before
}

/** The first ten segments of a connection are not paced. */
const unpacedSegments = 10

/** tcp_update_skb_after_send(): the next segment leaves when this one is through at the connection's rate. */
function advanceDeparture(socket: TcpSocket, what: Transmission, before: number): void {
  socket.dataSegments += segmentsOf(what)
  if (socket.pacing === 'none' || socket.dataSegments < unpacedSegments) return
  const rate = pacingRate(socket)
  if (rate === Number.POSITIVE_INFINITY) return
  const length = Math.floor((what.data.length * second) / rate)
  socket.departure += length - Math.min(Math.floor(length / 2), socket.departure - before)
}

/**
 * tcp_update_pacing_rate() in bytes a second: twice the window a round trip in slow start, 1.2 times later, at most
 * SO_MAX_PACING_RATE. `Infinity` while the round trip takes no time.
 */
export function pacingRate(socket: TcpSocket): number {
  const most = socket.options.maxPacingRate
  if (socket.srtt <= 0) return most
  const gain = socket.cwnd < socket.ssthresh / 2 ? 2 : 1.2
  return Math.min(most, (currentMss(socket) * socket.cwnd * gain * second) / socket.srtt)
}

/**
 * Sends one segment. Answers what `localOut` does: 0, a positive NET_XMIT_* after a drop on this host, a negative errno
 * number (-1 EPERM, -113 without a route).
 */
export function transmit(socket: TcpSocket, what: Transmission): number {
  const route = currentRoute(socket)
  if (route === undefined) {
    // IPv6 has counted it while it looked
    if (isIpv4(socket.remoteAddress)) count(socket.ns, 'IpOutNoRoutes')
    return -113
  }
  const { flags } = what
  const syn = (flags & tcpFlag.syn) !== 0
  const window = syn ? Math.min(0xffff, socket.rcvWnd) : selectWindow(socket)
  const segment = writeSegment({
    sport: socket.localPort,
    dport: socket.remotePort,
    sequence: what.sequence,
    acknowledgement: (flags & tcpFlag.ack) === 0 ? 0 : socket.rcvNxt,
    flags,
    window,
    options: optionsFor(socket, flags, route),
    data: what.data,
  })
  const skb = buildPacket({
    socket,
    route,
    source: socket.localAddress,
    destination: socket.remoteAddress,
    protocol: ipProtocol.tcp,
    ttl: hopsFor(socket.ns, route, { destination: socket.remoteAddress, asked: socket.options.ttl }),
    tos: socket.options.tos,
    mark: socket.options.mark,
    dontFragment: isIpv4(socket.remoteAddress) && socket.options.mtuDiscover !== 'dont',
    identification: nextIdentification(socket, flags, segmentsOf(what)),
    segment,
    checksum: 'unfinished',
  })
  acknowledged(socket, flags)
  countSegment(socket, what)
  const end = seqAdd(what.sequence, what.data.length + (syn || (flags & tcpFlag.fin) !== 0 ? 1 : 0))
  if (seqBefore(socket.sndNxt, end)) socket.sndNxt = end
  if (what.large !== undefined) {
    markLarge(skb, what.large.size, what.large.names.length)
    if (socket.ns.machine.trace !== undefined)
      skb.segmentNames = what.large.names.map((name) => `${socket.label}.${name}`)
  }
  bornAs(skb, socket.label, what.name, what.cause)
  const before = stamp(socket, skb)
  // net_xmit_eval(): a notification of congestion is no loss
  const answer = localOut(socket.ns, skb)
  const sent = answer === transmitCongested ? transmitted : answer
  if (sent === 0 && what.data.length > 0) advanceDeparture(socket, what, before)
  return sent
}

/** tcp_send_ack(): an empty segment that says how far we are. */
export function sendAck(socket: TcpSocket): void {
  transmit(socket, { sequence: socket.sndNxt, flags: tcpFlag.ack, data: noData, name: 'ack' })
}

/** tcp_send_active_reset(): the connection ends here, whatever the peer thinks. */
export function sendActiveReset(socket: TcpSocket): void {
  count(socket.ns, 'TcpOutRsts')
  const flags = tcpFlag.rst | tcpFlag.ack
  transmit(socket, { sequence: socket.sndNxt, flags, data: noData, name: 'rst' })
}

const noCause: { readonly cause?: string } = {}

/** The packet that made a socket write, where there is one. */
export function causeOf({ cause }: { readonly cause: string }): { readonly cause?: string } {
  return cause === '' ? noCause : { cause }
}

// Putting IPv6 fragments together, for the receiver (net/ipv6/reassembly.c) and for conntrack
// (net/ipv6/netfilter/nf_conntrack_reasm.c), whose queues do not mix. Sixty seconds are the limit. What leaves is the whole
// packet without its fragment header; what a piece that does not fit means is the business of who asked.
import { type Ipv6, readIpv6, sameIp } from '../../net/address.ts'
import { readU8, readU16, readU32, writeU8, writeU16 } from '../../net/bytes.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { cancel, second } from '../clock.ts'
import { count } from '../counters.ts'
import { drop, endPacket } from '../drop.ts'
import { type Fragment, type FragmentQueue, keepMac } from '../ip/fragment-queue.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { icmp6Send } from './icmp-send.ts'

const timeout = 60 * second
const headroom = 128
const lengthMax = 65_535
const fragmentHeader = 8

interface Piece {
  readonly source: Ipv6
  readonly destination: Ipv6
  readonly identification: number
  readonly offset: number
  readonly end: number
  readonly last: boolean
}

function pieceOf(skb: Skb, at: number): Piece {
  const { bytes, networkHeader: l3 } = skb
  const word = readU16(bytes, at + 2)
  const offset = word & 0xfff8
  return {
    source: readIpv6(bytes, l3 + ipv6At.source),
    destination: readIpv6(bytes, l3 + ipv6At.destination),
    identification: readU32(bytes, at + 4),
    offset,
    end: offset + skb.tail - at - fragmentHeader,
    last: (word & 1) === 0,
  }
}

/** Ends a fragment on the device it came by. */
export function dropPiece6(skb: Skb, reason: KernelDropReason): void {
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
}

function forget(ns: Namespace, queue: FragmentQueue): void {
  cancel(queue.timer)
  const { fragments } = ns.ip.v6
  const rest = (fragments.get(queue.identification) ?? []).filter((other) => other !== queue)
  if (rest.length === 0) fragments.delete(queue.identification)
  else fragments.set(queue.identification, rest)
}

/** ip6frag_expire_frag_queue(): the sender learns of it when the first piece is here. */
function expire(ns: Namespace, queue: FragmentQueue): void {
  forget(ns, queue)
  count(ns, 'Ip6ReasmTimeout')
  count(ns, 'Ip6ReasmFails')
  const first = queue.pieces[0]
  if (first?.offset === 0) icmp6Send(first.skb, { type: icmpv6Type.timeExceeded, code: 1, info: 0 })
  for (const { skb } of queue.pieces) dropPiece6(skb, 'SKB_DROP_REASON_FRAG_REASM_TIMEOUT')
}

function queueOf(ns: Namespace, skb: Skb, piece: Piece, user: number): FragmentQueue {
  const { fragments } = ns.ip.v6
  const list = fragments.get(piece.identification) ?? []
  fragments.set(piece.identification, list)
  const found = list.find(
    (queue) =>
      queue.user === user &&
      sameIp(queue.source, piece.source) &&
      sameIp(queue.destination, piece.destination),
  )
  if (found !== undefined) return found
  const queue: FragmentQueue = {
    family: 6,
    source: piece.source,
    destination: piece.destination,
    identification: piece.identification,
    protocol: 0,
    user,
    pieces: [],
    received: 0,
    length: -1,
    largest: 0,
    largestDontFragment: 0,
    device: skb.dev,
    timer: ns.machine.clock.after(timeout, () => expire(ns, queue)),
  }
  list.push(queue)
  return queue
}

/**
 * What became of a piece: it waits, it was the last one missing, or it does not fit. `tooFar`: beyond 65,535 bytes;
 * `uneven`: no multiple of eight though more follow; `contradiction`: behind the end, another end, or empty; `duplicate`:
 * there already; `overlap`: with others.
 */
export type Placing6 =
  | { readonly kind: 'waits' | 'tooFar' | 'uneven' | 'contradiction' | 'duplicate' | 'overlap' }
  | { readonly kind: 'complete'; readonly whole: Skb }

type Misfit = Exclude<Placing6['kind'], 'waits' | 'complete'>

/** ip6_frag_queue() and nf_ct_frag6_queue(): the checks in their order. */
function misfit(queue: FragmentQueue, piece: Piece): Misfit | undefined {
  const { offset, end, last } = piece
  if (end > lengthMax) return 'tooFar'
  const furthest = queue.pieces.at(-1)?.end ?? 0
  if (last && (end < furthest || (queue.length >= 0 && end !== queue.length))) return 'contradiction'
  if (!last && (end & 7) !== 0) return 'uneven'
  if ((queue.length >= 0 && end > queue.length) || end === offset) return 'contradiction'
  for (const other of queue.pieces) {
    if (end <= other.offset || offset >= other.end) continue
    return offset >= other.offset && end <= other.end ? 'duplicate' : 'overlap'
  }
  return undefined
}

function insert(queue: FragmentQueue, fragment: Fragment): void {
  const at = queue.pieces.findIndex((other) => other.offset > fragment.offset)
  if (at === -1) queue.pieces.push(fragment)
  else queue.pieces.splice(at, 0, fragment)
  queue.received += fragment.end - fragment.offset
  queue.largest = Math.max(queue.largest, fragment.skb.tail - fragment.skb.networkHeader)
}

/** Offset in a packet of the byte that announces its fragment header, counted from the IPv6 header. */
function announcement(skb: Skb, at: number): number {
  const { bytes, networkHeader: l3 } = skb
  let nextAt = l3 + ipv6At.nextHeader
  let offset = l3 + ipv6At.payload
  while (offset < at) {
    nextAt = offset
    offset += (readU8(bytes, offset + 1) + 1) << 3
  }
  return nextAt - l3
}

/** The first piece's headers without the fragment header, and everybody's payload. `starts` are the headers' offsets. */
function join(queue: FragmentQueue, arrival: Skb, starts: ReadonlyMap<Skb, number>): Skb | undefined {
  const first = queue.pieces[0]
  const at = first === undefined ? undefined : starts.get(first.skb)
  if (first === undefined || at === undefined) return undefined
  const { skb } = first
  const header = at - skb.networkHeader
  const bytes = new Uint8Array(headroom + header + queue.length)
  bytes.set(skb.bytes.subarray(skb.networkHeader, at), headroom)
  writeU8(bytes, headroom + announcement(skb, at), readU8(skb.bytes, at))
  writeU16(bytes, headroom + ipv6At.payloadLength, header - ipv6At.payload + queue.length)
  for (const piece of queue.pieces) {
    const from = (starts.get(piece.skb) ?? 0) + fragmentHeader
    const part = piece.skb.bytes.subarray(from, from + piece.end - piece.offset)
    bytes.set(part, headroom + header + piece.offset)
  }
  const whole = arrival.clone()
  whole.bytes = bytes
  whole.networkHeader = headroom
  whole.data = headroom + header
  whole.tail = bytes.length
  whole.macHeader = keepMac(skb, bytes, headroom)
  whole.mark = skb.mark
  whole.fragmentMax = queue.largest
  whole.fragmentSizes = queue.pieces.map((piece) => piece.end - piece.offset)
  // what follows is compared with the whole packet, not with its last piece
  if (whole.record !== undefined) whole.seen = whole.snapshot()
  return whole
}

/** Where the fragment header of a waiting packet stands. */
const headerOffsets = new WeakMap<FragmentQueue, Map<Skb, number>>()

/** inet_frag_kill(): the datagram is given up, its pieces with it. */
export function abandon6(ns: Namespace, skb: Skb, at: number, user: number): void {
  const queue = queueOf(ns, skb, pieceOf(skb, at), user)
  forget(ns, queue)
  for (const { skb: other } of queue.pieces) dropPiece6(other, 'SKB_DROP_REASON_NOT_SPECIFIED')
}

/**
 * Takes a fragment whose fragment header is at `at`. The whole packet has its `data` at the header behind the removed
 * one. A piece that does not fit stays the caller's, and so does its queue.
 */
export function placePiece6(ns: Namespace, skb: Skb, at: number, user: number): Placing6 {
  const piece = pieceOf(skb, at)
  const queue = queueOf(ns, skb, piece, user)
  const wrong = misfit(queue, piece)
  if (wrong !== undefined) return { kind: wrong }
  if (piece.last) queue.length = piece.end
  insert(queue, { offset: piece.offset, end: piece.end, skb })
  const starts = headerOffsets.get(queue) ?? new Map<Skb, number>()
  headerOffsets.set(queue, starts)
  starts.set(skb, at)
  if (queue.received !== queue.length) return { kind: 'waits' }
  forget(ns, queue)
  const whole = join(queue, skb, starts)
  if (whole === undefined) return { kind: 'waits' }
  for (const other of queue.pieces) {
    if (other.skb === skb || other.skb.record === whole.record) continue
    endPacket(other.skb, { device: other.skb.dev.name, stage: 'rx', kind: 'consumed' })
  }
  return { kind: 'complete', whole }
}

// Putting fragments together: net/ipv4/ip_fragment.c ip_defrag(). Overlaps end the whole datagram, copies of a piece that
// is there are dropped, 30 seconds are the limit. What leaves is the whole packet with the first fragment's header.
import { type Ipv4, readIpv4 } from '../../net/address.ts'
import { readU8, readU16, writeU16 } from '../../net/bytes.ts'
import { icmpTimeExceeded, icmpType } from '../../net/icmp.ts'
import { ipv4At, ipv4Flag, ipv4HeaderLength, writeIpv4Checksum } from '../../net/ipv4.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { cancel, second } from '../clock.ts'
import { count } from '../counters.ts'
import { drop, endPacket } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { type Fragment, type FragmentQueue, fragmentUser, keepMac } from './fragment-queue.ts'
import { routeInput } from './input-route.ts'

/** ipfrag_time. */
const timeout = 30 * second
const headroom = 128
const lengthMax = 65_535

interface Piece {
  readonly source: Ipv4
  readonly destination: Ipv4
  readonly identification: number
  readonly protocol: number
  readonly offset: number
  readonly end: number
  readonly last: boolean
}

function pieceOf(skb: Skb): Piece {
  const { bytes, networkHeader: l3 } = skb
  const flags = readU16(bytes, l3 + ipv4At.flagsAndOffset)
  const offset = (flags & ipv4Flag.offsetMask) << 3
  const last = (flags & ipv4Flag.moreFragments) === 0
  const length = skb.tail - l3 - ipv4HeaderLength(bytes, l3)
  return {
    source: readIpv4(bytes, l3 + ipv4At.source),
    destination: readIpv4(bytes, l3 + ipv4At.destination),
    identification: readU16(bytes, l3 + ipv4At.identification),
    protocol: readU8(bytes, l3 + ipv4At.protocol),
    offset,
    // a piece that is not the last counts in units of eight bytes
    end: offset + (last ? length : length & ~7),
    last,
  }
}

function keyOf(piece: Piece): number {
  const mixed = Math.imul(piece.source, 0x9e37_79b1) ^ Math.imul(piece.destination, 0x85eb_ca77)
  return (mixed ^ (piece.identification << 8) ^ piece.protocol) >>> 0
}

function same(queue: FragmentQueue, piece: Piece, user: number): boolean {
  return (
    queue.user === user &&
    queue.identification === piece.identification &&
    queue.protocol === piece.protocol &&
    queue.source === piece.source &&
    queue.destination === piece.destination
  )
}

function forget(ns: Namespace, queue: FragmentQueue, key: number): void {
  cancel(queue.timer)
  const { fragments } = ns.ip.v4
  const rest = (fragments.get(key) ?? []).filter((other) => other !== queue)
  if (rest.length === 0) fragments.delete(key)
  else fragments.set(key, rest)
}

function dropPiece(skb: Skb, reason: KernelDropReason): void {
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
}

/**
 * Whether the sender of a datagram may be told that it is unfinished: the end of its way alone does so (RFC 792), no
 * router that puts it together for conntrack. The piece has its route afterwards, which an answer needs.
 */
function isForUs(queue: FragmentQueue, skb: Skb): boolean {
  if (queue.user === fragmentUser.localDeliver && skb.route !== undefined) return true
  const { bytes, networkHeader: l3 } = skb
  const answer = routeInput(skb.dev, {
    source: readIpv4(bytes, l3 + ipv4At.source),
    destination: readIpv4(bytes, l3 + ipv4At.destination),
    tos: readU8(bytes, l3 + ipv4At.tos),
    mark: skb.mark,
    protocol: queue.protocol,
    sport: 0,
    dport: 0,
    isIp: true,
  })
  if (answer.kind === 'drop') return false
  skb.route = answer.route
  return answer.route.type === 'local'
}

/** ip_expire(): the sender of an unfinished datagram learns of it, when its first piece is here. */
function expire(ns: Namespace, queue: FragmentQueue, key: number): void {
  forget(ns, queue, key)
  count(ns, 'IpReasmTimeout')
  count(ns, 'IpReasmFails')
  const first = queue.pieces[0]
  if (first?.offset === 0 && isForUs(queue, first.skb)) {
    ns.ip.stack.sendError(first.skb, {
      type: icmpType.timeExceeded,
      code: icmpTimeExceeded.reassembly,
      info: 0,
    })
  }
  for (const { skb } of queue.pieces) dropPiece(skb, 'SKB_DROP_REASON_FRAG_REASM_TIMEOUT')
}

function queueOf(ns: Namespace, skb: Skb, piece: Piece, user: number): FragmentQueue {
  const { fragments } = ns.ip.v4
  const key = keyOf(piece)
  const list = fragments.get(key) ?? []
  fragments.set(key, list)
  const found = list.find((queue) => same(queue, piece, user))
  if (found !== undefined) return found
  const queue: FragmentQueue = {
    family: 4,
    source: piece.source,
    destination: piece.destination,
    identification: piece.identification,
    protocol: piece.protocol,
    user,
    pieces: [],
    received: 0,
    length: -1,
    largest: 0,
    largestDontFragment: 0,
    device: skb.dev,
    timer: ns.machine.clock.after(timeout, () => expire(ns, queue, key)),
  }
  list.push(queue)
  return queue
}

type Placement = 'ok' | 'duplicate' | 'overlap'

/** Where a piece belongs among those that are there (inet_frag_queue_insert). */
function placement(queue: FragmentQueue, piece: Piece): Placement {
  for (const other of queue.pieces) {
    if (piece.end <= other.offset || piece.offset >= other.end) continue
    return piece.offset >= other.offset && piece.end <= other.end ? 'duplicate' : 'overlap'
  }
  return 'ok'
}

function abandon(ns: Namespace, queue: FragmentQueue, piece: Piece): void {
  forget(ns, queue, keyOf(piece))
  count(ns, 'IpReasmFails')
  for (const { skb } of queue.pieces) dropPiece(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
}

function insert(queue: FragmentQueue, fragment: Fragment): void {
  const at = queue.pieces.findIndex((other) => other.offset > fragment.offset)
  if (at === -1) queue.pieces.push(fragment)
  else queue.pieces.splice(at, 0, fragment)
  queue.received += fragment.end - fragment.offset
  const { bytes, networkHeader, tail } = fragment.skb
  const size = tail - networkHeader
  queue.largest = Math.max(queue.largest, size)
  const uncut = (readU16(bytes, networkHeader + ipv4At.flagsAndOffset) & ipv4Flag.dontFragment) !== 0
  if (uncut) queue.largestDontFragment = Math.max(queue.largestDontFragment, size)
}

/** The whole datagram: the first piece's header, everybody's payload. It goes on in the record of the last arrival. */
function join(queue: FragmentQueue, arrival: Skb): Skb | undefined {
  const first = queue.pieces[0]
  if (first === undefined) return undefined
  const { skb } = first
  const headerLength = ipv4HeaderLength(skb.bytes, skb.networkHeader)
  const total = headerLength + queue.length
  if (total > lengthMax) return undefined
  const bytes = new Uint8Array(headroom + total)
  bytes.set(skb.bytes.subarray(skb.networkHeader, skb.networkHeader + headerLength), headroom)
  for (const piece of queue.pieces) {
    const from = piece.skb.networkHeader + ipv4HeaderLength(piece.skb.bytes, piece.skb.networkHeader)
    const part = piece.skb.bytes.subarray(from, from + piece.end - piece.offset)
    bytes.set(part, headroom + headerLength + piece.offset)
  }
  const whole = arrival.clone()
  whole.bytes = bytes
  whole.data = headroom
  whole.tail = bytes.length
  whole.networkHeader = headroom
  whole.macHeader = keepMac(skb, bytes, headroom)
  whole.mark = skb.mark
  whole.fragmentMax = queue.largest
  whole.fragmentSizes = queue.pieces.map((piece) => piece.end - piece.offset)
  whole.route = skb.route ?? arrival.route
  writeU16(bytes, headroom + ipv4At.totalLength, total)
  // ip_frag_reasm(): the largest piece had DF, so the whole has it again
  const dontFragment = queue.largestDontFragment === queue.largest
  writeU16(bytes, headroom + ipv4At.flagsAndOffset, dontFragment ? ipv4Flag.dontFragment : 0)
  writeIpv4Checksum(bytes, headroom)
  // what follows is compared with the whole packet, not with its last piece
  if (whole.record !== undefined) whole.seen = whole.snapshot()
  return whole
}

/**
 * ip_defrag(): takes a fragment (`skb.networkHeader` at its IP header) and answers the whole packet once all pieces are
 * here, its `data` at the IP header. Otherwise the fragment waits, or has been dropped with its reason.
 */
export function reassemble(ns: Namespace, skb: Skb, user: number): Skb | undefined {
  count(ns, 'IpReasmReqds')
  const piece = pieceOf(skb)
  const queue = queueOf(ns, skb, piece, user)
  const bad = piece.end > lengthMax || (queue.length >= 0 && piece.end > queue.length)
  const foreign = bad || (piece.last && queue.pieces.some((other) => other.end > piece.end))
  const place = foreign ? 'foreign' : placement(queue, piece)
  if (place === 'duplicate') {
    dropPiece(skb, 'SKB_DROP_REASON_DUP_FRAG')
    return undefined
  }
  if (place === 'foreign' || place === 'overlap') {
    if (place === 'overlap') count(ns, 'IpExtReasmOverlaps')
    abandon(ns, queue, piece)
    dropPiece(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
    return undefined
  }
  if (piece.last) queue.length = piece.end
  insert(queue, { offset: piece.offset, end: piece.end, skb })
  if (queue.received !== queue.length) return undefined
  forget(ns, queue, keyOf(piece))
  const whole = join(queue, skb)
  if (whole === undefined) {
    count(ns, 'IpReasmFails')
    dropPiece(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
    return undefined
  }
  count(ns, 'IpReasmOKs')
  for (const other of queue.pieces) {
    const at = { device: other.skb.dev.name, stage: 'rx' } as const
    if (other.skb !== skb && other.skb.record !== whole.record) {
      endPacket(other.skb, { ...at, kind: 'consumed' })
    }
  }
  return whole
}

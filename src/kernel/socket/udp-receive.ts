// UDP packets and ICMP errors on their way to sockets. Before changing this file, read RFC 768, RFC 1122 section 4.1.3;
// Linux: net/ipv4/udp.c __udp4_lib_rcv(), __udp4_lib_err(); net/ipv6/udp.c.
import { isIpv4, isMulticast, isUnspecified } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { icmpv6Type, icmpv6Unreachable } from '../../net/icmpv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { udpAt } from '../../net/udp.ts'
import { count } from '../counters.ts'
import { icmpSend } from '../ip/icmp-send.ts'
import { updatePathMtu } from '../ip/path-mtu.ts'
import type { IcmpError } from '../ip/state.ts'
import { icmp6Send } from '../ip6/icmp-send.ts'
import type { Skb } from '../skb.ts'
import { headerSum } from '../summed.ts'
import { delivered, destinationOf, dropped, flowOf, sourceOf } from './arrival.ts'
import { wake } from './base.ts'
import { mayReceive } from './cgroup-skb.ts'
import { icmpQuoteTuple, queueIcmpError } from './icmp-quote.ts'
import { lookupUdp, lookupUdpGroup, type Tuple } from './lookup.ts'
import { type Socket, socketState } from './socket.ts'
import { errorOfIcmp, isTooBig } from './soft-error.ts'
import { asUdp, type UdpSocket } from './udp-socket.ts'

/** Charge of a small packet (skb truesize): struct sk_buff, its head and the shared info. */
const smallTruesize = 832

function truesizeOf(payloadBytes: number): number {
  return payloadBytes <= 128 ? smallTruesize : smallTruesize + ((payloadBytes + 255) & ~255)
}

function prefixOf(family: 4 | 6): string {
  return family === 4 ? 'Udp' : 'Udp6'
}

/** CHECKSUM_BREAK: the sum of a datagram longer than this, with its header, is left to whoever copies it. */
const checksumBreak = 76

/** A datagram that has arrived. */
interface Arrival {
  readonly family: 4 | 6
  /** One past its last byte. */
  readonly end: number
  /** Its checksum is wrong, which nobody has looked at yet. */
  readonly broken: boolean
}

/** The lengths, and the checksum of a short datagram; undefined when the packet was dropped. */
function checkedArrival(skb: Skb, family: 4 | 6): Arrival | undefined {
  const start = skb.data
  const length = skb.length < udpAt.payload ? 0 : readU16(skb.bytes, start + udpAt.length)
  if (length < udpAt.payload || length > skb.length) {
    count(skb.dev.ns, `${prefixOf(family)}InErrors`)
    dropped(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL')
    return undefined
  }
  const end = start + length
  const segment = { l3: skb.networkHeader, l4: start, end, protocol: ipProtocol.udp }
  // CHECKSUM_PARTIAL: nobody looks (skb_csum_unnecessary)
  const broken = skb.unfinishedSum === 0 && !segmentChecksumIsRight(skb.bytes, segment)
  const looked = length <= checksumBreak ? broken : isSummedWrong(skb, broken)
  if (!looked) return { family, end, broken }
  dropBroken(skb, family)
  return undefined
}

/**
 * udp6_csum_init(), udp4_csum_init(): a long datagram that conntrack has summed is judged by that sum, minus its header as it is
 * now. Who has changed an IPv6 header since then (TOS, DSCP, HL) has made it wrong; an IPv4 header keeps its own sum.
 */
function isSummedWrong(skb: Skb, broken: boolean): boolean {
  if (skb.summedHeader < 0) return false
  const { networkHeader: l3, bytes } = skb
  return broken || ((bytes[l3] as number) >>> 4 === 6 && headerSum(bytes, l3, skb.data) !== skb.summedHeader)
}

/** A wrong checksum was seen (csum_error). */
export function dropBroken(skb: Skb, family: 4 | 6): void {
  const { ns } = skb.dev
  count(ns, `${prefixOf(family)}InCsumErrors`)
  count(ns, `${prefixOf(family)}InErrors`)
  dropped(skb, 'SKB_DROP_REASON_UDP_CSUM')
}

/** udp_queue_rcv_skb: into the queue of one socket, unless that is full. */
function enqueue(socket: UdpSocket, skb: Skb, at: Arrival): void {
  const { family, end, broken } = at
  if (socket.encapsulation !== undefined) {
    if (broken) return dropBroken(skb, family)
    count(socket.ns, `${prefixOf(family)}InDatagrams`)
    socket.encapsulation.receive(skb, at)
    return
  }
  if (socket.ns.sockets.skbHooks !== undefined && !mayReceive(socket, skb)) {
    count(socket.ns, `${prefixOf(family)}InErrors`)
    return
  }
  const data = skb.bytes.slice(skb.data + udpAt.payload, end)
  const truesize = truesizeOf(data.length)
  const { ns } = socket
  if (socket.queueBytes + truesize > socket.options.receiveBufferBytes) {
    count(ns, `${prefixOf(family)}RcvbufErrors`)
    count(ns, `${prefixOf(family)}InErrors`)
    dropped(skb, 'SKB_DROP_REASON_SOCKET_RCVBUFF')
    return
  }
  socket.queueBytes += truesize
  socket.queue.push({
    data,
    source: sourceOf(skb, family),
    sourcePort: readU16(skb.bytes, skb.data + udpAt.source),
    destination: destinationOf(skb, family),
    destinationPort: readU16(skb.bytes, skb.data + udpAt.destination),
    ifindex: skb.dev.ifindex,
    flow: flowOf(skb),
    truesize,
    broken: broken ? skb : undefined,
    packet: skb.record === undefined ? undefined : skb,
  })
  if (!broken) delivered(skb, 'udp', socket.localPort, socket.program)
  wake(socket)
}

function deliverToGroup(sockets: readonly Socket[], skb: Skb, at: Arrival): void {
  const last = sockets.at(-1)
  if (last === undefined) {
    count(skb.dev.ns, `${prefixOf(at.family)}IgnoredMulti`)
    dropped(skb, 'SKB_DROP_REASON_NO_SOCKET')
    return
  }
  for (const socket of sockets) enqueue(asUdp(socket), socket === last ? skb : skb.clone(), at)
}

function isGroupPacket(skb: Skb, tuple: Tuple): boolean {
  if (isMulticast(tuple.local)) return true
  if (!isIpv4(tuple.local)) return false
  // RTCF_BROADCAST: what the IP address says, whatever the frame was
  return tuple.local === 0xffff_ffff || skb.route?.type === 'broadcast'
}

/** __udp4_lib_rcv, __udp6_lib_rcv. Owns the packet. */
export function udpArrives(skb: Skb, family: 4 | 6): void {
  const at = checkedArrival(skb, family)
  if (at === undefined) return
  const tuple: Tuple = {
    local: destinationOf(skb, family),
    localPort: readU16(skb.bytes, skb.data + udpAt.destination),
    remote: sourceOf(skb, family),
    remotePort: readU16(skb.bytes, skb.data + udpAt.source),
    ifindex: skb.dev.ifindex,
  }
  const { ns } = skb.dev
  if (isGroupPacket(skb, tuple)) {
    deliverToGroup(lookupUdpGroup(ns, tuple), skb, at)
    return
  }
  const assigned = skb.sk?.protocol === ipProtocol.udp && skb.sk.ns === ns ? skb.sk : undefined
  const socket = assigned ?? lookupUdp(ns, tuple)
  if (socket !== undefined) {
    enqueue(asUdp(socket), skb, at)
    return
  }
  if (at.broken) return dropBroken(skb, family)
  resetConnection(skb)
  count(ns, `${prefixOf(family)}NoPorts`)
  if (family === 4) {
    icmpSend(skb, { type: icmpType.unreachable, code: icmpUnreachable.port, info: 0 })
  } else {
    icmp6Send(skb, { type: icmpv6Type.unreachable, code: icmpv6Unreachable.port, info: 0 })
  }
  dropped(skb, 'SKB_DROP_REASON_NO_SOCKET')
}

/**
 * __udp4_lib_err_encap(): an error about a tunnel's outer packet. Its source port is no socket's; the tunnel is looked up by
 * the port it was sent to. It learns the smaller path MTU and nothing else.
 */
function tunnelError(skb: Skb, error: IcmpError, tuple: Tuple, found: Socket | undefined): boolean {
  const { ns } = skb.dev
  const swapped = { ...tuple, localPort: tuple.remotePort, remotePort: tuple.localPort }
  const socket = found ?? lookupUdp(ns, swapped)
  const { encapsulation } = socket === undefined ? { encapsulation: undefined } : asUdp(socket)
  const { family, quoteTransport: quoted, quoteEnd: end } = error
  const port = socket?.localPort ?? 0
  if (encapsulation?.sent(skb, { family, quoted, end, port }) !== true) return false
  if (isTooBig(family, error.type, error.code))
    updatePathMtu(ns, tuple.remote, { device: skb.dev, mtu: error.info })
  return true
}

/** nf_reset_ct(): what answers the packet has nothing to do with its flow. */
function resetConnection(skb: Skb): void {
  skb.nfct = undefined
  skb.nfctInfo = 0
}

/** An ICMP error about a datagram of ours; false when nobody sent it (__udp4_lib_err, __udp6_lib_err). */
export function udpError(skb: Skb, error: IcmpError): boolean {
  const tuple = icmpQuoteTuple(skb, error)
  const { ns } = skb.dev
  const found = lookupUdp(ns, tuple)
  if (found === undefined || asUdp(found).encapsulation !== undefined)
    return tunnelError(skb, error, tuple, found)
  const socket = asUdp(found)
  const meaning = errorOfIcmp(error.family, error.type, error.code)
  if (meaning === undefined) return true
  const tooBig = isTooBig(error.family, error.type, error.code)
  if (tooBig) {
    if (socket.options.mtuDiscover === 'dont') return true
    updatePathMtu(ns, tuple.remote, { device: skb.dev, mtu: error.info })
  }
  const hard = meaning.hard || tooBig
  if (socket.options.recvErr) queueIcmpError(socket, skb, error, meaning.errno)
  else if (!hard || socket.state !== socketState.established || isUnspecified(socket.remoteAddress))
    return true
  socket.error = meaning.errno
  wake(socket)
  return true
}

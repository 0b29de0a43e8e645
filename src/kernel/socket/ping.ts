// Sockets that send echo requests and wait for the replies: raw ICMP sockets with an identifier and a sequence number of
// their own (ping(8)). Linux: net/ipv4/raw.c, net/ipv6/raw.c, net/ipv4/ping.c.
import type { IpAddress } from '../../net/address.ts'
import { readU16, writeU8, writeU16 } from '../../net/bytes.ts'
import { icmpAt, icmpType } from '../../net/icmp.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { born } from '../birth.ts'
import { count } from '../counters.ts'
import { countIcmp } from '../ip/icmp-build.ts'
import type { IcmpError } from '../ip/state.ts'
import { countIcmp6 } from '../ip6/icmp-build.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { delivered, dropped, sourceOf } from './arrival.ts'
import { anyAddress, type BaseSocket, createBase, extend, familyOf, takeError, wake } from './base.ts'
import { mayReceive } from './cgroup-skb.ts'
import { buildPacket, routeFor, userOut } from './departure.ts'
import { errnoOf, type Result } from './errno.ts'
import { queueIcmpError } from './icmp-quote.ts'
import { insertSocket, removeSocket } from './lookup.ts'
import { hopsFor, reachable } from './names.ts'
import { asPing, type EchoReply, type PingSocket } from './ping-socket.ts'
import type { SocketOptions } from './socket.ts'
import { errorOfIcmp } from './soft-error.ts'

/** One echo request. */
export interface EchoRequest {
  readonly destination: IpAddress
  /** The flow's name: the request is born as `label.echo`. */
  readonly label: string
  readonly identifier: number
  readonly sequence: number
  readonly ttl?: number
  readonly data: Uint8Array
  readonly options?: Partial<SocketOptions>
  /** Overrides the packet's name. */
  readonly name?: string
}

/** Opens an echo socket: replies with this identifier are its own. */
export function pingOpen(
  ns: Namespace,
  open: {
    readonly family: 4 | 6
    readonly label: string
    readonly identifier: number
    readonly options?: Partial<SocketOptions>
  },
): PingSocket {
  const protocol = open.family === 4 ? ipProtocol.icmp : ipProtocol.icmp6
  const base: BaseSocket = createBase(
    {
      ns,
      family: open.family,
      label: open.label,
      ...(open.options === undefined ? {} : { options: open.options }),
    },
    protocol,
  )
  base.localPort = open.identifier
  const replies: EchoReply[] = []
  const socket = extend(base, { kind: 'ping' as const, replies, identification: 0 })
  ns.sockets.echo ??= new Map()
  insertSocket(ns.sockets.echo, open.identifier, socket)
  return socket
}

/** ICMP_ECHO, ICMPV6_ECHO_REQUEST */
const echoType = { 4: icmpType.echoRequest, 6: icmpv6Type.echoRequest } as const

function echoMessage(family: 4 | 6, request: EchoRequest): Uint8Array {
  const message = new Uint8Array(icmpAt.payload + request.data.length)
  writeU8(message, icmpAt.type, echoType[family])
  writeU16(message, icmpAt.identifier, request.identifier)
  writeU16(message, icmpAt.sequence, request.sequence)
  message.set(request.data, icmpAt.payload)
  return message
}

/** What ip_send_skb(), ip6_send_skb() and raw_sendmsg() make of the way the packet went. */
function afterSend({ ns, family, options }: PingSocket, status: number): Result<true> {
  if (status === 0 || status === notCongested) return { ok: true }
  count(ns, family === 4 ? 'IpOutDiscards' : 'Ip6OutDiscards')
  if (status < 0) return { errno: errnoOf(status) }
  return options.recvErr ? { errno: 'ENOBUFS' } : { ok: true }
}

/** NET_XMIT_CN: the packet is on its way all the same. */
const notCongested = 2

/**
 * Raw sockets want DF only when the path MTU is to be found (raw.c: ip_dont_fragment); a packet that fits has it.
 * Linux: raw_sendmsg(), rawv6_sendmsg(), __ip_append_data(), which for a header made by a program (no transhdrlen) asks for
 * no pending error.
 */
function sendEcho(socket: PingSocket, request: EchoRequest): Result<true> {
  const { ns, family } = socket
  const protocol = family === 4 ? ipProtocol.icmp : ipProtocol.icmp6
  const answer = routeFor(ns, {
    destination: reachable(request.destination),
    source: anyAddress(family),
    protocol,
    sport: echoType[family], // raw_probe_proto_opt(), rawv6_probe_proto_opt()
    dport: 0,
    oif: socket.options.device,
    mark: socket.options.mark,
    tos: socket.options.tos,
  })
  if (answer.kind === 'error') return { errno: answer.errno }
  const { route } = answer
  if (route.type === 'broadcast' && !socket.options.broadcast) return { errno: 'EACCES' }
  const segment = echoMessage(family, request)
  const length = segment.length + (family === 4 ? 20 : 40)
  if (socket.options.mtuDiscover === 'do' && length > route.mtu) return { errno: 'EMSGSIZE' }
  const whole = socket.options.mtuDiscover !== 'dont' && length <= route.mtu
  socket.identification = (socket.identification + 1) & 0xffff
  const skb = buildPacket({
    socket,
    route,
    source: answer.source,
    destination: answer.destination,
    protocol,
    ttl: hopsFor(ns, route, { destination: request.destination, asked: socket.options.ttl }),
    tos: socket.options.tos,
    mark: socket.options.mark,
    dontFragment: whole,
    identification: whole ? 0 : socket.identification,
    segment,
  })
  if (family === 6) countIcmp6(ns, 'Out', icmpv6Type.echoRequest)
  else countIcmp(ns, 'Out', icmpType.echoRequest)
  born(skb, request.name ?? `${request.label}.echo`)
  return afterSend(socket, userOut(ns, skb, { ignoreDontFragment: socket.options.mtuDiscover !== 'do' }))
}

/**
 * Sends one echo request and answers the socket on which its reply, or an error, arrives (`replies`, `error`); the caller
 * closes it with `pingClose`. Errors as sendto(2): the route's errno, EMSGSIZE, EPERM.
 */
export function icmpEcho(ns: Namespace, request: EchoRequest): Result<PingSocket> {
  const { ttl } = request
  const socket = pingOpen(ns, {
    family: familyOf(request.destination),
    label: request.label,
    identifier: request.identifier,
    options: { ...request.options, ...(ttl === undefined ? {} : { ttl }) },
  })
  const sent = sendEcho(socket, request)
  if ('ok' in sent) return { ok: socket }
  pingClose(socket)
  return sent
}

/** One more request on an open socket. */
export function pingSend(socket: PingSocket, request: EchoRequest): Result<true> {
  return sendEcho(socket, request)
}

/** The oldest reply, a pending error, or EAGAIN. */
export function pingReceive(socket: PingSocket): Result<EchoReply> {
  const pending = takeError(socket)
  if (pending !== undefined) return { errno: pending }
  const reply = socket.replies.shift()
  return reply === undefined ? { errno: 'EAGAIN' } : { ok: reply }
}

/** close(2). */
export function pingClose(socket: PingSocket): void {
  removeSocket(socket.ns.sockets.echo, socket.localPort, socket)
}

/** An echo reply for this host; `skb.data` stands at the ICMP header. Owns the packet. */
export function pingArrives(skb: Skb, family: 4 | 6): void {
  const { ns } = skb.dev
  const identifier = readU16(skb.bytes, skb.data + icmpAt.identifier)
  const socket = ns.sockets.echo?.get(identifier)?.find((candidate) => candidate.family === family)
  if (socket === undefined) {
    dropped(skb, 'SKB_DROP_REASON_NO_SOCKET')
    return
  }
  if (ns.sockets.skbHooks !== undefined && !mayReceive(socket, skb)) return
  const ping = asPing(socket)
  ping.replies.push({
    source: sourceOf(skb, family),
    sequence: readU16(skb.bytes, skb.data + icmpAt.sequence),
    data: skb.bytes.slice(skb.data + icmpAt.payload, skb.tail),
    hops: skb.bytes[skb.networkHeader + (family === 4 ? 8 : 7)] ?? 0,
  })
  delivered(skb, family === 4 ? 'icmp' : 'icmp6', identifier)
  wake(ping)
}

/**
 * An ICMP error about an ICMP message of ours: every raw socket of the family hears of it, whoever asked (raw_icmp_error,
 * raw6_icmp_error). Those that did not ask for errors by IP_RECVERR are not connected and are told nothing (raw_err).
 */
export function pingError(skb: Skb, error: IcmpError): boolean {
  const { echo } = skb.dev.ns.sockets
  if (echo === undefined) return false
  const meaning = errorOfIcmp(error.family, error.type, error.code)
  let heard = false
  for (const chain of echo.values()) {
    for (const socket of chain) {
      if (socket.family !== error.family) continue
      heard = true
      if (meaning === undefined || !socket.options.recvErr) continue
      const ping = asPing(socket)
      queueIcmpError(ping, skb, error, meaning.errno)
      ping.error = meaning.errno
      wake(ping)
    }
  }
  return heard
}

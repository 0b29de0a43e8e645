// ICMP errors about segments of ours: tcp_ipv4.c tcp_v4_err(), tcp_ipv6.c tcp_v6_err(). RFC 5927, RFC 1122 4.2.3.9.
import { readU32 } from '../../net/bytes.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { tcpAt } from '../../net/tcp.ts'
import { count } from '../counters.ts'
import { learnRedirect } from '../ip/icmp-learn.ts'
import type { IcmpError } from '../ip/state.ts'
import type { Skb } from '../skb.ts'
import { wake } from './base.ts'
import type { Errno } from './errno.ts'
import { icmpQuoteTuple, queueIcmpError } from './icmp-quote.ts'
import { lookupTcp } from './lookup.ts'
import { socketState } from './socket.ts'
import { errorOfIcmp, isTooBig } from './soft-error.ts'
import { isLocked, tcpDone } from './tcp-life.ts'
import { hearMtu } from './tcp-path-mtu.ts'
import { seqAfter, seqBefore } from './tcp-sequence.ts'
import { asTcp, type TcpSocket } from './tcp-socket.ts'

/** tcp_req_err(): whether a half-open connection is given up. */
function endsRequest(error: IcmpError): boolean {
  if (error.family === 6) return true
  if (error.type === icmpType.timeExceeded || error.type === icmpType.parameterProblem) return true
  return (
    error.type === icmpType.unreachable &&
    (error.code === icmpUnreachable.net || error.code === icmpUnreachable.host)
  )
}

/**
 * The error of an attempt to connect. While connect(2) holds the lock, the connection lives on with a soft error: IPv4 tells
 * the program at once, by its error queue; IPv6 only when the next SYN is answered the same way (recorded: ENETUNREACH after
 * 0 s over IPv4, after 1.02 s over IPv6).
 */
function failOpening(socket: TcpSocket, error: IcmpError, errno: Errno): void {
  if (!isLocked(socket)) {
    tcpDone(socket, errno)
    return
  }
  count(socket.ns, 'TcpExtLockDroppedIcmps')
  socket.softError = errno
  if (error.family === 6) return
  socket.error = errno
  wake(socket)
}

/** An ICMP error about a segment of ours; false when no connection sent it. */
export function tcpError(skb: Skb, error: IcmpError): boolean {
  const tuple = icmpQuoteTuple(skb, error)
  const { ns } = skb.dev
  const found = lookupTcp(ns, tuple)
  if (found === undefined || found.state === socketState.listen) return false
  const socket = asTcp(found)
  if (socket.state === socketState.timeWait) return true
  const sequence = readU32(skb.bytes, error.quoteTransport + tcpAt.sequence)
  if (seqBefore(sequence, socket.sndUna) || seqAfter(sequence, socket.sndNxt)) {
    count(ns, 'TcpExtOutOfWindowIcmps')
    return true
  }
  if (error.family === 4 && error.type === icmpType.redirect) {
    if (!isLocked(socket)) learnRedirect(skb, error)
    return true
  }
  if (isTooBig(error.family, error.type, error.code)) {
    if (socket.options.mtuDiscover === 'dont') return true
    hearMtu(socket, skb.dev, error.info)
    return true
  }
  const meaning = errorOfIcmp(error.family, error.type, error.code)
  if (meaning === undefined) return true
  if (socket.state === socketState.synReceived) {
    if (endsRequest(error)) tcpDone(socket, undefined)
    return true
  }
  if (socket.state === socketState.synSent) {
    failOpening(socket, error, meaning.errno)
    return true
  }
  if (socket.options.recvErr) {
    queueIcmpError(socket, skb, error, meaning.errno)
    socket.error = meaning.errno
    wake(socket)
  } else socket.softError = meaning.errno
  return true
}

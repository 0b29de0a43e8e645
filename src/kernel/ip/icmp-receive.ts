// ICMP messages for this host: net/ipv4/icmp.c icmp_rcv(). Echo requests are answered, errors are handed to the protocol
// of the packet they quote, redirects and path MTUs are learned by it.
import { anyIpv4, isIpv4, readIpv4 } from '../../net/address.ts'
import { readU8, readU32 } from '../../net/bytes.ts'
import { checksumOf } from '../../net/checksum.ts'
import { icmpAt, icmpTimeExceeded, icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { ipv4At, ipv4HeaderLength } from '../../net/ipv4.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { bornFrom } from '../birth.ts'
import { count } from '../counters.ts'
import { deliverOutcome, drop } from '../drop.ts'
import type { Skb } from '../skb.ts'
import { buildIcmp, countIcmp } from './icmp-build.ts'
import { learnPathMtu, learnRedirect } from './icmp-learn.ts'
import { sendingIcmp } from './icmp-lock.ts'
import { echoOptions } from './options.ts'
import { ipLocalOut } from './output.ts'
import { routeOutput } from './output-route.ts'
import { routeScope } from './route.ts'
import { specificDestination } from './source.ts'
import { handlerOf, type IcmpError, type TransportHandler } from './state.ts'

const typeMax = 18
const extendedEcho = 42
const extendedEchoReply = 43

function refuse(skb: Skb, reason: KernelDropReason): void {
  count(skb.dev.ns, 'IcmpInErrors')
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
}

function done(skb: Skb): void {
  deliverOutcome(skb, { device: skb.dev.name, stage: 'rx', actor: 'kernel', target: 'icmp' })
}

/** icmp_reply(). */
function reply(skb: Skb, type: number): void {
  const { ns } = skb.dev
  const { networkHeader: l3, bytes } = skb
  const source = specificDestination(skb)
  const destination = readIpv4(bytes, l3 + ipv4At.source)
  const tos = readU8(bytes, l3 + ipv4At.tos)
  const mark = ns.sysctls.get('net.ipv4.fwmark_reflect') !== 0 ? skb.mark : 0
  const answer = routeOutput(ns, {
    family: 4,
    destination,
    source,
    oif: 0,
    iif: 1,
    mark,
    tos: tos & 0xfc,
    protocol: ipProtocol.icmp,
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  })
  if (answer.kind === 'error') return
  const own = isIpv4(answer.source) ? answer.source : anyIpv4
  const options = echoOptions(skb, own)
  if (options === undefined) return
  const message = buildIcmp(ns, answer.route, {
    source: own,
    options,
    destination,
    tos,
    mark,
    type,
    code: readU8(bytes, skb.data + icmpAt.code), // icmp_echo() changes nothing but the type
    rest: readU32(bytes, skb.data + icmpAt.rest),
    payload: bytes.slice(skb.data + icmpAt.payload, skb.tail),
  })
  countIcmp(ns, 'Out', type)
  bornFrom(skb, message, 'icmp')
  if (sendingIcmp(ns, 4, () => ipLocalOut(ns, message)) !== 0) count(ns, 'IpOutDiscards')
}

function echo(skb: Skb): void {
  if (skb.dev.ns.sysctls.get('net.ipv4.icmp_echo_ignore_all') === 0) reply(skb, icmpType.echoReply)
  done(skb)
}

/** What the error says, in the words of `IcmpError`. */
function describe(skb: Skb): IcmpError {
  const { bytes, data } = skb
  const type = readU8(bytes, data + icmpAt.type)
  const code = readU8(bytes, data + icmpAt.code)
  const quote = data + icmpAt.payload
  const fragmentation = type === icmpType.unreachable && code === icmpUnreachable.fragmentationNeeded
  const rest = readU32(bytes, data + icmpAt.rest)
  return {
    family: 4,
    type,
    code,
    info: fragmentation ? rest & 0xffff : type === icmpType.redirect ? rest : 0,
    quote,
    quoteEnd: skb.tail,
    quoteTransport: quote + ipv4HeaderLength(bytes, quote),
  }
}

const followThemselves: ReadonlySet<number> = new Set([ipProtocol.icmp, ipProtocol.tcp])

/** NR_ICMP_UNREACH */
const unreachableMax = 15

/** What icmp_unreach() keeps to itself: that a datagram was not put together in time, and codes it does not know. */
function isUntold({ type, code }: IcmpError): boolean {
  if (type === icmpType.unreachable) return code > unreachableMax
  return type === icmpType.timeExceeded && code === icmpTimeExceeded.reassembly
}

/** icmp_unreach() and icmp_redirect(): at least the IP header and eight bytes must be quoted (icmp_socket_deliver). */
function errorMessage(skb: Skb): void {
  const { ns } = skb.dev
  const error = describe(skb)
  const headerLength = error.quoteTransport - error.quote
  const readable = error.quote + 20 <= skb.tail && headerLength >= 20
  if (readable && isUntold(error)) return done(skb)
  if (!readable || error.quoteTransport + 8 > skb.tail) {
    count(ns, 'IcmpInErrors')
    done(skb)
    return
  }
  const protocol = readU8(skb.bytes, error.quote + ipv4At.protocol)
  const handler = handlerOf(ns, 4, protocol)
  const known = handler?.error(skb, error)
  if (known === false) count(ns, 'IcmpInErrors')
  // TCP and ICMP decide themselves whether they follow a redirect
  if (known === true && error.type === icmpType.redirect && !followThemselves.has(protocol))
    learnRedirect(skb, error)
  done(skb)
}

/** icmp_err(): an error about an ICMP message of ours. */
function quotedIcmp(skb: Skb, error: IcmpError): boolean {
  const { ns } = skb.dev
  const destination = readIpv4(skb.bytes, error.quote + ipv4At.destination)
  const fragmentation =
    error.type === icmpType.unreachable && error.code === icmpUnreachable.fragmentationNeeded
  if (fragmentation) learnPathMtu(ns, destination, error.info)
  if (error.type === icmpType.redirect) learnRedirect(skb, error)
  ns.ip.stack.ping?.error(skb, error)
  return true
}

/** Whether a message to a broadcast or multicast address is of a kind that may come so. */
function allowedToGroup(skb: Skb, type: number): boolean {
  const question = type === icmpType.echoRequest || type === icmpType.timestampRequest
  if (question) return skb.dev.ns.sysctls.get('net.ipv4.icmp_echo_ignore_broadcasts') === 0
  return type === 17 || type === typeMax
}

function dispatch(skb: Skb, type: number): void {
  switch (type) {
    case icmpType.echoRequest:
      echo(skb)
      return
    case icmpType.echoReply: {
      const { ping } = skb.dev.ns.ip.stack
      if (ping === undefined) done(skb)
      else ping.receive(skb, 4)
      return
    }
    case icmpType.unreachable:
    case icmpType.sourceQuench:
    case icmpType.redirect:
    case icmpType.timeExceeded:
    case icmpType.parameterProblem:
      errorMessage(skb)
      return
    default:
      done(skb)
  }
}

/** icmp_rcv(): `skb.data` stands at the ICMP header. */
function icmpReceive(skb: Skb): void {
  const { ns } = skb.dev
  count(ns, 'IcmpInMsgs') // before anything is looked at
  if (checksumOf(skb.bytes, skb.data, skb.tail) !== 0) {
    count(ns, 'IcmpInCsumErrors')
    refuse(skb, 'SKB_DROP_REASON_ICMP_CSUM')
    return
  }
  if (skb.length < icmpAt.payload) {
    refuse(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL')
    return
  }
  const type = readU8(skb.bytes, skb.data + icmpAt.type)
  countIcmp(ns, 'In', type)
  if (type === extendedEcho || type === extendedEchoReply) {
    done(skb) // PROBE (RFC 8335), which nobody has switched on
    return
  }
  if (type > typeMax) {
    refuse(skb, 'SKB_DROP_REASON_UNHANDLED_PROTO')
    return
  }
  const group = skb.route?.type === 'broadcast' || skb.route?.type === 'multicast'
  if (group && !allowedToGroup(skb, type)) {
    refuse(skb, 'SKB_DROP_REASON_INVALID_PROTO')
    return
  }
  dispatch(skb, type)
}

/** ICMP as a transport protocol; sockets for echo requests register as `IpStack.ping`. */
export const icmpTransport: TransportHandler = { receive: icmpReceive, error: quotedIcmp }

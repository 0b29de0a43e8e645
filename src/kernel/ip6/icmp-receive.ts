// ICMPv6 messages for this host: net/ipv6/icmp.c icmpv6_rcv(), icmpv6_echo_reply(), icmpv6_notify().
// Before changing this file, read RFC 4443 and RFC 4861 section 8.
import { anyIpv6, isLinkLocal, isLoopback, isMulticast, readIpv6 } from '../../net/address.ts'
import { readU8, readU32, writeU8 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { icmpv6At, icmpv6Type, isIcmpv6Error, isNeighbourDiscovery } from '../../net/icmpv6.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { bornFrom } from '../birth.ts'
import { count } from '../counters.ts'
import { deliverOutcome, drop } from '../drop.ts'
import { sendingIcmp } from '../ip/icmp-lock.ts'
import { updatePathMtu } from '../ip/path-mtu.ts'
import { routeScope } from '../ip/route.ts'
import { handlerOf, type IcmpError, type TransportHandler } from '../ip/state.ts'
import type { Skb } from '../skb.ts'
import { transportOf } from './extension.ts'
import { buildIcmp6, countIcmp6 } from './icmp-build.ts'
import { neighbourDiscovery } from './ndisc-receive.ts'
import { ip6LocalOut } from './output.ts'
import { route6Output } from './output-route.ts'
import { icmp6Device } from './source.ts'

function refuse(skb: Skb, reason: KernelDropReason): void {
  count(skb.dev.ns, 'Icmp6InErrors')
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
}

function done(skb: Skb): void {
  deliverOutcome(skb, { device: skb.dev.name, stage: 'rx', actor: 'kernel', target: 'icmp6' })
}

/** icmpv6_echo_reply(): from the address that was asked; a group is answered from an address of the device. */
function echo(skb: Skb): void {
  const { ns } = skb.dev
  const { bytes, networkHeader: l3 } = skb
  const asked = readIpv6(bytes, l3 + ipv6At.destination)
  const destination = readIpv6(bytes, l3 + ipv6At.source)
  const mark = ns.sysctls.get('net.ipv6.fwmark_reflect') === 0 ? 0 : skb.mark
  const answer = route6Output(ns, {
    family: 6,
    destination,
    source: isMulticast(asked) ? anyIpv6 : asked,
    // a device is only preferred where the source is known, as rules see it
    oif: isLoopback(destination) ? skb.dev.ifindex : icmp6Device(skb).ifindex,
    anyDevice: !isMulticast(asked) && !isLinkLocal(destination),
    iif: 1,
    mark,
    tos: 0,
    protocol: ipProtocol.icmp6,
    sport: icmpv6Type.echoReply,
    dport: 0,
    scope: routeScope.universe,
  })
  if (answer.kind === 'error' || typeof answer.source === 'number') return
  const message = bytes.slice(skb.data, skb.tail)
  writeU8(message, icmpv6At.type, icmpv6Type.echoReply)
  const reply = buildIcmp6({
    route: answer.route,
    source: answer.source,
    destination,
    hopLimit: ns.sysctls.device('net.ipv6.conf.DEV.hop_limit', answer.route.device.name),
    trafficClass: ipv6TrafficClass(bytes, l3),
    mark,
    message,
  })
  countIcmp6(ns, 'Out', icmpv6Type.echoReply)
  bornFrom(skb, reply, 'icmp')
  sendingIcmp(ns, 6, () => ip6LocalOut(ns, reply))
}

/** icmpv6_notify(): hands an error to the protocol of the packet it quotes. */
function notify(skb: Skb): void {
  const { ns } = skb.dev
  const quote = skb.data + icmpv6At.payload
  const transport = quote + ipv6At.payload <= skb.tail ? transportOf(skb.bytes, quote, skb.tail) : undefined
  if (transport === undefined || transport.offset + 8 > skb.tail) {
    count(ns, 'Icmp6InErrors')
    return
  }
  // ipv6_skip_exthdr() stops at the header of a later fragment, and no protocol of that number has an err_handler
  if (transport.laterFragment) return
  const type = readU8(skb.bytes, skb.data + icmpv6At.type)
  const error: IcmpError = {
    family: 6,
    type,
    code: readU8(skb.bytes, skb.data + icmpv6At.code),
    info: type === icmpv6Type.packetTooBig ? readU32(skb.bytes, skb.data + icmpv6At.mtu) : 0,
    quote,
    quoteEnd: skb.tail,
    quoteTransport: transport.offset,
  }
  const handler = handlerOf(ns, 6, transport.protocol)
  if (handler !== undefined && !handler.error(skb, error)) count(ns, 'Icmp6InErrors')
}

/** icmpv6_err(): an error about an ICMPv6 message of ours. */
function quotedIcmp6(skb: Skb, error: IcmpError): boolean {
  const { ns } = skb.dev
  if (error.type === icmpv6Type.packetTooBig) {
    const destination = readIpv6(skb.bytes, error.quote + ipv6At.destination)
    updatePathMtu(ns, destination, { device: skb.dev, mtu: error.info })
  }
  ns.ip.stack.ping?.error(skb, error)
  return true
}

/** icmpv6_rcv(): `skb.data` stands at the ICMPv6 header. */
function icmp6Receive(skb: Skb): void {
  const { ns } = skb.dev
  const place = { l3: skb.networkHeader, l4: skb.data, end: skb.tail, protocol: ipProtocol.icmp6 }
  count(ns, 'Icmp6InMsgs') // before anything is looked at
  if (skb.length < 4 || !segmentChecksumIsRight(skb.bytes, place)) {
    count(ns, 'Icmp6InCsumErrors')
    refuse(skb, 'SKB_DROP_REASON_ICMP_CSUM')
    return
  }
  if (skb.length < icmpv6At.payload) {
    refuse(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL')
    return
  }
  const type = readU8(skb.bytes, skb.data + icmpv6At.type)
  countIcmp6(ns, 'In', type)
  if (isNeighbourDiscovery(type)) {
    neighbourDiscovery(skb)
    return
  }
  if (type === icmpv6Type.echoRequest) echo(skb)
  else if (type === icmpv6Type.echoReply && ns.ip.stack.ping !== undefined) {
    ns.ip.stack.ping.receive(skb, 6)
    return
  } else if (isIcmpv6Error(type)) notify(skb)
  done(skb)
}

function receive(skb: Skb, family: 4 | 6): void {
  if (family === 6) icmp6Receive(skb)
  else drop(skb, { device: skb.dev.name, stage: 'rx', reason: 'SKB_DROP_REASON_IP_NOPROTO' })
}

/** ICMPv6 as a transport protocol; sockets for echo requests register as `IpStack.ping`. */
export const icmp6Transport: TransportHandler = { receive, error: quotedIcmp6 }

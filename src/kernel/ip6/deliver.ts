// An IPv6 packet for this host: INPUT, then header after header until a transport protocol takes it. net/ipv6/ip6_input.c
// ip6_input(), ip6_protocol_deliver_rcu(); net/ipv6/exthdrs.c. Unlike IPv4, fragments pass INPUT one by one.
import { isMulticast, readIpv6 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { checkExtension, extensionLength } from '../../net/ipv6-extensions.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { count } from '../counters.ts'
import { drop, endPacket } from '../drop.ts'
import { handlerOf } from '../ip/state.ts'
import type { Skb } from '../skb.ts'
import { isAccepted, policyCheck } from '../xfrm/check.ts'
import { inspectOptions6 } from './extension.ts'
import { isAtomicFragment, reassemble6 } from './fragment-receive.ts'
import { icmp6Send } from './icmp-send.ts'

const inputHook = { family: 6, hook: 'INPUT' } as const

/** Codes of an ICMPv6 parameter problem. */
const problem = { headerField: 0, unknownHeader: 1, unknownOption: 2 } as const

function end(skb: Skb, reason: KernelDropReason): undefined {
  drop(skb, { device: skb.dev.name, stage: 'rx', reason })
  return undefined
}

/** ip6_input(): `skb.data` stands at the IPv6 header. */
export function deliverLocally6(skb: Skb): void {
  const { ns } = skb.dev
  const verdict = ns.netfilter.run(ns, inputHook, skb, { in: skb.dev, out: undefined })
  if (verdict !== 'accept') return
  skb.data = skb.networkHeader + ipv6At.payload
  const hopByHop = readU8(skb.bytes, skb.networkHeader + ipv6At.nextHeader) === ipProtocol.hopByHop
  // ip6_rcv_core has read the hop-by-hop options already
  if (hopByHop) walk(skb, skip(skb, ipProtocol.hopByHop).nextAt)
  else walk(skb, ipv6At.nextHeader)
}

/** What is left to do after one header: the packet and where the number of the next header stands. */
interface Step {
  readonly skb: Skb
  /** Offset from the IPv6 header. */
  readonly nextAt: number
}

/** ip6_protocol_deliver_rcu(): `skb.data` stands at the header that the byte at `first` names. */
function walk(skb: Skb, first: number): void {
  let step: Step | undefined = { skb, nextAt: first }
  while (step !== undefined) {
    const { skb: current, nextAt } = step
    const protocol = readU8(current.bytes, current.networkHeader + nextAt)
    const next = extensionStep(current, protocol, nextAt)
    if (next === 'transport') {
      toProtocol(current, protocol, nextAt)
      return
    }
    step = next
  }
}

function extensionStep(skb: Skb, protocol: number, nextAt: number): Step | undefined | 'transport' {
  switch (protocol) {
    case ipProtocol.destinationOptions:
      return options(skb)
    case ipProtocol.routing:
      return routing(skb)
    case ipProtocol.fragment:
      return fragment(skb)
    case ipProtocol.hopByHop:
      // allowed right behind the fixed header only (RFC 8200 section 4.1)
      return unknownHeader(skb, nextAt)
    default:
      return 'transport'
  }
}

/** Moves behind the extension header at `data`. */
function skip(skb: Skb, protocol: number): Step {
  const at = skb.data
  skb.data = at + extensionLength(skb.bytes, at, protocol)
  return { skb, nextAt: at - skb.networkHeader }
}

function headerError(skb: Skb): undefined {
  count(skb.dev.ns, 'Ip6InHdrErrors')
  return end(skb, 'SKB_DROP_REASON_IP_INHDR')
}

function unknownHeader(skb: Skb, nextAt: number): undefined {
  count(skb.dev.ns, 'Ip6InUnknownProtos')
  icmp6Send(skb, { type: icmpv6Type.parameterProblem, code: problem.unknownHeader, info: nextAt })
  return end(skb, 'SKB_DROP_REASON_UNHANDLED_PROTO')
}

/** Acts on the options of the header at `data`; false when the packet is gone. */
export function acceptOptions(skb: Skb): boolean {
  const verdict = inspectOptions6(skb.bytes, skb.networkHeader, skb.data)
  if (verdict.kind === 'ok') return true
  if (verdict.kind === 'report') {
    const destination = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
    if (verdict.evenIfGroup || !isMulticast(destination)) {
      const spec = { type: icmpv6Type.parameterProblem, code: problem.unknownOption, info: verdict.pointer }
      icmp6Send(skb, spec)
    }
  }
  headerError(skb)
  return false
}

function options(skb: Skb): Step | undefined {
  const wrong = checkExtension(skb.bytes, skb.data, skb.tail, ipProtocol.destinationOptions)
  if (wrong !== undefined) return headerError(skb)
  return acceptOptions(skb) ? skip(skb, ipProtocol.destinationOptions) : undefined
}

const segmentRouting = 4

/** ipv6_rthdr_rcv(): a header with nothing left to visit is passed over; type 0 is dead (RFC 5095). */
function routing(skb: Skb): Step | undefined {
  if (checkExtension(skb.bytes, skb.data, skb.tail, ipProtocol.routing) !== undefined) return headerError(skb)
  const type = readU8(skb.bytes, skb.data + 2)
  const { ns } = skb.dev
  if (type === segmentRouting && !ns.sysctls.both('net.ipv6.conf.DEV.seg6_enabled', skb.dev.name)) {
    return end(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
  }
  if (readU8(skb.bytes, skb.data + 3) === 0) return skip(skb, ipProtocol.routing)
  count(ns, 'Ip6InHdrErrors')
  const info = skb.data + 2 - skb.networkHeader
  icmp6Send(skb, { type: icmpv6Type.parameterProblem, code: problem.headerField, info })
  return end(skb, 'SKB_DROP_REASON_IP_INHDR')
}

function fragment(skb: Skb): Step | undefined {
  if (checkExtension(skb.bytes, skb.data, skb.tail, ipProtocol.fragment) !== undefined)
    return headerError(skb)
  count(skb.dev.ns, 'Ip6ReasmReqds')
  if (isAtomicFragment(skb, skb.data)) {
    count(skb.dev.ns, 'Ip6ReasmOKs')
    return skip(skb, ipProtocol.fragment)
  }
  const whole = reassemble6(skb.dev.ns, skb, skb.data)
  if (whole === undefined) return undefined
  let nextAt: number = ipv6At.nextHeader
  for (let at = whole.networkHeader + ipv6At.payload; at < whole.data; ) {
    nextAt = at - whole.networkHeader
    at += (readU8(whole.bytes, at + 1) + 1) << 3
  }
  return { skb: whole, nextAt }
}

function toProtocol(skb: Skb, protocol: number, nextAt: number): void {
  const { ns } = skb.dev
  if (protocol === ipProtocol.none) {
    count(ns, 'Ip6InDelivers') // nodata_protocol
    endPacket(skb, { device: skb.dev.name, stage: 'rx', kind: 'consumed' })
    return
  }
  const handler = handlerOf(ns, 6, protocol)
  if (handler === undefined) {
    // ip6_protocol_deliver_rcu(): what policies refuse is not answered
    if (!policyCheck(skb, 6, 'in')) return void end(skb, 'SKB_DROP_REASON_XFRM_POLICY')
    unknownHeader(skb, nextAt)
    return
  }
  count(ns, 'Ip6InDelivers')
  if (isAccepted(skb, 6, protocol)) handler.receive(skb, 6)
}

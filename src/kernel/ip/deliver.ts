// A packet for this host: reassembly, INPUT, and the protocol it belongs to. net/ipv4/ip_input.c ip_local_deliver(),
// ip_protocol_deliver_rcu().
import { readU8 } from '../../net/bytes.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { ipv4At, ipv4HeaderLength, ipv4IsFragment } from '../../net/ipv4.ts'
import { count } from '../counters.ts'
import { drop } from '../drop.ts'
import type { Skb } from '../skb.ts'
import { isAccepted, policyCheck } from '../xfrm/check.ts'
import { fragmentUser } from './fragment-queue.ts'
import { reassemble } from './reassembly.ts'
import { handlerOf } from './state.ts'

const inputHook = { family: 4, hook: 'INPUT' } as const

/** ip_local_deliver(): `skb.data` stands at the IP header, `skb.route` says that the packet is for this namespace. */
export function deliverLocally(skb: Skb): void {
  const { ns } = skb.dev
  const whole = ipv4IsFragment(skb.bytes, skb.networkHeader)
    ? reassemble(ns, skb, fragmentUser.localDeliver)
    : skb
  if (whole === undefined) return
  const verdict = ns.netfilter.run(ns, inputHook, whole, { in: whole.dev, out: undefined })
  if (verdict === 'accept') toProtocol(whole)
}

/** ip_protocol_deliver_rcu(): without a handler the sender learns that the protocol is unknown here. */
function toProtocol(skb: Skb): void {
  const { ns } = skb.dev
  const l3 = skb.networkHeader
  const protocol = readU8(skb.bytes, l3 + ipv4At.protocol)
  const handler = handlerOf(ns, 4, protocol)
  if (handler === undefined) {
    if (policyCheck(skb, 4, 'in')) unknownProtocol(skb)
    drop(skb, { device: skb.dev.name, stage: 'rx', reason: 'SKB_DROP_REASON_IP_NOPROTO' })
    return
  }
  skb.data = l3 + ipv4HeaderLength(skb.bytes, l3)
  count(ns, 'IpInDelivers')
  if (isAccepted(skb, 4, protocol)) handler.receive(skb, 4)
}

function unknownProtocol(skb: Skb): void {
  const { ns } = skb.dev
  count(ns, 'IpInUnknownProtos')
  const code = icmpUnreachable.protocol
  ns.ip.stack.sendError(skb, { type: icmpType.unreachable, code, info: 0 })
}

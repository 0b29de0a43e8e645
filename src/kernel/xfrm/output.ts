// Output of a route that transforms: net/ipv4/xfrm4_output.c, net/ipv6/xfrm6_output.c, net/xfrm/xfrm_output.c xfrm_output(). The
// packet passes POSTROUTING as it is, is encrypted, and begins anew at OUTPUT as one that this host sends.
import { present } from '../../base/assert.ts'
import { readU16 } from '../../net/bytes.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv4At, ipv4Flag } from '../../net/ipv4.ts'
import { etherType } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import { drop } from '../drop.ts'
import { segmentAt } from '../gso.ts'
import { insideOf } from '../inside.ts'
import { ipLocalOut, ipOutput } from '../ip/output.ts'
import type { Route } from '../ip/route.ts'
import type { TransformOptions } from '../ip/state.ts'
import { fragmentPacket6 } from '../ip6/fragment.ts'
import { ip6LocalOut, ip6Output, ipv6MtuMin } from '../ip6/output.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { errnoNumber } from '../socket/errno.ts'
import { encapTransport, encapTunnel } from './encap.ts'
import { outputMark } from './state.ts'
import type { Bundle } from './tables.ts'

function bundleOf(route: Route): Bundle | undefined {
  return typeof route.xfrm === 'object' ? route.xfrm : undefined
}

/** Whether a packet would not fit and may not be cut outside (xfrm4_tunnel_check_size, xfrm6_tunnel_check_size). */
function isTooBig(skb: Skb, mtu: number, options: TransformOptions): boolean {
  if (options.ignoreDontFragment === true) return false
  if (skb.protocol !== etherType.ipv4) return skb.length > Math.max(mtu, ipv6MtuMin)
  const flags = readU16(skb.bytes, skb.data + ipv4At.flagsAndOffset)
  return (flags & ipv4Flag.dontFragment) !== 0 && skb.length > mtu
}

/** The sender is told: by an error of its call, or by a message where it is not on this host. */
function refuseSize(ns: Namespace, skb: Skb, mtu: number): number {
  count(ns, 'XfrmOutStateModeError')
  if (skb.sk === undefined) {
    const four = { type: icmpType.unreachable, code: icmpUnreachable.fragmentationNeeded, info: mtu }
    const six = { type: icmpv6Type.packetTooBig, code: 0, info: Math.max(mtu, ipv6MtuMin) }
    if (skb.protocol === etherType.ipv4) ns.ip.stack.sendError(skb, four)
    else ns.ip.stack.sendError6(skb, six)
  }
  drop(skb, { node: ns.name, device: '', stage: 'xfrm', reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
  return -errnoNumber.EMSGSIZE
}

/** xfrm_output_one(): one state, and the way on of what it made. */
function outputOne(ns: Namespace, skb: Skb, route: Route, options: TransformOptions): number {
  const { state, child } = present(bundleOf(route), 'a route that transforms says how')
  skb.mark = outputMark(state, skb.mark)
  if (state.mode === 'tunnel' && isTooBig(skb, route.mtu, options)) return refuseSize(ns, skb, route.mtu)
  const facts = insideOf(route.device, skb)
  state.bytes += skb.length
  state.packets += 1
  if (state.mode === 'tunnel') encapTunnel(skb, state, child, options.ignoreDontFragment === true)
  else encapTransport(skb, state)
  skb.transformed = true
  skb.fragmentMax = 0
  skb.fragmentSizes = undefined
  skb.options = undefined
  skb.summedHeader = -1
  skb.tunnelKey = undefined
  skb.nfct = undefined
  skb.nfctInfo = 0
  skb.route = child
  const site = { node: ns.name, device: '', stage: 'xfrm' } as const
  ns.machine.trace?.note(skb, site, { actor: 'kernel', decision: { code: 'ENCRYPT' }, facts })
  const next = bundleOf(child)
  if (next !== undefined && next.state.mode !== 'tunnel') return outputOne(ns, skb, child, options)
  return skb.protocol === etherType.ipv4 ? ipLocalOut(ns, skb) : ip6LocalOut(ns, skb)
}

/** __xfrm6_output(): a packet of this host that is too big for the tunnel is cut before it is encrypted. */
function piecesOf(ns: Namespace, skb: Skb, route: Route, options: TransformOptions): readonly Skb[] {
  const mtu = Math.max(route.mtu, ipv6MtuMin)
  const cut = skb.protocol === etherType.ipv6 && options.input === undefined && skb.length > mtu
  if (!cut || bundleOf(route)?.state.mode !== 'tunnel') return [skb]
  const pieces = fragmentPacket6(skb, mtu, ns.machine.random('ip6-ident', ns.machine.packets))
  if (ns.machine.trace !== undefined) for (const piece of pieces) piece.seen = piece.snapshot()
  return pieces
}

/** xfrm4_output(), xfrm6_output(): answers as ip_output() does. */
export function transform(ns: Namespace, skb: Skb, options: TransformOptions): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  if (route.xfrm === 'unresolved') {
    drop(skb, { node: ns.name, device: '', stage: 'xfrm', reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
    return 0
  }
  const family = skb.protocol === etherType.ipv4 ? 4 : 6
  const devices = { in: options.input, out: route.device }
  const verdict =
    options.rerouted === true ? 'accept' : ns.netfilter.run(ns, { family, hook: 'POSTROUTING' }, skb, devices)
  if (verdict !== 'accept') return verdict === 'drop' ? -errnoNumber.EPERM : 0
  // POSTROUTING may have led it to a route without a transformation
  if (bundleOf(present(skb.route, 'it has a route')) === undefined)
    return family === 4 ? ipOutput(ns, skb, options) : ip6Output(ns, skb, options)
  return xfrmOutput(ns, skb, options)
}

/** xfrm_output(): behind POSTROUTING. Large packets are cut first: no device encrypts for this host. */
function xfrmOutput(ns: Namespace, skb: Skb, options: TransformOptions): number {
  const route = present(skb.route, 'a packet that is sent has a route')
  const segments = skb.gsoSize > 0 ? segmentAt(route.device, skb, 'gso') : piecesOf(ns, skb, route, options)
  let result = 0
  for (const each of segments) result = outputOne(ns, each, route, options) || result
  return result
}

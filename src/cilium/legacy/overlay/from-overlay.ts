// What comes out of the tunnel, in Cilium 1.10: the tunnel id is read behind the question about services, and whatever is for no
// pod goes to the host by way of cilium_net. bpf_overlay.c from_overlay(), tail_handle_ipv4(), tail_handle_ipv6()
import { type Ctx, isError, PACKET_HOST } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { tunnelId4 } from '../../datapath/encap.ts'
import { endpointFlag, lookupEndpoint } from '../../datapath/endpoints.ts'
import { macBytesOf } from '../../datapath/ethernet.ts'
import { type Family, ipv4, ipv6, protocolNumber } from '../../datapath/family.ts'
import { fragmentInfo4 } from '../../datapath/fragments.ts'
import { ethernetLength, hasHeader, pullHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { identityOfMark, magicOf, mark } from '../../datapath/mark.ts'
import { metricDirection, metricReason } from '../../datapath/metrics.ts'
import type { ObjectProgram } from '../../datapath/object.ts'
import { skipNodeport, skipNodeportClear } from '../../datapath/overloadable.ts'
import { tracePoint, traceReason } from '../../datapath/trace-point.ts'
import { validEtherType } from '../ethernet.ts'
import { walkHeaders } from '../headers.ts'
import { l3, localDelivery } from '../l3.ts'
import { nodeportLb } from '../nodeport.ts'
import { count, sendDrop, sendTrace } from '../notify.ts'
import { call, withIdentity } from '../slots.ts'
import { remapHostAddress } from './remap-host.ts'

/** To the host by way of cilium_net: one hop less to live, then out of that device, into cilium_host. */
function toHost(ctx: Ctx, family: Family): number {
  const { CILIUM_HOST_MAC, CILIUM_NET_IFINDEX } = ctx.node
  const macs = { source: macBytesOf(ctx.object.interface_mac), destination: macBytesOf(CILIUM_HOST_MAC) }
  const result = l3(ctx, family, macs, metricDirection.INGRESS)
  return result === ctx.act.OK ? ctx.redirect(CILIUM_NET_IFINDEX, 0) : result
}

/** To a pod of this node, or to the host. */
function deliver(ctx: Ctx, family: Family, source: number): number {
  const l3Offset = ethernetLength(ctx)
  const address = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const endpoint = lookupEndpoint(ctx, family, address)
  if (endpoint === undefined || (endpoint.flags & endpointFlag.HOST) !== 0) return toHost(ctx, family)
  if (family === ipv6) {
    const walk = walkHeaders(ctx, family, l3Offset)
    if (typeof walk === 'number') return walk
  }
  const direction = metricDirection.INGRESS
  return localDelivery(ctx, family, { source, endpoint, direction, fromHost: false })
}

/** The sender's identity: by the mark of what was decrypted, else by the tunnel id, where nobody may be this host. */
function senderOf(ctx: Ctx, from: { identity: number }): number {
  if (magicOf(ctx.mark) === mark.DECRYPT) {
    from.identity = identityOfMark(ctx.mark)
    return 0
  }
  const tunnelId = tunnelId4(ctx)
  if (tunnelId === undefined) return drop.NO_TUNNEL_KEY
  from.identity = tunnelId
  return tunnelId === identity.HOST_ID ? drop.INVALID_IDENTITY : 0
}

function isEsp(ctx: Ctx, family: Family): boolean {
  return ctx.packet.u8(ethernetLength(ctx) + family.protocolAt) === protocolNumber.ESP
}

/** To the stack for decryption, with the sender's identity, which comes back with what was inside. */
function toDecrypt(ctx: Ctx, source: number): number {
  ctx.mark = withIdentity(mark.DECRYPT, source)
  ctx.changeType(PACKET_HOST)
  return ctx.act.OK
}

/** handle_ipv4(), handle_ipv6(): `from.identity` is found on the way, for the drop event. */
function handle(ctx: Ctx, family: Family, from: { identity: number }): number {
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) return drop.INVALID
  const untracked = family === ipv4 && !ctx.node.ENABLE_IPV4_FRAGMENTS
  if (untracked && fragmentInfo4(ctx, l3Offset).isFragment) return drop.FRAG_NOSUPPORT
  if (ctx.node.ENABLE_NODEPORT && !skipNodeport(ctx)) {
    const result = nodeportLb(ctx, family, from.identity)
    if (result < 0) return result
  }
  const remapped = family === ipv6 ? remapHostAddress(ctx, 'ingress') : 0
  if (remapped < 0) return remapped
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const decrypted = magicOf(ctx.mark) === mark.DECRYPT
  const failed = senderOf(ctx, from)
  if (failed < 0) return failed
  if (ctx.node.ENABLE_IPSEC) {
    if (decrypted) ctx.mark = 0
    else if (isEsp(ctx, family)) return toDecrypt(ctx, from.identity)
    else count(ctx, metricDirection.INGRESS, metricReason.PLAINTEXT)
  }
  return deliver(ctx, family, from.identity)
}

/** tail_handle_ipv4(), tail_handle_ipv6(): slot FROM_LXC. */
export function tailHandle(family: Family): ObjectProgram {
  return {
    symbol: `tail_handle_ipv${family.version}`,
    run: (ctx) => {
      const from = { identity: identity.UNKNOWN_ID }
      const result = handle(ctx, family, from)
      if (!isError(ctx, result)) return result
      return sendDrop(ctx, result, { source: from.identity, direction: metricDirection.INGRESS })
    },
  }
}

/** By ethertype: what is no IP goes to the stack. */
function dispatch(ctx: Ctx, etherType: number): number {
  const { ENABLE_IPV4, ENABLE_IPV6 } = ctx.node
  if (etherType === ipv4.etherType) return ENABLE_IPV4 ? ctx.tailCall(call.IPV4_FROM_LXC) : drop.UNKNOWN_L3
  if (etherType === ipv6.etherType) return ENABLE_IPV6 ? ctx.tailCall(call.IPV6_FROM_LXC) : drop.UNKNOWN_L3
  return ctx.act.OK
}

/** from_overlay(): ingress of the tunnel device. */
export const fromOverlay: ObjectProgram = {
  symbol: 'from-overlay',
  run: (ctx) => {
    ctx.clearMeta()
    skipNodeportClear(ctx)
    const etherType = validEtherType(ctx)
    if (etherType === undefined) return ctx.act.OK
    const decrypted = ctx.node.ENABLE_IPSEC && magicOf(ctx.mark) === mark.DECRYPT
    sendTrace(ctx, {
      point: tracePoint.FROM_OVERLAY,
      source: decrypted ? identityOfMark(ctx.mark) : identity.UNKNOWN_ID,
      reason: decrypted ? traceReason.ENCRYPTED : 0,
      ifindex: ctx.ingressIfindex,
      monitor: ctx.node.trace_payload_len,
    })
    const result = dispatch(ctx, etherType)
    if (!isError(ctx, result)) return result
    return sendDrop(ctx, result, { source: identity.UNKNOWN_ID, direction: metricDirection.INGRESS })
  },
}

// bpf_wireguard: the programs of cilium_wg0, whose packets have no Ethernet header. bpf_wireguard.c

import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import type { Defines } from '../datapath/defines.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { isHostDelivery, lookupEndpoint } from '../datapath/endpoints.ts'
import { ethernetBytes, macBytesOf } from '../datapath/ethernet.ts'
import { enabledFamily, type Family } from '../datapath/family.ts'
import { addL2Header, maybeAddL2Header, needsL2Header } from '../datapath/fib.ts'
import { ethernetLength, fragmentInfo, hasHeader, pullHeader } from '../datapath/headers.ts'
import { tailSendTimeExceeded } from '../datapath/icmp6-time-exceeded.ts'
import { identity, worldId } from '../datapath/identity.ts'
import { lookupRemoteEndpoint } from '../datapath/ipcache.ts'
import { setDecryptMark } from '../datapath/ipsec.ts'
import { l3 } from '../datapath/l3.ts'
import { localDelivery } from '../datapath/local-delivery.ts'
import { identityOfMark, magicOf, mark } from '../datapath/mark.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { nodeportLb, nodeportTails } from '../datapath/nodeport.ts'
import { handleNatFwd, nodeportEgressTails } from '../datapath/nodeport-egress.ts'
import { sendDrop, sendTrace, type TraceContext } from '../datapath/notify.ts'
import type { ObjectProgram, ObjectSource } from '../datapath/object.ts'
import { skipNodeport, skipNodeportClear } from '../datapath/overloadable.ts'
import { call } from '../datapath/tail-calls.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'
import { dropNotifyTail, familiesOf } from '../host/bpf-host.ts'

const places = {
  4: {
    tail: where('bpf_wireguard.c', 297),
    invalid: where('bpf_wireguard.c', 365),
    trace: where('bpf_wireguard.c', 372),
    missed: where('bpf_wireguard.c', 382),
  },
  6: {
    tail: where('bpf_wireguard.c', 148),
    invalid: where('bpf_wireguard.c', 347),
    trace: where('bpf_wireguard.c', 354),
    missed: where('bpf_wireguard.c', 359),
  },
} as const
const otherTrace = where('bpf_wireguard.c', 388)
const toWireguardDrop = where('bpf_wireguard.c', 422)
const toWireguardTrace = where('bpf_wireguard.c', 429)

const fromWireguardSlot = { 4: call.IPV4_FROM_WIREGUARD, 6: call.IPV6_FROM_WIREGUARD } as const

/** What is for the host goes to it by way of cilium_net, with an Ethernet header. ipv4_host_delivery() */
function hostDelivery(ctx: Ctx, family: Family): number {
  const added = addL2Header(ctx)
  if (added !== 0) return added
  if (family.version === 4 && !hasHeader(ctx, family, ethernetBytes)) return drop.INVALID
  const macs = {
    source: macBytesOf(ctx.object.interface_mac),
    destination: macBytesOf(ctx.node.CILIUM_HOST_MAC),
  }
  const hop = l3(ctx, family, ethernetBytes, macs, metricDirection.INGRESS)
  return hop === ctx.act.OK ? ctx.redirect(ctx.node.CILIUM_NET_IFINDEX, 0) : hop
}

/** Delivery to a pod of this node; undefined where the packet is for the host. */
function podDelivery(ctx: Ctx, family: Family, source: number): number | undefined {
  const address = ctx.packet.copy(family.destinationAt + ethernetLength(ctx), family.addressBytes)
  const endpoint = lookupEndpoint(ctx, family, address)
  if (endpoint === undefined || isHostDelivery(endpoint)) return undefined
  if (!ctx.node.ENABLE_HOST_ROUTING) return ctx.act.OK
  let l3Offset = ethernetLength(ctx)
  if (needsL2Header(ctx, endpoint.ifindex)) {
    const added = maybeAddL2Header(ctx)
    if (added !== 0) return added
    l3Offset += ethernetBytes
    if (family.version === 4 && !hasHeader(ctx, family, l3Offset)) return drop.INVALID
  }
  return localDelivery(ctx, family, {
    l3Offset,
    source,
    magic: mark.IDENTITY,
    endpoint,
    direction: metricDirection.INGRESS,
    fromHost: false,
    fromTunnel: false,
    clusterId: 0,
  })
}

/** handle_ipv4(), handle_ipv6() */
function handle(ctx: Ctx, family: Family, source: number): number {
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) return drop.INVALID
  const tracked = family.version === 4 ? ctx.node.ENABLE_IPV4_FRAGMENTS : ctx.node.ENABLE_IPV6_FRAGMENTS
  if (!tracked) {
    const fragment = fragmentInfo(ctx, family, l3Offset)
    if (typeof fragment === 'number') return fragment
    if (fragment.isFragment) return drop.FRAG_NOSUPPORT
  }
  if (ctx.node.ENABLE_NODEPORT && !skipNodeport(ctx)) {
    const service = nodeportLb(ctx, family, source)
    if (service.result < 0 || service.result === ctx.act.REDIRECT || service.puntToStack)
      return service.result
    if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  }
  return podDelivery(ctx, family, source) ?? hostDelivery(ctx, family)
}

function tailHandle(ctx: Ctx, family: Family): number {
  const source = ctx.takeMeta(cb.SRC_LABEL)
  const result = handle(ctx, family, source)
  if (!isError(ctx, result)) return result
  return sendDrop(ctx, result, { source, direction: metricDirection.INGRESS }, places[family.version].tail)
}

function cryptoTrace(ctx: Ctx, source: number, etherType: number) {
  return {
    point: tracePoint.FROM_CRYPTO,
    source,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex: ctx.ingressIfindex,
    reason: traceReason.UNKNOWN,
    monitor: ctx.node.trace_payload_len,
    etherType,
  }
}

/** cil_from_wireguard(): ingress of cilium_wg0, after decryption. */
function fromWireguard(ctx: Ctx): number {
  const { node, protocol } = ctx
  skipNodeportClear(ctx)
  ctx.clearMeta()
  if (node.ENABLE_IDENTITY_MARK) setDecryptMark(ctx, 0)
  // inner packets of the tunnel are for bpf_overlay
  if (node.TUNNEL_MODE && !(node.ENABLE_NODEPORT && node.ENABLE_NODE_ENCRYPTION)) return ctx.act.OK
  const family = enabledFamily(ctx, protocol)
  if (family === undefined) {
    sendTrace(ctx, cryptoTrace(ctx, identity.UNKNOWN_ID, protocol), otherTrace)
    return ctx.act.OK
  }
  const { invalid, trace, missed } = places[family.version]
  const direction = metricDirection.INGRESS
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) {
    return sendDrop(ctx, drop.INVALID, { source: identity.UNKNOWN_ID, direction }, invalid, false)
  }
  const address = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const source = lookupRemoteEndpoint(ctx, family, address)?.secIdentity ?? worldId(node, family)
  ctx.setMeta(cb.SRC_LABEL, source)
  sendTrace(ctx, cryptoTrace(ctx, source, protocol), trace)
  const reason = ctx.tailCall(fromWireguardSlot[family.version])
  return sendDrop(ctx, reason, { source, direction, exitCode: ctx.act.OK }, missed)
}

/** cil_to_wireguard(): egress of cilium_wg0, before encryption. */
function toWireguard(ctx: Ctx): number {
  const etherType = ctx.protocol
  const magic = magicOf(ctx.mark)
  const source = magic === mark.IDENTITY ? identityOfMark(ctx.mark) : identity.UNKNOWN_ID
  const trace: TraceContext = { reason: traceReason.UNKNOWN, monitor: 0 }
  ctx.clearMeta()
  if (ctx.node.ENABLE_NODEPORT && magic !== mark.OVERLAY) {
    const result = handleNatFwd(ctx, { source, etherType, revDnatOnly: true }, trace)
    if (isError(ctx, result)) {
      return sendDrop(ctx, result, { source, direction: metricDirection.EGRESS }, toWireguardDrop)
    }
  }
  const event = {
    point: tracePoint.TO_CRYPTO,
    source,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex: ctx.object.interface_ifindex,
    reason: trace.reason,
    monitor: trace.monitor,
    etherType,
  }
  sendTrace(ctx, event, toWireguardTrace)
  return ctx.act.OK
}

/** bpf_wireguard as it is compiled for a node. */
export function bpfWireguard(node: Defines): ObjectSource {
  const tails = familiesOf(node).flatMap((family): [number, ObjectProgram][] => [
    [
      fromWireguardSlot[family.version],
      { symbol: `tail_handle_ipv${family.version}`, run: (ctx) => tailHandle(ctx, family) },
    ],
    ...(node.ENABLE_NODEPORT ? [...nodeportTails(family), ...nodeportEgressTails(family)] : []),
  ])
  const timeExceeded: [number, ObjectProgram][] = node.ENABLE_IPV6
    ? [[call.SEND_ICMP6_TIME_EXCEEDED, tailSendTimeExceeded]]
    : []
  return {
    type: 'sched_cls',
    entries: [
      { symbol: 'cil_from_wireguard', run: fromWireguard },
      { symbol: 'cil_to_wireguard', run: toWireguard },
    ],
    tails: new Map([...(node.DROP_NOTIFY ? [dropNotifyTail] : []), ...tails, ...timeExceeded]),
  }
}

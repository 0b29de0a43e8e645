// Entry of what arrives: from a native device (cil_from_netdev) and from the host's stack through cilium_host
// (cil_from_host). bpf_host.c do_netdev()
import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import { validEtherType } from '../datapath/ethernet.ts'
import { enabledFamily, type Family, protocolNumber } from '../datapath/family.ts'
import { ethernetLength, pullHeader, walkHeaders } from '../datapath/headers.ts'
import { identity } from '../datapath/identity.ts'
import { inheritIdentity } from '../datapath/inherit-identity.ts'
import { doDecrypt, setDecryptMark } from '../datapath/ipsec.ts'
import { tailCallEgressPolicy } from '../datapath/local-delivery.ts'
import { magicOf, mark } from '../datapath/mark.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { sendDrop, sendTrace } from '../datapath/notify.ts'
import {
  isDecrypt,
  skipNodeportClear,
  skipNodeportSet,
  snatDoneSet,
  xferFlag,
  xferFlagsWord,
} from '../datapath/overloadable.ts'
import { resolveSource } from '../datapath/source-identity.ts'
import { edtSetAggregate } from '../datapath/throttle.ts'
import { type TracePoint, tracePoint, traceReason } from '../datapath/trace-point.ts'
import { isWireguardPacket } from '../datapath/wireguard.ts'
import { hostCalls } from './forward.ts'
import { announceArp, announceNeighbour } from './l2-announcement.ts'

const received = { 4: where('bpf_host.c', 1123), 6: where('bpf_host.c', 1083) } as const
const missedTail = { 4: where('bpf_host.c', 1135), 6: where('bpf_host.c', 1090) } as const
const receivedArp = where('bpf_host.c', 1147)
const receivedOther = where('bpf_host.c', 1163)
const ingressDrop = where('bpf_host.c', 1178)
const badTypeToStack = where('bpf_host.c', 1237)
const fromNetdevDrop = where('bpf_host.c', 1264)
const fromHostBadType = where('bpf_host.c', 1295)
const fromHostToStack = where('bpf_host.c', 1299)
const fromHostEgressPolicy = where('bpf_host.c', 1312)

const ETH_P_ARP = 0x0806

/** What do_netdev() is told. */
interface Received {
  readonly etherType: number
  readonly identity: number
  readonly point: TracePoint
  readonly fromHost: boolean
}

function traceOf(ctx: Ctx, packet: Received, source: number, reason: number) {
  return {
    point: packet.point,
    source,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex: ctx.ingressIfindex,
    reason,
    monitor: ctx.node.trace_payload_len,
    etherType: packet.etherType,
  }
}

/** Notes that a WireGuard packet of the cluster is encrypted. The reason for the trace. */
function markWireguard(ctx: Ctx, family: Family, source: number): number {
  if (!ctx.node.ENABLE_WIREGUARD) return traceReason.UNKNOWN
  const walk = walkHeaders(ctx, family, ethernetLength(ctx))
  if (typeof walk === 'number') return traceReason.UNKNOWN
  const l4Offset = ethernetLength(ctx) + walk.length
  if (!isWireguardPacket(ctx, l4Offset, walk.nexthdr, source)) return traceReason.UNKNOWN
  setDecryptMark(ctx, 0)
  return traceReason.ENCRYPTED
}

function isIcmp6(ctx: Ctx, family: Family): boolean {
  if (family.version === 4) return false
  return ctx.packet.u8(ethernetLength(ctx) + family.protocolAt) === protocolNumber.ICMPV6
}

/** An answer for an announced address that could not be made. */
function announcementFailed(ctx: Ctx, packet: Received, reason: number): number {
  const event = { source: packet.identity, direction: metricDirection.EGRESS }
  return sendDrop(ctx, reason, event, ingressDrop, false)
}

/** The IP half of do_netdev(): trace, then the main path. A missing program lets the packet through. */
function receiveIp(ctx: Ctx, family: Family, packet: Received): number {
  const { fromHost } = packet
  if (!pullHeader(ctx, family, ethernetLength(ctx))) {
    const event = { source: packet.identity, direction: metricDirection.INGRESS }
    return sendDrop(ctx, drop.INVALID, event, ingressDrop, false)
  }
  if (ctx.node.enable_l2_announcements && isIcmp6(ctx, family)) {
    ctx.pull(ctx.length)
    const answered = announceNeighbour(ctx)
    if (isError(ctx, answered)) return announcementFailed(ctx, packet, answered)
    if (answered !== ctx.act.OK) return answered
  }
  const { source, ipcacheSource } = resolveSource(ctx, family, packet.identity)
  ctx.setMeta(cb.SRC_LABEL, source)
  if (ctx.node.ENABLE_HOST_FIREWALL && fromHost) ctx.setMeta(cb.IPCACHE_SRC_LABEL, ipcacheSource)
  const reason = fromHost ? traceReason.UNKNOWN : markWireguard(ctx, family, source)
  sendTrace(ctx, traceOf(ctx, packet, source, reason), received[family.version])
  const calls = hostCalls[family.version]
  const missed = ctx.tailCall(fromHost ? calls.fromHost : calls.fromNetdev)
  const event = { source, direction: metricDirection.INGRESS, exitCode: ctx.act.OK }
  return sendDrop(ctx, missed, event, missedTail[family.version])
}

function passesArp(ctx: Ctx): boolean {
  const { ENABLE_ARP_PASSTHROUGH, ENABLE_ARP_RESPONDER, enable_l2_announcements } = ctx.node
  return ENABLE_ARP_PASSTHROUGH || ENABLE_ARP_RESPONDER || enable_l2_announcements
}

/** struct arp_eth behind its header, which is what must be readable. */
const arpBytes = 20
const arpHeaderBytes = 8

/** do_netdev() */
function doNetdev(ctx: Ctx, packet: Received): number {
  const family = enabledFamily(ctx, packet.etherType)
  if (family !== undefined) return receiveIp(ctx, family, packet)
  const event = { source: packet.identity, direction: metricDirection.INGRESS }
  const trace = traceOf(ctx, packet, packet.identity, traceReason.UNKNOWN)
  if (packet.etherType === ETH_P_ARP && passesArp(ctx)) {
    const length = ethernetLength(ctx) + arpHeaderBytes + arpBytes
    ctx.pull(length)
    if (!ctx.packet.has(0, length)) return sendDrop(ctx, drop.INVALID, event, ingressDrop, false)
    sendTrace(ctx, trace, receivedArp)
    if (!ctx.node.enable_l2_announcements) return ctx.act.OK
    const answered = announceArp(ctx)
    return isError(ctx, answered) ? announcementFailed(ctx, packet, answered) : answered
  }
  sendTrace(ctx, trace, receivedOther)
  if (!ctx.node.ENABLE_HOST_FIREWALL) return ctx.act.OK
  return sendDrop(ctx, drop.UNKNOWN_L3, event, ingressDrop, false)
}

/** The decision of the VLAN filter: 0 for untagged packets, a code for allowed ones, or DROP_VLAN_FILTERED. */
export function filterVlan(ctx: Ctx): number | undefined {
  const id = ctx.vlanId
  if (id === 0) return undefined
  const allowed = ctx.node.vlanFilter.get(ctx.ifindex)
  if (allowed === 'all' || allowed?.has(id) === true) return ctx.act.OK
  return drop.VLAN_FILTERED
}

/** What XDP found out about the packet. */
function takeTransfer(ctx: Ctx): void {
  if (!ctx.node.ENABLE_NODEPORT_ACCELERATION) return
  const flags = ctx.transfer(xferFlagsWord)
  if ((flags & xferFlag.PKT_NO_SVC) !== 0) skipNodeportSet(ctx)
  if (ctx.node.HAVE_ENCAP && (flags & xferFlag.PKT_SNAT_DONE) !== 0) snatDoneSet(ctx)
}

/** A packet that is no Ethernet II, on its way to the stack. */
function passUnknown(ctx: Ctx, source: number, place: ReturnType<typeof where>): number {
  const event = {
    point: tracePoint.TO_STACK,
    source,
    destination: identity.UNKNOWN_ID,
    endpoint: 0,
    ifindex: 0,
    reason: traceReason.UNKNOWN,
    monitor: 0,
    etherType: 0,
  }
  sendTrace(ctx, event, place)
  return ctx.act.OK
}

/** cil_from_netdev(): ingress of a native device. */
export function fromNetdev(ctx: Ctx): number {
  const dropped = (reason: number): number => {
    const event = { source: identity.UNKNOWN_ID, direction: metricDirection.INGRESS }
    return sendDrop(ctx, reason, event, fromNetdevDrop, false)
  }
  ctx.clearMeta()
  const vlan = filterVlan(ctx)
  if (vlan !== undefined) return vlan < 0 ? dropped(vlan) : vlan
  skipNodeportClear(ctx)
  takeTransfer(ctx)
  const etherType = validEtherType(ctx)
  if (etherType === undefined) {
    if (ctx.node.ENABLE_HOST_FIREWALL) return dropped(drop.UNSUPPORTED_L2)
    return passUnknown(ctx, identity.UNKNOWN_ID, badTypeToStack)
  }
  if (ctx.node.ENABLE_IPSEC) {
    const decrypted = doDecrypt(ctx, etherType)
    if (decrypted < 0) return dropped(decrypted)
    if (isDecrypt(ctx)) return ctx.act.OK
  }
  const point = tracePoint.FROM_NETWORK
  return doNetdev(ctx, { etherType, identity: identity.UNKNOWN_ID, point, fromHost: false })
}

/** cil_from_host(): egress of cilium_host. */
export function fromHost(ctx: Ctx): number {
  ctx.clearMeta()
  edtSetAggregate(ctx, 0)
  const etherType = validEtherType(ctx)
  if (etherType === undefined) {
    if (!ctx.node.ENABLE_HOST_FIREWALL) return passUnknown(ctx, identity.HOST_ID, fromHostToStack)
    const event = { source: identity.HOST_ID, direction: metricDirection.EGRESS }
    return sendDrop(ctx, drop.UNSUPPORTED_L2, event, fromHostBadType, false)
  }
  if (ctx.node.ENABLE_L7_LB && magicOf(ctx.mark) === mark.PROXY_EGRESS_EPID) {
    const endpointId = ctx.mark >>> 16
    ctx.mark = 0
    const missed = tailCallEgressPolicy(ctx, endpointId)
    const event = { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS }
    return sendDrop(ctx, missed, event, fromHostEgressPolicy, false)
  }
  const inherited = inheritIdentity(ctx)
  const proxy = inherited.magic === mark.PROXY_INGRESS || inherited.magic === mark.PROXY_EGRESS
  const point = proxy ? tracePoint.FROM_PROXY : tracePoint.FROM_HOST
  return doNetdev(ctx, { etherType, identity: inherited.identity, point, fromHost: true })
}

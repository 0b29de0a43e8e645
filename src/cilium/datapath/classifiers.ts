// Flags of an event that say how its captured bytes are to be read, and how many bytes are captured. lib/classifiers.h
import { tunnelProtocol } from './config.ts'
import type { Ctx } from './ctx.ts'
import { ipv4, ipv6, protocolNumber } from './family.ts'
import { magicOf, mark } from './mark.ts'
import { tracePoint } from './trace-point.ts'

export const classFlag = { IPV6: 1, L3_DEV: 2, VXLAN: 4, GENEVE: 8 } as const

const udpDestinationAt = 2

function tunnelFlag(ctx: Ctx): number {
  return ctx.node.TUNNEL_PROTOCOL === tunnelProtocol.geneve ? classFlag.GENEVE : classFlag.VXLAN
}

/** can_observe_overlay_mark() */
function mayKnowByMark(ctx: Ctx, point: number): boolean {
  if (!ctx.node.HAVE_ENCAP || ctx.isXdp) return false
  const { kind } = ctx.object
  if (kind === 'bpf_host') return point === tracePoint.TO_NETWORK || point === tracePoint.UNKNOWN
  return kind === 'bpf_wireguard' && (point === tracePoint.TO_CRYPTO || point === tracePoint.UNKNOWN)
}

/** can_observe_overlay_hdr() */
function mayKnowByHeader(ctx: Ctx, point: number): boolean {
  if (!ctx.node.HAVE_ENCAP) return false
  const { kind } = ctx.object
  if (kind === 'bpf_host') {
    if (point === tracePoint.FROM_NETWORK || point === tracePoint.UNKNOWN) return true
    return ctx.node.ENABLE_IPSEC && point === tracePoint.TO_STACK
  }
  return kind === 'bpf_wireguard' && (point === tracePoint.FROM_CRYPTO || point === tracePoint.UNKNOWN)
}

/** ctx_is_overlay_hdr(): UDP to the tunnel port. */
export function isOverlayHeader(ctx: Ctx, etherType: number): boolean {
  const l3 = ctx.object.eth_header_length
  const { packet } = ctx
  let l4: number
  if (etherType === ipv6.etherType && ctx.node.ENABLE_IPV6) {
    if (!packet.has(l3, ipv6.headerBytes) || packet.u8(l3 + ipv6.protocolAt) !== protocolNumber.UDP)
      return false
    l4 = l3 + ipv6.headerBytes
  } else if (etherType === ipv4.etherType && ctx.node.ENABLE_IPV4) {
    if (!packet.has(l3, ipv4.headerBytes) || packet.u8(l3 + ipv4.protocolAt) !== protocolNumber.UDP)
      return false
    l4 = l3 + (packet.u8(l3) & 0xf) * 4
  } else return false
  return packet.has(l4 + udpDestinationAt, 2) && packet.u16(l4 + udpDestinationAt) === ctx.node.TUNNEL_PORT
}

/** ctx_is_encrypted_by_point() */
function isEncryptedHere(ctx: Ctx, point: number): boolean {
  const { ENABLE_IPSEC, ENABLE_WIREGUARD } = ctx.node
  if (ctx.isXdp || (!ENABLE_IPSEC && !ENABLE_WIREGUARD)) return false
  const { kind } = ctx.object
  const unknown = point === tracePoint.UNKNOWN
  const magic = magicOf(ctx.mark)
  if (kind === 'bpf_host') {
    if (point === tracePoint.FROM_NETWORK || point === tracePoint.TO_NETWORK || unknown)
      return magic === mark.DECRYPT
    return ENABLE_IPSEC && point === tracePoint.FROM_STACK && magic === mark.ENCRYPT
  }
  if (kind !== 'bpf_network' || !ENABLE_IPSEC) return false
  return (
    (point === tracePoint.FROM_NETWORK || point === tracePoint.TO_HOST || unknown) && magic === mark.DECRYPT
  )
}

/** ctx_classify(): `etherType` 0 takes the packet's own. */
export function classify(ctx: Ctx, etherType: number, point: number): number {
  const protocol = etherType === 0 ? ctx.protocol : etherType
  let flags = ctx.object.eth_header_length === 0 ? classFlag.L3_DEV : 0
  if (protocol === ipv6.etherType) flags |= classFlag.IPV6
  if (isEncryptedHere(ctx, point)) return flags
  if (mayKnowByMark(ctx, point) && magicOf(ctx.mark) === mark.OVERLAY) return flags | tunnelFlag(ctx)
  if (mayKnowByHeader(ctx, point) && isOverlayHeader(ctx, protocol)) flags |= tunnelFlag(ctx)
  return flags
}

/** compute_capture_len(): `monitor` bytes, or the default of a native or an overlay packet. */
export function captureLength(ctx: Ctx, monitor: number, flags: number, point: number): number {
  const { trace_payload_len, trace_payload_len_overlay } = ctx.node
  const tunnelled = (flags & (classFlag.VXLAN | classFlag.GENEVE)) !== 0
  const overlay = tunnelled && (mayKnowByMark(ctx, point) || mayKnowByHeader(ctx, point))
  const usual = overlay ? trace_payload_len_overlay : trace_payload_len
  const wanted = monitor === 0 || monitor === trace_payload_len ? usual : monitor
  return Math.min(wanted, ctx.length)
}

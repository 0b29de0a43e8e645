// What bpf_host, bpf_overlay, bpf_wireguard and bpf_xdp ask about every packet that arrives: is it for a service, from a
// connection with direct server return, or perhaps a reply whose source was translated here? lib/nodeport.h
// nodeport_lb4(), nodeport_lb6()
import { type Ctx, cb, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { dsrIngress, extractDsr, looksForDsr } from './dsr-ingress.ts'
import { type Family, ipv6 } from './family.ts'
import { ethernetLength, walkHeaders } from './headers.ts'
import { lbExtractTuple, lbFillKey, lbLookupService, lbTuple } from './lb.ts'
import type { PacketPlace } from './nat-mapping.ts'
import { natIngressTails, revNatTails } from './nodeport-reply.ts'
import { nodeportService, serviceTails } from './nodeport-service.ts'
import type { ObjectProgram } from './object.ts'
import { setXfer, xferFlag } from './overloadable.ts'
import { call } from './tail-calls.ts'

/** What nodeport_lb4() comes to. */
export interface NodeportResult {
  /** CTX_ACT_OK, CTX_ACT_REDIRECT or a drop reason. */
  readonly result: number
  /** The packet is for the stack (for a proxy there), whatever else the program would do. */
  readonly puntToStack: boolean
  /** The packet belongs to a connection with direct server return. */
  readonly isDsr: boolean
}

const natIngress = { 4: call.IPV4_NODEPORT_NAT_INGRESS, 6: call.IPV6_NODEPORT_NAT_INGRESS } as const

function masquerades(ctx: Ctx, family: Family): boolean {
  return family.version === 4 ? ctx.node.ENABLE_MASQUERADE_IPV4 : ctx.node.ENABLE_MASQUERADE_IPV6
}

/** A packet that no service wants: it can be a reply, which slot NAT_INGRESS finds out. */
function lookForReply(ctx: Ctx, family: Family, source: number, isServiceProtocol: boolean): number {
  if (family.version === 4) ctx.setMeta(cb.SRC_LABEL, source)
  if (!masquerades(ctx, family) && !isServiceProtocol) return ctx.act.OK
  if (family === ipv6) {
    ctx.setMeta(cb.NAT_46X64, 0)
    ctx.setMeta(cb.SRC_LABEL, source)
  }
  return ctx.tailCall(natIngress[family.version])
}

/**
 * nodeport_lb4(), nodeport_lb6(): `source` is the identity of the sender. In most cases a tail call is taken and the program of
 * the main path comes back with the flag SKIP_NODEPORT. `l3Offset` may be that of a header inside a tunnel's (XDP).
 */
export function nodeportLb(
  ctx: Ctx,
  family: Family,
  source: number,
  l3Offset: number = ethernetLength(ctx),
): NodeportResult {
  const done = (result: number): NodeportResult => ({ result, puntToStack: false, isDsr: false })
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return done(walk)
  const { fragment, length } = walk
  // Cilium reads the ports behind the first IP header, also of a packet inside of a tunnel's
  const place: PacketPlace = { l3Offset, l4Offset: ethernetLength(ctx) + length, fragment }
  const tuple = lbTuple(family, walk.nexthdr)
  const extracted = lbExtractTuple(ctx, tuple, place)
  const isServiceProtocol = extracted !== drop.UNSUPP_SERVICE_PROTO
  if (isServiceProtocol && isError(ctx, extracted)) {
    if (extracted !== drop.UNKNOWN_L4) return done(extracted)
    setXfer(ctx, xferFlag.PKT_NO_SVC)
    return done(ctx.act.OK)
  }
  if (isServiceProtocol) {
    const key = lbFillKey(tuple)
    const service = lbLookupService(ctx, key, false)
    if (service !== undefined) return nodeportService(ctx, { tuple, place, key, service, source })
  }
  setXfer(ctx, xferFlag.PKT_NO_SVC)
  if (isServiceProtocol && looksForDsr(ctx)) {
    const info = extractDsr(ctx, tuple, place)
    if (typeof info === 'number') return done(info)
    if (info !== undefined) {
      return { result: dsrIngress(ctx, tuple, place, info), puntToStack: false, isDsr: true }
    }
  }
  return done(lookForReply(ctx, family, source, isServiceProtocol))
}

/** The tail calls of lib/nodeport.h for one family, of objects that look for services. */
export function nodeportTails(family: Family): [number, ObjectProgram][] {
  return [...natIngressTails(family), ...revNatTails(family), ...serviceTails(family)]
}

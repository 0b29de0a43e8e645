// What leaves through a native device of 1.10: host firewall, departure time, translation, in this order. bpf_host.c to_netdev()
import { type Ctx, isError } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { enabledFamily, type Family, ipv4 } from '../../datapath/family.ts'
import { ethernetLength, hasHeader, pullHeader } from '../../datapath/headers.ts'
import { identity } from '../../datapath/identity.ts'
import { magicOf, mark } from '../../datapath/mark.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import { edtSchedDeparture } from '../../datapath/throttle.ts'
import { tracePoint } from '../../datapath/trace-point.ts'
import { SKIP_HOST_FIREWALL } from '../../host/icmp6.ts'
import { validEtherType } from '../ethernet.ts'
import { walkHeaders } from '../headers.ts'
import { hostPolicyEgress } from '../host-firewall.ts'
import { handleIcmp6AtHost } from '../icmp6.ts'
import { lookupRemoteEndpoint } from '../ipcache.ts'
import { handleNatFwd } from '../masquerade.ts'
import { count, sendDrop, sendTrace } from '../notify.ts'
import { policyClearMark } from '../policy.ts'
import { isSnatDone } from '../slots.ts'
import { passesArp } from './receive.ts'
import { resolveSource } from './source-identity.ts'

/** What the host firewall comes to. */
interface Firewall {
  readonly result: number
  /** The identity that the trace tells; 0 of IPv6. */
  readonly source: number
  /** The result ends the program without an event. */
  readonly silent: boolean
}

/** handle_to_netdev_ipv6() */
function firewall6(ctx: Ctx, family: Family): number {
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) return drop.INVALID
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  if (walk.nexthdr === family.icmp) {
    const handled = handleIcmp6AtHost(ctx, l3Offset)
    if (handled === SKIP_HOST_FIREWALL) return ctx.act.OK
    if (isError(ctx, handled)) return handled
  }
  const source = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const label = lookupRemoteEndpoint(ctx, family, source)?.secIdentity ?? 0
  return hostPolicyEgress(ctx, family, label, 0)
}

/** The IPv4 case: who sends is told by the mark, else by the address. */
function firewall4(ctx: Ctx): Firewall {
  const byMark = magicOf(ctx.mark) === mark.HOST ? identity.HOST_ID : 0
  const { source, ipcacheSource } = resolveSource(ctx, ipv4, byMark, true)
  if (!hasHeader(ctx, ipv4, ethernetLength(ctx))) return { result: drop.INVALID, source, silent: true }
  return { result: hostPolicyEgress(ctx, ipv4, source, ipcacheSource), source, silent: false }
}

function hostFirewall(ctx: Ctx, etherType: number | undefined): Firewall {
  const done = (result: number): Firewall => ({ result, source: 0, silent: false })
  if (!ctx.node.ENABLE_HOST_FIREWALL) return done(ctx.act.OK)
  if (etherType === undefined) return done(drop.UNSUPPORTED_L2)
  policyClearMark(ctx)
  if (passesArp(ctx, etherType)) return done(ctx.act.OK)
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return done(drop.UNKNOWN_L3)
  return family === ipv4 ? firewall4(ctx) : done(firewall6(ctx, family))
}

/** Whether anything is translated here at all: with DSR alone and no masquerading nothing is. */
function translates(ctx: Ctx): boolean {
  const { node } = ctx
  if (!node.ENABLE_NODEPORT || isSnatDone(ctx.mark)) return false
  return (
    !node.ENABLE_DSR || node.ENABLE_DSR_HYBRID || node.ENABLE_MASQUERADE_IPV4 || node.ENABLE_EGRESS_GATEWAY
  )
}

/** to-netdev: egress of a native device. */
export function toNetdev(ctx: Ctx): number {
  const direction = metricDirection.EGRESS
  const etherType = validEtherType(ctx)
  const { result: allowed, source, silent } = hostFirewall(ctx, etherType)
  if (silent) return allowed
  if (isError(ctx, allowed)) return sendDrop(ctx, allowed, { source, direction })
  if (etherType !== undefined && edtSchedDeparture(ctx, etherType) === drop.EDT_HORIZON) {
    // rate limiting is no event
    count(ctx, direction, -drop.EDT_HORIZON)
    return ctx.act.DROP
  }
  const translated = translates(ctx) ? handleNatFwd(ctx) : ctx.act.OK
  if (isError(ctx, translated)) return sendDrop(ctx, translated, { source: 0, direction })
  sendTrace(ctx, { point: tracePoint.TO_NETWORK, source, reason: translated, monitor: 0 })
  return translated
}

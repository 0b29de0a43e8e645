// ICMPv6 at the host: neighbour discovery for pods, and which messages the host firewall leaves alone (RFC 4890).
// lib/icmp6.h icmp6_host_handle()
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ethernetLength } from '../datapath/headers.ts'
import { callHandleSolicitation } from '../datapath/icmp6-ndp.ts'
import { metricDirection } from '../datapath/metrics.ts'

/** SKIP_HOST_FIREWALL: no code of a hook. */
export const SKIP_HOST_FIREWALL = 1 << 16

const icmp6Type = { SOLICITATION: 135, ECHO_REQUEST: 128, ECHO_REPLY: 129 } as const

/** Errors; multicast listeners up to neighbour advertisements; inverse discovery and MLDv2; secure discovery; multicast routers. */
const allowedRanges: readonly (readonly [number, number])[] = [
  [1, 4],
  [130, 136],
  [141, 143],
  [148, 149],
  [151, 153],
]

/**
 * icmp6_host_handle(): of a message at `l4Offset`. CTX_ACT_OK: policy decides; SKIP_HOST_FIREWALL; or a drop reason. With
 * `handleSolicitation` a neighbour solicitation is answered, behind a tail call.
 */
export function icmp6HostHandle(ctx: Ctx, l4Offset: number, handleSolicitation: boolean): number {
  const type = ctx.load(l4Offset, 1)?.[0]
  return type === undefined ? drop.INVALID : handleIcmp6Type(ctx, type, handleSolicitation)
}

/** The same for a message of this type. */
export function handleIcmp6Type(ctx: Ctx, type: number, handleSolicitation: boolean): number {
  if (type === icmp6Type.SOLICITATION && handleSolicitation) {
    return callHandleSolicitation(ctx, ethernetLength(ctx), metricDirection.INGRESS)
  }
  if (!ctx.node.ENABLE_HOST_FIREWALL) return ctx.act.OK
  const { SOLICITATION, ECHO_REQUEST, ECHO_REPLY } = icmp6Type
  if (type === SOLICITATION || type === ECHO_REQUEST || type === ECHO_REPLY) return ctx.act.OK
  const allowed = allowedRanges.some(([first, last]) => type >= first && type <= last)
  return allowed ? SKIP_HOST_FIREWALL : drop.FORBIDDEN_ICMP6
}

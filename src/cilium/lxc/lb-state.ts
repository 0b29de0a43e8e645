// What the service lookup of a packet leaves for the programs behind it, in the packet's metadata. bpf_lxc.c
// lb4_ctx_store_state(), lb4_ctx_restore_state()
import { swap16 } from '../../bpf/context/byte-order.ts'
import { type Ctx, cb } from '../datapath/ctx.ts'
import type { Family } from '../datapath/family.ts'

/** CB_FROM_HOST of a packet that a proxy sends for this endpoint. FROM_HOST_L7_LB */
const FROM_HOST_L7_LB = 0xfacade42

/** The state between a service lookup and conntrack. */
export interface LbState {
  readonly loopback: boolean
  readonly revNatIndex: number
  /** Port of the L7 load balancer's proxy, host order; 0: none. */
  readonly proxyPort: number
}

/** No service was meant. */
export const noService: LbState = { loopback: false, revNatIndex: 0, proxyPort: 0 }

/** lb4_ctx_store_state(), lb6_ctx_store_state() */
export function storeLbState(ctx: Ctx, family: Family, state: LbState): void {
  ctx.setMeta(cb.PROXY_MAGIC, swap16(state.proxyPort) << 16)
  ctx.setMeta(cb.CT_STATE, (state.revNatIndex << 16) | (state.loopback ? 1 : 0))
  if (family.version === 4) ctx.setMeta(cb.CLUSTER_ID_EGRESS, 0)
}

function parse(ctState: number, proxyMagic: number): LbState {
  return {
    loopback: (ctState & 1) !== 0,
    revNatIndex: ctState >>> 16,
    proxyPort: swap16(proxyMagic >>> 16),
  }
}

/** lb4_ctx_restore_state() without clearing. */
export function peekLbState(ctx: Ctx): LbState {
  return parse(ctx.meta(cb.CT_STATE), ctx.meta(cb.PROXY_MAGIC))
}

/** lb4_ctx_restore_state() with clearing: the words are free for others. */
export function takeLbState(ctx: Ctx): LbState {
  return parse(ctx.takeMeta(cb.CT_STATE), ctx.takeMeta(cb.PROXY_MAGIC))
}

/** Marks a packet that a proxy sends for this endpoint. */
export function setFromL7Lb(ctx: Ctx): void {
  ctx.setMeta(cb.FROM_HOST, FROM_HOST_L7_LB)
}

/** Whether a proxy sends this packet for this endpoint. */
export function isFromL7Lb(ctx: Ctx): boolean {
  return ctx.node.ENABLE_L7_LB && ctx.meta(cb.FROM_HOST) === FROM_HOST_L7_LB
}

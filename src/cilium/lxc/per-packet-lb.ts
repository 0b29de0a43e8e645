// The first stage of a packet that a pod sends: is it for a service? bpf_lxc.c __per_packet_lb_svc_xlate_4()
import { assert } from '../../base/assert.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import type { Family } from '../datapath/family.ts'
import { ethernetLength, walkHeaders } from '../datapath/headers.ts'
import { lbExtractTuple, lbFillKey, lbLookupService, lbTuple } from '../datapath/lb.ts'
import { call } from '../datapath/tail-calls.ts'
import { type LbState, noService, storeLbState } from './lb-state.ts'

/** The state for conntrack, or a code that ends the program. */
function translate(ctx: Ctx, family: Family): LbState | number {
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const { fragment } = walk
  const tuple = lbTuple(family, walk.nexthdr)
  const extracted = lbExtractTuple(ctx, tuple, { l3Offset, l4Offset: l3Offset + walk.length, fragment })
  if (extracted === drop.UNSUPP_SERVICE_PROTO || extracted === drop.UNKNOWN_L4) return noService
  if (isError(ctx, extracted)) return extracted
  const service = lbLookupService(ctx, lbFillKey(tuple), ctx.node.ENABLE_NODEPORT)
  assert(service === undefined, 'bpf_lxc is given no services')
  return noService
}

/** Looks for a service, then goes on to conntrack by a tail call: comes back only with an error. */
export function perPacketLb(ctx: Ctx, family: Family): number {
  const state = translate(ctx, family)
  if (typeof state === 'number') return state
  storeLbState(ctx, family, state)
  return ctx.tailCall(family.version === 4 ? call.IPV4_CT_EGRESS : call.IPV6_CT_EGRESS)
}

// The tail calls that ask conntrack and hand the answer to the next program. bpf_lxc.c TAIL_CT_LOOKUP4, TAIL_CT_LOOKUP6

import { ctLookup, ctMapOf } from '../datapath/conntrack.ts'
import { storeCtBuffer } from '../datapath/ct-buffer.ts'
import { type CtDirection, type CtScope, ctDirection, ctScope, newCtState } from '../datapath/ct-state.ts'
import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import type { Defines } from '../datapath/defines.ts'
import { drop, where } from '../datapath/drop-reason.ts'
import type { Family } from '../datapath/family.ts'
import { ethernetLength, pullHeader, walkHeaders } from '../datapath/headers.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { sendDrop } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { Tuple } from '../maps/tuple.ts'
import { isFromL7Lb, peekLbState } from './lb-state.ts'
import { hasPerPacketLb } from './settings.ts'

const dropped = where('bpf_lxc.c', 521)

/** drop_for_direction() */
function dropForDirection(ctx: Ctx, direction: CtDirection, reason: number): number {
  const { security_label, endpoint_id } = ctx.object
  if (direction === ctDirection.EGRESS) {
    return sendDrop(ctx, reason, { source: security_label, direction: metricDirection.EGRESS }, dropped)
  }
  const event = {
    source: ctx.meta(cb.SRC_LABEL),
    destination: security_label,
    endpoint: endpoint_id,
    direction: metricDirection.INGRESS,
  }
  return sendDrop(ctx, reason, event, dropped)
}

/** After a service translation only the forward direction is meant. */
function scopeOf(ctx: Ctx, direction: CtDirection): CtScope {
  if (direction !== ctDirection.EGRESS || !hasPerPacketLb(ctx.node)) return ctScope.BIDIR
  const { revNatIndex, proxyPort } = peekLbState(ctx)
  const l7 = ctx.node.ENABLE_L7_LB && proxyPort !== 0
  return revNatIndex !== 0 || l7 || isFromL7Lb(ctx) ? ctScope.FORWARD : ctScope.BIDIR
}

/** The lookup itself: 0, or a drop reason. */
function lookupAndStore(ctx: Ctx, family: Family, direction: CtDirection): number {
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) return drop.INVALID
  const { packet } = ctx
  const tuple = new Tuple(family)
  tuple.daddr = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  tuple.saddr = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  tuple.nexthdr = walk.nexthdr
  const l4Offset = l3Offset + walk.length
  const { fragment } = walk
  const state = newCtState()
  const scope = scopeOf(ctx, direction)
  const result = ctLookup(ctx, ctMapOf(ctx, tuple), tuple, {
    l3Offset,
    l4Offset,
    fragment,
    direction,
    scope,
    state,
  })
  if (result.status < 0) return result.status
  return storeCtBuffer(ctx, family, { tuple, state, result, l4Offset, fragment })
}

/** A program that asks conntrack, then goes on with `next`: by a tail call where the object has one, else inline. */
export function ctLookupTail(options: {
  readonly symbol: string
  readonly family: Family
  readonly direction: CtDirection
  readonly next: {
    readonly slot: number
    readonly program: ObjectProgram
    readonly isTailCall: (node: Defines) => boolean
  }
}): ObjectProgram {
  const { symbol, family, direction, next } = options
  return {
    symbol,
    run: (ctx) => {
      const failed = lookupAndStore(ctx, family, direction)
      if (failed < 0) return dropForDirection(ctx, direction, failed)
      const result = next.isTailCall(ctx.node) ? ctx.tailCall(next.slot) : next.program.run(ctx)
      return isError(ctx, result) ? dropForDirection(ctx, direction, result) : result
    },
  }
}

// bpf_xdp of 1.10: the prefilter, and services before a packet has cost anything. bpf_xdp.c

import { type Ctx, isError } from '../datapath/ctx.ts'
import type { Defines } from '../datapath/defines.ts'
import type { Family } from '../datapath/family.ts'
import { metricDirection } from '../datapath/metrics.ts'
import type { ObjectProgram, ObjectSource } from '../datapath/object.ts'
import { skipNodeport } from '../datapath/overloadable.ts'
import { familiesOf } from '../host/bpf-host.ts'
import { exitXdp, passesPrefilter, xdpEntry } from '../xdp/bpf-xdp.ts'
import { nodeportLb, nodeportTails } from './nodeport.ts'
import { dropNotifyTail, sendDrop } from './notify.ts'
import { callsMax, fromLxc } from './slots.ts'

function dropped(ctx: Ctx, reason: number): number {
  return sendDrop(ctx, reason, { source: 0, direction: metricDirection.INGRESS })
}

/** tail_lb_ipv4(), tail_lb_ipv6() */
function tailLb(ctx: Ctx, family: Family): number {
  const result = skipNodeport(ctx) ? ctx.act.OK : nodeportLb(ctx, family, 0)
  return isError(ctx, result) ? dropped(ctx, result) : exitXdp(ctx, result)
}

/** Whether services of a family are looked for: IPv6 does not ask for acceleration. */
function looksForServices(node: Defines, family: Family): boolean {
  return family.version === 4 ? node.ENABLE_NODEPORT_ACCELERATION : node.ENABLE_NODEPORT
}

/** check_v4(), check_v6() */
function check(ctx: Ctx, family: Family): number {
  if (!passesPrefilter(ctx, family)) return ctx.act.DROP
  if (!looksForServices(ctx.node, family)) return ctx.act.OK
  return dropped(ctx, ctx.tailCall(fromLxc[family.version]))
}

/** bpf_xdp as it is compiled for a node. */
export function bpfXdp(node: Defines): ObjectSource {
  const services = familiesOf(node).filter((family) => looksForServices(node, family))
  const tails = services.flatMap((family): [number, ObjectProgram][] => [
    [fromLxc[family.version], { symbol: `tail_lb_ipv${family.version}`, run: (ctx) => tailLb(ctx, family) }],
    ...nodeportTails(family),
  ])
  return {
    type: 'xdp',
    callsMax,
    entries: [{ symbol: 'from-netdev', run: xdpEntry(check) }],
    tails: new Map([...(node.DROP_NOTIFY ? [dropNotifyTail] : []), ...tails]),
  }
}

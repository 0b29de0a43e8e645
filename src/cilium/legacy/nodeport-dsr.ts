// Direct server return on the node that chose the backend, in Cilium 1.10: an option in front of the packet says the service. Of
// TCP over IPv4 only the SYN has it, of IPv6 every packet. The dispatch by IPIP and the answer to packets that become too
// large are not modelled. bpf/lib/nodeport.h tail_nodeport_ipv4_dsr(), tail_nodeport_ipv6_dsr()
import { swap16 } from '../../bpf/context/byte-order.ts'
import { tcpFlag } from '../datapath/ct-update.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Address, type Family, ipv4, protocolNumber } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { identity } from '../datapath/identity.ts'
import { tcpFlagsAt } from '../datapath/l4.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { storedAddress, writeDsrExtension6, writeDsrOption4 } from '../datapath/nodeport-dsr.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { redirectNodeport, resolveNodeport } from './nodeport-route.ts'
import { sendDrop } from './notify.ts'
import { call, cb } from './slots.ts'

/** dsr_set_opt4(): flags are read as if the header had no options. 0 or a drop reason. */
function setOption4(ctx: Ctx, address: Address, port: number): number {
  const l3Offset = ethernetLength(ctx)
  if (ctx.packet.u8(l3Offset + ipv4.protocolAt) === protocolNumber.TCP) {
    const flags = ctx.load(l3Offset + ipv4.headerBytes + tcpFlagsAt, 1)?.[0]
    if (flags === undefined) return drop.CT_INVALID_HDR
    if ((flags & tcpFlag.SYN) === 0) return 0
  }
  return writeDsrOption4(ctx, address, port)
}

function tailDsr(ctx: Ctx, family: Family): number {
  const event = { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS }
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return sendDrop(ctx, drop.INVALID, event)
  const address = storedAddress(ctx, family)
  const port = swap16(ctx.meta(cb.PORT) & 0xffff)
  const told = family === ipv4 ? setOption4(ctx, address, port) : writeDsrExtension6(ctx, address, port)
  if (told < 0) return sendDrop(ctx, told, event)
  const { direct_routing_dev_ifindex, ENABLE_NODEPORT_HAIRPIN: hairpin } = ctx.node
  const oif = resolveNodeport(ctx, family, direct_routing_dev_ifindex, { ask: hairpin, learn: hairpin })
  return oif < 0 ? sendDrop(ctx, oif, event) : redirectNodeport(ctx, oif)
}

/** Slot DSR of one family. */
export function dsrTails(family: Family): [number, ObjectProgram][] {
  const slot = family === ipv4 ? call.IPV4_NODEPORT_DSR : call.IPV6_NODEPORT_DSR
  return [[slot, { symbol: `tail_nodeport_ipv${family.version}_dsr`, run: (ctx) => tailDsr(ctx, family) }]]
}

// What the stack has encrypted and routed to cilium_host, in Cilium 1.10: on through the tunnel, or out of the device that leads to
// the other node. bpf_host.c do_netdev_encrypt()
import { writeLe32 } from '../../../bpf/context/byte-order.ts'
import { fibResult } from '../../../bpf/fib-result.ts'
import { fibFlag } from '../../../bpf/helpers/lookup.ts'
import type { Ctx } from '../../datapath/ctx.ts'
import { drop } from '../../datapath/drop-reason.ts'
import { storeMacs } from '../../datapath/ethernet.ts'
import { type Family, ipv4, ipv6 } from '../../datapath/family.ts'
import { fibAt, fibDevice, fibParams } from '../../datapath/fib.ts'
import { ethernetLength, hasHeader } from '../../datapath/headers.ts'
import { identityOfMark } from '../../datapath/mark.ts'
import { metricDirection } from '../../datapath/metrics.ts'
import { encapAndRedirectWithNode } from '../encap.ts'
import { sendDrop } from '../notify.ts'
import { cb } from '../slots.ts'

const macBytes = 6
const endpointBytes = 4

/** do_netdev_encrypt_fib(): the way of an encrypted packet from the device that it leaves by. A device, or a drop reason. */
function routeEncrypted(ctx: Ctx, family: Family): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  const { packet, node } = ctx
  const source = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const destination = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const params = fibParams(ctx, family, source, destination)
  writeLe32(params, fibAt.ifindex, node.ENCRYPT_IFACE)
  const flags = fibFlag.BPF_FIB_LOOKUP_DIRECT | fibFlag.BPF_FIB_LOOKUP_OUTPUT
  if (ctx.fibLookup(params, flags) !== fibResult.success) return drop.NO_FIB
  const bytes = (at: number): Uint8Array => params.slice(at, at + macBytes)
  return storeMacs(ctx, bytes(fibAt.smac), bytes(fibAt.dmac)) < 0 ? drop.WRITE_ERROR : fibDevice(params)
}

/** do_netdev_encrypt() behind a tunnel: the endpoint comes from cb, the identity from the mark. */
function encapEncrypted(ctx: Ctx): number {
  const endpoint = new Uint8Array(endpointBytes)
  writeLe32(endpoint, 0, ctx.meta(cb.ENCRYPT_DST))
  const source = identityOfMark(ctx.mark)
  ctx.mark = 0
  ctx.clearMeta()
  return encapAndRedirectWithNode(ctx, endpoint, source, ctx.node.trace_payload_len)
}

/** do_netdev_encrypt(): what the stack has encrypted leaves, through the tunnel or by the network. */
export function sendEncrypted(ctx: Ctx, etherType: number): number {
  if (ctx.node.HAVE_ENCAP) return encapEncrypted(ctx)
  const { ENCRYPT_IFACE } = ctx.node
  const device = ENCRYPT_IFACE === 0 ? 0 : routeEncrypted(ctx, etherType === ipv4.etherType ? ipv4 : ipv6)
  if (device < 0) return sendDrop(ctx, device, { source: 0, direction: metricDirection.INGRESS })
  ctx.clearMeta()
  return device === 0 ? ctx.act.OK : ctx.redirect(device, 0)
}

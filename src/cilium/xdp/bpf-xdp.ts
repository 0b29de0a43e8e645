// bpf_xdp: prefilter and services before the kernel has made an skb. bpf_xdp.c
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import { readU16 } from '../../net/bytes.ts'
import { dsrEncapMode } from '../datapath/config.ts'
import { type Ctx, isError } from '../datapath/ctx.ts'
import type { Defines } from '../datapath/defines.ts'
import { drop, type Where, where } from '../datapath/drop-reason.ts'
import { ethernetBytes, validEtherType } from '../datapath/ethernet.ts'
import { enabledFamily, type Family, ipv4, protocolNumber } from '../datapath/family.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { identity } from '../datapath/identity.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { nodeportLb, nodeportTails } from '../datapath/nodeport.ts'
import { sendDrop } from '../datapath/notify.ts'
import type { ObjectProgram, ObjectSource } from '../datapath/object.ts'
import { moveXfer, skipNodeport, skipNodeportClear } from '../datapath/overloadable.ts'
import { call } from '../datapath/tail-calls.ts'
import { scratchSlot } from '../datapath/xdp-ctx.ts'
import { dropNotifyTail, familiesOf } from '../host/bpf-host.ts'

interface Places {
  readonly tail: Where
  readonly entry: Where
}

const places: Readonly<Record<4 | 6, Places>> = {
  4: { tail: where('bpf_xdp.c', 194), entry: where('bpf_xdp.c', 205) },
  6: { tail: where('bpf_xdp.c', 274), entry: where('bpf_xdp.c', 283) },
}

const transparentEthernet = 0x6558

const fromNetdev = { 4: call.IPV4_FROM_NETDEV, 6: call.IPV6_FROM_NETDEV } as const

/** bpf_xdp_exit(): what passes takes its flags along. */
export function exitXdp(ctx: Ctx, verdict: number): number {
  if (verdict === ctx.act.OK) moveXfer(ctx)
  return verdict
}

function dropped(ctx: Ctx, reason: number, place: Where): number {
  const event = { source: identity.UNKNOWN_ID, direction: metricDirection.INGRESS }
  return sendDrop(ctx, reason, event, place)
}

/**
 * Where DSR goes over Geneve, a Geneve packet without options and checksum is looked into: the offset of the IPv4 header inside
 * of it, or that of the packet's own. A drop reason for one that is cut off.
 */
function serviceHeader(ctx: Ctx): number {
  const { node, packet } = ctx
  const l3Offset = ethernetLength(ctx)
  if (!node.ENABLE_DSR || node.ENABLE_DSR_BYUSER || node.DSR_ENCAP_MODE !== dsrEncapMode.GENEVE)
    return l3Offset
  if (packet.u8(l3Offset + ipv4.protocolAt) !== protocolNumber.UDP) return l3Offset
  if ((packet.u8(l3Offset) & 0xf) * 4 !== ipv4.headerBytes) return l3Offset
  const port = ctx.load(l3Offset + ipv4.headerBytes + 2, 2)
  if (port === undefined) return drop.INVALID
  if (readU16(port, 0) !== node.TUNNEL_PORT) return l3Offset
  const checksum = ctx.load(l3Offset + ipv4.headerBytes + 6, 2)
  if (checksum === undefined) return drop.INVALID
  if (readU16(checksum, 0) !== 0) return l3Offset
  const geneveAt = l3Offset + ipv4.headerBytes + 8
  const geneve = ctx.load(geneveAt, 8)
  if (geneve === undefined) return drop.INVALID
  if (readU16(geneve, 2) !== transparentEthernet || ((geneve[0] as number) & 0x3f) !== 0) return l3Offset
  if (validEtherType(ctx, geneveAt + 8) !== ipv4.etherType) return l3Offset
  const inner = geneveAt + 8 + ethernetBytes
  return packet.has(0, inner + ipv4.headerBytes) ? inner : drop.INVALID
}

function lookForService(ctx: Ctx, family: Family): number {
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const l3Offset = family.version === 4 ? serviceHeader(ctx) : ethernetLength(ctx)
  return l3Offset < 0 ? l3Offset : nodeportLb(ctx, family, identity.UNKNOWN_ID, l3Offset).result
}

/** tail_lb_ipv4(), tail_lb_ipv6() */
function tailLb(ctx: Ctx, family: Family): number {
  const result = skipNodeport(ctx) ? ctx.act.OK : lookForService(ctx, family)
  return isError(ctx, result) ? dropped(ctx, result, places[family.version].tail) : exitXdp(ctx, result)
}

/** check_v4(), check_v6(): whether the prefilter forbids the source. */
function isFiltered(ctx: Ctx, family: Family): boolean {
  const { maps } = ctx
  const source = ctx.packet.copy(ethernetLength(ctx) + family.sourceAt, family.addressBytes)
  const key = new Uint8Array(4 + family.addressBytes)
  writeLe32(key, 0, family.addressBytes * 8)
  key.set(source, 4)
  const four = family.version === 4
  if (ctx.lookup(four ? maps.cilium_cidr_v4_dyn : maps.cilium_cidr_v6_dyn, key) !== undefined) return true
  return ctx.lookup(four ? maps.cilium_cidr_v4_fix : maps.cilium_cidr_v6_fix, key) !== undefined
}

/** The prefilter, where it is on: a packet without a whole header does not pass either. */
export function passesPrefilter(ctx: Ctx, family: Family): boolean {
  if (!ctx.node.ENABLE_PREFILTER) return true
  return hasHeader(ctx, family, ethernetLength(ctx)) && !isFiltered(ctx, family)
}

/** check_v4(), check_v4_lb() and their IPv6 siblings. */
function check(ctx: Ctx, family: Family): number {
  if (!passesPrefilter(ctx, family)) return ctx.act.DROP
  if (!ctx.node.ENABLE_NODEPORT_ACCELERATION) return ctx.act.OK
  const missed = ctx.tailCall(fromNetdev[family.version])
  return dropped(ctx, missed, places[family.version].entry)
}

/** The entry of either version: `check` is given IP packets of families that the node knows. */
export function xdpEntry(check: (ctx: Ctx, family: Family) => number): (ctx: Ctx) => number {
  return (ctx) => {
    const etherType = validEtherType(ctx)
    if (etherType === undefined) return ctx.act.OK
    ctx.setMeta(scratchSlot.XFER_MARKER, 0)
    skipNodeportClear(ctx)
    const family = enabledFamily(ctx, etherType)
    return exitXdp(ctx, family === undefined ? ctx.act.OK : check(ctx, family))
  }
}

/** bpf_xdp as it is compiled for a node. */
export function bpfXdp(node: Defines): ObjectSource {
  const lb = (family: Family): [number, ObjectProgram][] => [
    [
      fromNetdev[family.version],
      { symbol: `tail_lb_ipv${family.version}`, run: (ctx) => tailLb(ctx, family) },
    ],
    ...nodeportTails(family),
  ]
  const tails = node.ENABLE_NODEPORT_ACCELERATION ? familiesOf(node).flatMap(lb) : []
  return {
    type: 'xdp',
    entries: [{ symbol: 'cil_xdp_entry', run: xdpEntry(check) }],
    tails: new Map([...(node.DROP_NOTIFY ? [dropNotifyTail] : []), ...tails]),
  }
}

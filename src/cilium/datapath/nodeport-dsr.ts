// Direct server return on the node that chose the backend: the packet is told which service it was sent to, and goes to the
// backend's node with the client as its source. lib/nodeport.h tail_nodeport_ipv4_dsr(), dsr_set_opt4(), dsr_set_ext6().
//
// The information travels in an IP option (IPv4) or an extension header (IPv6), in a Geneve option, or, with IPIP, in the
// packet itself, which stays as it was.
import { swap16, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import { dsrEncapMode } from './config.ts'
import { type Ctx, cb, isError } from './ctx.ts'
import { drop, type Where, where } from './drop-reason.ts'
import { encapGeneve } from './dsr-geneve.ts'
import { dsrOption4, dsrOption6 } from './dsr-ingress.ts'
import { encapIpip } from './dsr-ipip.ts'
import { saysService } from './dsr-syn.ts'
import { replyTooBig, type TooBig, tooBig } from './dsr-too-big.ts'
import { type Address, type Family, ipv4, ipv6 } from './family.ts'
import { fibOk, fibParams, fibRedirect, fibRedirectPacket } from './fib.ts'
import { ethernetLength, hasHeader, nextHeader, walkHeaders } from './headers.ts'
import { identity } from './identity.ts'
import { updateIpv4Checksum } from './l4.ts'
import { metricDirection } from './metrics.ts'
import { sendDrop } from './notify.ts'
import type { ObjectProgram } from './object.ts'
import { call } from './tail-calls.ts'

const dsrDrop: Readonly<Record<4 | 6, Where>> = { 4: where('nodeport.h', 2198), 6: where('nodeport.h', 787) }

const BPF_ADJ_ROOM_NET = 0
const BPF_F_ADJ_ROOM_FIXED_GSO = 1
const maxHeaderBytes = 60

/**
 * dsr_set_opt4(): 0, a drop reason, or a packet too large. `port` and the address stand in the byte order of the machine.
 */
function setOption4(ctx: Ctx, address: Address, port: number): number | TooBig {
  const { packet } = ctx
  const l3Offset = ethernetLength(ctx)
  const headerBytes = (packet.u8(l3Offset) & 0xf) * 4
  const needed = saysService(ctx, packet.u8(l3Offset + ipv4.protocolAt), l3Offset + headerBytes)
  if (typeof needed === 'number') return needed
  if (!needed) return 0
  const { length } = dsrOption4
  if (headerBytes + length > maxHeaderBytes) return drop.CT_INVALID_HDR
  return tooBig(ctx, packet.u16(l3Offset + 2) + length, length) ?? writeDsrOption4(ctx, address, port)
}

/** The option itself, right behind the fixed header. 0 or a drop reason. */
export function writeDsrOption4(ctx: Ctx, address: Address, port: number): number {
  const { packet } = ctx
  const l3Offset = ethernetLength(ctx)
  const { length, type } = dsrOption4
  const before = packet.copy(l3Offset, 4)
  const after = before.slice()
  after[0] = (after[0] as number) + length / 4
  writeU16(after, 2, readU16(before, 2) + length)
  packet.setBytes(l3Offset, after)
  const option = new Uint8Array(length)
  option[0] = type
  option[1] = length
  writeLe16(option, 2, port)
  option.set(address.slice().reverse(), 4)
  const sum = ctx.checksumDifference(new Uint8Array(0), option, ctx.checksumDifference(before, after, 0))
  if (ctx.adjustRoom(length, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) !== 0) return drop.INVALID
  if (ctx.store(l3Offset + ipv4.headerBytes, option) < 0) return drop.INVALID
  return updateIpv4Checksum(ctx, l3Offset, sum) < 0 ? drop.CSUM_L3 : 0
}

/** dsr_set_ext6(): 0, a drop reason, or a packet too large. */
function setExtension6(ctx: Ctx, address: Address, port: number): number | TooBig {
  const { packet } = ctx
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, ipv6, l3Offset)
  if (typeof walk === 'number') return walk
  const needed = saysService(ctx, walk.nexthdr, l3Offset + walk.length)
  if (typeof needed === 'number') return needed
  if (!needed) return 0
  const { headerBytes } = dsrOption6
  const grown = packet.u16(l3Offset + 4) + ipv6.headerBytes + headerBytes
  return tooBig(ctx, grown, headerBytes) ?? writeDsrExtension6(ctx, address, port)
}

/** The extension header itself, right behind the fixed one. 0 or a drop reason. */
export function writeDsrExtension6(ctx: Ctx, address: Address, port: number): number {
  const { packet } = ctx
  const l3Offset = ethernetLength(ctx)
  const { headerBytes, type, length } = dsrOption6
  const option = new Uint8Array(headerBytes)
  option[0] = packet.u8(l3Offset + ipv6.protocolAt)
  option[1] = headerBytes / 8 - 1
  option[2] = type
  option[3] = length
  option.set(address, 4)
  writeU16(option, 20, port)
  packet.setU8(l3Offset + ipv6.protocolAt, nextHeader.DEST)
  packet.setU16(l3Offset + 4, packet.u16(l3Offset + 4) + headerBytes)
  if (ctx.adjustRoom(headerBytes, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) !== 0) return drop.INVALID
  return ctx.store(l3Offset + ipv6.headerBytes, option) < 0 ? drop.INVALID : 0
}

/** The service's address that nodeport_svc_lb4() left in the metadata. */
export function storedAddress(ctx: Ctx, family: Family): Address {
  const address = new Uint8Array(family.addressBytes)
  for (let word = 0; word < family.addressBytes / 4; word += 1) {
    writeLe32(address, word * 4, ctx.meta(cb.ADDR_V4 + word))
  }
  return address
}

/** Tells the packet the service that slot DSR was called for. */
function tell(ctx: Ctx, family: Family, address: Address, port: number): number | TooBig {
  const { DSR_ENCAP_MODE } = ctx.node
  if (DSR_ENCAP_MODE === dsrEncapMode.IPIP) return encapIpip(ctx, family, address, ctx.meta(cb.PORT))
  if (DSR_ENCAP_MODE === dsrEncapMode.NONE) {
    return family.version === 4 ? setOption4(ctx, address, port) : setExtension6(ctx, address, port)
  }
  const l3Offset = family.version === 4 ? ctx.meta(cb.DSR_L3_OFF) : ethernetLength(ctx)
  return encapGeneve(ctx, family, l3Offset, { address, port })
}

/** The way of a packet that says where it was sent to. A code or a drop reason. */
function route(ctx: Ctx, family: Family): number {
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  if (family.version === 4) {
    return fibRedirectPacket(ctx, family, l3Offset, { needsL2Check: true, useMap: false }).result
  }
  // IPv6 takes no hop here, nor does its tunnel
  const outer = ctx.node.DSR_ENCAP_MODE === dsrEncapMode.GENEVE ? ipv4 : ipv6
  const { packet } = ctx
  const source = packet.copy(l3Offset + outer.sourceAt, outer.addressBytes)
  const destination = packet.copy(l3Offset + outer.destinationAt, outer.addressBytes)
  return fibRedirect(ctx, fibParams(ctx, outer, source, destination), false)
}

/** tail_nodeport_ipv4_dsr(), tail_nodeport_ipv6_dsr() */
function tailDsr(ctx: Ctx, family: Family): number {
  const event = { source: identity.UNKNOWN_ID, direction: metricDirection.EGRESS }
  const failed = (reason: number) => sendDrop(ctx, reason, event, dsrDrop[family.version])
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return failed(drop.INVALID)
  const address = storedAddress(ctx, family)
  const port = swap16(ctx.meta(cb.PORT) & 0xffff)
  const told = tell(ctx, family, address, port)
  if (typeof told === 'object') return replyTooBig(ctx, family, { address, port }, told.overhead)
  if (isError(ctx, told)) return failed(told)
  // in tc a tunnel device does the rest
  if (told === ctx.act.REDIRECT && !ctx.isXdp) return told
  const result = route(ctx, family)
  return fibOk(ctx, result) ? result : failed(result)
}

/** Slot DSR of one family. */
export function dsrTails(family: Family): [number, ObjectProgram][] {
  const slot = family.version === 4 ? call.IPV4_NODEPORT_DSR : call.IPV6_NODEPORT_DSR
  return [[slot, { symbol: `tail_nodeport_ipv${family.version}_dsr`, run: (ctx) => tailDsr(ctx, family) }]]
}

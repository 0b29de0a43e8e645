// Fragments: what a header says about them, and the maps that remember the ports of a datagram's first fragment for the
// later ones, which have no L4 header. lib/ipfrag.h, lib/ipv4.h, lib/ipv6.h
import { readU32, writeU16, writeU32 } from '../../net/bytes.ts'
import type { Tuple } from '../maps/tuple.ts'
import { type CtDirection, metricDirectionOf } from './ct-state.ts'
import type { Ctx } from './ctx.ts'
import { drop, where } from './drop-reason.ts'
import { type Family, ipv4, ipv6 } from './family.ts'
import { metricReason, updateMetrics } from './metrics.ts'

const updateFailed4 = where('ipv4.h', 132)
const updateFailed6 = where('ipv6.h', 445)

/** fraginfo_t */
export interface FragmentInfo {
  readonly isFragment: boolean
  /** False for all fragments but the first. */
  readonly hasL4Header: boolean
  /** Identification of the datagram: 16 bits in IPv4, 32 in IPv6. */
  readonly id: number
  readonly protocol: number
}

/** What a packet that is no fragment has. */
export const wholePacket: FragmentInfo = { isFragment: false, hasL4Header: true, id: 0, protocol: 0 }

/** ipfrag_encode_ipv4(): of the header at `l3Offset`, which lies in the packet. */
export function fragmentInfo4(ctx: Ctx, l3Offset: number): FragmentInfo {
  const { packet } = ctx
  const offset = packet.u16(l3Offset + 6)
  return {
    isFragment: (offset & 0x3fff) !== 0,
    hasL4Header: (offset & 0x1fff) === 0,
    id: packet.u16(l3Offset + 4),
    protocol: packet.u8(l3Offset + ipv4.protocolAt),
  }
}

/** ipfrag_encode_ipv6(): of the eight bytes of a fragment header. */
export function fragmentInfo6(header: Uint8Array): FragmentInfo {
  const offset = ((header[2] as number) << 8) | (header[3] as number)
  return {
    isFragment: (offset & 0xfff9) !== 0,
    hasL4Header: (offset & 0xfff8) === 0,
    id: readU32(header, 4),
    protocol: header[0] as number,
  }
}

/** struct ipv4_frag_id, struct ipv6_frag_id, for the addresses of the header at `l3Offset`. */
export function fragmentKey(ctx: Ctx, family: Family, fragment: FragmentInfo, l3Offset: number): Uint8Array {
  const { packet } = ctx
  const { addressBytes, sourceAt, destinationAt } = family
  const source = packet.copy(l3Offset + sourceAt, addressBytes)
  const destination = packet.copy(l3Offset + destinationAt, addressBytes)
  if (family.version === 4) {
    const key = new Uint8Array(12)
    key.set(destination, 0)
    key.set(source, 4)
    writeU16(key, 8, fragment.id)
    key[10] = fragment.protocol
    return key
  }
  const key = new Uint8Array(40)
  writeU32(key, 0, fragment.id)
  key[4] = fragment.protocol
  key.set(source, 8)
  key.set(destination, 24)
  return key
}

/** ipv4_handle_fragmentation(), ipv6_handle_fragmentation(): the four bytes of both ports, or a drop reason. */
function trackedPorts(
  ctx: Ctx,
  family: Family,
  fragment: FragmentInfo,
  at: { readonly l3Offset: number; readonly l4Offset: number; readonly direction: CtDirection },
): Uint8Array | number {
  const map = family.version === 4 ? ctx.maps.cilium_ipv4_frag_datagrams : ctx.maps.cilium_ipv6_frag_datagrams
  if (!fragment.hasL4Header) {
    return ctx.lookup(map, fragmentKey(ctx, family, fragment, at.l3Offset)) ?? drop.FRAG_NOT_FOUND
  }
  const ports = ctx.load(at.l4Offset, 4)
  if (ports === undefined) return drop.CT_INVALID_HDR
  if (fragment.isFragment && ctx.update(map, fragmentKey(ctx, family, fragment, at.l3Offset), ports) !== 0) {
    const place = family === ipv6 ? updateFailed6 : updateFailed4
    updateMetrics(ctx, ctx.length, metricDirectionOf(at.direction), metricReason.FRAG_PACKET_UPDATE, place)
  }
  return ports
}

/**
 * ipv4_load_l4_ports(), ipv6_load_l4_ports(): puts the packet's ports into the tuple as they stand in the packet, the source
 * port where the tuple says dport (facts 3.1). Later fragments take them from the map. 0 or a drop reason.
 */
export function loadL4Ports(
  ctx: Ctx,
  tuple: Tuple,
  fragment: FragmentInfo,
  at: { readonly l3Offset: number; readonly l4Offset: number; readonly direction: CtDirection },
): number {
  const { family } = tuple
  const tracked = family.version === 4 ? ctx.node.ENABLE_IPV4_FRAGMENTS : ctx.node.ENABLE_IPV6_FRAGMENTS
  let ports: Uint8Array | number | undefined
  if (tracked) ports = trackedPorts(ctx, family, fragment, at)
  else if (fragment.hasL4Header) ports = ctx.load(at.l4Offset, 4) ?? drop.CT_INVALID_HDR
  else ports = drop.FRAG_NOSUPPORT
  if (typeof ports === 'number') return ports
  tuple.bytes.set(ports, family.addressBytes * 2)
  return 0
}

// Direct server return over Geneve: the packet goes to the backend's node through the tunnel, and an option of the tunnel
// header says which service it was sent to. lib/nodeport.h encap_geneve_dsr_opt4(), encap_geneve_dsr_opt6()
import { readU16, writeU16 } from '../../net/bytes.ts'
import type { Tuple } from '../maps/tuple.ts'
import { ctStatus } from './ct-state.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { dsrGeneve } from './dsr-ingress.ts'
import { saysService } from './dsr-syn.ts'
import { type TooBig, tooBig } from './dsr-too-big.ts'
import { ethernetBytes } from './ethernet.ts'
import { type Address, type Family, ipv4 } from './family.ts'
import { ethernetLength, walkHeaders } from './headers.ts'
import { worldId } from './identity.ts'
import { lookupRemoteEndpoint, type RemoteEndpoint } from './ipcache.ts'
import { updateIpv4Checksum } from './l4.ts'
import { lbExtractTuple, lbTuple } from './lb.ts'
import { addTunnelEncap, sourceOfTunnel } from './nodeport-encap.ts'

const udpBytes = 8
const geneveBytes = 8
const udpLengthAt = 4
const totalLengthAt = 2
const BPF_ADJ_ROOM_MAC = 1

/** set_geneve_dsr_opt4(), set_geneve_dsr_opt6() */
function option(family: Family, address: Address, port: number): Uint8Array {
  const bytes = new Uint8Array(family.version === 4 ? dsrGeneve.bytes4 : dsrGeneve.bytes6)
  writeU16(bytes, 0, dsrGeneve.class)
  bytes[2] = dsrGeneve.type
  bytes[3] = bytes.length / 4 - 1
  bytes.set(address, 4)
  writeU16(bytes, 4 + family.addressBytes, port)
  return bytes
}

/** ctx_set_tunnel_opt() of XDP: an option behind a Geneve header that has none. 0 or a drop reason. */
function insertOption(ctx: Ctx, bytes: Uint8Array): number {
  const geneveAt = ethernetBytes + ipv4.headerBytes + udpBytes
  if (ctx.adjustRoom(bytes.length, BPF_ADJ_ROOM_MAC, 0) < 0) return drop.INVALID
  if (ctx.store(geneveAt + geneveBytes, bytes) < 0) return drop.WRITE_ERROR
  const words = ctx.load(geneveAt, 1)?.[0]
  if (words === undefined) return drop.INVALID
  return ctx.store(geneveAt, Uint8Array.of(words + bytes.length / 4)) < 0 ? drop.WRITE_ERROR : 0
}

/** A packet that came through the tunnel goes on to the backend's node in the same tunnel header. */
function retarget(ctx: Ctx, remote: RemoteEndpoint, bytes: Uint8Array | undefined): number {
  const { packet } = ctx
  const endpoint = remote.tunnelEndpoint.slice(0, ipv4.addressBytes)
  const source = sourceOfTunnel(ctx)
  const before = packet.copy(ethernetBytes + ipv4.sourceAt, 2 * ipv4.addressBytes)
  const after = Uint8Array.from([...source, ...endpoint])
  if (ctx.store(ethernetBytes + ipv4.sourceAt, after) < 0) return drop.WRITE_ERROR
  if (updateIpv4Checksum(ctx, ethernetBytes, ctx.checksumDifference(before, after, 0)) < 0)
    return drop.CSUM_L3
  if (bytes === undefined) return ctx.act.REDIRECT
  const udpAt = ethernetBytes + (packet.u8(ethernetBytes) & 0xf) * 4
  const length = new Uint8Array(2)
  const udpLength = ctx.load(udpAt + udpLengthAt, 2)
  if (udpLength === undefined) return drop.INVALID
  writeU16(length, 0, readU16(udpLength, 0) + bytes.length)
  if (ctx.store(udpAt + udpLengthAt, length) < 0) return drop.WRITE_ERROR
  const totalLength = packet.u16(ethernetBytes + totalLengthAt)
  writeU16(length, 0, totalLength + bytes.length)
  const old = packet.copy(ethernetBytes + totalLengthAt, 2)
  const difference = ctx.checksumDifference(
    Uint8Array.from([...old, 0, 0]),
    Uint8Array.from([...length, 0, 0]),
    0,
  )
  if (updateIpv4Checksum(ctx, ethernetBytes, difference) < 0) return drop.CSUM_L3
  if (ctx.store(ethernetBytes + totalLengthAt, length) < 0) return drop.WRITE_ERROR
  const inserted = insertOption(ctx, bytes)
  return inserted === 0 ? ctx.act.REDIRECT : inserted
}

/** The length of the packet in IP, the outermost header's where there are two. */
function ipLength(ctx: Ctx, family: Family): number {
  const l3Offset = ethernetLength(ctx)
  if (family.version === 4) return ctx.packet.u16(l3Offset + totalLengthAt)
  return ctx.packet.u16(l3Offset + 4) + family.headerBytes
}

function readTuple(ctx: Ctx, family: Family, l3Offset: number): { tuple: Tuple; l4Offset: number } | number {
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  const tuple = lbTuple(family, walk.nexthdr)
  const l4Offset = l3Offset + walk.length
  const extracted = lbExtractTuple(ctx, tuple, { l3Offset, l4Offset, fragment: walk.fragment })
  return isError(ctx, extracted) ? extracted : { tuple, l4Offset }
}

/** What an outer header is made from: in tc the tunnel device makes it, so that ports of IPv4 are read in XDP alone. */
function readHeaders(ctx: Ctx, family: Family, l3Offset: number): ReturnType<typeof readTuple> {
  const outside = ctx.isXdp && l3Offset === ethernetLength(ctx)
  if (family.version === 6 || outside) return readTuple(ctx, family, l3Offset)
  const tuple = lbTuple(family, ctx.packet.u8(l3Offset + family.protocolAt))
  return { tuple, l4Offset: l3Offset + (ctx.packet.u8(l3Offset) & 0xf) * 4 }
}

/**
 * encap_geneve_dsr_opt4(), encap_geneve_dsr_opt6(): CTX_ACT_REDIRECT (in XDP with the outer header written and still to be
 * routed), a drop reason, or a packet too large. `l3Offset` is that of an inner header for a packet from the tunnel.
 */
export function encapGeneve(
  ctx: Ctx,
  family: Family,
  l3Offset: number,
  { address, port }: { readonly address: Address; readonly port: number },
): number | TooBig {
  const encapsulated = l3Offset > ethernetLength(ctx)
  const destination = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  const reachable = remote?.hasTunnelEndpoint === true
  // IPv6 asks for the endpoint before it reads the headers, IPv4 afterwards
  if (family.version === 6 && !reachable) return drop.NO_TUNNEL_ENDPOINT
  const read = readHeaders(ctx, family, l3Offset)
  if (typeof read === 'number') return read
  if (remote === undefined || !reachable) return drop.NO_TUNNEL_ENDPOINT
  const { tuple, l4Offset } = read
  const says = saysService(ctx, tuple.nexthdr, l4Offset)
  if (typeof says === 'number') return says
  const options = says ? option(family, address, port) : undefined
  const headers = encapsulated ? 0 : family.headerBytes + udpBytes + geneveBytes + ethernetBytes
  const overhead = headers + (options?.length ?? 0)
  const large = tooBig(ctx, ipLength(ctx, family) + overhead, overhead)
  if (large !== undefined) return large
  if (encapsulated) return retarget(ctx, remote, options)
  return addTunnelEncap(ctx, tuple, {
    remote,
    source: worldId(ctx.node, family),
    trace: { reason: ctStatus.NEW, monitor: ctx.node.trace_payload_len },
    ...(options === undefined ? {} : { options }),
  })
}

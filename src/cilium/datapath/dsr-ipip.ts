// Direct server return over IPIP: the packet stays as the client sent it, behind an IP header for the backend. In tc a tunnel
// device writes that header, in XDP the program. lib/nodeport.h dsr_set_ipip4(), dsr_set_ipip6()
import { readLe32 } from '../../bpf/context/byte-order.ts'
import { readU16, readU32, writeU16, writeU32 } from '../../net/bytes.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { type TooBig, tooBig } from './dsr-too-big.ts'
import { setIpipTunnel } from './encap.ts'
import { ethernetBytes } from './ethernet.ts'
import { type Address, type Family, ipv4, ipv6 } from './family.ts'
import { updateIpv4Checksum } from './l4.ts'

const BPF_ADJ_ROOM_NET = 0
const BPF_F_ADJ_ROOM_FIXED_GSO = 1
const IPDEFTTL = 64
const protocol = { IPIP: 4, IPV6: 41 } as const
const golden = 0x9e37_79b9
const wordBits = 32

/** hash_32() of one word of the client's address, in the lowest `bits` bits. */
function hashWord(word: number, hint: number, bits: number): number {
  return Math.imul(word ^ hint, golden) >>> (wordBits - bits)
}

/**
 * rss_gen_src4(), rss_gen_src6(): an outer source out of the configured prefix, by client and ports, so that the queues of the
 * receiving device share the work.
 */
function outerSource(ctx: Ctx, family: Family, client: Address, hint: number): Address {
  const { node } = ctx
  const four = family.version === 4
  const prefix = four ? node.IPV4_RSS_PREFIX : node.IPV6_RSS_PREFIX
  if (prefix === undefined) {
    return (four ? node.IPV4_DIRECT_ROUTING : node.IPV6_DIRECT_ROUTING) ?? new Uint8Array(family.addressBytes)
  }
  const source = prefix.address.slice()
  let free = family.addressBytes * 8 - prefix.length
  for (let at = 0; at < source.length && free > 0; at += 4) {
    const bits = free - (source.length - at - 4) * 8
    if (bits <= 0) continue
    writeU32(source, at, (readU32(source, at) | hashWord(readLe32(client, at), hint, bits)) >>> 0)
    free -= bits
  }
  return source
}

function writeHeader4(ctx: Ctx, backend: Address, hint: number): number | TooBig {
  const before = ctx.packet.copy(ethernetBytes, ipv4.headerBytes)
  const length = readU16(before, 2) + ipv4.headerBytes
  const large = tooBig(ctx, length, ipv4.headerBytes)
  if (large !== undefined) return large
  const after = before.slice()
  writeU16(after, 2, length)
  after[ipv4.ttlAt] = IPDEFTTL
  after[ipv4.protocolAt] = protocol.IPIP
  after.set(outerSource(ctx, ipv4, before.subarray(ipv4.sourceAt, ipv4.destinationAt), hint), ipv4.sourceAt)
  after.set(backend, ipv4.destinationAt)
  if (ctx.adjustRoom(ipv4.headerBytes, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) !== 0) return drop.INVALID
  const sum = ctx.checksumDifference(before, after, 0)
  if (ctx.store(ethernetBytes, after) < 0) return drop.WRITE_ERROR
  return updateIpv4Checksum(ctx, ethernetBytes, sum) < 0 ? drop.CSUM_L3 : 0
}

function writeHeader6(ctx: Ctx, backend: Address, hint: number): number | TooBig {
  const header = ctx.packet.copy(ethernetBytes, ipv6.headerBytes)
  const length = readU16(header, 4) + ipv6.headerBytes
  const large = tooBig(ctx, length + ipv6.headerBytes, ipv6.headerBytes)
  if (large !== undefined) return large
  writeU16(header, 4, length)
  header[ipv6.protocolAt] = protocol.IPV6
  header[ipv6.ttlAt] = IPDEFTTL
  header.set(outerSource(ctx, ipv6, header.subarray(ipv6.sourceAt, ipv6.destinationAt), hint), ipv6.sourceAt)
  header.set(backend, ipv6.destinationAt)
  if (ctx.adjustRoom(ipv6.headerBytes, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) !== 0) return drop.INVALID
  return ctx.store(ethernetBytes, header) < 0 ? drop.WRITE_ERROR : 0
}

/** A redirect to the tunnel device (tc), 0 for a packet with its outer header (XDP), a drop reason, or a packet too large. */
export function encapIpip(ctx: Ctx, family: Family, backend: Address, hint: number): number | TooBig {
  const four = family.version === 4
  if (ctx.isXdp) return four ? writeHeader4(ctx, backend, hint) : writeHeader6(ctx, backend, hint)
  if (setIpipTunnel(ctx, backend) < 0) return drop.NO_TUNNEL_KEY
  return ctx.redirect(four ? ctx.node.ENCAP4_IFINDEX : ctx.node.ENCAP6_IFINDEX, 0)
}

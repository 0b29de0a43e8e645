// Structs that programs hand to helpers, as bytes at the UAPI's offsets (include/uapi/linux/bpf.h, x86: little endian).
// A C program fills them by assignment; TypeScript programs use the functions below.
import { readU16, readU32, readU48, writeU16, writeU32, writeU48 } from '../../net/bytes.ts'
import type { FibAnswer, FibLookup, TunnelKey } from '../contract.ts'
import { readLe16, readLe32, writeLe16, writeLe32 } from './byte-order.ts'

export const addressFamily = { AF_INET: 2, AF_INET6: 10 } as const

/** struct bpf_fib_lookup */
const fibAt = {
  family: 0,
  l4_protocol: 1,
  sport: 2,
  dport: 4,
  /** mtu_result on return */
  tot_len: 6,
  ifindex: 8,
  /** rt_metric on return */
  tos: 12,
  src: 16,
  dst: 32,
  h_vlan: 48,
  /** the mark with BPF_FIB_LOOKUP_MARK */
  smac: 52,
  dmac: 58,
} as const

export const fibBytes = 64

/** struct bpf_tunnel_key */
export const tunnelKeyAt = {
  tunnel_id: 0,
  remote: 4,
  tunnel_tos: 20,
  tunnel_ttl: 21,
  tunnel_flags: 22,
  tunnel_label: 24,
  local: 28,
} as const

export const tunnelKeyBytes = 44

/** struct bpf_redir_neigh */
export const redirNeighAt = { nh_family: 0, nh: 4 } as const

export const redirNeighBytes = 20

/** struct bpf_sock_tuple: the size says the family. */
export const sockTupleBytes = { ipv4: 12, ipv6: 36 } as const

/** An address of one or four 32-bit words in network byte order. */
export function readWords(bytes: Uint8Array, offset: number, family: 4 | 6): number[] {
  const words = [readU32(bytes, offset)]
  if (family === 6) for (let word = 1; word < 4; word += 1) words.push(readU32(bytes, offset + word * 4))
  return words
}

/** Writes the words of an address. */
export function writeWords(bytes: Uint8Array, offset: number, words: readonly number[]): void {
  for (const [word, value] of words.entries()) writeU32(bytes, offset + word * 4, value)
}

/** The request in a struct bpf_fib_lookup; undefined for a family that is neither IPv4 nor IPv6. */
export function readFib(bytes: Uint8Array): FibLookup | undefined {
  const family = bytes[fibAt.family]
  if (family !== addressFamily.AF_INET && family !== addressFamily.AF_INET6) return undefined
  const version = family === addressFamily.AF_INET ? 4 : 6
  return {
    family: version,
    source: readWords(bytes, fibAt.src, version),
    destination: readWords(bytes, fibAt.dst, version),
    protocol: bytes[fibAt.l4_protocol] as number,
    sport: readU16(bytes, fibAt.sport),
    dport: readU16(bytes, fibAt.dport),
    totalLength: readLe16(bytes, fibAt.tot_len),
    tos: version === 4 ? (bytes[fibAt.tos] as number) : (readU32(bytes, fibAt.tos) >>> 20) & 0xff,
    ifindex: readLe32(bytes, fibAt.ifindex),
    mark: readLe32(bytes, fibAt.smac),
  }
}

/** Makes a struct bpf_fib_lookup for a TypeScript program. */
export function writeFib(request: FibLookup): Uint8Array {
  const bytes = new Uint8Array(fibBytes)
  bytes[fibAt.family] = request.family === 4 ? addressFamily.AF_INET : addressFamily.AF_INET6
  bytes[fibAt.l4_protocol] = request.protocol
  writeU16(bytes, fibAt.sport, request.sport)
  writeU16(bytes, fibAt.dport, request.dport)
  writeLe16(bytes, fibAt.tot_len, request.totalLength)
  writeLe32(bytes, fibAt.ifindex, request.ifindex)
  if (request.family === 4) bytes[fibAt.tos] = request.tos
  else writeU32(bytes, fibAt.tos, request.tos << 20)
  writeWords(bytes, fibAt.src, request.source)
  writeWords(bytes, fibAt.dst, request.destination)
  if (request.mark !== 0) writeLe32(bytes, fibAt.smac, request.mark)
  return bytes
}

/** What a successful bpf_fib_lookup left in the struct: for TypeScript programs. */
export function readFibResult(bytes: Uint8Array): Omit<FibAnswer, 'code'> {
  const family = bytes[fibAt.family] === addressFamily.AF_INET ? 4 : 6
  return {
    ifindex: readLe32(bytes, fibAt.ifindex),
    gateway: readWords(bytes, fibAt.dst, family),
    preferredSource: readWords(bytes, fibAt.src, family),
    sourceMac: readU48(bytes, fibAt.smac),
    destinationMac: readU48(bytes, fibAt.dmac),
    mtu: readLe16(bytes, fibAt.tot_len),
    metric: readLe32(bytes, fibAt.tos),
  }
}

/** Writes what a lookup found: net/core/filter.c bpf_ipv4_fib_lookup(), bpf_fib_set_fwd_params(). */
export function writeFibTarget(bytes: Uint8Array, answer: FibAnswer): void {
  writeLe32(bytes, fibAt.ifindex, answer.ifindex)
  writeLe32(bytes, fibAt.tos, answer.metric)
  writeWords(bytes, fibAt.dst, answer.gateway)
}

/** Writes the MAC addresses of a neighbour that was found. */
export function writeFibMacs(bytes: Uint8Array, answer: FibAnswer): void {
  writeU48(bytes, fibAt.smac, answer.sourceMac)
  writeU48(bytes, fibAt.dmac, answer.destinationMac)
  writeU32(bytes, fibAt.h_vlan, 0)
}

/** Writes mtu_result. */
export function writeFibMtu(bytes: Uint8Array, mtu: number): void {
  writeLe16(bytes, fibAt.tot_len, mtu)
}

/** Makes a struct bpf_tunnel_key. IPv4 addresses lie in host byte order, IPv6 in network order. */
export function writeTunnelKey(key: TunnelKey): Uint8Array {
  const bytes = new Uint8Array(tunnelKeyBytes)
  writeLe32(bytes, tunnelKeyAt.tunnel_id, key.id)
  bytes[tunnelKeyAt.tunnel_tos] = key.tos
  bytes[tunnelKeyAt.tunnel_ttl] = key.ttl
  writeTunnelAddress(bytes, tunnelKeyAt.remote, key.remote)
  if (key.local !== undefined) writeTunnelAddress(bytes, tunnelKeyAt.local, key.local)
  return bytes
}

function writeTunnelAddress(bytes: Uint8Array, offset: number, address: TunnelKey['remote']): void {
  if (typeof address === 'number') writeLe32(bytes, offset, address)
  else writeWords(bytes, offset, address)
}

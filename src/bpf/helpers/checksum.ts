// Checksum helpers. net/core/filter.c bpf_l3_csum_replace(), bpf_l4_csum_replace(), bpf_csum_diff(),
// net/core/utils.c inet_proto_csum_replace*(). Numbers are as a C program has them: loaded natively from the packet
// (little endian), so use `swap16`/`swap32` on host numbers. One's-complement sums do not mind (RFC 1071 section 2B).
//
// A deviation: the field of an unfinished checksum (CHECKSUM_PARTIAL) holds the finished one; CHECKSUM_COMPLETE is not modelled.
import { foldSum, replacedInPseudo } from '../../net/checksum.ts'
import { readLe16, writeLe16 } from '../context/byte-order.ts'
import type { RunContext } from '../contract.ts'
import { errno } from '../errno.ts'
import { skbLength, skbOf } from './subject.ts'

/** Flags of the replace helpers; the low four bits are the size of the field: 0, 2 or 4. */
export const checksumFlag = {
  BPF_F_HDR_FIELD_MASK: 0xf,
  BPF_F_PSEUDO_HDR: 0x10,
  BPF_F_MARK_MANGLED_0: 0x20,
  BPF_F_MARK_ENFORCE: 0x40,
  BPF_F_IPV6: 0x80,
} as const

const l4Flags = 0xff
const csumLevel = { query: 0, increment: 1, decrement: 2, reset: 3 } as const

/** A checksum after a field of `size` bytes that it covers went from `from` to `to`; size 0 adds the difference `to`. */
export function replacedChecksum(checksum: number, from: number, to: number, size: number): number {
  const sum = ~checksum & 0xffff
  if (size === 2) return ~foldSum(sum + (~from & 0xffff) + (to & 0xffff)) & 0xffff
  const added = (to >>> 16) + (to & 0xffff)
  if (size === 0) return ~foldSum(sum + added) & 0xffff
  return ~foldSum(sum + (~(from >>> 16) & 0xffff) + (~from & 0xffff) + added) & 0xffff
}

/** The sum of the two words of a number. */
function wordsOf(number: number): number {
  return (number >>> 16) + (number & 0xffff)
}

/** Where the checksum lies in the bytes, or a negative errno. */
function checksumAt(context: RunContext, offset: number): number {
  const skb = skbOf(context)
  if (offset < 0 || offset > 0xffff || (offset & 1) !== 0) return -errno.EFAULT
  return offset + 2 > skbLength(skb) ? -errno.EFAULT : skb.start + offset
}

function sizeIsWrong(size: number, from: number): boolean {
  return size === 0 ? from !== 0 : size !== 2 && size !== 4
}

/** bpf_l3_csum_replace: repairs the IP header checksum at `offset`. 0, -EINVAL or -EFAULT. */
export function l3CsumReplace(
  context: RunContext,
  offset: number,
  from: number,
  to: number,
  flags: number,
): number {
  if ((flags & ~checksumFlag.BPF_F_HDR_FIELD_MASK) !== 0) return -errno.EINVAL
  const at = checksumAt(context, offset)
  if (at < 0) return at
  const size = flags & checksumFlag.BPF_F_HDR_FIELD_MASK
  if (sizeIsWrong(size, from)) return -errno.EINVAL
  const { bytes } = skbOf(context)
  writeLe16(bytes, at, replacedChecksum(readLe16(bytes, at), from, to, size))
  return 0
}

/** bpf_l4_csum_replace: the same for TCP, UDP, ICMP; with MARK_MANGLED_0 a UDP checksum of 0 stays and never comes out. */
export function l4CsumReplace(
  context: RunContext,
  offset: number,
  from: number,
  to: number,
  flags: number,
): number {
  if ((flags & ~l4Flags) !== 0) return -errno.EINVAL
  const at = checksumAt(context, offset)
  if (at < 0) return at
  const skb = skbOf(context)
  const { bytes } = skb
  const before = readLe16(bytes, at)
  const mangledZero = (flags & checksumFlag.BPF_F_MARK_MANGLED_0) !== 0
  const enforce = (flags & checksumFlag.BPF_F_MARK_ENFORCE) !== 0
  if (mangledZero && !enforce && before === 0) return 0
  const size = flags & checksumFlag.BPF_F_HDR_FIELD_MASK
  if (sizeIsWrong(size, from)) return -errno.EINVAL
  const outside = skb.isSumOutside(at)
  const pseudo = (flags & checksumFlag.BPF_F_PSEUDO_HDR) !== 0
  const after = outside
    ? pseudo
      ? replacedInPseudo(before, wordsOf(from), wordsOf(to))
      : before
    : replacedChecksum(before, from, to, size)
  writeLe16(bytes, at, mangledZero && after === 0 ? 0xffff : after)
  return 0
}

function sumLe(bytes: Uint8Array, sum: number): number {
  let total = sum
  for (let at = 0; at + 1 < bytes.length; at += 2) total += readLe16(bytes, at)
  return total
}

const none = new Uint8Array(0)

/**
 * bpf_csum_diff: the sum of `to` minus the sum of `from` plus `seed`, folded to 16 bits (since 6.13 on all machines).
 * -EINVAL when a length is not a multiple of 4.
 */
export function csumDiff(
  _context: RunContext,
  from: Uint8Array | undefined,
  to: Uint8Array | undefined,
  seed: number,
): number {
  const removed = from ?? none
  const added = to ?? none
  if (((removed.length | added.length) & 3) !== 0) return -errno.EINVAL
  const plus = foldSum(sumLe(added, (seed >>> 16) + (seed & 0xffff)))
  return removed.length === 0 ? plus : foldSum(plus + (~foldSum(sumLe(removed, 0)) & 0xffff))
}

/** bpf_csum_update: only for CHECKSUM_COMPLETE, which is not modelled: -ENOTSUPP. */
export function csumUpdate(_context: RunContext, _sum: number): number {
  return -errno.ENOTSUPP
}

/** bpf_csum_level: no packet is CHECKSUM_UNNECESSARY here, so a query answers -EACCES and a change is no error. */
export function csumLevelOf(_context: RunContext, level: number): number {
  if (level === csumLevel.query) return -errno.EACCES
  return level > csumLevel.reset || level < 0 ? -errno.EINVAL : 0
}

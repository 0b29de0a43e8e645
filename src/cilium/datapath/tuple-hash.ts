// The hash of a connection that chooses a Maglev backend and an outer source port. lib/hash.h, lib/jhash.h (Bob Jenkins'
// lookup3)
import { readLe32 } from '../../bpf/context/byte-order.ts'
import type { Tuple } from '../maps/tuple.ts'
import type { Ctx } from './ctx.ts'
import { be16 } from './l4.ts'

const initial = 0xdeadbeef
const threeWords = 3 << 2

type Words = [number, number, number]

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by))
}

/** __jhash_mix() */
function mix([a, b, c]: Words): Words {
  let [x, y, z] = [a | 0, b | 0, c | 0]
  x = ((x - z) | 0) ^ rotate(z, 4)
  z = (z + y) | 0
  y = ((y - x) | 0) ^ rotate(x, 6)
  x = (x + z) | 0
  z = ((z - y) | 0) ^ rotate(y, 8)
  y = (y + x) | 0
  x = ((x - z) | 0) ^ rotate(z, 16)
  z = (z + y) | 0
  y = ((y - x) | 0) ^ rotate(x, 19)
  x = (x + z) | 0
  z = ((z - y) | 0) ^ rotate(y, 4)
  y = (y + x) | 0
  return [x, y, z]
}

/** __jhash_final(): the hash, unsigned. */
function finish([a, b, c]: Words): number {
  let [x, y, z] = [a | 0, b | 0, c | 0]
  z = ((z ^ y) - rotate(y, 14)) | 0
  x = ((x ^ z) - rotate(z, 11)) | 0
  y = ((y ^ x) - rotate(x, 25)) | 0
  z = ((z ^ y) - rotate(y, 16)) | 0
  x = ((x ^ z) - rotate(z, 4)) | 0
  y = ((y ^ x) - rotate(x, 14)) | 0
  z = ((z ^ y) - rotate(y, 24)) | 0
  return z >>> 0
}

/** hash_from_tuple_v4(), hash_from_tuple_v6(): without the destination address, so that all addresses of a service agree. */
export function hashFromTuple(
  ctx: Ctx,
  tuple: Tuple,
  sport: number = tuple.sport,
  dport: number = tuple.dport,
): number {
  const { saddr, nexthdr } = tuple
  const ports = ((be16(dport) << 16) | be16(sport)) >>> 0
  if (tuple.family.version === 4) {
    const start = ctx.node.HASH_INIT4_SEED + initial + threeWords
    return finish([readLe32(saddr, 0) + start, ports + start, nexthdr + start])
  }
  const [a, b, c] = mix([readLe32(saddr, 0), readLe32(saddr, 4), readLe32(saddr, 8)])
  const [x, y, z] = mix([a + readLe32(saddr, 12), b + ports, c + nexthdr])
  return finish([x + ctx.node.HASH_INIT6_SEED, y, z])
}

// cilium_metrics: packets and bytes by reason, direction and place in the source. lib/metrics.h
import { writeLe16 } from '../../bpf/context/byte-order.ts'
import { readLe64, writeLe64 } from '../maps/ct-entry.ts'
import type { Ctx } from './ctx.ts'
import type { Where } from './drop-reason.ts'

export const metricDirection = { INGRESS: 1, EGRESS: 2, SERVICE: 3 } as const

export type MetricDirection = (typeof metricDirection)[keyof typeof metricDirection]

/** Reasons that are not drops. lib/common.h REASON_* */
export const metricReason = {
  FORWARDED: 0,
  PLAINTEXT: 3,
  DECRYPT: 4,
  FRAG_PACKET: 9,
  FRAG_PACKET_UPDATE: 10,
  DECRYPTING: 12,
  ENCRYPTING: 13,
  MTU_ERROR_MSG: 15,
} as const

const keyBytes = 8
const valueBytes = 16

/** update_metrics(): counts one packet of `bytes` bytes. */
export function updateMetrics(
  ctx: Ctx,
  bytes: number,
  direction: number,
  reason: number,
  where: Where,
): void {
  const key = new Uint8Array(keyBytes)
  key[0] = reason
  key[1] = direction & 3
  writeLe16(key, 2, where.line)
  key[4] = where.file
  const entry = ctx.lookup(ctx.maps.cilium_metrics, key)
  if (entry !== undefined) {
    writeLe64(entry, 0, readLe64(entry, 0) + 1)
    writeLe64(entry, 8, readLe64(entry, 8) + bytes)
    return
  }
  const first = new Uint8Array(valueBytes)
  writeLe64(first, 0, 1)
  writeLe64(first, 8, bytes)
  ctx.update(ctx.maps.cilium_metrics, key, first)
}

// cilium_metrics summed up as the agent exports it: cilium_drop_count_total{reason,direction} and its siblings.
// pkg/maps/metricsmap

import type { BpfMap } from '../../bpf/maps/map.ts'
import { mapGet, mapKeys } from '../../bpf/user.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { readLe64 } from '../maps/ct-entry.ts'
import { reasonTexts } from './drop-text.ts'

/** Numbers above this one are drops; the others are counters of forwarded packets. */
const reasonForwarded = 0
const dropReasonMin = 130
const invalidPacket = 2

const directions: Readonly<Record<number, string>> = {
  [metricDirection.INGRESS]: 'INGRESS',
  [metricDirection.EGRESS]: 'EGRESS',
  [metricDirection.SERVICE]: 'SERVICE',
}

/** What may be asked: names without the prefix `cilium_` and the suffix `_total` too. */
const metrics = {
  drop_count: { drops: true, field: 'count' },
  drop_bytes: { drops: true, field: 'bytes' },
  forward_count: { drops: false, field: 'count' },
  forward_bytes: { drops: false, field: 'bytes' },
} as const

export type MetricName = keyof typeof metrics

export const metricNames = Object.keys(metrics) as readonly MetricName[]

/** `cilium_drop_count_total` as `drop_count`; undefined for a metric that the datapath does not count. */
export function metricName(text: string): MetricName | undefined {
  const short = text.replace(/^cilium_/, '').replace(/_total$/, '')
  return metricNames.find((name) => name === short)
}

const countAt = 0
const bytesAt = 8
const valueStride = 16

/** The sum over all CPUs, lines and files of the entries with these labels. */
export function metricValue(
  map: BpfMap,
  name: MetricName,
  labels: { readonly reason?: string; readonly direction?: string },
  cpus: number,
): number {
  const { drops, field } = metrics[name]
  let sum = 0
  for (const key of mapKeys(map)) {
    const [reason = 0, direction = 0] = key
    const isDrop = reason >= dropReasonMin || reason === invalidPacket
    if (drops ? !isDrop : reason !== reasonForwarded) continue
    if (labels.reason !== undefined && reasonTexts[reason] !== labels.reason) continue
    if (labels.direction !== undefined && directions[direction & 3] !== labels.direction.toUpperCase())
      continue
    const found = mapGet(map, key, { cpus })
    if (found.kind !== 'value') continue
    for (let at = 0; at < found.value.length; at += valueStride) {
      sum += readLe64(found.value, at + (field === 'count' ? countAt : bytesAt))
    }
  }
  return sum
}

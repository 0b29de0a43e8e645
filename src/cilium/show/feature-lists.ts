// Tables of `cilium bpf` about what features keep: bandwidths, gateways, and the datapath's counters.
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import type { BpfMap } from '../../bpf/maps/map.ts'
import { mapGet, mapKeys } from '../../bpf/user.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import { sourceFileName } from '../datapath/drop-reason.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { reasonTexts } from '../decode/drop-text.ts'
import { addressText } from '../maps/address-text.ts'
import { readLe64 } from '../maps/ct-entry.ts'
import { entriesOf } from './map-lists.ts'
import { tabTable } from './tab-table.ts'

const suffixes = ['', 'k', 'M', 'G', 'T', 'P', 'E']

/** resource.Quantity of decimal SI: the largest suffix that leaves a whole number. */
function quantityText(number: number): string {
  let rest = number
  let power = 0
  for (; rest !== 0 && rest % 1000 === 0 && power < suffixes.length - 1; power += 1) rest /= 1000
  return `${rest}${suffixes[power]}`
}

/** `cilium bpf bandwidth list`; undefined when there is no entry. */
export function bandwidthList(maps: NodeMaps): string | undefined {
  const rows = entriesOf(maps.cilium_throttle).map(({ key, value }) => [
    String(readLe32(key, 0)),
    key[4] === 1 ? 'Ingress' : 'Egress',
    String(readLe32(value, 24)),
    quantityText(readLe64(value, 0) * 8),
  ])
  if (rows.length === 0) return undefined
  const sorted = rows.map((row) => row.join('\t')).sort()
  const head = ['IDENTITY', 'DIRECTION', 'PRIO', 'BANDWIDTH (BitsPerSec)']
  return tabTable([head, ...sorted.map((row) => row.split('\t'))])
}

/** The same of 1.10, which limits what leaves alone. */
export function legacyBandwidthList(maps: NodeMaps): string | undefined {
  const rows = entriesOf(maps.cilium_throttle)
    .map(({ key, value }) => [String(readLe64(key, 0)), quantityText(readLe64(value, 0) * 8)])
    .sort(([left = ''], [right = '']) => (left < right ? -1 : 1))
  return rows.length === 0 ? undefined : tabTable([['IDENTITY', 'EGRESS BANDWIDTH (BitsPerSec)'], ...rows])
}

const metricDirections: Readonly<Record<number, string>> = {
  [metricDirection.INGRESS]: 'INGRESS',
  [metricDirection.EGRESS]: 'EGRESS',
  [metricDirection.SERVICE]: 'SERVICE',
}
const metricBytes = 16

/**
 * `cilium bpf metrics list`: sums over all CPUs; undefined when there is no entry. `places`: with the line and file of the source,
 * which counters of 1.10 do not have.
 */
export function metricsList(
  { cilium_metrics: map }: NodeMaps,
  cpus: number,
  places: boolean,
): string | undefined {
  const rows = mapKeys(map).map((key): readonly string[] => {
    const found = mapGet(map, key, { cpus })
    let [packets, bytes] = [0, 0]
    for (let at = 0; found.kind === 'value' && at < found.value.length; at += metricBytes) {
      packets += readLe64(found.value, at)
      bytes += readLe64(found.value, at + 8)
    }
    const [reason = 0, direction = 0] = key
    const file = key[4] as number
    return [
      reasonTexts[reason] ?? String(reason),
      metricDirections[direction] ?? 'UNKNOWN',
      String(packets),
      String(bytes),
      ...(places ? [String(readLe16(key, 2)), sourceFileName(file) ?? `unknown(${file})`] : []),
    ]
  })
  if (rows.length === 0) return undefined
  const sorted = rows.sort((left, right) => (left.join('\0') < right.join('\0') ? -1 : 1))
  const titles = ['REASON', 'DIRECTION', 'PACKETS', 'BYTES', ...(places ? ['LINE', 'FILE'] : [])]
  return tabTable([titles, ...sorted])
}

function gatewayText(gateway: Uint8Array): string {
  const text = addressText(gateway)
  if (text === '0.0.0.0') return 'Not Found'
  return text === '0.0.0.1' ? 'Excluded CIDR' : text
}

function egressRows(map: BpfMap, addressBytes: 4 | 16): readonly (readonly string[])[] {
  const rows = entriesOf(map).map(({ key, value }): readonly string[] => [
    addressText(key.subarray(4, 4 + addressBytes)),
    `${addressText(key.subarray(4 + addressBytes))}/${readLe32(key, 0) - addressBytes * 8}`,
    addressText(value.subarray(0, addressBytes)),
    gatewayText(value.subarray(addressBytes, addressBytes + 4)),
  ])
  return rows.sort((left, right) => (left.join(' ') < right.join(' ') ? -1 : 1))
}

/** `cilium bpf egress list`; undefined when there is no entry. */
export function egressList(maps: NodeMaps): string | undefined {
  const rows = [
    ...egressRows(maps.cilium_egress_gw_policy_v4, 4),
    ...egressRows(maps.cilium_egress_gw_policy_v6, 16),
  ]
  if (rows.length === 0) return undefined
  return tabTable([['Source IP', 'Destination CIDR', 'Egress IP', 'Gateway IP'], ...rows])
}

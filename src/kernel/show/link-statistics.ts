// The counters of `ip -s link`: two tables whose columns are as wide as the longest number (iproute2 ip/ipaddress.c
// print_stats64(), size_columns()).
import type { NetDevice } from '../device/device.ts'

const columnsMin = ['*X errors:', 'packets', 'errors', 'dropped', 'heartbt', 'collsns', 'compressed'].map(
  (word) => word.length,
)

/** `    RX:  bytes packets errors ...` and what follows it. */
export function statisticsLines({ counters }: NetDevice): readonly string[] {
  const received = [counters.rx_bytes, counters.rx_packets, counters.rx_errors, counters.rx_dropped, 0, 0]
  const sent = [counters.tx_bytes, counters.tx_packets, counters.tx_errors, counters.tx_dropped, 0, 0]
  const widths = columnsMin.map((least, column) =>
    Math.max(least, `${received[column] ?? 0}`.length, `${sent[column] ?? 0}`.length),
  )
  const width = (column: number): number => widths[column] ?? 0
  const heading = (side: string, [first = '', ...names]: readonly string[]): string => {
    const rest = names.map((name, index) => name.padStart(width(index + 1)))
    return `    ${side}: ${[first.padStart(width(0) - 4), ...rest, ''.padStart(width(6))].join(' ')}`
  }
  const row = (values: readonly number[]): string =>
    `    ${values.map((value, column) => `${value}`.padStart(width(column))).join(' ')} `
  return [
    heading('RX', ['bytes', 'packets', 'errors', 'dropped', 'missed', 'mcast']),
    row(received),
    heading('TX', ['bytes', 'packets', 'errors', 'dropped', 'carrier', 'collsns']),
    row(sent),
  ]
}

// Counters of the real kernel under the names that claims use: /proc/net/dev for devices, ethtool statistics for what a
// driver counts by itself, /proc/net/snmp and netstat for namespaces.
import type { Namespaces } from './namespaces.ts'

const deviceColumns = [
  'rx_bytes',
  'rx_packets',
  'rx_errors',
  'rx_dropped',
  'rx_fifo',
  'rx_frame',
  'rx_compressed',
  'multicast',
  'tx_bytes',
  'tx_packets',
  'tx_errors',
  'tx_dropped',
] as const

/** All counters of a namespace: `eth0 rx_packets` for devices, `IpInReceives` for the namespace. */
export function readCounters(namespaces: Namespaces, name: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const line of namespaces.procNet(name, 'dev').split('\n')) {
    const [, device, rest] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? []
    if (device === undefined || rest === undefined) continue
    const values = rest.trim().split(/\s+/).map(Number)
    for (const [index, column] of deviceColumns.entries())
      found.set(`${device} ${column}`, values[index] ?? 0)
  }
  for (const file of ['snmp', 'netstat']) addPairs(namespaces.procNet(name, file), found)
  for (const line of namespaces.procNet(name, 'snmp6').split('\n')) {
    const [key, value] = line.trim().split(/\s+/)
    if (key !== undefined && value !== undefined) found.set(key, Number(value))
  }
  return found
}

/** Lines in pairs: `Ip: InReceives ...` and `Ip: 7 ...`. */
function addPairs(text: string, into: Map<string, number>): void {
  const lines = text.split('\n')
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const names = (lines[at] ?? '').split(/\s+/)
    const values = (lines[at + 1] ?? '').split(/\s+/)
    const prefix = (names[0] ?? '').replace(':', '')
    for (let column = 1; column < names.length; column += 1)
      into.set(`${prefix}${names[column]}`, Number(values[column]))
  }
}

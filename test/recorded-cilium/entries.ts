// Entries of conntrack and NAT maps as the recorder prints them: `{tcp OUT 10.0.1.10:40000 -> 10.0.1.11:8080} = {...}`.
import type { BpfMap } from '../../src/bpf/maps/map.ts'
import { mapKeys } from '../../src/bpf/user.ts'
import { type CtBit, CtEntry, readLe64 } from '../../src/cilium/maps/ct-entry.ts'
import { Tuple, tupleFlag } from '../../src/cilium/maps/tuple.ts'
import { formatIpv4, formatIpv6, readIpv4, readIpv6 } from '../../src/net/address.ts'
import { readU16 } from '../../src/net/bytes.ts'
import type { CiliumNode } from './datapath.ts'

const protocols: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmp6',
  132: 'sctp',
}

function address(bytes: Uint8Array): string {
  return bytes.length === 4 ? formatIpv4(readIpv4(bytes, 0)) : formatIpv6(readIpv6(bytes, 0))
}

function flagText(flags: number): string {
  if ((flags & tupleFlag.SERVICE) !== 0) return 'SERVICE'
  const way = (flags & tupleFlag.IN) === 0 ? 'OUT' : 'IN'
  return (flags & tupleFlag.RELATED) === 0 ? way : `${way}|RELATED`
}

/** The order of the bit fields in the recorder's print. */
const bits: readonly CtBit[] = [
  'rx_closing',
  'tx_closing',
  'lb_loopback',
  'seen_non_syn',
  'node_port',
  'proxy_redirect',
  'dsr_internal',
  'from_l7lb',
  'from_tunnel',
]

/**
 * The key as the flow in its original direction: the addresses of a stored tuple are reversed and ports named apart, except in
 * entries of services, which are kept as their packets have them.
 */
function flowOf(tuple: Tuple): string {
  const { saddr, daddr, sport, dport, nexthdr, flags } = tuple
  const client = `${address(daddr)}:${sport}`
  const server = `${address(saddr)}:${dport}`
  const [source, destination] = (flags & tupleFlag.SERVICE) === 0 ? [client, server] : [server, client]
  return `${protocols[nexthdr] ?? nexthdr} ${flagText(flags)} ${source} -> ${destination}`
}

function conntrackText(key: Uint8Array, value: Uint8Array): string {
  const tuple = Tuple.of(key)
  const entry = new CtEntry(value)
  const service = (tuple.flags & tupleFlag.SERVICE) !== 0
  const six = tuple.family.version === 6
  const words: [string, number | string][] = [
    ...((service ? [['backend_id', entry.backendId]] : natWords(entry, six)) as [string, number | string][]),
    ['packets', entry.packets],
    ['bytes', entry.bytes],
    ...bits.map((bit): [string, number] => [bit, entry.is(bit) ? 1 : 0]),
    ['rev_nat_index', entry.revNatIndex],
    ['nat_port', entry.natPort],
    ['tx_flags_seen', entry.txFlagsSeen],
    ['rx_flags_seen', entry.rxFlagsSeen],
    ['src_sec_id', entry.srcSecId],
  ]
  const text = words
    .filter(([, number]) => number !== 0)
    .map(([name, number]) => `${name}=${number}`)
    .join(' ')
  return `{${flowOf(tuple)}} = {${text}}`
}

function natWords(entry: CtEntry, six: boolean): [string, number | string][] {
  const bytes = entry.natAddress
  if (bytes.every((byte) => byte === 0)) return []
  if (!six) return [['nat_addr', address(bytes.subarray(0, 4))]]
  return [
    ['nat_addr', address(bytes)],
    ['reserved0', readLe64(bytes, 0)],
  ]
}

function natText(key: Uint8Array, value: Uint8Array): string {
  const tuple = Tuple.of(key)
  const size = tuple.family.addressBytes
  const to = `${address(value.subarray(32, 32 + size))}:${readU16(value, 32 + size)}`
  const from = `${address(tuple.saddr)}:${tuple.sport} -> ${address(tuple.daddr)}:${tuple.dport}`
  const way = (tuple.flags & tupleFlag.IN) === 0 ? 'OUT' : 'IN'
  return `{${protocols[tuple.nexthdr] ?? tuple.nexthdr} ${way} ${from}} = {to ${to} need_ct ${readLe64(value, 8)}}`
}

/** The maps whose changes were recorded, with their print. */
const printed = {
  cilium_ct4_global: conntrackText,
  cilium_ct_any4_global: conntrackText,
  cilium_ct6_global: conntrackText,
  cilium_ct_any6_global: conntrackText,
  cilium_snat_v4_external: natText,
  cilium_snat_v6_external: natText,
} as const

export type PrintedMap = keyof typeof printed

/** Every entry of the recorded maps: `n1/cilium_ct4_global KEY` to its print and its life. */
export function snapshot(nodes: readonly CiliumNode[]): Map<string, string> {
  const all = new Map<string, string>()
  for (const { number, maps } of nodes) {
    for (const [name, print] of Object.entries(printed)) {
      const map = maps[name as PrintedMap] as BpfMap
      for (const key of mapKeys(map)) {
        const value = map.peek(key, 0)
        if (value === undefined) continue
        all.set(`n${number}/${name} ${Buffer.from(key).toString('hex')}`, print(key, value))
      }
    }
  }
  return all
}

/** The entries that differ between two snapshots, as the recorder prints them, sorted. */
export function changes(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const lines: string[] = []
  for (const [key, text] of after) {
    const old = before.get(key)
    const map = key.slice(0, key.indexOf(' '))
    if (old === undefined) lines.push(`+ ${map} ${text}`)
    else if (old !== text) lines.push(`~ ${map} ${text}`)
  }
  for (const [key, text] of before) {
    if (!after.has(key)) lines.push(`- ${key.slice(0, key.indexOf(' '))} ${text}`)
  }
  return lines.sort()
}

/** A recorded entry without its life, which depends on when the recorder looked. */
export function recordedEntry(text: string): string {
  const whole = text.endsWith('}') ? text : `${text}}`
  return whole.replace(/ ?ttl=\d+s/, '')
}

/** The recorded map changes without those of a life alone: when an entry ends depends on the clock of the recorder. */
export function withoutLives(recorded: readonly string[], before: ReadonlyMap<string, string>): string[] {
  const known = new Set([...before].map(([key, text]) => `~ ${key.slice(0, key.indexOf(' '))} ${text}`))
  return recorded.filter((line) => !known.has(line))
}

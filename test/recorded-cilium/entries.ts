// Entries of conntrack and NAT maps as the recorder prints them: `{tcp OUT 10.0.1.10:40000 -> 10.0.1.11:8080} = {...}`.
import { readLe32 } from '../../src/bpf/context/byte-order.ts'
import type { BpfMap } from '../../src/bpf/maps/map.ts'
import { mapKeys } from '../../src/bpf/user.ts'
import { LegacyCtEntry } from '../../src/cilium/legacy/ct-entry.ts'
import { type CtBit, CtEntry, natAddressOf, readLe64 } from '../../src/cilium/maps/ct-entry.ts'
import { Tuple, tupleFlag } from '../../src/cilium/maps/tuple.ts'
import { formatIpv4, formatIpv6, readIpv4, readIpv6 } from '../../src/net/address.ts'
import { readU16 } from '../../src/net/bytes.ts'
import { formatMac, readMac } from '../../src/net/mac.ts'
import type { CiliumNode } from './datapath.ts'
import { type Version, versionOf } from './era.ts'

const lastUsedBytes = 8

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
const currentBits: readonly (readonly [CtBit, string])[] = [
  ...(['rx_closing', 'tx_closing', 'lb_loopback', 'seen_non_syn', 'node_port', 'proxy_redirect'] as const),
  ...(['dsr_internal', 'from_l7lb', 'from_tunnel'] as const),
].map((bit) => [bit, bit])
const legacyBits: readonly (readonly [CtBit, string])[] = currentBits
  .slice(0, 7)
  .map(([bit]) => [bit, bit === 'dsr_internal' ? 'dsr' : bit])

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

type Word = [name: string, value: number | string]

/** Counters and bits of 1.19, and where it keeps backends and addresses of NAT. */
function currentWords(tuple: Tuple, value: Uint8Array): readonly [before: Word[], behind: Word] {
  const entry = new CtEntry(value)
  const service = (tuple.flags & tupleFlag.SERVICE) !== 0
  const first: Word[] = service
    ? [['backend_id', entry.backendId]]
    : natWords(entry, tuple.family.version === 6)
  const counters: Word[] = [
    ['packets', entry.packets],
    ['bytes', entry.bytes],
  ]
  return [
    [...first, ...counters, ...bitWords(entry, currentBits)],
    ['nat_port', entry.natPort],
  ]
}

/** The same of 1.10: counters for each direction, a device. */
function legacyWords(tuple: Tuple, value: Uint8Array): readonly [before: Word[], behind: Word] {
  const entry = new LegacyCtEntry(value)
  const service = (tuple.flags & tupleFlag.SERVICE) !== 0
  const counters: Word[] = service
    ? [['backend_id', entry.rxBytes]]
    : [
        ['rx_packets', entry.rxPackets],
        ['rx_bytes', entry.rxBytes],
        ['tx_packets', entry.txPackets],
        ['tx_bytes', entry.txBytes],
      ]
  return [
    [...counters, ...bitWords(entry, legacyBits)],
    ['ifindex', entry.ifindex],
  ]
}

function bitWords(entry: CtEntry, names: readonly (readonly [CtBit, string])[]): Word[] {
  return names.map(([bit, name]): Word => [name, entry.is(bit) ? 1 : 0])
}

function conntrackText(key: Uint8Array, value: Uint8Array, version: Version): string {
  const tuple = Tuple.of(key)
  const entry = new CtEntry(value)
  const [before, behind] = version === 'v1.10' ? legacyWords(tuple, value) : currentWords(tuple, value)
  const words: Word[] = [
    ...before,
    ['rev_nat_index', entry.revNatIndex],
    behind,
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

function natWords(entry: CtEntry, six: boolean): Word[] {
  const bytes = entry.natAddress
  if (bytes.every((byte) => byte === 0)) return []
  if (!six) return [['nat_addr', address(natAddressOf(bytes, 4))]]
  return [
    ['nat_addr', address(bytes)],
    ['reserved0', readLe64(bytes, 0)],
  ]
}

function natText(key: Uint8Array, value: Uint8Array, version: Version): string {
  const tuple = Tuple.of(key)
  const size = tuple.family.addressBytes
  const to = `${address(value.subarray(32, 32 + size))}:${readU16(value, 32 + size)}`
  const from = `${address(tuple.saddr)}:${tuple.sport} -> ${address(tuple.daddr)}:${tuple.dport}`
  const way = (tuple.flags & tupleFlag.IN) === 0 ? 'OUT' : 'IN'
  const kind = version === 'v1.10' ? 'host_local' : 'need_ct'
  return `{${protocols[tuple.nexthdr] ?? tuple.nexthdr} ${way} ${from}} = {to ${to} ${kind} ${readLe64(value, 8)}}`
}

/** A union macaddr: the recorder of 1.19 printed its members. */
function neighbourText(key: Uint8Array, value: Uint8Array, version: Version): string {
  const mac = formatMac(readMac(value, 0))
  const text = version === 'v1.10' ? mac : `addr=${mac.replaceAll(':', '')} pad=${readLe64(value, 0)}`
  return `{${address(key)}} = {${text}}`
}

/** Which backend a client keeps; when it used it last depends on the clock. */
function affinityText(_key: Uint8Array, value: Uint8Array): string {
  return `{backend_id=${readLe32(value, lastUsedBytes)}}`
}

/** The maps whose changes were recorded, with their print. */
const printed = {
  cilium_ct4_global: conntrackText,
  cilium_ct_any4_global: conntrackText,
  cilium_ct6_global: conntrackText,
  cilium_ct_any6_global: conntrackText,
  cilium_snat_v4_external: natText,
  cilium_snat_v6_external: natText,
  cilium_nodeport_neigh4: neighbourText,
  cilium_nodeport_neigh6: neighbourText,
  cilium_lb4_affinity: affinityText,
  cilium_lb6_affinity: affinityText,
} as const

export type PrintedMap = keyof typeof printed

/** Whether the changes of a map were recorded. */
export function isPrinted(map: string): boolean {
  return Object.hasOwn(printed, map)
}

/** One entry as the recorder prints it, without its life. */
export function entryLine(map: PrintedMap, key: Uint8Array, value: Uint8Array, version: Version): string {
  return withoutTunnelPort(printed[map](key, value, version))
}

/** Every entry of the recorded maps: `n1/cilium_ct4_global KEY` to its print and its life. */
export function snapshot(nodes: readonly CiliumNode[]): Map<string, string> {
  const all = new Map<string, string>()
  for (const { number, maps } of nodes) {
    const version = versionOf(maps)
    for (const name of Object.keys(printed)) {
      const map = maps[name as PrintedMap] as BpfMap
      for (const key of mapKeys(map)) {
        const value = map.peek(key, 0)
        if (value === undefined) continue
        const at = `n${number}/${name} ${Buffer.from(key).toString('hex')}`
        all.set(at, entryLine(name as PrintedMap, key, value, version))
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

const tunnelFlow = /(192\.168\.0\.\d):(?!8472)\d+/g

/** An entry of a tunnel's own packets, whose source port is the kernel's random choice. */
function withoutTunnelPort(text: string): string {
  return text.includes(':8472') ? text.replace(tunnelFlow, '$1:*') : text
}

/** A recorded entry without its life, which depends on when the recorder looked. `map` has the name of its node in front. */
export function recordedEntry(map: string, text: string): string {
  const name = map.slice(map.indexOf('/') + 1)
  if (!(name in printed)) return `${text}, which no print here is for`
  if (name.endsWith('_affinity')) return `{${/backend_id=\d+/.exec(text)?.[0]}}`
  const whole = text.endsWith('}') ? text : `${text}}`
  return withoutTunnelPort(whole.replace(/ ?ttl=\d+s/, ''))
}

/** The recorded map changes without those of a life alone: when an entry ends depends on the clock of the recorder. */
export function withoutLives(recorded: readonly string[], before: ReadonlyMap<string, string>): string[] {
  const known = new Set([...before].map(([key, text]) => `~ ${key.slice(0, key.indexOf(' '))} ${text}`))
  // flows of a tunnel look alike without their ports: another one may have the same counters
  return recorded.filter((line) => line.includes(':*') || !known.has(line))
}

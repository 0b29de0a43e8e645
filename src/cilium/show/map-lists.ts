// What `cilium bpf ... list` prints of a node's maps. Enters: the maps; leaves: the text of the tool. Where the tool follows the
// order of a hash, lines are sorted. pkg/maps/{ctmap,nat,ipcache,lxcmap,policymap}
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import type { BpfMap } from '../../bpf/maps/map.ts'
import { mapKeys } from '../../bpf/user.ts'
import { readU16 } from '../../net/bytes.ts'
import { formatMac, readMac } from '../../net/mac.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import type { Address } from '../datapath/family.ts'
import { ipcachePrefixOf, remoteEndpointOf } from '../datapath/ipcache.ts'
import { addressText, endText } from '../maps/address-text.ts'
import type { EntryClock } from '../maps/clock.ts'
import { CtEntry, ctBit } from '../maps/ct-entry.ts'
import { NatEntry } from '../maps/nat-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import { tabTable } from './tab-table.ts'

/** One entry of a map. */
export interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** All entries, in the map's own order. */
export function entriesOf(map: BpfMap): Entry[] {
  return [...mapKeys(map)].flatMap((key) => {
    const value = map.peek(key, 0)
    return value === undefined ? [] : [{ key, value }]
  })
}

/** One line for each entry, sorted as text. */
export function sortedLines(map: BpfMap, line: (entry: Entry) => string): string {
  return entriesOf(map).map(line).sort().join('')
}

const protocolNames: Readonly<Record<number, string>> = {
  0: 'ANY',
  1: 'ICMP',
  2: 'IGMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  112: 'VRRP',
  132: 'SCTP',
}

/** The name of a protocol as u8proto prints it. */
export function protocolName(protocol: number): string {
  return protocolNames[protocol] ?? String(protocol)
}

/** `0x001b` */
export function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`
}

/** The bits of a conntrack entry that every version names alike. */
export const commonFlagNames = [
  ['rx_closing', 'RxClosing'],
  ['tx_closing', 'TxClosing'],
  ['lb_loopback', 'LBLoopback'],
  ['seen_non_syn', 'SeenNonSyn'],
  ['node_port', 'NodePort'],
  ['proxy_redirect', 'ProxyRedirect'],
] as const

const flagNames = [
  ...commonFlagNames,
  ['dsr_internal', 'DSRInternal'],
  ['from_l7lb', 'FromL7LB'],
  ['from_tunnel', 'FromTunnel'],
] as const

/** The bits of a conntrack entry in the tool's words. */
export function flagsText(
  bits: number,
  words: readonly (readonly [keyof typeof ctBit, string])[] = flagNames,
): string {
  const names = words.filter(([bit]) => (bits & ctBit[bit]) !== 0).map(([, name]) => `${name} `)
  return `Flags=${hex(bits, 4)} [ ${names.join('')}]`
}

/** The tuple of an entry: CtKey4Global.Dump(), whose stored addresses are reversed except for services. */
function flowText(tuple: Tuple, from: Address, to: Address): string {
  const related = (tuple.flags & tupleFlag.RELATED) === 0 ? '' : 'related '
  const name = protocolName(tuple.nexthdr)
  if ((tuple.flags & tupleFlag.SERVICE) !== 0) {
    return `${name} SVC ${endText(tuple.saddr, tuple.dport)} -> ${endText(tuple.daddr, tuple.sport)} ${related}`
  }
  const way = (tuple.flags & tupleFlag.IN) === 0 ? 'OUT' : 'IN'
  return `${name} ${way} ${endText(from, tuple.sport)} -> ${endText(to, tuple.dport)} ${related}`
}

function conntrackLine({ key, value }: Entry): string {
  const tuple = Tuple.of(key)
  const entry = new CtEntry(value)
  const fields = [
    `expires=${entry.lifetime}`,
    `Packets=${entry.packets}`,
    `Bytes=${entry.bytes}`,
    `RxFlagsSeen=${hex(entry.rxFlagsSeen, 2)}`,
    `LastRxReport=${entry.lastRxReport}`,
    `TxFlagsSeen=${hex(entry.txFlagsSeen, 2)}`,
    `LastTxReport=${entry.lastTxReport}`,
    flagsText(entry.bits),
    `RevNAT=${entry.revNatIndex}`,
    `SourceSecurityID=${entry.srcSecId}`,
    `BackendID=${entry.backendId}`,
    `NatPort=${entry.natPort}`,
  ]
  return `${flowText(tuple, tuple.daddr, tuple.saddr)}${fields.join(' ')} \n`
}

/** The conntrack maps in the order in which the tool goes through them. */
export function conntrackMaps(maps: NodeMaps): readonly BpfMap[] {
  const { cilium_ct4_global, cilium_ct_any4_global, cilium_ct6_global, cilium_ct_any6_global } = maps
  return [cilium_ct4_global, cilium_ct_any4_global, cilium_ct6_global, cilium_ct_any6_global]
}

/** `cilium bpf ct list global` */
export function conntrackList(maps: NodeMaps): string {
  return conntrackMaps(maps)
    .map((map) => sortedLines(map, conntrackLine))
    .join('')
}

/** The maps of translations in the order in which the tool goes through them. */
export function natMaps(maps: NodeMaps): readonly BpfMap[] {
  return [maps.cilium_snat_v4_external, maps.cilium_snat_v6_external]
}

/** `cilium bpf nat list` */
export function natList(maps: NodeMaps, { now, seconds }: EntryClock): string {
  const line = ({ key, value }: Entry): string => {
    const tuple = Tuple.of(key)
    const entry = new NatEntry(tuple.family, value)
    const which = (tuple.flags & tupleFlag.IN) === 0 ? 'SRC' : 'DST'
    const target = endText(entry.toAddress, entry.toPort)
    return `${flowText(tuple, tuple.saddr, tuple.daddr)}XLATE_${which} ${target} Created=${seconds(now) - seconds(entry.created)}sec ago NeedsCT=${entry.needsCt ? 1 : 0}\n`
  }
  return natMaps(maps)
    .map((map) => sortedLines(map, line))
    .join('')
}

const familyIpv4 = 1
const ipcacheFlags = [
  ['skipTunnel', 'skiptunnel'],
  ['hasTunnelEndpoint', 'hastunnel'],
  ['ipv6TunnelEndpoint', 'ipv6tunnel'],
  ['remoteCluster', 'remotecluster'],
] as const

/** The prefix of a struct ipcache_key: `10.0.1.0/24`. */
export function ipcachePrefix(key: Uint8Array): string {
  const { address, length } = ipcachePrefixOf(key)
  return `${addressText(address)}/${length}`
}

function ipcacheRow({ key, value }: Entry): readonly [string, string] {
  const remote = remoteEndpointOf(value)
  const flags = ipcacheFlags.filter(([flag]) => remote[flag]).map(([, name]) => name)
  const tunnel = addressText(remote.tunnelEndpoint.subarray(0, remote.ipv6TunnelEndpoint ? 16 : 4))
  return [
    ipcachePrefix(key),
    `identity=${remote.secIdentity} encryptkey=${remote.key} tunnelendpoint=${tunnel} flags=${flags.length === 0 ? '<none>' : flags.join(',')}`,
  ]
}

/** Rows sorted by their first cell. */
export function rowsOf(map: BpfMap, row: (entry: Entry) => readonly [string, string]) {
  return entriesOf(map)
    .map(row)
    .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
}

/** `cilium bpf ipcache list`; undefined when there is no entry. */
export function ipcacheList(maps: NodeMaps): string | undefined {
  const rows = rowsOf(maps.cilium_ipcache_v2, ipcacheRow)
  if (rows.length === 0) return undefined
  return tabTable([['IP PREFIX/ADDRESS', 'IDENTITY'], ...rows.map((row) => [...row, ''])])
}

/** `cilium map get cilium_ipcache_v2`: what the agent's cache of the map holds, all of it written. */
export function ipcacheCache(maps: NodeMaps): string {
  const rows = rowsOf(maps.cilium_ipcache_v2, ipcacheRow)
  return tabTable([['Key', 'Value', 'State', 'Error'], ...rows.map((row) => [...row, 'sync', ''])])
}

const hostFlag = 1

function endpointRow({ key, value }: Entry): readonly [string, string] {
  const address = addressText(key.subarray(0, key[16] === familyIpv4 ? 4 : 16))
  const name = `${address}:0`
  const flags = readLe32(value, 8)
  if ((flags & hostFlag) !== 0) return [name, '(localhost)']
  const mac = (at: number): string => formatMac(readMac(value, at)).toUpperCase()
  const number = (count: number, width: number): string => String(count).padEnd(width)
  const fields = [
    `id=${number(readLe16(value, 6), 5)}`,
    `sec_id=${number(readLe32(value, 32), 5)}`,
    `flags=0x${flags.toString(16).toUpperCase().padStart(4, '0')}`,
    `ifindex=${number(readLe32(value, 0), 3)}`,
    `mac=${mac(16)}`,
    `nodemac=${mac(24)}`,
    `parent_ifindex=${number(readLe32(value, 36), 3)}`,
  ]
  return [name, fields.join(' ')]
}

/** `cilium bpf endpoint list` */
export function endpointList(maps: NodeMaps): string {
  const rows = rowsOf(maps.cilium_lxc, endpointRow)
  return tabTable([['IP ADDRESS', 'LOCAL ENDPOINT INFO'], ...rows.map((row) => [...row, ''])])
}

const policyStaticBits = 40
const fullPolicyBits = 24
const protocolBits = 8

function portText(key: Uint8Array): string {
  const prefix = readLe32(key, 0) - policyStaticBits
  const protocol = protocolName(key[9] as number)
  const port = readU16(key, 10)
  if (prefix <= protocolBits) return protocol
  if (prefix === fullPolicyBits) return `${port}/${protocol}`
  return `${port}-${port + (0xffff >> (prefix - protocolBits))}/${protocol}`
}

/** One entry of a policy map, with what its version prints behind the identity. */
export interface PolicyRow {
  readonly deny: boolean
  readonly egress: boolean
  readonly identity: number
  readonly cells: readonly string[]
}

/** The table of `cilium bpf policy get`: a line for each further label of an identity. */
export function policyRows(
  entries: readonly PolicyRow[],
  columns: readonly string[],
  labels?: (identity: number) => readonly string[],
): string {
  const subject = labels === undefined ? 'IDENTITY' : 'LABELS (source:key[=value])'
  const rows = entries.flatMap(({ deny, egress, identity, cells }) => {
    const [first = String(identity), ...others] = labels?.(identity) ?? []
    const row = [deny ? 'Deny' : 'Allow', egress ? 'Egress' : 'Ingress', first, ...cells]
    return [row, ...others.map((label) => ['', '', label, ...cells.map(() => '')])]
  })
  const complaint = 'Policy stats empty. Perhaps the policy enforcement is disabled?\n'
  const titles = ['POLICY', 'DIRECTION', subject, ...columns]
  return `${tabTable([titles, ...rows])}${entries.length === 0 ? complaint : ''}`
}

/** `cilium bpf policy get ENDPOINT`; `labels` gives those of an identity where they are to be printed. */
export function policyList(policy: BpfMap, labels?: (identity: number) => readonly string[]): string {
  const columns = ['PORT/PROTO', 'PROXY PORT', 'AUTH TYPE', 'BYTES', 'PACKETS', 'PREFIX', 'COOKIE']
  const deny = ({ value }: Entry): number => ((value[2] as number) & 1) ^ 1
  const entries = entriesOf(policy).sort(
    (left, right) =>
      deny(left) - deny(right) ||
      (left.key[8] as number) - (right.key[8] as number) ||
      readLe32(left.key, 4) - readLe32(right.key, 4),
  )
  const rows = entries.map((entry) => {
    const { key, value } = entry
    const proxy = readU16(value, 0)
    const cells = [portText(key), proxy === 0 ? 'NONE' : String(proxy), 'disabled', '-', '-']
    cells.push(String(readLe32(key, 0) - policyStaticBits), String(readLe32(value, 8)))
    return { deny: deny(entry) === 0, egress: key[8] !== 0, identity: readLe32(key, 4), cells }
  })
  return policyRows(rows, columns, labels)
}

// What `cilium bpf ... list` of 1.10 prints of a node's maps, where it prints otherwise than 1.19. Enters: the maps; leaves: the
// text of the tool. cilium v1.10 pkg/maps/{ctmap,nat,ipcache,lxcmap,policymap,tunnel}
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import type { BpfMap } from '../../bpf/maps/map.ts'
import { readU16 } from '../../net/bytes.ts'
import { formatMac, readMac } from '../../net/mac.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import type { Address } from '../datapath/family.ts'
import { LegacyCtEntry } from '../legacy/ct-entry.ts'
import { addressText, endText } from '../maps/address-text.ts'
import { readLe64 } from '../maps/ct-entry.ts'
import { NatEntry } from '../maps/nat-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import {
  commonFlagNames,
  conntrackMaps,
  type Entry,
  entriesOf,
  flagsText,
  hex,
  ipcachePrefix,
  natMaps,
  policyRows,
  protocolName,
  rowsOf,
  sortedLines,
} from './map-lists.ts'
import { tabTable } from './tab-table.ts'

const flagNames = [...commonFlagNames, ['dsr_internal', 'DSR']] as const

/** The tuple of an entry: CtKey4Global.Dump(), which does not put IPv6 addresses into brackets. */
function flowText(tuple: Tuple, from: Address, to: Address): string {
  const way = (tuple.flags & tupleFlag.IN) === 0 ? 'OUT' : 'IN'
  const related = (tuple.flags & tupleFlag.RELATED) === 0 ? '' : 'related '
  const service = (tuple.flags & tupleFlag.SERVICE) === 0 ? '' : 'service '
  const pair = `${addressText(from)}:${tuple.sport} -> ${addressText(to)}:${tuple.dport}`
  return `${protocolName(tuple.nexthdr)} ${way} ${pair} ${related}${service}`
}

function conntrackLine({ key, value }: Entry): string {
  const tuple = Tuple.of(key)
  const entry = new LegacyCtEntry(value)
  const fields = [
    `expires=${entry.lifetime}`,
    `RxPackets=${entry.rxPackets}`,
    `RxBytes=${entry.rxBytes}`,
    `RxFlagsSeen=${hex(entry.rxFlagsSeen, 2)}`,
    `LastRxReport=${entry.lastRxReport}`,
    `TxPackets=${entry.txPackets}`,
    `TxBytes=${entry.txBytes}`,
    `TxFlagsSeen=${hex(entry.txFlagsSeen, 2)}`,
    `LastTxReport=${entry.lastTxReport}`,
    flagsText(entry.bits, flagNames),
    `RevNAT=${entry.revNatIndex}`,
    `SourceSecurityID=${entry.srcSecId}`,
    `IfIndex=${entry.ifindex}`,
  ]
  return `${flowText(tuple, tuple.daddr, tuple.saddr)}${fields.join(' ')} \n`
}

/** `cilium bpf ct list global` */
export function legacyConntrackList(maps: NodeMaps): string {
  return conntrackMaps(maps)
    .map((map) => sortedLines(map, conntrackLine))
    .join('')
}

/** `cilium bpf nat list`: the tool takes times of entries for nanoseconds, so that all are as old as the node, `uptime` seconds. */
export function legacyNatList(maps: NodeMaps, uptime: number): string {
  const line = ({ key, value }: Entry): string => {
    const tuple = Tuple.of(key)
    const entry = new NatEntry(tuple.family, value)
    const which = (tuple.flags & tupleFlag.IN) === 0 ? 'SRC' : 'DST'
    const target = endText(entry.toAddress, entry.toPort)
    return `${flowText(tuple, tuple.saddr, tuple.daddr)}XLATE_${which} ${target} Created=${uptime - Math.floor(entry.created / 1e9)}sec HostLocal=${entry.needsCt ? 1 : 0}\n`
  }
  return natMaps(maps)
    .map((map) => sortedLines(map, line))
    .join('')
}

/** A row with the empty column that the tool's tables end with. */
function table(titles: readonly [string, string], rows: readonly (readonly [string, string])[]): string {
  return tabTable([titles, ...rows.map((row) => [...row, ''])])
}

function ipcacheRow({ key, value }: Entry): readonly [string, string] {
  const tunnel = addressText(value.subarray(4, 8))
  return [ipcachePrefix(key), `${readLe32(value, 0)} ${value[8]} ${tunnel}`]
}

function ipcacheRows({ cilium_ipcache }: NodeMaps): readonly (readonly [string, string])[] {
  return cilium_ipcache === undefined ? [] : rowsOf(cilium_ipcache, ipcacheRow)
}

/** `cilium bpf ipcache list`; undefined when there is no entry. */
export function legacyIpcacheList(maps: NodeMaps): string | undefined {
  const rows = ipcacheRows(maps)
  return rows.length === 0 ? undefined : table(['IP PREFIX/ADDRESS', 'IDENTITY'], rows)
}

/** `cilium map get cilium_ipcache`: what the agent's cache of the map holds, all of it written. */
export function legacyIpcacheCache(maps: NodeMaps): string {
  const rows = ipcacheRows(maps).map((row) => [...row, 'sync', ''])
  return tabTable([['Key', 'Value', 'State', 'Error'], ...rows])
}

const familyIpv4 = 1

/** struct endpoint_key as the tools name it: the address and the index of a key. */
function endpointName(key: Uint8Array): string {
  return `${addressText(key.subarray(0, key[16] === familyIpv4 ? 4 : 16))}:${key[17]}`
}

/** `cilium bpf tunnel list` */
export function tunnelList({ cilium_tunnel_map }: NodeMaps): string {
  const row = ({ key, value }: Entry): readonly [string, string] => [endpointName(key), endpointName(value)]
  return table(['TUNNEL', 'VALUE'], cilium_tunnel_map === undefined ? [] : rowsOf(cilium_tunnel_map, row))
}

/** `cilium bpf egress list`: the gateway's node, then the address that it takes; undefined when there is no entry. */
export function legacyEgressList({ cilium_egress_v4 }: NodeMaps): string | undefined {
  const row = ({ key, value }: Entry): readonly [string, string] => [
    `${addressText(key.subarray(4, 8))} ${addressText(key.subarray(8, 12))}/${readLe32(key, 0) - 32}`,
    `${addressText(value.subarray(4, 8))} ${addressText(value.subarray(0, 4))}`,
  ]
  const rows = cilium_egress_v4 === undefined ? [] : rowsOf(cilium_egress_v4, row)
  return rows.length === 0 ? undefined : table(['SRC IP & DST CIDR', 'EGRESS INFO'], rows)
}

const hostFlag = 1

function endpointRow({ key, value }: Entry): readonly [string, string] {
  const flags = readLe32(value, 8)
  if ((flags & hostFlag) !== 0) return [endpointName(key), '(localhost)']
  const mac = (at: number): string => formatMac(readMac(value, at)).toUpperCase()
  const fields = [
    `id=${String(readLe16(value, 6)).padEnd(5)}`,
    `flags=0x${flags.toString(16).toUpperCase().padStart(4, '0')}`,
    `ifindex=${String(readLe32(value, 0)).padEnd(3)}`,
    `mac=${mac(16)}`,
    `nodemac=${mac(24)}`,
  ]
  return [endpointName(key), fields.join(' ')]
}

/** `cilium bpf endpoint list` */
export function legacyEndpointList(maps: NodeMaps): string {
  return table(['IP ADDRESS', 'LOCAL ENDPOINT INFO'], rowsOf(maps.cilium_lxc, endpointRow))
}

function portText(key: Uint8Array): string {
  const port = readU16(key, 4)
  return port === 0 ? 'ANY' : `${port}/${protocolName(key[6] as number)}`
}

const isDeny = ({ value }: Entry): boolean => ((value[2] as number) & 1) !== 0

/** `cilium bpf policy get ENDPOINT`; `labels` gives those of an identity where they are to be printed. */
export function legacyPolicyList(policy: BpfMap, labels?: (identity: number) => readonly string[]): string {
  const entries = entriesOf(policy).sort(
    (left, right) =>
      Number(isDeny(right)) - Number(isDeny(left)) ||
      (left.key[7] as number) - (right.key[7] as number) ||
      readLe32(left.key, 0) - readLe32(right.key, 0),
  )
  const columns = ['PORT/PROTO', 'PROXY PORT', 'BYTES', 'PACKETS']
  return policyRows(
    entries.map((entry) => {
      const { key, value } = entry
      const proxy = readU16(value, 0)
      const cells = [portText(key), proxy === 0 ? 'NONE' : String(proxy)]
      cells.push(String(readLe64(value, 16)), String(readLe64(value, 8)))
      return { deny: isDeny(entry), egress: key[7] !== 0, identity: readLe32(key, 0), cells }
    }),
    columns,
    labels,
  )
}

// What Cilium's maps hold at the end of a case, one line for each entry: `ct4 tcp client:40000 > server:80 egress
// seen-non-syn`, `nat4 tcp client:40000 > 192.0.2.1:443 egress -> n1:40000`.
import type { BpfMap } from '../../bpf/maps/map.ts'
import { mapKeys } from '../../bpf/user.ts'
import { readU16 } from '../../net/bytes.ts'
import type { StateLine } from '../../trace/event.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import { type Address, protocolNumber } from '../datapath/family.ts'
import { addressText, endText } from '../maps/address-text.ts'
import { type CtBit, CtEntry } from '../maps/ct-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'

const natTargetAt = 32

const protocols: Readonly<Record<number, string>> = {
  [protocolNumber.ICMP]: 'icmp',
  [protocolNumber.TCP]: 'tcp',
  [protocolNumber.UDP]: 'udp',
  [protocolNumber.ICMPV6]: 'icmpv6',
  [protocolNumber.SCTP]: 'sctp',
}

/** Bits worth a reviewer's eye, in the order they are printed. */
const words: readonly (readonly [CtBit, string])[] = [
  ['seen_non_syn', 'seen-non-syn'],
  ['rx_closing', 'rx-closing'],
  ['tx_closing', 'tx-closing'],
  ['node_port', 'nodeport'],
  ['proxy_redirect', 'proxy'],
  ['dsr_internal', 'dsr'],
  ['lb_loopback', 'loopback'],
  ['from_tunnel', 'from-tunnel'],
]

function endpoint(address: Address, port: number, hasPort: boolean): string {
  return hasPort ? endText(address, port) : addressText(address)
}

function wayOf(flags: number): string {
  if ((flags & tupleFlag.SERVICE) !== 0) return 'service'
  return (flags & tupleFlag.IN) === 0 ? 'egress' : 'ingress'
}

/** The identifier of an echo stands in the source's port; errors and their twins have none. */
function flowText(tuple: Tuple, from: Address, to: Address): string {
  const { nexthdr, sport, dport } = tuple
  const isIcmp = nexthdr === protocolNumber.ICMP || nexthdr === protocolNumber.ICMPV6
  const source = endpoint(from, sport, !isIcmp || sport !== 0)
  const target = endpoint(to, dport, !isIcmp || dport !== 0)
  return `${protocols[nexthdr] ?? nexthdr} ${source} > ${target}`
}

/** `tcp client:40000 > server:80 egress seen-non-syn`: an entry of a map of connections. */
export function conntrackText(key: Uint8Array, value: Uint8Array): string {
  const tuple = Tuple.of(key)
  const entry = new CtEntry(value)
  const related = (tuple.flags & tupleFlag.RELATED) === 0 ? '' : ' related'
  const marks = words.map(([bit, word]) => (entry.is(bit) ? ` ${word}` : '')).join('')
  return `${flowText(tuple, tuple.daddr, tuple.saddr)} ${wayOf(tuple.flags)}${related}${marks}`
}

/** `tcp client:40000 > 192.0.2.1:443 egress -> n1:40000`: an entry of a map of translations. */
export function natText(key: Uint8Array, value: Uint8Array): string {
  const tuple = Tuple.of(key)
  const size = tuple.family.addressBytes
  const target = endpoint(
    value.subarray(natTargetAt, natTargetAt + size),
    readU16(value, natTargetAt + size),
    true,
  )
  return `${flowText(tuple, tuple.saddr, tuple.daddr)} ${wayOf(tuple.flags)} -> ${target}`
}

const shown = [
  ['ct4', 'cilium_ct4_global', conntrackText],
  ['ct4-any', 'cilium_ct_any4_global', conntrackText],
  ['ct6', 'cilium_ct6_global', conntrackText],
  ['ct6-any', 'cilium_ct_any6_global', conntrackText],
  ['nat4', 'cilium_snat_v4_external', natText],
  ['nat6', 'cilium_snat_v6_external', natText],
] as const

function linesOf(
  word: string,
  map: BpfMap,
  text: (key: Uint8Array, value: Uint8Array) => string,
): StateLine[] {
  const lines: StateLine[] = []
  for (const key of mapKeys(map)) {
    const value = map.peek(key, 0)
    if (value !== undefined) lines.push({ word, text: text(key, value) })
  }
  return lines.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
}

/** The connections and translations in a node's maps. */
export function ciliumState(maps: NodeMaps): StateLine[] {
  return shown.flatMap(([word, name, text]) => linesOf(word, maps[name], text))
}

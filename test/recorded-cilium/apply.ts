// Puts recorded map changes into the maps of the model: what a skipped service case left behind.
import { writeLe32 } from '../../src/bpf/context/byte-order.ts'
import type { BpfMap } from '../../src/bpf/maps/map.ts'
import { ipv4, ipv6 } from '../../src/cilium/datapath/family.ts'
import { type CtBit, CtEntry, ctBit } from '../../src/cilium/maps/ct-entry.ts'
import { Tuple, tupleFlag } from '../../src/cilium/maps/tuple.ts'
import { writeU16 } from '../../src/net/bytes.ts'
import type { RecordedChange } from './case.ts'
import type { CiliumNode } from './datapath.ts'
import { addressBytes } from './fill.ts'
import { must } from './topology.ts'

const protocols: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 }
const flags: Readonly<Record<string, number>> = {
  OUT: tupleFlag.OUT,
  IN: tupleFlag.IN,
  SERVICE: tupleFlag.SERVICE,
  'OUT|RELATED': tupleFlag.RELATED,
  'IN|RELATED': tupleFlag.IN | tupleFlag.RELATED,
}

interface Flow {
  readonly protocol: number
  readonly flags: number
  readonly source: readonly [string, number]
  readonly destination: readonly [string, number]
}

function endpointOf(text: string): [string, number] {
  const colon = text.lastIndexOf(':')
  return [text.slice(0, colon), Number(text.slice(colon + 1))]
}

function flowOf(text: string): Flow {
  const [protocol = '', way = '', from = '', , to = ''] = text.split(' ')
  return {
    protocol: must(protocols[protocol], protocol),
    flags: must(flags[way], way),
    source: endpointOf(from),
    destination: endpointOf(to),
  }
}

function tupleOf(flow: Flow, reversed: boolean): Tuple {
  const [source, sport] = flow.source
  const [destination, dport] = flow.destination
  const tuple = new Tuple(source.includes(':') ? ipv6 : ipv4)
  tuple.saddr = addressBytes(reversed ? destination : source)
  tuple.daddr = addressBytes(reversed ? source : destination)
  tuple.sport = sport
  tuple.dport = dport
  tuple.nexthdr = flow.protocol
  tuple.flags = flow.flags
  return tuple
}

function conntrackValue(text: string, now: number): Uint8Array {
  const entry = new CtEntry()
  entry.lifetime = now + 60
  for (const word of text.split(' ')) {
    const [name = '', value = ''] = word.split('=')
    const number = Number.parseInt(value, 10)
    if (name in ctBit) entry.set(name as CtBit, number === 1)
    else if (name === 'packets') entry.packets = number
    else if (name === 'bytes') entry.bytes = number
    else if (name === 'rev_nat_index') entry.revNatIndex = number
    else if (name === 'nat_port') entry.natPort = number
    else if (name === 'backend_id') entry.backendId = number
    else if (name === 'nat_addr') entry.natAddress = addressBytes(value)
    else if (name === 'tx_flags_seen') entry.txFlagsSeen = number
    else if (name === 'rx_flags_seen') entry.rxFlagsSeen = number
    else if (name === 'src_sec_id') entry.srcSecId = number
    else if (name === 'ttl') entry.lifetime = now + number
  }
  return entry.raw
}

function natValue(text: string, size: number): Uint8Array {
  const words = /to (\S+) need_ct (\d)/.exec(text)
  const [address, port] = endpointOf(words?.[1] ?? '')
  const value = new Uint8Array(size)
  const bytes = addressBytes(address)
  writeLe32(value, 8, Number(words?.[2]))
  value.set(bytes, 32)
  writeU16(value, 32 + bytes.length, port)
  return value
}

/** Carries out the changes of one step. Maps that the model does not have are left out. */
export function applyChanges(
  nodes: readonly CiliumNode[],
  recorded: readonly RecordedChange[],
  nowSeconds: number,
): void {
  for (const { op, map: place, entry } of recorded) {
    const [nodeName, mapName = ''] = place.split('/')
    const node = nodes.find(({ number }) => `n${number}` === nodeName)
    const isNat = mapName.includes('snat')
    if (node === undefined || !(isNat || mapName.includes('_ct'))) continue
    const map = node.maps[mapName as keyof typeof node.maps] as BpfMap
    const [flow = '', value = ''] = entry.slice(1).split('} = {')
    const key = tupleOf(flowOf(flow), !isNat).bytes
    if (op === '-') map.delete(key)
    else {
      const bytes = isNat ? natValue(value, map.spec.valueSize) : conntrackValue(value, nowSeconds)
      map.update(key, bytes, 0, 0)
    }
  }
}

// Where the headers of a packet lie, one record per encapsulation: the form in which two snapshots are compared.
// Enters: a snapshot; leaves: offsets, never copies. What `dissect` cannot make sense of counts as payload.
import { arpAt } from '../../net/arp.ts'
import { readU8, readU16, readU24, readU32 } from '../../net/bytes.ts'
import { dissect } from '../../net/dissect.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Dissection, Layer } from '../../net/layer.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { vlanAt } from '../../net/vlan.ts'
import { vxlanAt } from '../../net/vxlan.ts'
import type { Snapshot } from '../event.ts'

export type TunnelKind = 'vxlan' | 'geneve' | 'ipip' | 'wireguard' | 'esp'

/** A packet inside a packet. */
interface Tunnel {
  readonly kind: TunnelKind
  /** Virtual network identifier; -1 where the protocol has none. */
  readonly vni: number
  readonly inner: Layers
}

/** Offsets of the headers of one packet; -1 where a header is absent. */
export interface Layers {
  readonly bytes: Uint8Array
  readonly ethernet: number
  /** The 802.1Q and 802.1ad tags in the bytes, outermost first, as TCI. */
  readonly tags: readonly number[]
  /** What the last tag or the Ethernet header announces; 0 where there is none. */
  readonly etherType: number
  /** Offset of the network header (IP or ARP), or of whatever follows Ethernet. */
  readonly l3: number
  /** 4, 6, or 0 for anything that is not IP. */
  readonly family: 0 | 4 | 6
  /** Protocol of the transport header behind all extension headers, or -1. */
  readonly protocol: number
  /** Offset of the transport header; -1 for later fragments and where there is none. */
  readonly l4: number
  /** Offset of the first byte behind the last known header. */
  readonly payload: number
  /** One past the last byte that belongs to the packet by the length field of IP. */
  readonly end: number
  readonly malformed: boolean
  /** What is behind the headers is encrypted; the SPI of ESP. */
  readonly sealed?: { readonly kind: 'wireguard' | 'esp'; readonly spi: number }
  readonly tunnel?: Tunnel
}

const tunnelsMax = 8

/** Finds the headers of a snapshot. */
export function layersOf(snapshot: Snapshot): Layers {
  return layersIn(dissectSnapshot(snapshot))
}

/** The last answer: what one hook left is what the next one finds, so half of all questions are asked twice. */
let last: { readonly snapshot: Snapshot; readonly dissection: Dissection } | undefined

/** Ethernet hardware, IPv4 protocol, addresses of six and four bytes: the start of every ARP message that Linux sends. */
const arpStart = [0, 1, 8, 0, 6, 4] as const

/** Whether the bytes are an ARP message that has no Ethernet header yet; no IP header starts with a zero. */
export function isBareArp({ bytes, start }: Snapshot): boolean {
  return start === 'ip' && bytes.length >= arpAt.payload && arpStart.every((byte, at) => bytes[at] === byte)
}

/** The headers of a snapshot, from the first that is there. */
export function dissectSnapshot(snapshot: Snapshot): Dissection {
  if (last?.snapshot === snapshot) return last.dissection
  const dissection = dissectFresh(snapshot)
  last = { snapshot, dissection }
  return dissection
}

function dissectFresh(snapshot: Snapshot): Dissection {
  const { bytes, start } = snapshot
  if (!isBareArp(snapshot)) return dissect(bytes, start)
  const end = bytes.length
  const arp: Layer = { kind: 'arp', start: 0, payload: arpAt.payload, end, depth: 0, protocol: etherType.arp }
  return { bytes, layers: [arp], payload: { start: arpAt.payload, end }, depth: 0 }
}

/** Where the headers of a dissected packet lie. */
export function layersIn(dissection: Dissection): Layers {
  return packetAt(dissection, 0)
}

/** A record of layers that is still being filled. */
type Draft = { -readonly [Key in keyof Layers]: Layers[Key] }

function packetAt(dissection: Dissection, depth: number): Layers {
  const { bytes, layers, payload } = dissection
  const tags: number[] = []
  const draft: Draft = {
    bytes,
    ethernet: -1,
    tags,
    etherType: 0,
    l3: payload.start,
    family: 0,
    protocol: -1,
    l4: -1,
    payload: payload.start,
    end: payload.end,
    malformed: dissection.malformed !== undefined && depth === dissection.depth,
  }
  for (const layer of layers) if (layer.depth === depth) place(draft, tags, layer)
  if (depth < dissection.depth && depth < tunnelsMax) {
    const last = layers.findLast((layer) => layer.depth === depth)
    draft.tunnel = tunnelBehind(dissection, last, depth)
  }
  return draft
}

function place(draft: Draft, tags: number[], layer: Layer): void {
  const { bytes } = draft
  draft.payload = layer.payload
  switch (layer.kind) {
    case 'eth':
      draft.ethernet = layer.start
      draft.etherType = readU16(bytes, layer.start + ethernetAt.type)
      draft.l3 = layer.payload
      return
    case 'vlan':
      tags.push(readU16(bytes, layer.start + vlanAt.control))
      draft.etherType = readU16(bytes, layer.start + vlanAt.type)
      draft.l3 = layer.payload
      return
    case 'ip':
    case 'ip6':
      draft.l3 = layer.start
      draft.family = layer.kind === 'ip' ? 4 : 6
      draft.protocol = readU8(
        bytes,
        layer.start + (layer.kind === 'ip' ? ipv4At.protocol : ipv6At.nextHeader),
      )
      draft.end = layer.end
      return
    case 'ext':
      draft.protocol = readU8(bytes, layer.start)
      return
    case 'tcp':
    case 'udp':
    case 'sctp':
    case 'icmp':
    case 'icmp6':
      draft.l4 = layer.start
      return
    case 'arp':
      draft.etherType = etherType.arp
      draft.l3 = layer.start
      return
    case 'vxlan':
    case 'geneve':
      return
    case 'wireguard':
      draft.sealed = { kind: 'wireguard', spi: -1 }
      return
    case 'esp':
      draft.sealed = { kind: 'esp', spi: readU32(bytes, layer.start) }
      return
    default:
      layer.kind satisfies never
  }
}

function tunnelBehind(dissection: Dissection, last: Layer | undefined, depth: number): Tunnel {
  const inner = packetAt(dissection, depth + 1)
  if (last?.kind === 'vxlan') {
    return { kind: 'vxlan', vni: readU24(dissection.bytes, last.start + vxlanAt.vni), inner }
  }
  if (last?.kind === 'geneve')
    return { kind: 'geneve', vni: readU24(dissection.bytes, last.start + 4), inner }
  return { kind: 'ipip', vni: -1, inner }
}

/** How many packets lie inside this one. */
export function tunnelDepth(layers: Layers): number {
  let depth = 0
  for (let at = layers.tunnel; at !== undefined; at = at.inner.tunnel) depth += 1
  return depth
}

/** Whether the transport header has ports. */
export function hasPorts(layers: Layers): boolean {
  const { protocol } = layers
  const known = protocol === ipProtocol.tcp || protocol === ipProtocol.udp || protocol === ipProtocol.sctp
  return known && layers.l4 >= 0
}

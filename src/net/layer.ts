// Where the headers of one packet lie: what dissect.ts finds, and everything else asks.

/** The layers that have fields of their own in the language. */
export type FieldLayer =
  | 'eth'
  | 'vlan'
  | 'arp'
  | 'ip'
  | 'ip6'
  | 'tcp'
  | 'udp'
  | 'sctp'
  | 'icmp'
  | 'icmp6'
  | 'vxlan'
  | 'geneve'
  | 'wireguard'
  | 'esp'

/** A header; `ext` is one IPv6 extension header. Behind `wireguard` and `esp` everything is encrypted. */
export type LayerKind = FieldLayer | 'ext'

/** One header and what it carries: `[start, payload)` is the header, `[payload, end)` its content. */
export interface Layer {
  readonly kind: LayerKind
  readonly start: number
  readonly payload: number
  readonly end: number
  /** 0 for the outermost packet, one more for each encapsulation */
  readonly depth: number
  /** the number that announced this layer: EtherType, IP protocol, or 0 where nothing did */
  readonly protocol: number
}

export interface Dissection {
  readonly bytes: Uint8Array
  readonly layers: readonly Layer[]
  /** what is left behind the last header */
  readonly payload: { readonly start: number; readonly end: number }
  /** how many encapsulations were opened; plain field names speak of this depth */
  readonly depth: number
  /** where and why the bytes stop making sense */
  readonly malformed?: { readonly offset: number; readonly reason: string }
}

/** The header behind which nobody can read. */
export function sealedLayer({ layers }: Dissection): Layer | undefined {
  return layers.find(({ kind }) => kind === 'wireguard' || kind === 'esp')
}

/** The first layer of a kind at a depth. */
export function layerAt(dissection: Dissection, kind: LayerKind, depth: number): Layer | undefined {
  for (const layer of dissection.layers) if (layer.depth === depth && layer.kind === kind) return layer
  return undefined
}

/** The IPv4 or IPv6 layer at a depth. */
export function ipLayerAt(dissection: Dissection, depth: number): Layer | undefined {
  return layerAt(dissection, 'ip', depth) ?? layerAt(dissection, 'ip6', depth)
}

/** The TCP, UDP, SCTP, ICMP or ICMPv6 layer at a depth. */
export function transportLayerAt(dissection: Dissection, depth: number): Layer | undefined {
  for (const layer of dissection.layers) if (layer.depth === depth && isTransport(layer.kind)) return layer
  return undefined
}

function isTransport(kind: LayerKind): boolean {
  return kind === 'tcp' || kind === 'udp' || kind === 'icmp' || kind === 'icmp6' || kind === 'sctp'
}

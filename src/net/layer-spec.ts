// What a scenario or a device says about one header of a packet that is to be built. What is missing is worked out by
// build.ts (lengths, type numbers, checksums) or takes the default that stands here.
import type { Ipv4, Ipv6 } from './address.ts'
import type { GeneveOption } from './geneve.ts'
import type { Ipv4Option } from './ipv4-options.ts'
import type { Ipv6Extension } from './ipv6-extensions.ts'
import type { Mac } from './mac.ts'
import type { NdMessage } from './nd.ts'
import type { SctpChunk } from './sctp.ts'
import type { TcpOption } from './tcp-options.ts'

export interface EthernetSpec {
  readonly kind: 'eth'
  readonly source?: Mac
  readonly destination?: Mac
  readonly type?: number
}

export interface VlanSpec {
  readonly kind: 'vlan'
  readonly vid: number
  readonly priority?: number
  readonly dropEligible?: boolean
  readonly type?: number
  /** 802.1Q when missing */
  readonly tag?: 'q' | 'ad'
}

export interface ArpSpec {
  readonly kind: 'arp'
  readonly operation: number
  readonly senderMac?: Mac
  readonly senderIp?: Ipv4
  readonly targetMac?: Mac
  readonly targetIp?: Ipv4
}

/** Missing fields are zero or false, but `ttl` is 64. */
export interface Ipv4Spec {
  readonly kind: 'ip'
  readonly source?: Ipv4
  readonly destination?: Ipv4
  readonly ttl?: number
  readonly tos?: number
  readonly identification?: number
  readonly reservedFlag?: boolean
  readonly dontFragment?: boolean
  readonly moreFragments?: boolean
  readonly fragmentOffset?: number
  readonly protocol?: number
  readonly totalLength?: number
  readonly checksum?: number
  readonly options?: readonly Ipv4Option[]
}

/** Missing fields are zero, but `hopLimit` is 64. */
export interface Ipv6Spec {
  readonly kind: 'ip6'
  readonly source?: Ipv6
  readonly destination?: Ipv6
  readonly hopLimit?: number
  readonly trafficClass?: number
  readonly flowLabel?: number
  readonly nextHeader?: number
  readonly payloadLength?: number
}

type WithoutNext<T> = T extends unknown ? Omit<T, 'nextHeader'> : never

/** One IPv6 extension header; `protocol` is the number that announces it (an `options` header needs to be told which). */
export interface ExtensionSpec {
  readonly kind: 'ext'
  readonly protocol: number
  readonly extension: WithoutNext<Ipv6Extension>
  readonly nextHeader?: number
}

/** Missing fields are zero, but `flags` are SYN's and `window` is 65535. */
export interface TcpSpec {
  readonly kind: 'tcp'
  readonly source: number
  readonly destination: number
  readonly sequence?: number
  readonly acknowledgement?: number
  readonly flags?: number
  readonly window?: number
  readonly urgent?: number
  readonly checksum?: number
  readonly options?: readonly TcpOption[]
}

export interface UdpSpec {
  readonly kind: 'udp'
  readonly source: number
  readonly destination: number
  readonly length?: number
  readonly checksum?: number
}

export interface SctpSpec {
  readonly kind: 'sctp'
  readonly source: number
  readonly destination: number
  readonly verificationTag?: number
  readonly checksum?: number
  readonly chunks?: readonly SctpChunk[]
}

/** ICMP or ICMPv6; `rest` is the second word, see `echoRest`. */
export interface IcmpSpec {
  readonly kind: 'icmp' | 'icmp6'
  readonly type: number
  readonly code?: number
  readonly rest?: number
  readonly checksum?: number
}

/** A whole neighbour discovery message. */
export interface NdSpec {
  readonly kind: 'nd'
  readonly message: NdMessage
}

export interface VxlanSpec {
  readonly kind: 'vxlan'
  readonly vni: number
  readonly flags?: number
  readonly group?: number
}

export interface GeneveSpec {
  readonly kind: 'geneve'
  readonly vni: number
  readonly protocol?: number
  readonly control?: boolean
  readonly critical?: boolean
  readonly options?: readonly GeneveOption[]
}

/** Bytes as they are. */
export interface PayloadSpec {
  readonly kind: 'payload'
  readonly bytes: Uint8Array
}

export type LayerSpec =
  | EthernetSpec
  | VlanSpec
  | ArpSpec
  | Ipv4Spec
  | Ipv6Spec
  | ExtensionSpec
  | TcpSpec
  | UdpSpec
  | SctpSpec
  | IcmpSpec
  | NdSpec
  | VxlanSpec
  | GeneveSpec
  | PayloadSpec

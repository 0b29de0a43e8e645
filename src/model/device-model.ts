// Devices of a namespace: what the file or an agent says of them, their queues and the programs at their hooks.
import type { Span } from '../base/text.ts'
import type { IpAddress } from '../net/address.ts'
import type { Mac } from '../net/mac.ts'
import type { Prefix } from '../net/prefix.ts'

export type DeviceModelKind =
  | 'phys'
  | 'veth'
  | 'bridge'
  | 'lo'
  | 'dummy'
  | 'vlan'
  | 'macvlan'
  | 'vxlan'
  | 'geneve'
  | 'ipip'
  | 'netkit'
  | 'wireguard'

/** vxlan, geneve, ipip: what `ip -d link` says. */
export interface TunnelModel {
  /** 0 with `external`, and for ipip. */
  readonly vni: number
  readonly remote?: IpAddress
  readonly local?: IpAddress
  readonly dstport?: number
  readonly srcport?: { readonly first: number; readonly last: number }
  readonly external: boolean
  readonly learning: boolean
  readonly proxy: boolean
  readonly udpcsum: boolean
  /** ipip: off with `nopmtudisc`. */
  readonly pathMtu: boolean
  /** 0: the default of the host. */
  readonly ttl: number | 'inherit'
  readonly tos: number | 'inherit'
  readonly df: 'unset' | 'set' | 'inherit'
}

/** `qdisc fq ...`: what is said of it; the kernel's defaults hold for the rest. */
export interface QdiscModel {
  readonly kind: 'fq'
  readonly limit?: number
  readonly flowLimit?: number
  readonly quantum?: number
  readonly initialQuantum?: number
  /** Bytes a second. */
  readonly maxRate?: number
  /** Nanoseconds. */
  readonly horizon?: number
  readonly horizonDrop?: boolean
  readonly pacing?: boolean
}

/** `ip link add type netkit`: the pair, as both ends have it. */
export interface NetkitModel {
  /** Whether this end is the primary one. */
  readonly primary: boolean
  readonly mode: 'l2' | 'l3'
  /** What an end does with what it sends while it has no program. */
  readonly policy: 'forward' | 'blackhole'
  readonly peerPolicy: 'forward' | 'blackhole'
  readonly scrub: 'default' | 'none'
  readonly peerScrub: 'default' | 'none'
}

/** What `wg` says of a device: only agents make one. */
export interface WireguardModel {
  readonly publicKey: string
  readonly port: number
  readonly fwmark: number
  readonly peers: readonly {
    readonly publicKey: string
    readonly endpoint: { readonly address: IpAddress; readonly port: number }
    readonly allowedIps: readonly Prefix[]
  }[]
}

export interface DeviceModel {
  readonly name: string
  readonly kind: DeviceModelKind
  readonly mac: Mac
  readonly mtu: number
  readonly up: boolean
  readonly addresses: readonly Prefix[]
  /** phys: the segment it is plugged into. */
  readonly segment?: string
  readonly driver?: string
  /** veth: the other end. Both ends are listed in their namespaces; the first in order of namespaces makes the pair. */
  readonly peer?: { readonly namespace: string; readonly device: string }
  readonly netkit?: NetkitModel
  readonly wireguard?: WireguardModel
  /** A port of this bridge. */
  readonly master?: string
  /** Addresses for which a program on this device answers with the device's MAC address: what the other end knows when warm. */
  readonly answers?: readonly IpAddress[]
  /** IFF_NOARP: neighbours are not asked for. */
  readonly noarp?: boolean
  readonly hairpin: boolean
  readonly isolated: boolean
  /** A port: `flood off`, `nolearning`; both are on where they are absent. */
  readonly flood?: boolean
  readonly learning?: boolean
  /** A bridge: how long it remembers an address (nanoseconds), 300 s where it is absent. */
  readonly ageing?: number
  /** vlan, macvlan, and tunnels with `dev`: the lower device. */
  readonly lower?: string
  readonly vlanId?: number
  readonly vlanProtocol?: number
  readonly macvlanMode?: 'bridge' | 'private' | 'vepa' | 'passthru'
  readonly tunnel?: TunnelModel
  /** phys, veth: what `ethtool -K` says; off where it is absent. */
  readonly tso?: boolean
  readonly gro?: boolean
  readonly attachments: readonly AttachmentModel[]
  /** The root queueing discipline; absent: the kernel's own. */
  readonly qdisc?: QdiscModel
  readonly sysctls: readonly { readonly key: string; readonly value: number; readonly span: Span }[]
  readonly span: Span
}

export interface AttachmentModel {
  readonly hook: 'xdp' | 'tc-in' | 'tc-out' | 'tcx-in' | 'tcx-out' | 'netkit-primary' | 'netkit-peer'
  readonly mode?: 'native' | 'generic' | 'offload'
  readonly program: string
  /** tc: explicit preference; without one the kernel's rule (the filter added last runs first) is NOT used: order is as written. */
  readonly pref?: number
  readonly handle?: number
  /** An ethertype, or undefined for all. */
  readonly protocol?: number
  /** Classic mode: the return value is a classid, not an action. */
  readonly classic: boolean
  readonly classid?: number
  /** clsact: what a matching filter does (act_gact, act_mirred); the value of a direct-action program decides itself. */
  readonly action?:
    | { readonly kind: 'drop' | 'pass' }
    | { readonly kind: 'mirror' | 'redirect'; readonly device: string }
  /** tcx: `before`/`after` another program, `first`, `last`. */
  readonly position?:
    | { readonly kind: 'before' | 'after'; readonly program: string }
    | { readonly kind: 'first' | 'last' }
  readonly span: Span
}

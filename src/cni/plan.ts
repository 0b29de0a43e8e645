// What a network plugin is told of a cluster, and what it installs: plain lists of devices, routes, neighbours, forwarding
// entries, sysctls and rules. Nothing here acts; whoever boots a machine carries the lists out with the kernel's own
// administrative calls, so that everything a plugin does can be printed.
import type { IpAddress, Ipv4, Ipv6 } from '../net/address.ts'
import type { Mac } from '../net/mac.ts'
import type { Prefix } from '../net/prefix.ts'

/** A node of the cluster. */
export interface CniNode {
  readonly name: string
  /** The device and address that other nodes reach it by; absent on a cluster of one node without a net. */
  readonly underlay:
    | {
        readonly device: string
        readonly address: Ipv4
        /** Absent where the device has none: IPv6 of pods stays on the node. */
        readonly address6?: Ipv6
        readonly mtu: number
      }
    | undefined
  /** Ranges that this node's pods have: one for bridge and flannel, any number of blocks for Calico. */
  readonly blocks: readonly Prefix[]
  readonly blocks6: readonly Prefix[]
  /** The MAC address of a device that the plugin makes. */
  readonly macOf: (device: string) => Mac
}

export interface CniPod {
  readonly name: string
  readonly node: string
  readonly address: Ipv4
  /** Pods have IPv4, or both. */
  readonly address6?: Ipv6
  readonly mac: Mac
  /** The host's end of its veth pair. */
  readonly hostDevice: string
  readonly hostPorts: readonly CniHostPort[]
}

export interface CniHostPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: number
  readonly target: number
  /** hostIP: only this address of the node. */
  readonly address: Ipv4 | undefined
}

/** How packets cross nodes. */
export type CniRouting = 'vxlan' | 'ipip' | 'native'

export interface CniCluster {
  readonly routing: CniRouting
  readonly masquerade: boolean
  /** All pods of the cluster. */
  readonly podCidr: Prefix
  /** Absent when no pod has an IPv6 address. */
  readonly podCidr6?: Prefix
  readonly nodes: readonly CniNode[]
  readonly pods: readonly CniPod[]
}

export interface CniDevice {
  readonly name: string
  readonly mac: Mac
  readonly mtu: number
  readonly addresses: readonly Prefix[]
  readonly kind:
    | { readonly type: 'bridge' }
    | {
        readonly type: 'veth'
        readonly peer: { readonly host: string; readonly device: string }
        readonly master?: string
        readonly hairpin?: boolean
      }
    | {
        readonly type: 'vxlan'
        readonly vni: number
        readonly port: number
        readonly local: IpAddress
        readonly lower: string
      }
    | { readonly type: 'ipip' }
}

export interface CniRoute {
  readonly prefix: Prefix
  /** `blackhole` has neither gateway nor device. */
  readonly type: 'unicast' | 'blackhole'
  readonly via?: IpAddress
  readonly device?: string
  readonly onlink?: true
  /** `scope link`: the destination is on the wire. */
  readonly scopeLink?: true
  /** rtm_protocol; boot where it is absent. */
  readonly protocol?: number
}

export interface CniNeighbour {
  readonly address: IpAddress
  readonly mac: Mac
  readonly device: string
  /** `learned`: what a cluster that has been running knows; left out where neighbours are cold. */
  readonly state: 'permanent' | 'learned'
}

export interface CniFdb {
  readonly mac: Mac
  readonly device: string
  /** vxlan: the host behind which the address is. Absent: a port of the bridge, learned. */
  readonly remote?: IpAddress
}

/** Rules of one table: chains to make, rules to append (`-A ...`) or insert (`-I ...`). */
export interface CniTable {
  readonly table: 'raw' | 'nat' | 'filter'
  /** Of ip6tables. */
  readonly family?: 6
  readonly chains: readonly string[]
  readonly rules: readonly string[]
}

/** What one host gets, in order. */
export interface CniHost {
  readonly name: string
  readonly devices: readonly CniDevice[]
  readonly routes: readonly CniRoute[]
  readonly neighbours: readonly CniNeighbour[]
  readonly fdb: readonly CniFdb[]
  readonly sysctls: readonly { readonly key: string; readonly value: number }[]
  readonly tables: readonly CniTable[]
}

/** A host that gets nothing yet. */
export function emptyHost(name: string): CniHost {
  return { name, devices: [], routes: [], neighbours: [], fdb: [], sysctls: [], tables: [] }
}

/** One host with everything of both lists. */
export function joinHosts(left: CniHost, right: CniHost): CniHost {
  return {
    name: left.name,
    devices: [...left.devices, ...right.devices],
    routes: [...left.routes, ...right.routes],
    neighbours: [...left.neighbours, ...right.neighbours],
    fdb: [...left.fdb, ...right.fdb],
    sysctls: [...left.sysctls, ...right.sysctls],
    tables: [...left.tables, ...right.tables],
  }
}

/** The pods of a node. */
export function podsOn(cluster: CniCluster, node: CniNode): readonly CniPod[] {
  return cluster.pods.filter((pod) => pod.node === node.name)
}

/** The MTU of the wires between nodes; 1500 without any. */
export function underlayMtu(node: CniNode): number {
  return node.underlay?.mtu ?? 1500
}

// A cluster whose pods a CNI plugin connects, as far as the language knows it: who is in it, what the options say, and the
// identity (names, MAC addresses) of what the plugin will make. What the plugin installs is not known here: whoever checks
// a file hands in a planner that completes the world.
import type { Span } from '../base/text.ts'
import type { Ipv4, Ipv6 } from '../net/address.ts'
import type { Mac } from '../net/mac.ts'
import type { Prefix } from '../net/prefix.ts'
import type { NamespaceModel, World } from './model.ts'

/** Plugins that `cluster none` can have. */
export const clusterCnis = ['flannel', 'calico', 'bridge'] as const
export type ClusterCni = (typeof clusterCnis)[number]

export interface ClusterModel {
  readonly cni: ClusterCni
  readonly routing: 'vxlan' | 'ipip' | 'native'
  readonly masquerade: boolean
  /** The range of all pods. */
  readonly podCidr: Prefix
  /** Absent when no pod has an IPv6 address. */
  readonly podCidr6?: Prefix
  readonly nodes: readonly ClusterNodeModel[]
  readonly pods: readonly ClusterPodModel[]
  /** Pods that steps add, with what the file says of them. */
  readonly late: readonly { readonly pod: ClusterPodModel; readonly host: NamespaceModel }[]
  readonly span: Span
}

export interface ClusterNodeModel {
  readonly name: string
  /** What other nodes reach it by; undefined for a node without a device on a net. */
  readonly underlay:
    | {
        readonly device: string
        readonly address: Ipv4
        readonly address6?: Ipv6
        readonly mtu: number
      }
    | undefined
  /** Ranges of its pods: one /24, or the /26 blocks of Calico; of IPv6 one /64, or blocks of /122. */
  readonly blocks: readonly Prefix[]
  readonly blocks6: readonly Prefix[]
  /** MAC addresses of the devices that the plugin makes. */
  readonly macs: ReadonlyMap<string, Mac>
  /** The node as the file says it, without what the plugin installs. */
  readonly bare: NamespaceModel
}

export interface ClusterPodModel {
  readonly name: string
  readonly node: string
  readonly address: Ipv4
  /** Pods have IPv4, or both. */
  readonly address6?: Ipv6
  readonly mac: Mac
  /** The host's end of its veth pair. */
  readonly hostDevice: string
  readonly hostPorts: readonly {
    readonly protocol: 'tcp' | 'udp' | 'sctp'
    readonly port: number
    readonly target: number
    readonly address: Ipv4 | undefined
  }[]
  readonly span: Span
}

/** Completes a world with everything that its cluster's plugin installs. */
export type ClusterPlanner = (world: World) => World

/** Nothing is known of plugins: the world stays as it is. */
export const planNothing: ClusterPlanner = (world) => world

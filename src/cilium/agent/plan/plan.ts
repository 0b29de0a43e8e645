// What an agent installs outside of BPF maps, as plain lists: devices, addresses, routes, rules, sysctls, iptables rules. The
// form is that of the plans of CNI plugins, wider where Cilium needs more; nothing here acts.
import type { IpAddress } from '../../../net/address.ts'
import type { Mac } from '../../../net/mac.ts'
import type { Prefix } from '../../../net/prefix.ts'

export interface DevicePlan {
  readonly name: string
  readonly mac: Mac
  readonly mtu: number
  readonly addresses: readonly Prefix[]
  /** Addresses for which the program on the device answers ARP and ND with the device's own MAC address. */
  readonly answers?: readonly IpAddress[]
  /** IFF_NOARP. */
  readonly noarp?: true
  readonly kind:
    | { readonly type: 'veth'; readonly peer: { readonly host: string; readonly device: string } }
    | {
        readonly type: 'netkit'
        readonly mode: 'l2' | 'l3'
        readonly primary: boolean
        readonly peer: { readonly host: string; readonly device: string }
      }
    | {
        readonly type: 'wireguard'
        readonly publicKey: string
        readonly port: number
        readonly fwmark: number
        readonly peers: readonly {
          readonly publicKey: string
          readonly endpoint: { readonly address: IpAddress; readonly port: number }
          readonly allowedIps: readonly Prefix[]
        }[]
      }
    /** Collects its metadata from packets (`external`). */
    | { readonly type: 'vxlan' | 'geneve'; readonly port: number }
}

export interface RoutePlan {
  readonly prefix: Prefix
  readonly type: 'unicast' | 'local'
  readonly device: string
  readonly via?: IpAddress
  readonly source?: IpAddress
  readonly mtu?: number
  /** `scope link`: no gateway. */
  readonly scopeLink?: true
  readonly table?: number
  readonly onlink?: true
}

/** `ip rule add pref P fwmark M/MASK lookup T`. */
export interface RulePlan {
  readonly family: 4 | 6
  readonly priority: number
  readonly mark: number
  readonly mask: number
  readonly table: number
}

/** `ip neigh replace ADDRESS lladdr MAC dev DEVICE nud permanent`. */
export interface NeighbourPlan {
  readonly address: IpAddress
  readonly mac: Mac
  readonly device: string
}

/** Rules of one table of one family, in the words of iptables. */
export interface TablePlan {
  readonly family: 4 | 6
  readonly table: 'raw' | 'mangle' | 'nat' | 'filter'
  readonly chains: readonly string[]
  readonly rules: readonly string[]
}

/** What one host gets: the node itself, a pod, or the namespace of the health endpoint. */
export interface HostPlan {
  readonly name: string
  readonly devices: readonly DevicePlan[]
  readonly routes: readonly RoutePlan[]
  readonly rules: readonly RulePlan[]
  readonly neighbours: readonly NeighbourPlan[]
  readonly sysctls: readonly { readonly key: string; readonly value: number }[]
  readonly tables: readonly TablePlan[]
  /** Devices whose root becomes fq, and how far ahead a departure may lie (nanoseconds). */
  readonly queues: readonly { readonly device: string; readonly horizon: number }[]
  /** Policies and states in the words of `ip xfrm`. */
  readonly xfrm: readonly string[]
  /** Sets in the words of ipset. */
  readonly sets: readonly string[]
  /** Where the rule for the table local stands; undefined: where the kernel put it. */
  readonly localRulePriority: number | undefined
}

/** A host that gets nothing yet. */
export function emptyPlan(name: string): HostPlan {
  return {
    name,
    devices: [],
    routes: [],
    rules: [],
    neighbours: [],
    sysctls: [],
    tables: [],
    queues: [],
    xfrm: [],
    sets: [],
    localRulePriority: undefined,
  }
}

// struct net: one network namespace with everything that is per namespace. Tables are made by the files that own them.
import type { NetDevice } from './device/device.ts'
import { addLoopback } from './device/loopback.ts'
import { createIpState, type IpState } from './ip/state.ts'
import type { Machine } from './machine.ts'
import { NetfilterHooks } from './netfilter/hook.ts'
import { createSocketTable, type SocketTable } from './socket/socket.ts'
import { SysctlTable } from './sysctl-table.ts'
import type { XfrmTables } from './xfrm/tables.ts'

/** A network namespace. Made by `addNamespace`. */
export interface Namespace {
  readonly machine: Machine
  /** `n1`, `client`, `host`: the name in places and traces. */
  readonly name: string
  readonly index: number
  readonly devices: Map<number, NetDevice>
  /** dev_index_reserve(): the index of the next device; those of devices that went are not used again. */
  nextIfindex: number
  readonly devicesByName: Map<string, NetDevice>
  readonly sysctls: SysctlTable
  /** Addresses, routes, rules, neighbours, fragments, ICMP limits: IPv4 and IPv6. */
  readonly ip: IpState
  readonly netfilter: NetfilterHooks
  readonly sockets: SocketTable
  /** SNMP counters as nstat names them: `IpForwDatagrams`, `TcpOutRsts`, `IcmpOutTimeExcds`, `IpExtInNoRoutes`. */
  readonly counters: Map<string, number>
  /**
   * A mute namespace (an `external` endpoint): what arrives at it, addressed to it at L2, is delivered; it answers ARP
   * and ND, and nothing above.
   */
  readonly mute: boolean
  /** bpf_get_netns_cookie; init_net's is 3 on 6.18, further ones are not consecutive. */
  readonly cookie: number
  /** As `machine.kernelVersion`, for this node. */
  readonly kernelVersion: number
  /** Policies and states of IPsec; undefined until there is one. */
  xfrm: XfrmTables | undefined
}

/** The cookie of the first namespace on Linux 6.18 (facts: linux 10.10). */
const firstCookie = 3

/** Makes a namespace with its loopback device up. The name must be new in the machine. */
export function addNamespace(
  machine: Machine,
  options: { readonly name: string; readonly mute?: boolean; readonly kernelVersion?: number },
): Namespace {
  const ns = { machine } as { -readonly [Key in keyof Namespace]: Namespace[Key] }
  ns.name = options.name
  // of namespaces with one name the last one is known
  ns.index = Math.max(-1, ...[...machine.namespaces.values()].map(({ index }) => index)) + 1
  ns.devices = new Map()
  ns.nextIfindex = 1
  ns.devicesByName = new Map()
  ns.sysctls = new SysctlTable()
  ns.netfilter = new NetfilterHooks()
  ns.sockets = createSocketTable()
  ns.counters = new Map()
  ns.mute = options.mute ?? false
  ns.cookie = firstCookie + ns.index
  ns.kernelVersion = options.kernelVersion ?? machine.kernelVersion
  ns.xfrm = undefined
  ns.ip = createIpState(ns)
  machine.namespaces.set(ns.name, ns)
  addLoopback(ns)
  return ns
}

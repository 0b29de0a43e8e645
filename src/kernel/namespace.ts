// struct net: one network namespace with everything that is per namespace. Tables are made by the files that own them.
import type { NetDevice } from './device/device.ts'
import type { IpState } from './ip/state.ts'
import type { Machine } from './machine.ts'
import type { NetfilterHooks } from './netfilter/hook.ts'
import type { SocketTable } from './socket/socket.ts'
import type { SysctlTable } from './sysctl-table.ts'

/** A network namespace. Made by `Machine.addNamespace`. */
export interface Namespace {
  readonly machine: Machine
  /** `n1`, `client`, `host`: the name in places and traces. */
  readonly name: string
  readonly index: number
  readonly devices: Map<number, NetDevice>
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
  readonly cookie: number
}

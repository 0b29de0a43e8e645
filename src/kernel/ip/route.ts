// Routes, as tables hold them (struct fib_info with its alias) and as packets carry them (struct rtable, rt6_info).
// Both families share these records; only addresses differ.
import type { IpAddress } from '../../net/address.ts'
import type { Prefix } from '../../net/prefix.ts'
import type { NetDevice } from '../device/device.ts'
import type { Errno } from '../socket/errno.ts'
import type { Bundle } from '../xfrm/tables.ts'

/** RTN_*. `throw` ends the look-up in its table; the four last ones have no device. */
export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'

/** RT_SCOPE_*: how far away a destination is; greater is nearer. */
export const routeScope = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const

/** RT_TABLE_*. */
export const routeTable = { unspec: 0, default: 253, main: 254, local: 255 } as const

/** RTPROT_*: who made a route, by the words of iproute2. */
export const routeProtocol = { unspec: 0, redirect: 1, kernel: 2, boot: 3, static: 4, bird: 12 } as const

/** One way to a destination (struct fib_nh_common). */
export interface NextHop {
  /** undefined for the types without a device. */
  readonly device: NetDevice | undefined
  readonly gateway: IpAddress | undefined
  /** 1 to 256 for routes with several next hops. */
  readonly weight: number
  readonly onlink: boolean
  /** RT_SCOPE_*: `host` when the destination is on the link, `link` when there is a gateway, `nowhere` for local ones. */
  readonly scope: number
  /** RTNH_F_DEAD: the device is administratively down; not used any more. */
  dead: boolean
  /** RTNH_F_LINKDOWN: no carrier; still used. */
  linkDown: boolean
}

/** The gateway that packets are handed to: rt_set_nexthop() uses an IPv4 one only when it is on a link. */
export function usedGateway(nextHop: NextHop | undefined): IpAddress | undefined {
  const gateway = nextHop?.gateway
  return typeof gateway === 'number' && nextHop?.scope !== routeScope.link ? undefined : gateway
}

/** A route in a table. */
export interface FibRoute {
  readonly family: 4 | 6
  readonly table: number
  /** Host bits are zero. */
  readonly prefix: Prefix
  readonly type: RouteType
  readonly scope: number
  readonly protocol: number
  /** The DSCP bits that must be equal, 0 for any (IPv4). */
  readonly tos: number
  readonly metric: number
  readonly preferredSource: IpAddress | undefined
  /** Route MTU in bytes, 0 for the device's. */
  readonly mtu: number
  readonly nextHops: readonly NextHop[]
}

/** What `routeInput` and `routeOutput` found for one packet; immutable and shared between packets. */
export interface Route {
  readonly family: 4 | 6
  /** How a packet leaves or ends: `local`, `broadcast` and `multicast` are delivered here when `input`. */
  readonly type: RouteType
  /** dst.error: a packet with it ends in ip_error (IPv4) or ip6_pkt_discard and friends. */
  readonly error: Errno | undefined
  /** The device a packet leaves by; for local delivery the loopback device. */
  readonly device: NetDevice
  /** The device it came in by, on input routes. */
  readonly input: NetDevice | undefined
  /** undefined when the destination itself is the next hop. */
  readonly gateway: IpAddress | undefined
  /** RTCF_LOCAL: deliver to this namespace. */
  readonly local: boolean
  /** IPSKB_DOREDIRECT: the sender could have reached the next hop itself. */
  readonly redirect: boolean
  /** Bytes: the route's own MTU, a learned path MTU, or the device's. */
  readonly mtu: number
  readonly table: number
  readonly metric: number
  readonly prefixLength: number
  /** RTA_PREFSRC, or the address chosen for the next hop. */
  readonly preferredSource: IpAddress | undefined
  /** The table's entry; undefined for answers no entry stands behind. */
  readonly entry: FibRoute | undefined
  /** dst->xfrm: what leaves by this route is transformed first; `unresolved`: with what is not known, and the packet is lost. */
  readonly xfrm?: Bundle | 'unresolved'
}

/** What a look-up asks (struct flowi4, flowi6). Addresses of the flow's family; 0 or :: for unspecified. */
export interface Flow {
  readonly family: 4 | 6
  readonly destination: IpAddress
  readonly source: IpAddress
  /** Output interface asked for (SO_BINDTODEVICE, link-local scope), 0 for any. */
  readonly oif: number
  /** `oif` is only what rules see; routes over other devices do as well (IPv6 without RT6_LOOKUP_F_IFACE). */
  readonly anyDevice?: boolean
  /** Input interface; 1 (lo) for locally built packets. */
  readonly iif: number
  readonly mark: number
  readonly tos: number
  readonly protocol: number
  /** Of ICMP the type. */
  readonly sport: number
  /** Of ICMP the code. */
  readonly dport: number
  /** RT_SCOPE_LINK for MSG_DONTROUTE; normally `universe`. */
  readonly scope: number
}

/** What rules and routes of a `tos` are compared with: all of DSCP over IPv6, three bits of it over IPv4 (fib_dscp_masked_match()). */
export function comparedTos({ family, tos }: Flow): number {
  return tos & (family === 4 ? 0x1c : 0xfc)
}

/** The answer of `routeOutput` and `route6Output`. */
export type RouteAnswer =
  | {
      readonly kind: 'route'
      readonly route: Route
      /** The source address: the one asked for, or the one chosen. */
      readonly source: IpAddress
      readonly destination: IpAddress
    }
  | { readonly kind: 'error'; readonly errno: Errno }

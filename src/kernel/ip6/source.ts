// Which own IPv6 address a packet gets (RFC 6724 section 5), and the questions "is this mine?" and "do I listen to this
// group?". Linux: net/ipv6/addrconf.c ipv6_dev_get_saddr(), net/ipv6/mcast.c ipv6_chk_mcast_addr().
import {
  anyIpv6,
  type IpAddress,
  type Ipv6,
  isIpv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  readIpv6,
  sameIpv6,
} from '../../net/address.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { NetDevice } from '../device/device.ts'
import { type FamilyState, familyState, type InterfaceAddress } from '../ip/state.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'

/** Scopes of RFC 4291 section 2.7 and RFC 6724 section 3.1: unicast addresses have those of multicast ones. */
export const ipv6Scope = { interfaceLocal: 1, linkLocal: 2, siteLocal: 5, global: 14 } as const

/** __ipv6_addr_src_scope(): the scope of an address; :: has none, which is below all. */
export function scopeOf(address: Ipv6): number {
  if (isUnspecified(address)) return -1
  if (isMulticast(address)) return (address[0] >>> 16) & 15
  if (isLinkLocal(address) || isLoopback(address)) return ipv6Scope.linkLocal
  return address[0] >>> 22 === 0x3fb ? ipv6Scope.siteLocal : ipv6Scope.global
}

/** Labels of the default policy table (net/ipv6/addrlabel.c): addresses with equal labels go together. */
export function labelOf(address: Ipv6): number {
  const [first, second, third] = address
  if (isLoopback(address)) return 0
  if (first === 0 && second === 0) return third === 0xffff ? 4 : third === 0 ? 3 : 1
  if (first >>> 25 === 0x7e) return 5
  if (first === 0x2001_0000) return 6
  if (first >>> 4 === 0x200_1001) return 7
  if (first >>> 16 === 0x2002) return 2
  if (first >>> 22 === 0x3fb) return 11
  return first >>> 16 === 0x3ffe ? 12 : 1
}

/** How many leading bits two addresses share. */
export function commonPrefix(left: Ipv6, right: Ipv6): number {
  for (let word = 0; word < 4; word += 1) {
    const difference = ((left[word] as number) ^ (right[word] as number)) >>> 0
    if (difference !== 0) return word * 32 + Math.clz32(difference)
  }
  return 128
}

/** An address as a candidate; numbers compare in the order of the rules, greater is better. */
interface Points {
  readonly scope: number
  readonly device: number
  readonly label: number
  readonly prefix: number
}

/** Rule 2: the smallest scope that reaches the destination, else the greatest there is. */
function scopePoints(own: Ipv6, wanted: number): number {
  const scope = scopeOf(own)
  return scope >= wanted ? 64 - scope : scope
}

function pointsOf(own: InterfaceAddress, address: Ipv6, towards: Ipv6, dev: NetDevice | undefined): Points {
  return {
    scope: scopePoints(address, scopeOf(towards)),
    device: own.device === dev ? 1 : 0,
    label: labelOf(address) === labelOf(towards) ? 1 : 0,
    prefix: Math.min(commonPrefix(address, towards), own.length),
  }
}

function isBetter(left: Points, right: Points): boolean {
  if (left.scope !== right.scope) return left.scope > right.scope
  if (left.device !== right.device) return left.device > right.device
  if (left.label !== right.label) return left.label > right.label
  return left.prefix > right.prefix
}

interface WideAddresses {
  readonly generation: number
  readonly list: readonly InterfaceAddress[]
}

/** Addresses that are not link-local, of all devices; kept until addresses change, so that no packet scans devices. */
const wideAddresses = new WeakMap<FamilyState, WideAddresses>()

function wideOf(ns: Namespace): readonly InterfaceAddress[] {
  const state = ns.ip.v6
  const known = wideAddresses.get(state)
  if (known !== undefined && known.generation === state.generation) return known.list
  const list: InterfaceAddress[] = []
  const byDevice = [...state.addresses].sort(([left], [right]) => left - right)
  for (const [, own] of byDevice) {
    for (const candidate of own) if (!isLinkLocal(candidate.address)) list.push(candidate)
  }
  wideAddresses.set(state, { generation: state.generation, list })
  return list
}

/**
 * ipv6_dev_get_saddr(): the source for a destination reached by a device, or by one that nobody knows. Link-local and
 * multicast destinations take addresses of that device only. `::` when there is none.
 */
export function selectSource(ns: Namespace, dev: NetDevice | undefined, towards: Ipv6): Ipv6 {
  const onDevice = (dev === undefined ? undefined : familyState(ns, 6).addresses.get(dev.ifindex)) ?? []
  const strict = dev !== undefined && (isMulticast(towards) || isLinkLocal(towards))
  let best: Ipv6 = anyIpv6
  let bestPoints: Points | undefined
  for (const list of strict ? [onDevice] : [onDevice, wideOf(ns)]) {
    for (const own of list) {
      if (isIpv4(own.address)) continue
      if (sameIpv6(own.address, towards)) return own.address
      const points = pointsOf(own, own.address, towards, dev)
      if (bestPoints !== undefined && !isBetter(points, bestPoints)) continue
      best = own.address
      bestPoints = points
    }
  }
  return best
}

/** ipv6_get_lladdr(): the device's link-local address, or undefined. */
export function linkLocalAddress(dev: NetDevice): Ipv6 | undefined {
  for (const own of familyState(dev.ns, 6).addresses.get(dev.ifindex) ?? []) {
    if (!isIpv4(own.address) && isLinkLocal(own.address)) return own.address
  }
  return undefined
}

/** ipv6_chk_addr(): whether an address is configured; on `dev` if given, which link-local ones need. */
export function isOwnIpv6(ns: Namespace, address: Ipv6, dev?: NetDevice): boolean {
  const own = ns.ip.v6.own.get(address)
  if (own === undefined) return false
  return dev === undefined || own.some((candidate) => candidate.device === dev)
}

/**
 * IP6CB(skb)->iif: the device a packet came in by; for one that this host sends to itself the device of its destination,
 * undefined for one that is on its way out.
 */
export function inputDevice(skb: Skb): NetDevice | undefined {
  const { route } = skb
  if (route === undefined) return skb.dev
  if (route.input !== undefined || skb.dev.kind !== 'loopback') return route.input
  const destination = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
  return skb.dev.ns.ip.v6.own.get(destination)?.[0]?.device
}

/** icmp6_dev(): the device that an answer in a link's scope leaves by: where the packet is, for one over lo that of its route. */
export function icmp6Device(skb: Skb): NetDevice {
  return skb.dev.kind === 'loopback' ? (inputDevice(skb) ?? skb.dev) : skb.dev
}

/** The low 24 bits of ff02::1:ffXX:XXXX. */
function isSolicitedGroupOf(group: Ipv6, address: IpAddress): boolean {
  return !isIpv4(address) && (group[3] & 0xff_ffff) === (address[3] & 0xff_ffff)
}

/** The first words of ff01::1 and ff02::1, and of ff01::2, ff02::2 and ff05::2. */
const nodeGroups: ReadonlySet<number> = new Set([0xff01_0000, 0xff02_0000])
const routerGroups: ReadonlySet<number> = new Set([...nodeGroups, 0xff05_0000])

/**
 * Whether a device listens to a group: all nodes (ff01::1, ff02::1), all routers where it forwards (ff01::2, ff02::2, ff05::2:
 * dev_forward_change), and the solicited-node groups of its addresses and of its proxy neighbours.
 */
export function listensTo(dev: NetDevice, group: Ipv6): boolean {
  if (dev.kind === 'loopback') return true
  const [first, second, third, last] = group
  if (second === 0 && third === 0) {
    if (last === 1 && nodeGroups.has(first)) return true
    if (last === 2 && routerGroups.has(first))
      return dev.ns.sysctls.device('net.ipv6.conf.DEV.forwarding', dev.name) !== 0
  }
  if (first !== 0xff02_0000 || second !== 0 || third !== 1 || last >>> 24 !== 0xff) return false
  for (const own of familyState(dev.ns, 6).addresses.get(dev.ifindex) ?? []) {
    if (isSolicitedGroupOf(group, own.address)) return true
  }
  const { proxies } = dev.ns.ip.v6.neighbours
  if (proxies.size === 0) return false
  for (const proxy of proxies.values()) if (isSolicitedGroupOf(group, proxy.address)) return true
  return false
}

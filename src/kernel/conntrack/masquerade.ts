// MASQUERADE and REDIRECT: NAT to an address that the host has (nf_nat_masquerade.c, nf_nat_redirect.c), and what happens to
// masqueraded flows when their device goes down.
import {
  anyIpv6,
  type IpAddress,
  ipv4From,
  isIpv4,
  readIpv4,
  readIpv6,
  sameIp,
  sameIpv6,
} from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { NetDevice } from '../device/device.ts'
import { routeScope } from '../ip/route.ts'
import { addressesOf, selectAddress } from '../ip/source.ts'
import type { InterfaceAddress } from '../ip/state.ts'
import { ipv6Scope, scopeOf, selectSource } from '../ip6/source.ts'
import type { Namespace } from '../namespace.ts'
import type { HookName } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import { setupNat } from './nat.ts'
import type { NatRange } from './nat-choose.ts'

const loopback4 = ipv4From(0x7f00_0001)
const loopback6: IpAddress = [0, 0, 0, 1]

/** Part of a range that a rule may give: ports and how they are chosen. */
export type PortWish = Pick<NatRange, 'ports' | 'random'>

function single(address: IpAddress, wish: PortWish): NatRange {
  return {
    addresses: { first: address, last: address },
    ports: wish.ports,
    random: wish.random,
    persistent: false,
    basePort: undefined,
  }
}

/** The source that the host would use itself on that device towards the next hop. */
function ownSource(skb: Skb, out: NetDevice, family: 4 | 6): IpAddress | undefined {
  if (family === 6) {
    const source = selectSource(out.ns, out, readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination))
    return sameIpv6(source, anyIpv6) ? undefined : source
  }
  const gateway = skb.route?.gateway
  const nextHop =
    gateway !== undefined && isIpv4(gateway)
      ? gateway
      : readIpv4(skb.bytes, skb.networkHeader + ipv4At.destination)
  const source = selectAddress(out, nextHop, routeScope.universe)
  return source === 0 ? undefined : source
}

/** nf_nat_masquerade_ipv4(), nf_nat_masquerade_ipv6(): `drop` when the device has no address. */
export function masquerade(ns: Namespace, skb: Skb, out: NetDevice, wish: PortWish): 'accept' | 'drop' {
  const { nfct } = skb
  const table = ns.netfilter.conntrack
  if (nfct === undefined || nfct.template || table === undefined) return 'accept'
  const { family, source } = nfct.original
  if (source === 0) return 'accept'
  const address = ownSource(skb, out, family)
  if (address === undefined) return 'drop'
  nfct.masqueradeIndex = out.ifindex
  watchDevices(ns)
  return setupNat(table, nfct, single(address, wish), 'source')
}

/** The first address of a device; for IPv6 one of the scope of the destination, where that is not global. */
function firstAddress(dev: NetDevice | undefined, skb: Skb, family: 4 | 6): IpAddress | undefined {
  const own = dev === undefined ? [] : addressesOf(dev, family)
  if (family === 4) return own[0]?.address
  const scope = scopeOf(readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination))
  const usable = ({ address }: InterfaceAddress): boolean => !isIpv4(address) && scopeOf(address) === scope
  return (scope === ipv6Scope.global ? own[0] : own.find(usable))?.address
}

/** nf_nat_redirect_ipv4(), nf_nat_redirect_ipv6(): local packets to the loopback address, others to the device they came by. */
export function redirectToSelf(
  ns: Namespace,
  skb: Skb,
  at: { readonly hook: HookName; readonly in: NetDevice | undefined },
  wish: PortWish,
): 'accept' | 'drop' {
  const { nfct } = skb
  const table = ns.netfilter.conntrack
  if (nfct === undefined || nfct.template || table === undefined) return 'accept'
  const { family } = nfct.original
  const local = family === 4 ? loopback4 : loopback6
  const address = at.hook === 'OUTPUT' ? local : firstAddress(at.in, skb, family)
  return address === undefined ? 'drop' : setupNat(table, nfct, single(address, wish), 'destination')
}

/**
 * Flows that were masqueraded for a device are forgotten: all when it goes down (masq_device_event), those of an address
 * that it has no more (inet_cmp, inet6_cmp).
 */
function forgetFlows(dev: NetDevice, change: 'down' | 'address'): void {
  const table = dev.ns.netfilter.conntrack
  if (table === undefined) return
  for (const connection of table.list()) {
    const { masqueradeIndex, reply } = connection
    if (masqueradeIndex !== dev.ifindex) continue
    const kept = addressesOf(dev, reply.family).some(({ address }) => sameIp(address, reply.destination))
    if (change === 'down' || !kept) table.remove(connection)
  }
}

const watched = new WeakSet<object>()

function watchDevices(ns: Namespace): void {
  const { machine } = ns
  if (watched.has(machine)) return
  watched.add(machine)
  machine.notifiers.push((dev, change) => {
    if (change === 'down' || change === 'address') forgetFlows(dev, change)
  })
}

// MASQUERADE and REDIRECT: NAT to an address that the host has (nf_nat_masquerade.c, nf_nat_redirect.c), and what happens to
// masqueraded flows when their device goes down.
import { type IpAddress, ipv4From, isIpv4, isLinkLocal, readIpv4 } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import type { NetDevice } from '../device/device.ts'
import { routeScope } from '../ip/route.ts'
import { addressesOf, selectAddress } from '../ip/source.ts'
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
    const own = addressesOf(out, 6)
    return (own.find(({ address }) => !isLinkLocal(address)) ?? own[0])?.address
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

/** nf_nat_redirect(): local packets to the loopback address, others to the first address of the device they came by. */
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
  const own = at.in === undefined ? undefined : addressesOf(at.in, family)[0]?.address
  const local = family === 4 ? loopback4 : loopback6
  const address = at.hook === 'OUTPUT' ? local : own
  return address === undefined ? 'drop' : setupNat(table, nfct, single(address, wish), 'destination')
}

/** masq_device_event(): flows that were masqueraded for a device are forgotten. */
function forgetFlows(dev: NetDevice): void {
  const table = dev.ns.netfilter.conntrack
  if (table === undefined) return
  for (const connection of table.list())
    if (connection.masqueradeIndex === dev.ifindex) table.remove(connection)
}

const watched = new WeakSet<object>()

function watchDevices(ns: Namespace): void {
  const { machine } = ns
  if (watched.has(machine)) return
  watched.add(machine)
  machine.notifiers.push((dev, change) => {
    if (change === 'down') forgetFlows(dev)
  })
}

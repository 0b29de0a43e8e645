// What ICMP errors teach about one destination: a smaller path MTU for 600 seconds, or another gateway for 300.
// net/ipv4/route.c __ip_rt_update_pmtu(), update_or_create_fnhe(). Forwarded packets never use it.
import type { IpAddress } from '../../net/address.ts'
import { isIpv4 } from '../../net/address.ts'
import { second } from '../clock.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import { familyState, type RouteException } from './state.ts'

const mtuExpires = 600 * second
const redirectExpires = 300 * second
/** ip_rt_min_pmtu: a smaller MTU is raised to this and locked (IPv4); IPv6 has its own minimum. */
const mtuMin4 = 552
const mtuMin6 = 1280

/** The exception that holds for a destination now; expired ones are forgotten here. */
export function routeException(ns: Namespace, destination: IpAddress): RouteException | undefined {
  const { exceptions } = familyState(ns, isIpv4(destination) ? 4 : 6)
  if (exceptions.size === 0) return undefined
  const found = exceptions.get(destination)
  if (found === undefined || found.expires > ns.machine.clock.now) return found
  exceptions.delete(destination)
  return undefined
}

/**
 * Learns a path MTU (bytes) for a destination reached by `device`; what is not smaller than the MTU known now changes
 * nothing. Called by sockets that accepted a "fragmentation needed" or "packet too big".
 */
export function updatePathMtu(
  ns: Namespace,
  destination: IpAddress,
  options: { readonly device: NetDevice; readonly mtu: number },
): void {
  const known = routeException(ns, destination)
  const current = known !== undefined && known.mtu > 0 ? known.mtu : options.device.mtu
  const four = isIpv4(destination)
  // __ip6_rt_update_pmtu() ignores what no IPv6 link may have
  if (!four && options.mtu < mtuMin6) return
  const wanted = four ? Math.max(options.mtu, mtuMin4) : options.mtu
  if (wanted >= current) return
  const state = familyState(ns, isIpv4(destination) ? 4 : 6)
  state.generation += 1
  state.exceptions.set(destination, 0, {
    destination,
    device: options.device,
    gateway: known?.gateway,
    mtu: wanted,
    expires: ns.machine.clock.now + mtuExpires,
  })
}

/** Learns from a redirect that a destination is reached by another gateway on the same device. */
export function learnGateway(
  ns: Namespace,
  destination: IpAddress,
  options: { readonly device: NetDevice; readonly gateway: IpAddress },
): void {
  const state = familyState(ns, isIpv4(destination) ? 4 : 6)
  state.generation += 1
  state.exceptions.set(destination, 0, {
    destination,
    device: options.device,
    gateway: options.gateway,
    mtu: routeException(ns, destination)?.mtu ?? 0,
    expires: ns.machine.clock.now + redirectExpires,
  })
}

// What this host learns from ICMP errors about its own packets: smaller path MTUs and better gateways.
// net/ipv4/route.c ipv4_update_pmtu(), __ip_do_redirect(). Called by whoever the error belongs to.
import { type IpAddress, type Ipv4, isIpv4, isMulticast, readIpv4 } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import { useNeighbour } from '../neighbour.ts'
import { isValid, neighbourOf } from '../neighbour-entry.ts'
import type { Skb } from '../skb.ts'
import { routeOutput } from './output-route.ts'
import { learnGateway, updatePathMtu } from './path-mtu.ts'
import { addressType, isOnLink, plainFlow } from './source.ts'
import type { IcmpError } from './state.ts'

/** Remembers for 600 s that packets to `destination` may have at most `mtu` bytes (RFC 1191); smaller than 552 is 552. */
export function learnPathMtu(ns: Namespace, destination: Ipv4, mtu: number): void {
  const answer = routeOutput(ns, plainFlow(destination))
  if (answer.kind === 'error' || answer.route.mtu <= mtu) return
  updatePathMtu(ns, destination, { device: answer.route.device, mtu })
}

/** IN_DEV_RX_REDIRECTS: routers need both `all` and the device to agree, hosts either. */
function acceptsRedirects(dev: NetDevice): boolean {
  const name = 'net.ipv4.conf.DEV.accept_redirects'
  const forwards = dev.ns.sysctls.device('net.ipv4.conf.DEV.forwarding', dev.name) !== 0
  return forwards ? dev.ns.sysctls.both(name, dev.name) : dev.ns.sysctls.either(name, dev.name)
}

function plausible(dev: NetDevice, gateway: Ipv4, old: Ipv4): boolean {
  if (gateway === old || isMulticast(gateway) || gateway === 0 || gateway === 0xffff_ffff) return false
  if (!acceptsRedirects(dev)) return false
  if (dev.ns.sysctls.either('net.ipv4.conf.DEV.shared_media', dev.name)) {
    return addressType(dev.ns, gateway) === 'unicast'
  }
  return isOnLink(dev, gateway, old)
}

function sameGateway(left: IpAddress | undefined, right: Ipv4): boolean {
  return left !== undefined && isIpv4(left) && left === right
}

/**
 * __ip_do_redirect(): `skb` is the redirect, `error.info` the gateway it names. Only the gateway in use may redirect. A
 * gateway whose address is not known yet is only asked for; the next redirect is followed.
 */
export function learnRedirect(skb: Skb, error: IcmpError): void {
  const { dev } = skb
  if (error.code > 3) return
  const old = readIpv4(skb.bytes, skb.networkHeader + ipv4At.source)
  const gateway = error.info as Ipv4
  const destination = readIpv4(skb.bytes, error.quote + ipv4At.destination)
  const answer = routeOutput(dev.ns, plainFlow(destination))
  if (answer.kind === 'error' || !sameGateway(answer.route.gateway, old)) return
  if (!plausible(dev, gateway, old)) return
  const neighbour = neighbourOf(dev, gateway)
  if (isValid(neighbour.state)) learnGateway(dev.ns, destination, { device: dev, gateway })
  else useNeighbour(neighbour, undefined)
}

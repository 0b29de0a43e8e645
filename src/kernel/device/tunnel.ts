// What all tunnel devices share: the route of the outer packet, its IP header, its way through OUTPUT and POSTROUTING of
// the same namespace, and the way of the inner packet up again. net/ipv4/ip_tunnel_core.c iptunnel_xmit(),
// net/ipv4/udp_tunnel_core.c, net/ipv6/ip6_udp_tunnel.c. Facts: linux 7.2.
import {
  anyIpv4,
  anyIpv6,
  type IpAddress,
  isIpv4,
  readIpv4,
  readIpv6,
  writeIpv4,
  writeIpv6,
} from '../../net/address.ts'
import { writeU8, writeU16, writeU32 } from '../../net/bytes.ts'
import { ipv4At, ipv4Flag, writeIpv4Checksum } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType } from '../../net/protocol.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import type { Fact } from '../../trace/event.ts'
import { countSent } from '../counters.ts'
import { drop } from '../drop.ts'
import { forgetHashWithoutPorts } from '../flow-hash.ts'
import { nextIdent } from '../ip/ident.ts'
import { ipLocalOut } from '../ip/output.ts'
import { routeOutput } from '../ip/output-route.ts'
import { updatePathMtu } from '../ip/path-mtu.ts'
import { type Route, type RouteAnswer, routeScope } from '../ip/route.ts'
import { ip6LocalOut } from '../ip6/output.ts'
import { route6Output } from '../ip6/output-route.ts'
import type { Skb } from '../skb.ts'
import { scrub } from './crossing.ts'
import type { NetDevice } from './device.ts'

/** The ends of an outer packet, and what routing asks besides. */
export interface OuterFlow {
  readonly remote: IpAddress
  /** undefined: chosen by the route. */
  readonly local: IpAddress | undefined
  readonly protocol: number
  readonly tos: number
  readonly sport: number
  readonly dport: number
  /** ifindex the packet must leave by (`dev`), 0 for any. */
  readonly oif: number
}

/** The route of the outer packet (udp_tunnel_dst_lookup): the mark of the inner packet counts. */
export function routeOuter(dev: NetDevice, skb: Skb, outer: OuterFlow): RouteAnswer {
  const family = isIpv4(outer.remote) ? 4 : 6
  const flow = {
    family,
    destination: outer.remote,
    source: outer.local ?? (family === 4 ? anyIpv4 : anyIpv6),
    oif: outer.oif,
    iif: 1,
    mark: skb.mark,
    tos: outer.tos & 0xfc,
    protocol: outer.protocol,
    sport: outer.sport,
    dport: outer.dport,
    scope: routeScope.universe,
  } as const
  return family === 4 ? routeOutput(dev.ns, flow) : route6Output(dev.ns, flow)
}

/** The default TTL of packets this namespace builds (ip4_dst_hoplimit). */
export function defaultTtl(dev: NetDevice, family: 4 | 6): number {
  const { sysctls } = dev.ns
  if (family === 4) return sysctls.get('net.ipv4.ip_default_ttl')
  return sysctls.device('net.ipv6.conf.DEV.hop_limit', dev.name)
}

/** An outer IP header without what the route supplies. */
export interface OuterHeader {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly tos: number
  readonly ttl: number
  /** IPv4 only. */
  readonly dontFragment: boolean
}

/** Makes room in front of `data` and moves `data` there; the Ethernet header is payload from here on. */
export function pushBytes(skb: Skb, bytes: number): number {
  skb.macHeader = -1
  skb.reserve(bytes)
  skb.data -= bytes
  return skb.data
}

/** Puts the outer IP header in front of `data`; the old packet is its payload. */
export function pushOuterIp(dev: NetDevice, skb: Skb, outer: OuterHeader): void {
  const { source, destination, protocol, tos, ttl } = outer
  const payload = skb.length
  if (isIpv4(source) && isIpv4(destination)) {
    const at = pushBytes(skb, ipv4At.options)
    const { bytes } = skb
    bytes.fill(0, at, at + ipv4At.options)
    writeU8(bytes, at + ipv4At.versionAndLength, 0x45)
    writeU8(bytes, at + ipv4At.tos, tos)
    writeU16(bytes, at + ipv4At.identification, nextIdent(dev.ns, { source, destination, protocol }))
    writeU16(bytes, at + ipv4At.flagsAndOffset, outer.dontFragment ? ipv4Flag.dontFragment : 0)
    writeU8(bytes, at + ipv4At.ttl, ttl)
    writeU8(bytes, at + ipv4At.protocol, protocol)
    writeIpv4(bytes, at + ipv4At.source, source)
    writeIpv4(bytes, at + ipv4At.destination, destination)
    // finished here, so that the trace shows a whole packet; ip_local_out writes both again
    writeU16(bytes, at + ipv4At.totalLength, payload + ipv4At.options)
    writeIpv4Checksum(bytes, at)
    skb.protocol = etherType.ipv4
  } else if (!isIpv4(source) && !isIpv4(destination)) {
    const at = pushBytes(skb, ipv6At.payload)
    const { bytes } = skb
    writeU32(bytes, at, (0x6000_0000 | (tos << 20)) >>> 0)
    writeU16(bytes, at + ipv6At.payloadLength, payload)
    writeU8(bytes, at + ipv6At.nextHeader, protocol)
    writeU8(bytes, at + ipv6At.hopLimit, ttl)
    writeIpv6(bytes, at + ipv6At.source, source)
    writeIpv6(bytes, at + ipv6At.destination, destination)
    skb.protocol = etherType.ipv6
  }
  skb.networkHeader = skb.data
}

/**
 * iptunnel_xmit(), ip6tunnel_xmit(): the finished outer packet leaves as if built here; the device counts it when it was
 * taken. Over IPv6 it is never cut (tried on 6.18; the ICMPv6 error to the host itself is left out).
 */
export function sendOuter(
  dev: NetDevice,
  skb: Skb,
  route: Route,
  innerBytes: number,
  how: { readonly code?: string; readonly facts?: readonly Fact[]; readonly mayBeCut?: boolean } = {},
): void {
  const { trace } = dev.ns.machine
  trace?.note(
    skb,
    { node: dev.ns.name, device: dev.name, stage: 'xmit' },
    { actor: 'kernel', decision: { code: how.code ?? 'ENCAP' }, facts: how.facts ?? [] },
  )
  scrub(skb)
  skb.fragmentMax = 0
  skb.route = route
  skb.dev = route.device
  const four = skb.protocol === etherType.ipv4
  if (four) forgetHashWithoutPorts(skb)
  const result = four
    ? ipLocalOut(dev.ns, skb, { encapsulated: true })
    : ip6LocalOut(dev.ns, skb, { whole: how.mayBeCut !== true })
  if (result === 0 || result === 2) countSent(dev, innerBytes)
  // iptunnel_xmit_stats()
  else if (four) dev.counters.tx_dropped += 1
  else dev.counters.tx_errors += 1
}

/** A packet that a tunnel device does not send. */
export function refuseOuter(dev: NetDevice, skb: Skb, reason: KernelDropReason): void {
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'xmit', reason })
}

/** skb_tunnel_check_pmtu(): whether a packet with room for `mtu` bytes of IP fits through a tunnel whole. */
export function fitsTunnel(skb: Skb, mtu: number): boolean {
  return skb.gsoSize > 0 || skb.tail - skb.networkHeader <= mtu
}

/**
 * skb_dst_update_pmtu_no_confirm(): a packet of this host that will not fit through the tunnel teaches its own route the
 * smaller MTU (bytes). Tried on 6.18: forwarded packets leave no exception.
 */
export function learnTunnelMtu(skb: Skb, mtu: number): void {
  const { route } = skb
  if (route === undefined || route.input !== undefined) return
  const four = skb.protocol === etherType.ipv4
  if (!four && skb.protocol !== etherType.ipv6) return
  const at = skb.networkHeader
  const destination = four
    ? readIpv4(skb.bytes, at + ipv4At.destination)
    : readIpv6(skb.bytes, at + ipv6At.destination)
  updatePathMtu(route.device.ns, destination, { device: route.device, mtu })
}

// Sending a packet to its real server: ip_vs_nat_xmit(), ip_vs_dr_xmit(), __ip_vs_get_out_rt() of
// net/netfilter/ipvs/ip_vs_xmit.c. A packet for another host passes OUTPUT as if it were made here; FORWARD never sees it.
import { isLoopback, readIpv4 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { icmpTimeExceeded, icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { ipv4At, ipv4Flag } from '../../net/ipv4.ts'
import { type Connection, connInfo, directionOf, isConfirmed } from '../conntrack/connection.ts'
import { rewriteHeader } from '../conntrack/nat-rewrite.ts'
import { count } from '../counters.ts'
import { decreaseTtl } from '../ip/forward.ts'
import { ipOutput } from '../ip/output.ts'
import { routeOutput } from '../ip/output-route.ts'
import type { Route } from '../ip/route.ts'
import { plainFlow } from '../ip/source.ts'
import type { HookVerdict } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import type { IpvsConnection } from './connection.ts'
import { connectionFact, endIpvs, type IpvsPacket, noteIpvs } from './packet.ts'

/** do_output_route4(): by the server's address alone, without mark and source. */
export function serverRoute(packet: IpvsPacket, { server }: IpvsConnection): Route | undefined {
  const answer = routeOutput(packet.ns, plainFlow(server.address))
  return answer.kind === 'route' ? answer.route : undefined
}

/** crosses_local_route_boundary(): NAT may turn a remote address into a local one, the other methods may not. */
function crossesBoundary({ skb }: IpvsPacket, { forward }: IpvsConnection, route: Route): boolean {
  if (!route.local) return isLoopback(readIpv4(skb.bytes, skb.networkHeader + ipv4At.source))
  return forward !== 'masq' && skb.route?.local !== true
}

/** decrement_ttl(), ensure_mtu_is_adequate(): the reason why the packet ends, after its sender was told. */
function refused({ ns, skb }: IpvsPacket, { mtu }: Route): string | undefined {
  const l3 = skb.networkHeader
  if (readU8(skb.bytes, l3 + ipv4At.ttl) <= 1) {
    count(ns, 'IpInHdrErrors')
    ns.ip.stack.sendError(skb, { type: icmpType.timeExceeded, code: icmpTimeExceeded.transit, info: 0 })
    return 'time to live exceeded'
  }
  decreaseTtl(skb)
  const fixed = (readU16(skb.bytes, l3 + ipv4At.flagsAndOffset) & ipv4Flag.dontFragment) !== 0
  if (!fixed || skb.tail - l3 <= mtu || skb.gsoSize > 0) return undefined
  const { unreachable } = icmpType
  ns.ip.stack.sendError(skb, { type: unreachable, code: icmpUnreachable.fragmentationNeeded, info: mtu })
  return `fragmentation needed, MTU ${mtu}`
}

/** ip_vs_notrack(): the packet is nobody's flow from here on. */
function untrack(skb: Skb): void {
  if (skb.nfct === undefined) return
  skb.nfct = undefined
  skb.nfctInfo = connInfo.untracked
}

/** Whether IPVS may still say what the answers of a flow look like. */
function isNew(flow: Connection | undefined, info: number): flow is Connection {
  return flow !== undefined && !isConfirmed(flow) && directionOf(info) === 0
}

/** ip_vs_update_conntrack() in the direction of the server: answers will come from it. */
export function followToServer(skb: Skb, connection: IpvsConnection): void {
  if (!connection.nfct) return untrack(skb)
  const { nfct } = skb
  if (connection.forward !== 'masq' || !isNew(nfct, skb.nfctInfo)) return
  const { source, sport } = connection.reply
  nfct.reply = { ...nfct.reply, source, sport }
}

/** ip_vs_update_conntrack() in the direction of the client: answers will go to the virtual address. */
export function followToClient(skb: Skb, connection: IpvsConnection): void {
  if (!connection.nfct) return untrack(skb)
  const { nfct } = skb
  if (!isNew(nfct, skb.nfctInfo)) return
  const { destination, dport } = connection.original
  nfct.reply = { ...nfct.reply, destination, dport }
}

/** ip_vs_nat_send_or_cont(), ip_vs_send_or_cont(): NF_HOOK(LOCAL_OUT), then dst_output(). */
export function sendOut(packet: IpvsPacket, route: Route): HookVerdict {
  const { ns, skb, hook } = packet
  const input = skb.dev
  if (hook === 'INPUT') skb.sk = undefined
  skb.route = route
  const devices = { in: undefined, out: route.device }
  if (ns.netfilter.run(ns, { family: 4, hook: 'OUTPUT' }, skb, devices) !== 'accept') return 'stolen'
  ipOutput(ns, skb, { ignoreDontFragment: true, ...(hook === 'OUTPUT' ? {} : { input }) })
  return 'stolen'
}

function viaServer(route: Route, { server, forward }: IpvsConnection): Route {
  return forward === 'route' && route.gateway === undefined ? { ...route, gateway: server.address } : route
}

/** cp->packet_xmit(): `accept` for a server on this host, `stolen` for all others. */
export function transmit(packet: IpvsPacket, connection: IpvsConnection): HookVerdict {
  const { ns, skb } = packet
  const route = serverRoute(packet, connection)
  if (route === undefined) {
    ns.ip.stack.sendError(skb, { type: icmpType.unreachable, code: icmpUnreachable.host, info: 0 })
    return endIpvs(packet, 'stolen', 'no route to the server')
  }
  if (crossesBoundary(packet, connection, route)) {
    return endIpvs(packet, 'stolen', 'the server is on the other side of the local addresses')
  }
  const problem = route.local ? undefined : refused(packet, route)
  if (problem !== undefined) return endIpvs(packet, 'stolen', problem)
  if (route.local && isLoopback(connection.server.address) && packet.hook === 'INPUT') {
    return endIpvs(packet, 'stolen', 'no packet from outside goes to a loopback address')
  }
  if (connection.forward === 'masq') {
    const place = { l3: skb.networkHeader, end: skb.tail }
    rewriteHeader(skb.bytes, place, connection.toServer, 'destination')
  }
  skb.ipvs = true
  followToServer(skb, connection)
  noteIpvs(packet, route.local ? 'accept' : 'stolen', [connectionFact(connection, '->')])
  return route.local ? 'accept' : sendOut(packet, viaServer(route, connection))
}

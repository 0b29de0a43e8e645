// The first packet of a connection: ip_vs_schedule(), ip_vs_sched_persist() and, without a server, ip_vs_leave() of
// net/netfilter/ipvs/ip_vs_core.c.
import { type Ipv4, ipv4From, isIpv4 } from '../../net/address.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { second } from '../clock.ts'
import { invertTuple, type Tuple } from '../conntrack/tuple.ts'
import {
  connectionIn,
  findTemplate,
  type IpvsConnection,
  type IpvsTemplate,
  insertConnection,
  insertTemplate,
  sweepConnections,
} from './connection.ts'
import type { IpvsPacket } from './packet.ts'
import { schedule } from './scheduler.ts'
import { findService, type IpvsServer, type IpvsService } from './service.ts'
import { tcpTimeout, udpTimeout } from './tcp-state.ts'

/** `ignore`: the packet goes on as if there were no service; `leave`: no server takes it. */
export type Scheduled =
  | { readonly kind: 'connection'; readonly connection: IpvsConnection }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'leave'; readonly service: IpvsService }

const ignore: Scheduled = { kind: 'ignore' }

function address4(address: Tuple['source']): Ipv4 {
  return isIpv4(address) ? address : ipv4From(0)
}

/** ip_vs_conn_new(), ip_vs_conn_stats(). */
function connect(
  packet: IpvsPacket,
  service: IpvsService,
  to: { readonly server: IpvsServer; readonly port: number },
): Scheduled {
  const { ns, ipvs, tuple, now } = packet
  const { server, port } = to
  const reply: Tuple = {
    ...tuple,
    source: server.address,
    destination: tuple.source,
    sport: port,
    dport: tuple.sport,
  }
  // only ICMP has tuples without an inverse
  const toServer = invertTuple(reply) ?? reply
  const toClient = invertTuple(tuple) ?? tuple
  const connection: IpvsConnection = {
    original: tuple,
    reply,
    answers: server.forward === 'masq' ? reply : toClient,
    controlled: false,
    toServer,
    toClient,
    service,
    server,
    forward: server.forward,
    nfct: ns.sysctls.get('net.ipv4.vs.conntrack') !== 0,
    noOutput: server.forward !== 'masq',
    inactive: true,
    state: 0,
    expires: now + (tuple.protocol === ipProtocol.udp ? udpTimeout : tcpTimeout(0)),
  }
  insertConnection(ipvs.connections, connection)
  service.counters.connections += 1
  server.counters.connections += 1
  return { kind: 'connection', connection }
}

/**
 * The template's tuple: the masked client to address and port of the service; to the mark for a service of a mark; to all
 * ports where the service has none (or is FTP).
 */
function templateTuple({ tuple }: IpvsPacket, { virtual, netmask }: IpvsService): Tuple {
  const source = ipv4From((address4(tuple.source) & netmask) >>> 0)
  const client = { ...tuple, source, sport: 0 }
  if (virtual.kind === 'fwmark') {
    return { ...client, protocol: 0, destination: ipv4From(virtual.mark), dport: 0 }
  }
  return { ...client, dport: virtual.port === tuple.dport && virtual.port !== ftp ? tuple.dport : 0 }
}

const ftp = 21
const ftpData = 20

/** ip_vs_check_template(): a server without weight counts as gone with `expire_quiescent_template`. */
function isUsable(packet: IpvsPacket, { server }: IpvsTemplate): boolean {
  if (!server.available) return false
  if (server.weight > 0) return true
  return packet.ns.sysctls.get('net.ipv4.vs.expire_quiescent_template') === 0
}

/** ip_vs_sched_persist(). */
function persist(packet: IpvsPacket, service: IpvsService, seconds: number): Scheduled {
  const { ipvs, tuple, now } = packet
  const key = templateTuple(packet, service)
  let template = findTemplate(ipvs.connections, key, now)
  if (template === undefined || !isUsable(packet, template)) {
    const server = schedule(service, {
      source: address4(tuple.source),
      destination: address4(tuple.destination),
    })
    if (server === undefined) return { kind: 'leave', service }
    const port = key.dport === 0 ? 0 : server.port
    template = { tuple: key, service, server, port, controlled: new Set(), expires: 0 }
    insertTemplate(ipvs.connections, template)
  }
  // ip_vs_conn_put(): each use starts the time again
  template.expires = now + seconds * second
  const own = service.virtual.kind === 'address' && service.virtual.port === tuple.dport
  const port = own && template.server.port !== 0 ? template.server.port : tuple.dport
  const made = connect(packet, service, { server: template.server, port })
  if (made.kind === 'connection') {
    template.controlled.add(made.connection)
    made.connection.controlled = true
  }
  return made
}

/** Whether a local packet is an answer of a server on this host: it is not scheduled again. */
function isAnswer({ ipvs, skb, hook, tuple, now }: IpvsPacket): boolean {
  if (hook !== 'OUTPUT' && skb.dev.kind !== 'loopback') return false
  const inverse = invertTuple(tuple)
  return inverse !== undefined && connectionIn(ipvs.connections, inverse, now) !== undefined
}

/** tcp_conn_schedule(), udp_conn_schedule(), ip_vs_schedule(): `opens` says that the packet may begin a connection. */
export function scheduleConnection(packet: IpvsPacket, opens: boolean): Scheduled {
  const { ipvs, skb, tuple, now } = packet
  if (!opens) return ignore
  const destination = address4(tuple.destination)
  const { protocol, dport: port } = tuple
  const service = findService(ipvs, { mark: skb.mark, protocol, address: destination, port })
  if (service === undefined || tuple.sport === ftpData || isAnswer(packet)) return ignore
  sweepConnections(ipvs.connections, now)
  if (service.persistent !== undefined) return persist(packet, service, service.persistent)
  const server = schedule(service, { source: address4(tuple.source), destination })
  if (server === undefined) return { kind: 'leave', service }
  return connect(packet, service, { server, port: server.port === 0 ? port : server.port })
}

/** ip_vs_leave(): the sender learns that the port is unreachable, whatever the protocol: there is no TCP to reset. */
export function answerUnreachable({ ns, skb }: IpvsPacket): void {
  ns.ip.stack.sendError(skb, { type: icmpType.unreachable, code: icmpUnreachable.port, info: 0 })
}

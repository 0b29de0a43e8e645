// IPVS in the hooks of a namespace: ip_vs_ops4 of net/netfilter/ipvs/ip_vs_core.c, registered with the first service.
// Requests are taken behind the filter rules of INPUT, or behind the DNAT rules of OUTPUT; answers are changed in front.
import { readU8 } from '../../net/bytes.ts'
import { ipv4At, ipv4IsFragment } from '../../net/ipv4.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { tcpFlag } from '../../net/tcp.ts'
import { isConfirmed } from '../conntrack/connection.ts'
import { become } from '../conntrack/hooks.ts'
import { rewriteHeader } from '../conntrack/nat-rewrite.ts'
import { readTuple, transportOf } from '../conntrack/tuple.ts'
import { fragmentUser } from '../ip/fragment-queue.ts'
import { reassemble } from '../ip/reassembly.ts'
import type { Namespace } from '../namespace.ts'
import { type HookEntry, type HookVerdict, priority } from '../netfilter/hook.ts'
import { reroute } from '../netfilter/reroute.ts'
import { pktType, type Skb } from '../skb.ts'
import {
  connectionIn,
  connectionOut,
  type IpvsConnection,
  keepConnection,
  removeConnection,
} from './connection.ts'
import { type IcmpPacket, icmpIn, icmpOut, isFollowedError } from './icmp.ts'
import { answerUnreachable, scheduleConnection } from './new-connection.ts'
import { connectionFact, endIpvs, type IpvsHook, type IpvsPacket, noteIpvs, serviceName } from './packet.ts'
import { addService, createIpvs, type Ipvs, type IpvsServiceSpec } from './service.ts'
import { countPacket } from './statistics.ts'
import { type IpvsDirection, ipvsState, isActive, nextTcpState, tcpTimeout, udpTimeout } from './tcp-state.ts'
import { followToClient, transmit } from './transmit.ts'

const tcpHeader = 20

/** ip_vs_set_state(): the connection's state after this packet, its count at the server, and its time. */
function setState(packet: IpvsPacket, connection: IpvsConnection, from: 'input' | 'output'): void {
  const { ipvs, skb, l4, now } = packet
  if (connection.original.protocol === ipProtocol.udp) {
    keepConnection(ipvs.connections, connection, now + udpTimeout)
    return
  }
  if (l4 + tcpHeader > skb.tail) return
  if (from === 'output') connection.noOutput = false
  const direction: IpvsDirection = connection.noOutput ? 'input-only' : from
  const state = nextTcpState(skb.bytes, l4, { state: connection.state, direction })
  const inactive = !isActive(state)
  if (inactive !== connection.inactive) {
    connection.server.active += inactive ? -1 : 1
    connection.server.inactive += inactive ? 1 : -1
    connection.inactive = inactive
  }
  connection.state = state
  keepConnection(ipvs.connections, connection, now + tcpTimeout(state))
}

/** The flags of a TCP header that is whole; 0 without one. */
function tcpFlags({ skb, l4, tuple }: IpvsPacket): number {
  return tuple.protocol === ipProtocol.tcp && l4 + tcpHeader <= skb.tail ? readU8(skb.bytes, l4 + 13) : 0
}

/** tcp_conn_schedule(), udp_conn_schedule(): any datagram, and any SYN that is no reset. */
function mayOpen(packet: IpvsPacket): boolean {
  const flags = tcpFlags(packet)
  return packet.tuple.protocol === ipProtocol.udp || (flags & (tcpFlag.syn | tcpFlag.rst)) === tcpFlag.syn
}

/** is_new_conn_expected(): whether a connection is over, so that a SYN begins another one (`conn_reuse_mode`). */
function isOver({ ns }: IpvsPacket, { controlled, state, noOutput }: IpvsConnection): boolean {
  const mode = ns.sysctls.get('net.ipv4.vs.conn_reuse_mode')
  if (mode === 0 || controlled) return false
  if (state === ipvsState.timeWait || state === ipvsState.close) return true
  return (mode & 2) !== 0 && state === ipvsState.finWait && noOutput
}

/** What becomes of a connection before its packet is sent: it is used, it gives way to a new one, or the packet ends. */
function fate(packet: IpvsPacket, connection: IpvsConnection): 'kept' | 'replaced' | 'dropped' {
  const { server } = connection
  const expires = packet.ns.sysctls.get('net.ipv4.vs.expire_nodest_conn') !== 0
  if ((tcpFlags(packet) & tcpFlag.syn) !== 0) {
    if ((expires && server.weight === 0) || isOver(packet, connection)) return 'replaced'
  }
  if (server.available) return 'kept'
  return expires ? 'replaced' : 'dropped'
}

/** ip_vs_in_hook(): a packet of a client. */
function request(packet: IpvsPacket): HookVerdict {
  const { ipvs, skb, tuple, now } = packet
  let connection = connectionIn(ipvs.connections, tuple, now)
  const destiny = connection === undefined ? 'kept' : fate(packet, connection)
  if (destiny === 'dropped') return endIpvs(packet, 'drop', 'the server has been taken away')
  if (connection !== undefined && destiny === 'replaced') {
    // ip_vs_conn_uses_old_conntrack(): the flow of conntrack has to go first
    const old = connection.nfct && skb.nfct !== undefined && isConfirmed(skb.nfct)
    removeConnection(ipvs.connections, connection)
    if (old) return endIpvs(packet, 'drop', 'the port is used again while conntrack knows the old flow')
    connection = undefined
  }
  if (connection === undefined) {
    const opens = mayOpen(packet)
    const scheduled = scheduleConnection(packet, opens)
    if (scheduled.kind === 'ignore') return 'accept'
    if (scheduled.kind === 'leave') {
      answerUnreachable(packet)
      return endIpvs(packet, 'drop', `${serviceName(scheduled.service)} has no server`)
    }
    connection = scheduled.connection
  }
  countPacket(connection, skb, 'in')
  setState(packet, connection, 'input')
  return transmit(packet, connection)
}

/** handle_response(): a packet of a server becomes one of the virtual address; without NAT it is one, and counted. */
function answer(packet: IpvsPacket): HookVerdict {
  const { ns, ipvs, skb, hook, tuple, now } = packet
  const connection = connectionOut(ipvs.connections, tuple, now)
  if (connection === undefined) return 'accept'
  if (connection.forward === 'masq') {
    rewriteHeader(skb.bytes, { l3: skb.networkHeader, end: skb.tail }, connection.toClient, 'source')
    if (hook !== 'INPUT' && skb.route?.local !== true && reroute(ns, skb, 4) !== undefined) {
      return endIpvs(packet, 'stolen', 'no route to the client')
    }
  }
  countPacket(connection, skb, 'out')
  setState(packet, connection, 'output')
  skb.ipvs = true
  followToClient(skb, connection)
  noteIpvs(packet, 'accept', [connectionFact(connection, '<-')])
  return 'accept'
}

/** Protocols that IPVS looks at. */
function isFollowed({ bytes, networkHeader }: Skb): boolean {
  const protocol = readU8(bytes, networkHeader + ipv4At.protocol)
  return protocol === ipProtocol.icmp || protocol === ipProtocol.tcp || protocol === ipProtocol.udp
}

/** What IPVS looks at: TCP, UDP and ICMP errors; undefined for everything else. */
function readPacket(
  ns: Namespace,
  ipvs: Ipvs,
  skb: Skb,
  hook: IpvsHook,
): { readonly icmp: IcmpPacket } | { readonly packet: IpvsPacket } | undefined {
  const { bytes, networkHeader: l3, tail: end } = skb
  const { protocol, l4, fragmentOffset } = transportOf(bytes, l3, end, 4)
  if (fragmentOffset !== 0) return undefined
  const base = { ns, ipvs, skb, hook, l4, now: ns.machine.clock.now }
  if (protocol === ipProtocol.icmp) return l4 + 8 <= end ? { icmp: base } : undefined
  if (protocol !== ipProtocol.tcp && protocol !== ipProtocol.udp) return undefined
  const tuple = readTuple(bytes, { l3, l4, end }, 4, protocol)
  return tuple === undefined ? undefined : { packet: { ...base, tuple } }
}

/** ip_vs_in_hook(). */
function runRequests(ns: Namespace, ipvs: Ipvs, skb: Skb, hook: 'INPUT' | 'OUTPUT'): HookVerdict {
  if (skb.ipvs || (hook === 'INPUT' && skb.pktType !== pktType.host)) return 'accept'
  const found = readPacket(ns, ipvs, skb, hook)
  if (found === undefined) return 'accept'
  if ('packet' in found) return request(found.packet)
  return isFollowedError(found.icmp) ? icmpIn(found.icmp) : 'accept'
}

/** ip_vs_gather_frags(): answers that are forwarded are looked at whole; false while pieces are missing. */
function gathered(ns: Namespace, skb: Skb): boolean {
  if (!ipv4IsFragment(skb.bytes, skb.networkHeader)) return true
  const whole = reassemble(ns, skb, fragmentUser.ipvs)
  if (whole === undefined) return false
  if (whole !== skb) become(skb, whole)
  return true
}

/** ip_vs_out_hook(). */
function runAnswers(ns: Namespace, ipvs: Ipvs, skb: Skb, hook: IpvsHook): HookVerdict {
  if (skb.ipvs) return 'accept'
  if (isFollowed(skb) && !gathered(ns, skb)) return 'stolen'
  const found = readPacket(ns, ipvs, skb, hook)
  if (found === undefined) return 'accept'
  if ('packet' in found) return answer(found.packet)
  return isFollowedError(found.icmp) ? icmpOut(found.icmp) : 'accept'
}

/** ip_vs_forward_icmp(): errors of clients about marked traffic, which is not addressed to this host. */
function runForwardedErrors(ns: Namespace, ipvs: Ipvs, skb: Skb): HookVerdict {
  const found = readPacket(ns, ipvs, skb, 'FORWARD')
  return found !== undefined && 'icmp' in found ? icmpIn(found.icmp) : 'accept'
}

function hooksOf(ns: Namespace, ipvs: Ipvs): readonly HookEntry[] {
  const { natSource, natDestination } = priority
  const answers = [
    ['INPUT', natSource - 2],
    ['OUTPUT', natDestination + 1],
    ['FORWARD', 100],
  ] as const
  const requests = [
    ['INPUT', natSource - 1],
    ['OUTPUT', natDestination + 2],
  ] as const
  const entry = (hook: IpvsHook, at: number, run: (skb: Skb) => HookVerdict): HookEntry => ({
    family: 4,
    hook,
    priority: at,
    run: (_, skb) => run(skb),
  })
  return [
    ...answers.map(([hook, at]) => entry(hook, at, (skb) => runAnswers(ns, ipvs, skb, hook))),
    ...requests.map(([hook, at]) => entry(hook, at, (skb) => runRequests(ns, ipvs, skb, hook))),
    entry('FORWARD', 99, (skb) => runForwardedErrors(ns, ipvs, skb)),
  ]
}

const hooksName = 'ipvs'

/** `ipvsadm -A` and its `-a`: puts services into a namespace. The first one registers the hooks (ip_vs_register_hooks()). */
export function attachServices(ns: Namespace, specs: readonly IpvsServiceSpec[]): 'ok' | 'EEXIST' {
  if (specs.length === 0) return 'ok'
  const ipvs = ns.netfilter.ipvs ?? createIpvs()
  ns.netfilter.ipvs = ipvs
  ns.netfilter.acquire(hooksName, hooksName, () => hooksOf(ns, ipvs))
  for (const spec of specs) if (addService(ipvs, spec, ns.machine.clock.now) === 'EEXIST') return 'EEXIST'
  return 'ok'
}

/** ip_vs_unregister_hooks() behind the last service: packets of connections that are left go their own way. */
export function releaseServices(ns: Namespace): void {
  if (ns.netfilter.ipvs?.services.length === 0) ns.netfilter.release(hooksName, hooksName)
}

// What the proxies of a node know: its namespace, the maps that they read, what the agent decided last.

import { assert } from '../../base/assert.ts'
import { readLe32 } from '../../bpf/context/byte-order.ts'
import type { Namespace } from '../../kernel/namespace.ts'
import type { Skb } from '../../kernel/skb.ts'
import { failed } from '../../kernel/socket/errno.ts'
import type { SocketAddress } from '../../kernel/socket/hooks.ts'
import { tcpBind, tcpListen, tcpOpen } from '../../kernel/socket/tcp.ts'
import type { TcpSocket } from '../../kernel/socket/tcp-socket.ts'
import { type IpAddress, isIpv4, sameIp } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Decision, Fact } from '../../trace/event.ts'
import type { AgentState } from '../agent/agent.ts'
import type { Endpoint } from '../agent/endpoint.ts'
import { reservedIdentity } from '../agent/identity.ts'
import type { Redirect } from '../agent/policy/resolve.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import { ipv4, ipv6 } from '../datapath/family.ts'
import { ipcacheKey } from '../datapath/ipcache.ts'
import { addressBytes } from '../maps/address-bytes.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import { accessLogMap, type LogRecord, writeLogRecord } from './access-log.ts'
import type { ProxyDialect } from './dialect.ts'

export interface ProxyNode {
  readonly ns: Namespace
  readonly dialect: ProxyDialect
  readonly maps: NodeMaps
  /** What the agent decided last. */
  readonly agent: () => AgentState
  /**
   * An endpoint was told what a name stands for (pkg/fqdn namemanager UpdateGenerateDNS): identities, ipcache and policy maps
   * of the node are up to date when it returns. Answers what changed.
   */
  readonly learn: (answer: LearntAnswer) => readonly Fact[]
}

/** An answer that an endpoint gets. */
export interface LearntAnswer {
  readonly endpoint: number
  readonly name: string
  readonly addresses: readonly IpAddress[]
  /** Seconds. */
  readonly ttl: number
}

const cpu = 0

/** The identity of an address in cilium_ipcache_v2, in 1.10 cilium_ipcache; 0 where there is none. */
export function ipcacheIdentity({ maps }: ProxyNode, address: IpAddress): number {
  const key = ipcacheKey(isIpv4(address) ? ipv4 : ipv6, addressBytes(address))
  const value = (maps.cilium_ipcache ?? maps.cilium_ipcache_v2).lookup(key, cpu)
  return value === undefined ? 0 : readLe32(value, 0)
}

/** Config::resolvePolicyId(): the world where the ipcache knows nothing. */
export function identityAt(node: ProxyNode, address: IpAddress): number {
  const found = ipcacheIdentity(node, address)
  return found === 0 ? reservedIdentity.world : found
}

/** The identity that conntrack remembers of the source of a TCP connection; 0 where it has no entry. */
export function conntrackIdentity(
  { maps }: ProxyNode,
  from: SocketAddress,
  to: SocketAddress,
  ingress: boolean,
): number {
  const family = isIpv4(from.address) ? ipv4 : ipv6
  const tuple = new Tuple(family)
  // as stored: addresses reversed, ports of the original direction
  tuple.daddr = addressBytes(from.address)
  tuple.saddr = addressBytes(to.address)
  tuple.sport = from.port
  tuple.dport = to.port
  tuple.nexthdr = ipProtocol.tcp
  tuple.flags = ingress ? tupleFlag.IN : tupleFlag.OUT
  const map = family === ipv4 ? maps.cilium_ct4_global : maps.cilium_ct6_global
  const value = map.lookup(tuple.bytes, cpu)
  return value === undefined ? 0 : new CtEntry(value).srcSecId
}

/** The endpoint of this node with an address; the host is none. */
export function endpointAt({ agent }: ProxyNode, address: IpAddress): Endpoint | undefined {
  return agent().endpoints.find(
    ({ kind, addresses }) => kind !== 'host' && addresses.some((each) => sameIp(each, address)),
  )
}

/** What an endpoint's policy says of a redirect to a listener, for one port of the peer or of its own. */
export function redirectsOf(
  { agent }: ProxyNode,
  endpoint: Endpoint | undefined,
  at: {
    readonly ingress: boolean
    readonly port: number
    readonly protocol: number
    readonly proxyPort: number
  },
): readonly Redirect[] {
  const policy = endpoint === undefined ? undefined : agent().policies.get(endpoint.id)
  return (policy?.redirects ?? []).filter(
    ({ ingress, port, endPort, protocol, proxyPort }) =>
      ingress === at.ingress &&
      proxyPort === at.proxyPort &&
      (protocol === at.protocol || protocol === 0) &&
      at.port >= port &&
      at.port <= Math.max(port, endPort),
  )
}

/** A proxy has read a packet's bytes and decided; what it logs and changes stands with it. */
export function notice(
  { ns }: ProxyNode,
  packet: Skb | undefined,
  what: {
    readonly port: number
    readonly program: string
    readonly decision: Decision
    readonly logged: readonly LogRecord[]
    readonly facts?: readonly Fact[]
  },
): void {
  const { trace } = ns.machine
  if (trace === undefined || packet === undefined) return
  const { port, program, decision, logged, facts = [] } = what
  const records = logged.map(
    (record): Fact => ({ kind: 'record', map: accessLogMap, bytes: writeLogRecord(record) }),
  )
  const site = { node: ns.name, device: '', stage: 'proxy', chain: String(port) } as const
  trace.afterwards(packet, site, { actor: program, decision, facts: [...records, ...facts] })
}

/** The name of a packet in the trace; '' without one. */
export function packetName(packet: Skb | undefined): string {
  return packet?.record?.name ?? ''
}

/** A socket that listens for a proxy: nothing else has its port. */
export function listenAt(open: Parameters<typeof tcpOpen>[0], at: SocketAddress): TcpSocket {
  const opened = tcpOpen(open)
  assert(!failed(opened), `${open.label} opens its listener`)
  const bound = tcpBind(opened.ok, at)
  const listening = failed(bound) ? bound : tcpListen(opened.ok)
  assert(!failed(listening), `${open.label} listens`)
  return opened.ok
}

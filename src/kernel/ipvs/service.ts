// Virtual services and their real servers (struct ip_vs_service, struct ip_vs_dest): what ipvsadm sets up and counts.
// IPv4, TCP and UDP, forwarded by NAT (`masq`) or direct routing (`route`).
import type { Ipv4 } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { AddressMap } from '../ip/address-map.ts'
import { type ConnectionTable, createConnectionTable } from './connection.ts'

export const ipvsSchedulers = ['rr', 'wrr', 'lc', 'wlc', 'sh', 'dh', 'sed', 'nq'] as const
export type IpvsScheduler = (typeof ipvsSchedulers)[number]

/** IP_VS_CONN_F_MASQ, IP_VS_CONN_F_DROUTE. */
export type IpvsForward = 'masq' | 'route'

/** What `ipvsadm -Ln --stats` prints: connections; packets and bytes (from the IP header on) in both directions. */
export interface IpvsCounters {
  connections: number
  inPackets: number
  outPackets: number
  inBytes: number
  outBytes: number
}

/** What a service answers to: an address and a port (0: all ports of a persistent service), or a packet mark. */
export type IpvsVirtual =
  | {
      readonly kind: 'address'
      readonly protocol: 6 | 17
      readonly address: Ipv4
      readonly port: number
    }
  | { readonly kind: 'fwmark'; readonly mark: number }

/** One `-a`: a real server. */
export interface IpvsServerSpec {
  readonly address: Ipv4
  readonly port: number
  readonly forward: IpvsForward
  /** 0 takes no new connections. */
  readonly weight: number
}

/** One `-A` with its servers. */
export interface IpvsServiceSpec {
  readonly virtual: IpvsVirtual
  readonly scheduler: IpvsScheduler
  /** Seconds that a client keeps its server; undefined for services that are not persistent. */
  readonly persistent: number | undefined
  /** Which clients count as one, as a mask. */
  readonly netmask: number
  readonly servers: readonly IpvsServerSpec[]
}

/** A real server with its counters. */
export interface IpvsServer extends IpvsServerSpec {
  readonly counters: IpvsCounters
  /** Established (and half-open) connections, and all others: `ActiveConn`, `InActConn`. */
  active: number
  inactive: number
}

/** A virtual service. */
export interface IpvsService extends IpvsServiceSpec {
  /** The server that was added last stands first (list_add_rcu() of __ip_vs_update_dest()). */
  readonly servers: readonly IpvsServer[]
  readonly counters: IpvsCounters
  /** Where the scheduler stands: the index of the last server, -1 for the head of the list. */
  cursor: number
  /** wrr: the weight that a server needs in this round. */
  currentWeight: number
}

/** IPVS of one namespace (struct netns_ipvs). */
export interface Ipvs {
  readonly services: IpvsService[]
  /** By address; the second key is `scopeOf`. */
  readonly byAddress: AddressMap<IpvsService>
  readonly byMark: Map<number, IpvsService>
  readonly connections: ConnectionTable
  /** Look-ups of a service, one for each packet without a connection: each a constant number of hash look-ups. */
  lookups: number
}

/** No service yet. */
export function createIpvs(): Ipvs {
  return {
    services: [],
    byAddress: new AddressMap(),
    byMark: new Map(),
    connections: createConnectionTable(),
    lookups: 0,
  }
}

/** Fresh counters. */
export function noCounters(): IpvsCounters {
  return { connections: 0, inPackets: 0, outPackets: 0, inBytes: 0, outBytes: 0 }
}

function scopeOf(protocol: number, port: number): number {
  return (protocol === ipProtocol.udp ? 0x1_0000 : 0) + port
}

/** ip_vs_add_service(), ip_vs_add_dest(): EEXIST for a service or a server that is there already. */
export function addService(ipvs: Ipvs, spec: IpvsServiceSpec): 'ok' | 'EEXIST' {
  const servers = spec.servers.map((server) => ({
    ...server,
    counters: noCounters(),
    active: 0,
    inactive: 0,
  }))
  const names = new Set(servers.map(({ address, port }) => address * 0x1_0000 + port))
  const { virtual } = spec
  const taken =
    virtual.kind === 'fwmark'
      ? ipvs.byMark.has(virtual.mark)
      : ipvs.byAddress.get(virtual.address, scopeOf(virtual.protocol, virtual.port)) !== undefined
  if (taken || names.size < servers.length) return 'EEXIST'
  const service: IpvsService = {
    ...spec,
    servers: servers.reverse(),
    counters: noCounters(),
    cursor: -1,
    currentWeight: 0,
  }
  ipvs.services.push(service)
  if (virtual.kind === 'fwmark') ipvs.byMark.set(virtual.mark, service)
  else ipvs.byAddress.set(virtual.address, scopeOf(virtual.protocol, virtual.port), service)
  return 'ok'
}

/** ip_vs_service_find(): the mark first, then address and port, then a service for all ports. */
export function findService(
  ipvs: Ipvs,
  packet: {
    readonly mark: number
    readonly protocol: number
    readonly address: Ipv4
    readonly port: number
  },
): IpvsService | undefined {
  ipvs.lookups += 1
  const { mark, protocol, address, port } = packet
  const marked = mark === 0 ? undefined : ipvs.byMark.get(mark)
  return (
    marked ??
    ipvs.byAddress.get(address, scopeOf(protocol, port)) ??
    ipvs.byAddress.get(address, scopeOf(protocol, 0))
  )
}

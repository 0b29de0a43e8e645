// Virtual services and their real servers (struct ip_vs_service, struct ip_vs_dest): what ipvsadm sets up and counts.
// IPv4, TCP and UDP, forwarded by NAT (`masq`) or direct routing (`route`).
import type { Ipv4 } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { second } from '../clock.ts'
import { AddressMap } from '../ip/address-map.ts'
import type { Namespace } from '../namespace.ts'
import { type ConnectionTable, createConnectionTable } from './connection.ts'
import { weightSteps } from './scheduler.ts'

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
export interface IpvsServer {
  readonly address: Ipv4
  readonly port: number
  forward: IpvsForward
  weight: number
  /** IP_VS_DEST_F_AVAILABLE: not taken away. */
  available: boolean
  readonly counters: IpvsCounters
  /** Established (and half-open) connections, and all others: `ActiveConn`, `InActConn`. */
  active: number
  inactive: number
}

/** A virtual service. */
export interface IpvsService {
  readonly virtual: IpvsVirtual
  scheduler: IpvsScheduler
  persistent: number | undefined
  netmask: number
  /** The server that was added last stands first (list_add_rcu() of __ip_vs_update_dest()). */
  readonly servers: IpvsServer[]
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
  /** Servers that were taken away, under the name of their service: one that comes back is the same one (ipvs->dest_trash). */
  readonly trash: { readonly service: string; readonly server: IpvsServer; readonly since: number }[]
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
    trash: [],
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

/** The service of an address or a mark. */
export function serviceOf(ipvs: Ipvs, virtual: IpvsVirtual): IpvsService | undefined {
  if (virtual.kind === 'fwmark') return ipvs.byMark.get(virtual.mark)
  return ipvs.byAddress.get(virtual.address, scopeOf(virtual.protocol, virtual.port))
}

/** What a service is to servers that were its own: another one of the same address is the same. */
function keyOf(virtual: IpvsVirtual): string {
  if (virtual.kind === 'fwmark') return `mark ${virtual.mark}`
  return `${virtual.protocol} ${virtual.address} ${virtual.port}`
}

/** IP_VS_DEST_TRASH_PERIOD behind the last connection, and the timer's half of it. */
const trashTime = 180 * second

/** ip_vs_trash_get_dest(): a server that was there, with the connections that it still has. */
function fromTrash(
  ipvs: Ipvs,
  virtual: IpvsVirtual,
  spec: IpvsServerSpec,
  now: number,
): IpvsServer | undefined {
  const name = keyOf(virtual)
  const at = ipvs.trash.findIndex(
    ({ service, server }) => service === name && server.address === spec.address && server.port === spec.port,
  )
  const [found] = at === -1 ? [] : ipvs.trash.splice(at, 1)
  if (found === undefined) return undefined
  const { server, since } = found
  return server.active + server.inactive > 0 || now < since + trashTime ? server : undefined
}

/** ip_vs_wrr_dest_changed(): the rounds begin anew, with a weight that is one of the new ones. */
export function serversChanged(service: IpvsService): void {
  if (service.scheduler !== 'wrr') return
  const { step, highest } = weightSteps(service.servers)
  service.cursor = -1
  if (service.currentWeight > highest || service.currentWeight === 0) service.currentWeight = highest
  else if (step > 1) service.currentWeight = Math.floor(service.currentWeight / step) * step + 1
}

/** ip_vs_add_dest(): in front of the others. */
export function addServer(ipvs: Ipvs, service: IpvsService, spec: IpvsServerSpec, now: number): void {
  const { address, port, forward, weight } = spec
  const server = fromTrash(ipvs, service.virtual, spec, now) ?? {
    address,
    port,
    forward,
    weight,
    available: true,
    counters: noCounters(),
    active: 0,
    inactive: 0,
  }
  server.forward = forward
  server.weight = weight
  server.available = true
  service.servers.unshift(server)
  if (service.cursor >= 0) service.cursor += 1
  serversChanged(service)
}

/** __ip_vs_unlink_dest(), ip_vs_rr_del_dest(): who stood at the server stands at the one in front of it. */
export function removeServer(ipvs: Ipvs, service: IpvsService, server: IpvsServer, now: number): void {
  const at = service.servers.indexOf(server)
  if (at === -1) return
  service.servers.splice(at, 1)
  if (service.cursor >= at) service.cursor -= 1
  serversChanged(service)
  server.available = false
  ipvs.trash.push({ service: keyOf(service.virtual), server, since: now })
}

/** ip_vs_add_service(), ip_vs_add_dest(): EEXIST for a service or a server that is there already. */
export function addService(ipvs: Ipvs, spec: IpvsServiceSpec, now = 0): 'ok' | 'EEXIST' {
  const { virtual, scheduler, persistent, netmask } = spec
  const names = new Set(spec.servers.map(({ address, port }) => address * 0x1_0000 + port))
  if (serviceOf(ipvs, virtual) !== undefined || names.size < spec.servers.length) return 'EEXIST'
  const service: IpvsService = {
    virtual,
    scheduler,
    persistent,
    netmask,
    servers: [],
    counters: noCounters(),
    cursor: -1,
    currentWeight: 0,
  }
  for (const server of spec.servers) addServer(ipvs, service, server, now)
  ipvs.services.push(service)
  if (virtual.kind === 'fwmark') ipvs.byMark.set(virtual.mark, service)
  else ipvs.byAddress.set(virtual.address, scopeOf(virtual.protocol, virtual.port), service)
  return 'ok'
}

/** __ip_vs_unlink_service(). */
export function removeService(ipvs: Ipvs, service: IpvsService): void {
  const { virtual } = service
  ipvs.services.splice(ipvs.services.indexOf(service), 1)
  if (virtual.kind === 'fwmark') ipvs.byMark.delete(virtual.mark)
  else ipvs.byAddress.delete(virtual.address, scopeOf(virtual.protocol, virtual.port))
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

/** The services that a namespace has. */
export function servicesNow(ns: Namespace): readonly IpvsServiceSpec[] {
  return ns.netfilter.ipvs?.services ?? []
}

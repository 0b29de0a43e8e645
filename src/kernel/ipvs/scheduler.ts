// Which server gets a new connection: net/netfilter/ipvs/ip_vs_{rr,wrr,lc,wlc,sh,dh,sed,nq}.c. All are functions of the
// service's servers, in the order of its list, and of where the last choice was made; none is by chance.
import type { Ipv4 } from '../../net/address.ts'
import type { IpvsServer, IpvsService } from './service.ts'

/** What some schedulers ask of a packet. */
export interface Asked {
  readonly source: Ipv4
  readonly destination: Ipv4
}

/** ip_vs_rr_schedule(): the next server with a weight, beginning behind the last one. */
function roundRobin(service: IpvsService): IpvsServer | undefined {
  const { servers } = service
  for (let step = 1; step <= servers.length; step += 1) {
    const at = (service.cursor + step) % servers.length
    const server = servers[at]
    if (server === undefined || server.weight <= 0) continue
    service.cursor = at
    return server
  }
  return undefined
}

function divisor(left: number, right: number): number {
  return right === 0 ? left : divisor(right, left % right)
}

/** ip_vs_wrr_gcd_weight() and the highest weight of a round; 0 for servers without weight. */
export function weightSteps(servers: readonly IpvsServer[]): {
  readonly step: number
  readonly highest: number
} {
  const weights = servers.map(({ weight }) => weight).filter((weight) => weight > 0)
  if (weights.length === 0) return { step: 1, highest: 0 }
  const step = weights.reduce(divisor)
  return { step, highest: Math.max(...weights) - (step - 1) }
}

/** ip_vs_wrr_schedule(): rounds with a falling weight that a server must have. */
function weightedRoundRobin(service: IpvsService): IpvsServer | undefined {
  const { servers } = service
  const { step, highest } = weightSteps(servers)
  if (highest === 0) return undefined
  if (service.currentWeight <= 0) service.currentWeight = highest
  for (;;) {
    for (let at = service.cursor + 1; at < servers.length; at += 1) {
      const server = servers[at]
      if (server === undefined || server.weight < service.currentWeight) continue
      service.cursor = at
      return server
    }
    service.cursor = -1
    service.currentWeight -= step
    if (service.currentWeight <= 0) service.currentWeight = highest
  }
}

/** The server with the least load for its weight; of equals the first in the list. */
function leastLoaded(
  servers: readonly IpvsServer[],
  load: (server: IpvsServer) => number,
  weighs: 'weighted' | 'equal',
): IpvsServer | undefined {
  let least: IpvsServer | undefined
  for (const server of servers) {
    if (server.weight <= 0) continue
    if (least === undefined) {
      least = server
      continue
    }
    const mine = weighs === 'weighted' ? load(server) * least.weight : load(server)
    const best = weighs === 'weighted' ? load(least) * server.weight : load(least)
    if (mine < best) least = server
  }
  return least
}

/** ip_vs_dest_conn_overhead(). */
function overhead({ active, inactive }: IpvsServer): number {
  return active * 256 + inactive
}

/** ip_vs_sed_dest_overhead(): as if the connection were there already. */
function expectedDelay({ active }: IpvsServer): number {
  return active + 1
}

/** ip_vs_nq_schedule(): a server without connections at once. */
function neverQueue(servers: readonly IpvsServer[]): IpvsServer | undefined {
  return (
    servers.find(({ weight, active }) => weight > 0 && active === 0) ??
    leastLoaded(servers, expectedDelay, 'weighted')
  )
}

const bucketBits = 8

/** hash_32() over an address: the bucket of ip_vs_sh_hashkey() (without sh-port) and ip_vs_dh_hashkey(). */
function bucketOf(address: Ipv4): number {
  return (Math.imul(address, 0x61c8_8647) >>> 0) >>> (32 - bucketBits)
}

/** ip_vs_sh_reassign(): servers fill the 256 buckets in turn, each as many as its weight. */
function sourceHash(service: IpvsService, source: Ipv4): IpvsServer | undefined {
  const { servers } = service
  const round = servers.reduce((sum, { weight }) => sum + Math.max(1, weight), 0)
  if (round === 0) return undefined
  let rest = bucketOf(source) % round
  for (const server of servers) {
    rest -= Math.max(1, server.weight)
    if (rest < 0) return server.weight > 0 ? server : undefined
  }
  return undefined
}

/** ip_vs_dh_reassign(): servers fill the buckets in turn, whatever they weigh. */
function destinationHash({ servers }: IpvsService, destination: Ipv4): IpvsServer | undefined {
  const server = servers[bucketOf(destination) % servers.length]
  return server !== undefined && server.weight > 0 ? server : undefined
}

/** svc->scheduler->schedule(): undefined when no server takes connections. */
export function schedule(service: IpvsService, asked: Asked): IpvsServer | undefined {
  switch (service.scheduler) {
    case 'rr':
      return roundRobin(service)
    case 'wrr':
      return weightedRoundRobin(service)
    case 'lc':
      return leastLoaded(service.servers, overhead, 'equal')
    case 'wlc':
      return leastLoaded(service.servers, overhead, 'weighted')
    case 'sed':
      return leastLoaded(service.servers, expectedDelay, 'weighted')
    case 'nq':
      return neverQueue(service.servers)
    case 'sh':
      return sourceHash(service, asked.source)
    case 'dh':
      return destinationHash(service, asked.destination)
  }
}

// Services and servers that come, change and go while packets pass: ip_vs_add_service(), ip_vs_edit_dest(), ip_vs_del_dest()
// and their kin of net/netfilter/ipvs/ip_vs_ctl.c. Connections stay: those of a server that has gone are dropped packet by
// packet (`expire_nodest_conn`), and a server that comes back has its connections again (ip_vs_trash_get_dest()).
import type { Namespace } from '../namespace.ts'
import { attachServices, releaseServices } from './hooks.ts'
import {
  addServer,
  type Ipvs,
  type IpvsServer,
  type IpvsServerSpec,
  type IpvsService,
  type IpvsServiceSpec,
  removeServer,
  removeService,
  serversChanged,
  serviceOf,
} from './service.ts'

/** `add`: what is not there yet; `replace`: that, and what is there gets the options given; `del`: servers, or a service without any. */
export type ServiceVerb = 'add' | 'replace' | 'del'

function serverOf({ servers }: IpvsService, { address, port }: IpvsServerSpec): IpvsServer | undefined {
  return servers.find((each) => each.address === address && each.port === port)
}

/** __ip_vs_update_dest() of a server that is there: connections that it has keep the way they were sent. */
function editServer(server: IpvsServer, { weight, forward }: IpvsServerSpec): void {
  server.weight = weight
  server.forward = forward
}

/** ip_vs_edit_service(): another scheduler begins anew. */
function editService(service: IpvsService, { scheduler, persistent, netmask }: IpvsServiceSpec): void {
  if (service.scheduler !== scheduler) {
    service.scheduler = scheduler
    service.cursor = -1
    service.currentWeight = 0
  }
  service.persistent = persistent
  service.netmask = netmask
}

function removeFrom(ipvs: Ipvs, service: IpvsService, spec: IpvsServiceSpec, now: number): 'ok' | 'ENOENT' {
  const found = spec.servers.map((server) => serverOf(service, server))
  if (found.includes(undefined)) return 'ENOENT'
  for (const server of found) if (server !== undefined) removeServer(ipvs, service, server, now)
  if (spec.servers.length > 0) return 'ok'
  for (const server of [...service.servers]) removeServer(ipvs, service, server, now)
  removeService(ipvs, service)
  return 'ok'
}

function changeService(
  ipvs: Ipvs,
  service: IpvsService,
  spec: IpvsServiceSpec,
  verb: 'add' | 'replace',
  now: number,
): void {
  if (verb === 'replace') editService(service, spec)
  for (const each of spec.servers) {
    const server = serverOf(service, each)
    if (server === undefined) addServer(ipvs, service, each, now)
    else if (verb === 'replace') editServer(server, each)
  }
  serversChanged(service)
}

/** ipvsadm on a running host: ENOENT when a service or server that shall go is not there, and nothing has gone from it. */
export function changeServices(
  ns: Namespace,
  verb: ServiceVerb,
  specs: readonly IpvsServiceSpec[],
): 'ok' | 'ENOENT' {
  let answer: 'ok' | 'ENOENT' = 'ok'
  const { now } = ns.machine.clock
  for (const spec of specs) {
    const { ipvs } = ns.netfilter
    const service = ipvs === undefined ? undefined : serviceOf(ipvs, spec.virtual)
    if (ipvs === undefined || service === undefined) {
      if (verb === 'del') answer = 'ENOENT'
      else attachServices(ns, [spec])
    } else if (verb !== 'del') changeService(ipvs, service, spec, verb, now)
    else if (removeFrom(ipvs, service, spec, now) === 'ENOENT') answer = 'ENOENT'
  }
  releaseServices(ns)
  return answer
}

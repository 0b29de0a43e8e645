// `ipvsadm -Ln` with `--stats` and `-c`, and `ipvsadm-save -n`: services, servers and connections as ipvsadm 1.31 prints
// them, sorted as it sorts them (libipvs ipvs_cmp_services(), ipvs_cmp_dests()).
import { formatIp, formatIpv4, ipv4From } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { second } from '../clock.ts'
import { type IpvsConnection, listTemplates, sweepConnections } from '../ipvs/connection.ts'
import type { IpvsCounters, IpvsServer, IpvsService, IpvsVirtual } from '../ipvs/service.ts'
import { ipvsStateNames } from '../ipvs/tcp-state.ts'
import type { Namespace } from '../namespace.ts'
import { isStray, type ShowContext, type Shown, shown, unknown, Words } from './command-words.ts'

const oneClient = 0xffff_ffff

function virtualKey(virtual: IpvsVirtual): readonly number[] {
  if (virtual.kind === 'fwmark') return [virtual.mark, 0, 0, 0]
  return [0, virtual.protocol, virtual.address, virtual.port]
}

function compare(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((each, index) => each !== right[index])
  return at === -1 ? 0 : (left[at] ?? 0) - (right[at] ?? 0)
}

function servicesOf(ns: Namespace): readonly IpvsService[] {
  const services = ns.netfilter.ipvs?.services ?? []
  return [...services].sort((left, right) => compare(virtualKey(left.virtual), virtualKey(right.virtual)))
}

function serversOf({ servers }: IpvsService): readonly IpvsServer[] {
  return [...servers].sort((left, right) => compare([left.address, left.port], [right.address, right.port]))
}

function serviceName(virtual: IpvsVirtual): string {
  if (virtual.kind === 'fwmark') return `FWM  ${virtual.mark}`
  const protocol = virtual.protocol === ipProtocol.udp ? 'UDP' : 'TCP'
  return `${protocol}  ${formatIpv4(virtual.address)}:${virtual.port}`
}

function endText({ address, port }: IpvsServer): string {
  return `${formatIpv4(address)}:${port}`
}

function mask({ netmask }: IpvsService): string | undefined {
  return netmask === oneClient ? undefined : formatIpv4(ipv4From(netmask))
}

function serviceLine(service: IpvsService): string {
  const { virtual, scheduler, persistent } = service
  const name = `${serviceName(virtual)} ${scheduler}`
  if (persistent === undefined) return `${name}\n`
  const clients = mask(service)
  return `${name} persistent ${persistent}${clients === undefined ? '' : ` mask ${clients}`}\n`
}

function serverLine(server: IpvsServer): string {
  const { forward, weight, active, inactive } = server
  const method = forward === 'masq' ? 'Masq' : 'Route'
  const columns = [
    endText(server).padEnd(28),
    method.padEnd(7),
    String(weight).padEnd(6),
    String(active).padEnd(10),
    String(inactive).padEnd(10),
  ]
  return `  -> ${columns.join(' ')}\n`
}

function statistics(name: string, counters: IpvsCounters): string {
  const { connections, inPackets, outPackets, inBytes, outBytes } = counters
  const numbers = [connections, inPackets, outPackets, inBytes, outBytes]
  return `${name.padEnd(33)}${numbers.map((each) => ` ${String(each).padStart(8)}`).join('')}\n`
}

const version = 'IP Virtual Server version 1.2.1 (size=4096)\n'

/** `ipvsadm -Ln`. */
function showServices(ns: Namespace): string {
  const { ipvs } = ns.netfilter
  if (ipvs !== undefined) sweepConnections(ipvs.connections, ns.machine.clock.now)
  const head = [
    version,
    'Prot LocalAddress:Port Scheduler Flags\n',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n',
  ]
  const lines = servicesOf(ns).flatMap((service) => [
    serviceLine(service),
    ...serversOf(service).map(serverLine),
  ])
  return [...head, ...lines].join('')
}

/** `ipvsadm -Ln --stats`. */
function showStatistics(ns: Namespace): string {
  const columns = ['Conns', 'InPkts', 'OutPkts', 'InBytes', 'OutBytes'].map((name) => name.padStart(8))
  const head = [
    version,
    `${'Prot LocalAddress:Port'.padEnd(33)} ${columns.join(' ')}\n`,
    '  -> RemoteAddress:Port\n',
  ]
  const lines = servicesOf(ns).flatMap((service) => [
    statistics(serviceName(service.virtual), service.counters),
    ...serversOf(service).map((server) => statistics(`  -> ${endText(server)}`, server.counters)),
  ])
  return [...head, ...lines].join('')
}

/** Minutes and seconds. */
function timeText(left: number): string {
  const whole = Math.max(0, Math.floor(left / second))
  return `${String(Math.floor(whole / 60)).padStart(2, '0')}:${String(whole % 60).padStart(2, '0')}`
}

function connectionLine(connection: IpvsConnection, now: number): string {
  const { original, reply, state, expires } = connection
  const udp = original.protocol === ipProtocol.udp
  const columns = [
    (udp ? 'UDP' : 'TCP').padEnd(3),
    timeText(expires - now).padEnd(6),
    (udp ? 'UDP' : (ipvsStateNames[state] ?? 'NONE')).padEnd(11),
    `${formatIp(original.source)}:${original.sport}`.padEnd(18),
    `${formatIp(original.destination)}:${original.dport}`.padEnd(18),
    `${formatIp(reply.source)}:${reply.sport}`,
  ]
  return `${columns.join(' ')}\n`
}

function templateLines(ns: Namespace): string[] {
  const { ipvs } = ns.netfilter
  const { now } = ns.machine.clock
  const templates = ipvs === undefined ? [] : listTemplates(ipvs.connections, now)
  return templates.map(({ tuple, server, port, expires }) => {
    const name = tuple.protocol === 0 ? 'IP' : tuple.protocol === ipProtocol.udp ? 'UDP' : 'TCP'
    const columns = [
      name.padEnd(3),
      timeText(expires - now).padEnd(6),
      'NONE'.padEnd(11),
      `${formatIp(tuple.source)}:0`.padEnd(18),
      `${formatIp(tuple.destination)}:${tuple.dport}`.padEnd(18),
      `${formatIpv4(server.address)}:${port}`,
    ]
    return `${columns.join(' ')}\n`
  })
}

/** The lines of `ipvsadm -Lnc` without their head: connections in order of creation, then templates. */
export function connectionLines(ns: Namespace): readonly string[] {
  const { ipvs } = ns.netfilter
  const { now } = ns.machine.clock
  if (ipvs === undefined) return []
  sweepConnections(ipvs.connections, now)
  const lines = [...ipvs.connections.all].map((connection) => connectionLine(connection, now))
  return [...lines, ...templateLines(ns)]
}

/** `ipvsadm -Lnc`. */
function showConnections(ns: Namespace): string {
  const head = 'pro expire state       source             virtual            destination\n'
  return ['IPVS connection entries\n', head, ...connectionLines(ns)].join('')
}

/** `ipvsadm-save -n`. */
function showSave(ns: Namespace): string {
  return servicesOf(ns)
    .flatMap((service) => {
      const { virtual, scheduler, persistent } = service
      const flag = virtual.kind === 'address' && virtual.protocol === ipProtocol.udp ? '-u' : '-t'
      const name =
        virtual.kind === 'fwmark'
          ? `-f ${virtual.mark}`
          : `${flag} ${formatIpv4(virtual.address)}:${virtual.port}`
      const clients = mask(service)
      const time = persistent === undefined ? '' : ` -p ${persistent}`
      const head = `-A ${name} -s ${scheduler}${time}${clients === undefined ? '' : ` -M ${clients}`}\n`
      const servers = serversOf(service).map(
        (server) =>
          `-a ${name} -r ${endText(server)} ${server.forward === 'masq' ? '-m' : '-g'} -w ${server.weight}\n`,
      )
      return [head, ...servers]
    })
    .join('')
}

/** `ipvsadm -Ln [--stats]`, `ipvsadm -Lnc`, `ipvsadm-save -n`, `ipvsadm -Sn`. */
export function ipvsadmCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const rest = new Words(words, 1)
  const flags = rest.flags(['-L', '-l', '-n', '-Ln', '-ln', '-Lnc', '-lnc', '-c', '--stats', '-S', '-Sn'])
  const stray = rest.pairs([])
  if (isStray(stray)) return unknown(stray.word)
  if (words[0] === 'ipvsadm-save' || flags.has('-S') || flags.has('-Sn')) return shown(showSave(ns))
  if (flags.has('-c') || flags.has('-Lnc') || flags.has('-lnc')) return shown(showConnections(ns))
  return shown(flags.has('--stats') ? showStatistics(ns) : showServices(ns))
}

// Where a played case and the recorded one agree about netfilter: flows, and how often each rule matched.
import { type Connection, connStatus } from '../../src/kernel/conntrack/connection.ts'
import { conntrackEntries, protocolOf, stateOf } from '../../src/kernel/conntrack/text.ts'
import { isIcmp, type Tuple } from '../../src/kernel/conntrack/tuple.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import { printRule } from '../../src/kernel/netfilter/print.ts'
import { formatIp } from '../../src/net/address.ts'
import type { RecordedCase, RecordedConnection } from './case.ts'
import type { Chosen } from './normalise.ts'

function recordedTuple(tuple: Readonly<Record<string, string>>): string {
  const { src, dst, sport, dport, type, code, id } = tuple
  return `${src} ${dst} ${type === undefined ? `${sport ?? 0} ${dport ?? 0}` : `type ${type} code ${code} id ${id}`}`
}

function recordedFlow({ proto, state, orig, reply, flags }: RecordedConnection): string {
  const marks = [...flags].sort().join(' ')
  return `${proto} ${state ?? '-'} ${recordedTuple(orig)} | ${recordedTuple(reply)} ${marks}`.trimEnd()
}

const vxlanPorts = new Set([4789, 8472])
const vxlanSource = 50_000

function playedTuple({ source, destination, protocol, sport, dport }: Tuple, chosen: Chosen): string {
  const ends = `${formatIp(source)} ${formatIp(destination)}`
  if (isIcmp(protocol)) return `${ends} type ${dport >>> 8} code ${dport & 255} id ${chosen.port(sport)}`
  // the source port of a VXLAN packet is a hash: 50000 stands for it
  if (vxlanPorts.has(dport) && !vxlanPorts.has(sport)) return `${ends} ${vxlanSource} ${dport}`
  if (vxlanPorts.has(sport) && !vxlanPorts.has(dport)) return `${ends} ${sport} ${vxlanSource}`
  return `${ends} ${chosen.port(sport)} ${chosen.port(dport)}`
}

function playedFlow(connection: Connection, chosen: Chosen): string {
  const { status, original, reply } = connection
  const marks = [
    ...((status & connStatus.assured) === 0 ? [] : ['ASSURED']),
    ...((status & connStatus.seenReply) === 0 ? ['UNREPLIED'] : []),
  ].join(' ')
  const tuples = `${playedTuple(original, chosen)} | ${playedTuple(reply, chosen)}`
  return `${protocolOf(connection)} ${stateOf(connection) ?? '-'} ${tuples} ${marks}`.trimEnd()
}

function differences(name: string, want: readonly string[], have: readonly string[]): string[] {
  return [
    ...want.filter((line) => !have.includes(line)).map((line) => `${name} - ${line}`),
    ...have.filter((line) => !want.includes(line)).map((line) => `${name} + ${line}`),
  ]
}

/** Flows that differ; `-` recorded only, `+` played only. */
export function differingFlows(recorded: RecordedCase, machine: Machine, chosen: Chosen): string[] {
  return Object.keys(recorded.topology.namespaces).flatMap((name) => {
    const ns = machine.namespaces.get(name)
    const have = ns === undefined ? [] : conntrackEntries(ns).map((flow) => playedFlow(flow, chosen))
    const want = (recorded.final[name]?.conntrack ?? []).map(recordedFlow)
    return differences(name, want.sort(), have.sort())
  })
}

function playedHits(machine: Machine, name: string): string[] {
  const lines: string[] = []
  for (const [table, { chains }] of machine.namespaces.get(name)?.netfilter.tables?.[4] ?? []) {
    for (const chain of chains.values()) {
      for (const { spec, counters } of chain.rules) {
        if (counters.packets > 0)
          lines.push(`${table} [${counters.packets}] ${printRule(chain.spec.name, spec)}`)
      }
    }
  }
  return lines
}

function recordedHits(text: string): string[] {
  let table = ''
  const lines: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1)
    else if (line !== '') lines.push(`${table} ${line}`)
  }
  return lines
}

/** Rules that matched another number of packets. */
export function differingHits(recorded: RecordedCase, machine: Machine): string[] {
  return Object.keys(recorded.topology.namespaces).flatMap((name) =>
    differences(name, recordedHits(recorded.final[name]?.iptables_counters ?? ''), playedHits(machine, name)),
  )
}

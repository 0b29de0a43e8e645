// Flows as `conntrack -L` prints them, and deleting them as `conntrack -D` does.
import { formatIp, isIpv4 } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { familyState } from '../ip/state.ts'
import type { Namespace } from '../namespace.ts'
import { type Connection, connStatus, type Direction } from './connection.ts'
import { sctpStateNames } from './sctp-track.ts'
import { tcpStateNames } from './tcp-track.ts'
import { secondsLeft } from './timeouts.ts'
import { hasPorts, isIcmp, type Tuple } from './tuple.ts'

const protocolNames: ReadonlyMap<number, string> = new Map([
  [ipProtocol.icmp, 'icmp'],
  [ipProtocol.tcp, 'tcp'],
  [ipProtocol.udp, 'udp'],
  [33, 'dccp'],
  [ipProtocol.gre, 'gre'],
  [ipProtocol.icmp6, 'icmpv6'],
  [ipProtocol.sctp, 'sctp'],
  [136, 'udplite'],
])

/** The state that `conntrack -L` prints: of TCP and SCTP only. */
export function stateOf(connection: Connection): string | undefined {
  if (connection.tcp !== undefined) return tcpStateNames[connection.tcp.state]
  if (connection.original.protocol !== ipProtocol.sctp) return undefined
  return sctpStateNames[connection.sctp?.state ?? 0]
}

/** Name of a flow's protocol as `conntrack -L` prints it. */
export function protocolOf(connection: Connection): string {
  return protocolNames.get(connection.original.protocol) ?? 'unknown'
}

function tupleText({ source, destination, protocol, sport, dport }: Tuple): string {
  const ends = `src=${formatIp(source)} dst=${formatIp(destination)}`
  if (isIcmp(protocol)) return `${ends} type=${dport >>> 8} code=${dport & 0xff} id=${sport}`
  if (protocol === ipProtocol.gre)
    return `${ends} srckey=0x${sport.toString(16)} dstkey=0x${dport.toString(16)}`
  return hasPorts(protocol) ? `${ends} sport=${sport} dport=${dport}` : ends
}

/** ct_general.use: the table's reference, and one for each packet that waits for the MAC of its next hop. */
function usesOf(ns: Namespace, connection: Connection): number {
  let uses = 1
  familyState(ns, connection.original.family).neighbours.entries.forEach(({ queue }) => {
    for (const skb of queue) if (skb.nfct === connection) uses += 1
  })
  return uses
}

/** One line of `conntrack -L`, as `udp      17 29 src=... [UNREPLIED] src=... mark=0 use=1`. */
export function connectionText(ns: Namespace, connection: Connection): string {
  const { original, reply, status, mark, zone } = connection
  const { now } = ns.machine.clock
  const state = stateOf(connection)
  const traffic = (direction: Direction): string => {
    const counter = connection.counters?.[direction]
    return counter === undefined ? '' : ` packets=${counter.packets} bytes=${counter.bytes}`
  }
  const words = [
    `${protocolOf(connection).padEnd(8)} ${original.protocol} ${secondsLeft(connection.expires, now)}`,
    ...(state === undefined ? [] : [state]),
    tupleText(original) + traffic(0),
    ...((status & connStatus.seenReply) === 0 ? ['[UNREPLIED]'] : []),
    tupleText(reply) + traffic(1),
    ...((status & connStatus.assured) === 0 ? [] : ['[ASSURED]']),
    `mark=${mark >>> 0}`,
    ...(zone === 0 ? [] : [`zone=${zone}`]),
    `use=${usesOf(ns, connection)}`,
  ]
  return words.join(' ')
}

/** The flows of a namespace that are alive, in order of confirmation. */
export function conntrackEntries(ns: Namespace, family?: 4 | 6): readonly Connection[] {
  const all = ns.netfilter.conntrack?.list() ?? []
  return family === undefined ? all : all.filter(({ original }) => isIpv4(original.source) === (family === 4))
}

/**
 * What `conntrack -L [-f ipv6] [-p PROTOCOL]` of conntrack-tools 1.4.7 prints, without its last line: in the order of
 * confirmation, which the real hash table does not keep.
 */
export function conntrackText(ns: Namespace, family: 4 | 6 = 4, protocol?: string): string {
  return conntrackEntries(ns, family)
    .filter((connection) => protocol === undefined || protocolOf(connection) === protocol)
    .map((connection) => `${connectionText(ns, connection)}\n`)
    .join('')
}

/** Which flows `conntrack -D` means; what is absent matches every flow. */
export interface ConntrackFilter {
  readonly protocol?: number
  readonly source?: string
  readonly destination?: string
  readonly sport?: number
  readonly dport?: number
  readonly replySource?: string
  readonly replyDestination?: string
}

function fits({ original, reply }: Connection, filter: ConntrackFilter): boolean {
  const same = <T>(wanted: T | undefined, actual: T): boolean => wanted === undefined || wanted === actual
  return (
    same(filter.protocol, original.protocol) &&
    same(filter.source, formatIp(original.source)) &&
    same(filter.destination, formatIp(original.destination)) &&
    same(filter.sport, original.sport) &&
    same(filter.dport, original.dport) &&
    same(filter.replySource, formatIp(reply.source)) &&
    same(filter.replyDestination, formatIp(reply.destination))
  )
}

/** `conntrack -D`: forgets the flows that fit; answers how many. Without a filter `conntrack -F`. */
export function deleteConntrack(ns: Namespace, filter: ConntrackFilter = {}): number {
  const gone = conntrackEntries(ns).filter((connection) => fits(connection, filter))
  for (const connection of gone) ns.netfilter.conntrack?.remove(connection)
  return gone.length
}

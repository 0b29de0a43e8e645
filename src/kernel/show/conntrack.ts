// `conntrack -L`: the tracked flows as conntrack-tools 1.4.7 prints them. Reference counts are those of a flow that nobody
// is looking at.
import { formatIp } from '../../net/address.ts'
import { ipProtocol, ipProtocolName } from '../../net/protocol.ts'
import { second } from '../clock.ts'
import { type Connection, connStatus } from '../conntrack/connection.ts'
import { tcpStateNames } from '../conntrack/tcp-track.ts'
import { hasPorts, isIcmp, type Tuple } from '../conntrack/tuple.ts'
import type { Namespace } from '../namespace.ts'

function tupleText(tuple: Tuple): string {
  const ends = `src=${formatIp(tuple.source)} dst=${formatIp(tuple.destination)} `
  if (hasPorts(tuple.protocol)) return `${ends}sport=${tuple.sport} dport=${tuple.dport} `
  if (!isIcmp(tuple.protocol)) return ends
  return `${ends}type=${tuple.dport >> 8} code=${tuple.dport & 0xff} id=${tuple.sport} `
}

function stateText(connection: Connection): string {
  if (connection.original.protocol !== ipProtocol.tcp || connection.tcp === undefined) return ''
  return `${tcpStateNames[connection.tcp.state] ?? 'NONE'} `
}

/** The tool's own word; ICMPv6 is `icmpv6`. */
function protocolText(protocol: number): string {
  return protocol === ipProtocol.icmp6 ? 'icmpv6' : ipProtocolName(protocol)
}

function connectionText(connection: Connection, now: number): string {
  const { original, reply, status } = connection
  const seconds = Math.max(0, Math.floor((connection.expires - now) / second))
  const unreplied = (status & connStatus.seenReply) === 0 ? '[UNREPLIED] ' : ''
  const assured = (status & connStatus.assured) === 0 ? '' : '[ASSURED] '
  const zone = connection.zone === 0 ? '' : `zone=${connection.zone} `
  return [
    `${protocolText(original.protocol).padEnd(8)} ${original.protocol} ${seconds} ${stateText(connection)}`,
    tupleText(original),
    unreplied,
    tupleText(reply),
    assured,
    `mark=${connection.mark >>> 0} ${zone}use=1\n`,
  ].join('')
}

/** `conntrack -L [-f ipv6] [-p PROTOCOL]`: in the order of confirmation, which the real hash table does not keep. */
export function showConntrack(
  ns: Namespace,
  options: { readonly family: 4 | 6; readonly protocol: string | undefined },
): string {
  const { now } = ns.machine.clock
  const flows = (ns.netfilter.conntrack?.list() ?? []).filter(
    ({ original }) => original.family === options.family,
  )
  return flows
    .filter(
      ({ original }) =>
        options.protocol === undefined || protocolText(original.protocol) === options.protocol,
    )
    .map((connection) => connectionText(connection, now))
    .join('')
}

// Tracked flows as a reviewer reads them: one line each, the reply only where NAT made it differ, no timeouts.
//   ct4 udp 10.0.1.2:5000 > 10.96.0.10:53 reply 10.0.2.2:5353 > 10.0.1.2:5000 unreplied
import { type Connection, connStatus } from '../kernel/conntrack/connection.ts'
import { conntrackEntries, protocolOf, stateOf } from '../kernel/conntrack/text.ts'
import { hasPorts, isIcmp, type Tuple } from '../kernel/conntrack/tuple.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { formatIp, type IpAddress, isIpv4, sameIp } from '../net/address.ts'
import type { StateLine } from '../trace/event.ts'

function end(address: IpAddress, port: number, protocol: number): string {
  const text = formatIp(address)
  if (!hasPorts(protocol)) return text
  return isIpv4(address) ? `${text}:${port}` : `[${text}]:${port}`
}

function way({ source, destination, protocol, sport, dport }: Tuple): string {
  const ends = `${end(source, sport, protocol)} > ${end(destination, dport, protocol)}`
  return isIcmp(protocol) ? `${ends} id ${sport}` : ends
}

/** Whether the reply is anything but the request turned round. */
function isTranslated({ original, reply }: Connection): boolean {
  const sameEnds = sameIp(original.source, reply.destination) && sameIp(original.destination, reply.source)
  if (!sameEnds) return true
  if (isIcmp(original.protocol)) return original.sport !== reply.sport
  return original.sport !== reply.dport || original.dport !== reply.sport
}

function lineOf(connection: Connection): StateLine {
  const { original, reply, status, mark, zone } = connection
  const state = stateOf(connection)?.toLowerCase().replaceAll('_', '-')
  const words = [
    protocolOf(connection),
    way(original),
    ...(isTranslated(connection) ? [`reply ${way(reply)}`] : []),
    ...(state === undefined ? [] : [state]),
    ...((status & connStatus.seenReply) === 0 ? ['unreplied'] : []),
    ...((status & connStatus.assured) === 0 ? [] : ['assured']),
    ...(mark === 0 ? [] : [`mark 0x${mark.toString(16)}`]),
    ...(zone === 0 ? [] : [`zone ${zone}`]),
  ]
  return { word: isIpv4(original.source) ? 'ct4' : 'ct6', text: words.join(' ') }
}

/** The flows of a namespace, in order of confirmation. */
export function conntrackLines(ns: Namespace): StateLine[] {
  return conntrackEntries(ns).map(lineOf)
}

/** The flows that NAT changed. */
export function natLines(ns: Namespace): StateLine[] {
  return conntrackEntries(ns).filter(isTranslated).map(lineOf)
}

// A name server for the endpoints of a scenario: answers with the addresses that the file gives, NXDOMAIN for other names.
import { serveUdp } from '../kernel/socket/program.ts'
import type { UdpSocket } from '../kernel/socket/udp-socket.ts'
import { type IpAddress, isIpv4 } from '../net/address.ts'
import {
  type DnsMessage,
  type DnsRecord,
  dnsAnswer,
  dnsCode,
  dnsType,
  readDns,
  writeDns,
} from '../net/dns.ts'

/** A name and the addresses that it has. */
export interface DnsZoneEntry {
  readonly name: string
  readonly addresses: readonly IpAddress[]
}

/** Seconds that an answer may be kept. */
const timeToLive = 30

function sameName(left: string, right: string): boolean {
  return left.replace(/\.$/, '').toLowerCase() === right.replace(/\.$/, '').toLowerCase()
}

/** The answer to a query: a known name without an address of the asked family has no answers. */
export function answerQuery(query: DnsMessage, zone: readonly DnsZoneEntry[]): DnsMessage {
  const entries = zone.filter(({ name }) => sameName(name, query.name))
  if (entries.length === 0) return dnsAnswer(query, dnsCode.NXDOMAIN, [])
  const records = entries
    .flatMap(({ addresses }) => addresses)
    .filter((address) => query.type === (isIpv4(address) ? dnsType.A : dnsType.AAAA))
    .map((address): DnsRecord => ({ name: query.name, type: query.type, ttl: timeToLive, address }))
  return dnsAnswer(query, dnsCode.NOERROR, records)
}

/** `listen udp 53 dns`: answers every query; what is none is ignored. */
export function serveDns(socket: UdpSocket, zone: readonly DnsZoneEntry[]): void {
  serveUdp(
    socket,
    ({ data }) => {
      const query = readDns(data)
      return query === undefined || query.isResponse ? undefined : writeDns(answerQuery(query, zone))
    },
    'response',
  )
}

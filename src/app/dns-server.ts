// A name server for the endpoints of a scenario: answers with the addresses that the file gives, NXDOMAIN for other names.
import { serveTcp, serveUdp } from '../kernel/socket/program.ts'
import { tcpSend } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
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
import { DnsStream, framedDns } from './dns-stream.ts'

/** A name and the addresses that it has. */
export interface DnsZoneEntry {
  readonly name: string
  readonly addresses: readonly IpAddress[]
  /** Seconds that the answer may be kept, 30 where it is absent. */
  readonly ttl?: number
}

const timeToLive = 30

function sameName(left: string, right: string): boolean {
  return left.replace(/\.$/, '').toLowerCase() === right.replace(/\.$/, '').toLowerCase()
}

/** The answer to a query: a known name without an address of the asked family has no answers. */
export function answerQuery(query: DnsMessage, zone: readonly DnsZoneEntry[]): DnsMessage {
  const entries = zone.filter(({ name }) => sameName(name, query.name))
  if (entries.length === 0) return dnsAnswer(query, dnsCode.NXDOMAIN, [])
  const records = entries
    .flatMap(({ addresses, ttl = timeToLive }) => addresses.map((address) => ({ address, ttl })))
    .filter(({ address }) => query.type === (isIpv4(address) ? dnsType.A : dnsType.AAAA))
    .map(({ address, ttl }): DnsRecord => ({ name: query.name, type: query.type, ttl, address }))
  return dnsAnswer(query, dnsCode.NOERROR, records)
}

/** What a name server writes when it has read this; undefined for what is no query. */
export function answerBytes(data: Uint8Array, zone: readonly DnsZoneEntry[]): Uint8Array | undefined {
  const query = readDns(data)
  return query === undefined || query.isResponse ? undefined : writeDns(answerQuery(query, zone))
}

/** `listen udp 53 dns`: answers every query; what is none is ignored. */
export function serveDns(socket: UdpSocket, zone: readonly DnsZoneEntry[]): void {
  serveUdp(socket, ({ data }) => answerBytes(data, zone), 'response')
}

/** `listen tcp 53 dns`: the same over connections, each message behind its length. */
export function serveDnsStream(listener: TcpSocket, zone: readonly DnsZoneEntry[]): void {
  const streams = new WeakMap<TcpSocket, DnsStream>()
  serveTcp(listener, {
    accepted: (connection) => streams.set(connection, new DnsStream()),
    received: (connection, data) => {
      const stream = streams.get(connection)
      const cause = connection.newest?.record?.name ?? ''
      stream?.push(data)
      for (let message = stream?.take(); message !== undefined; message = stream?.take()) {
        const answer = answerBytes(message, zone)
        if (answer !== undefined) tcpSend(connection, framedDns(answer), { name: 'response', cause })
      }
      return undefined
    },
  })
}

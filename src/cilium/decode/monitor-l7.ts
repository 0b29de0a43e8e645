// A record of the access log as `cilium monitor` prints it: pkg/monitor/logrecord.go DumpInfo().
import { dnsTypeName } from '../../net/dns.ts'
import type { LogEndpoint, LogRecord } from '../proxy/access-log.ts'

/** The labels of an end of a record. */
export type LabelsOf = (end: LogEndpoint) => readonly string[]

function endText(end: LogEndpoint, labelsOf: LabelsOf): string {
  return `${end.id} ([${labelsOf(end).join(' ')}])`
}

function messageText({ type, http, dns }: LogRecord): string {
  if (http !== undefined) return ` ${http.method} ${http.url} => ${http.code}`
  if (dns === undefined) return ''
  const query = ` DNS proxy: ${dns.query} ${dns.qtypes.map(dnsTypeName).join(',')}`
  if (type === 'Request') return query
  const names = dns.cnames.length === 0 ? '' : ` CNAMEs: ${dns.cnames.join(',')}`
  return `${query} TTL: ${dns.ttl} Answer: '${dns.ips.join(',')}'${names}`
}

/** One line. */
export function accessLogLine(record: LogRecord, labelsOf: LabelsOf): string {
  const { type, point, source, destination, verdict, http } = record
  const arrow = point === 'Ingress' ? '<-' : '->'
  const protocol = http === undefined ? 'dns' : 'http'
  const [from, to] = [endText(source, labelsOf), endText(destination, labelsOf)]
  const ends = type === 'Request' ? `from ${from} to ${to}` : `to ${to} from ${from}`
  const identities = `identity ${source.identity}->${destination.identity}`
  return `${arrow} ${type} ${protocol} ${ends}, ${identities}, verdict ${verdict}${messageText(record)}`
}

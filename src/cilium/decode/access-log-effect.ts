// The access log as lines of a trace: `accesslog Request Forwarded GET http://api/public/a`.
import { dnsCodeName, dnsTypeName } from '../../net/dns.ts'
import type { EffectLine, RecordDecoder } from '../../trace/effects/decoders.ts'
import { type LogRecord, readLogRecord } from '../proxy/access-log.ts'

function messageText({ type, http, dns }: LogRecord): string {
  if (http !== undefined) {
    const request = `${http.method} ${http.url}`
    return type === 'Request' ? request : `${http.code} ${request}`
  }
  if (dns === undefined) return ''
  const query = `${dns.query} ${dns.qtypes.map(dnsTypeName).join(',')}`
  if (type === 'Request') return query
  const answer = dns.rcode === 0 ? [...dns.cnames, ...dns.ips].join(',') : dnsCodeName(dns.rcode)
  return `${query} ${answer}`.trimEnd()
}

/** What a proxy logged, a line each. */
export const accessLogEffect: RecordDecoder = ({ bytes }) => {
  const record = readLogRecord(bytes)
  if (record === undefined) return []
  const { type, verdict } = record
  const line: EffectLine = { order: 'monitor', text: `accesslog ${type} ${verdict} ${messageText(record)}` }
  return [line]
}

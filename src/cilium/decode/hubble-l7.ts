// A record of the access log as a flow of Hubble's API: pkg/hubble/parser/seven/parser.go, http.go, dns.go.
import { present } from '../../base/assert.ts'
import { parseIp } from '../../net/address.ts'
import { dnsCode, dnsTypeName } from '../../net/dns.ts'
import { type HttpHeader, headerOf } from '../../net/http.ts'
import { ipProtocol } from '../../net/protocol.ts'
import {
  accessLogType,
  type LogDns,
  type LogEndpoint,
  type LogHttp,
  type LogRecord,
} from '../proxy/access-log.ts'
import { type FlowContext, timeText, withoutZeros } from './hubble.ts'

type Json = { readonly [name: string]: unknown }

/** When requests were logged, by their x-request-id: the time of the response tells how long it took. */
export type RequestTimes = Map<string, number>

const verdicts = { Forwarded: 'FORWARDED', Denied: 'DROPPED', Error: 'ERROR' } as const

/** `X-Request-Id`, as Go writes the names of headers. */
function canonical(name: string): string {
  return name
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1).toLowerCase())
    .join('-')
}

function headersOf(headers: readonly HttpHeader[]): readonly Json[] {
  return headers
    .map(({ name, value }) => ({ key: canonical(name), value }))
    .sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0))
}

function httpOf({ code, method, url, protocol, headers }: LogHttp): Json {
  return withoutZeros({ code, method, url, protocol, headers: headersOf(headers) })
}

function dnsOf(type: LogRecord['type'], dns: LogDns): Json {
  const { query, ips, ttl, cnames, rcode, qtypes, answerTypes } = dns
  const asked = { query, observation_source: 'proxy', qtypes: qtypes.map(dnsTypeName) }
  if (type === 'Request') return withoutZeros(asked)
  return withoutZeros({ ...asked, ips, ttl, cnames, rcode, rrtypes: answerTypes.map(dnsTypeName) })
}

/** gopacket's names of response codes. */
const codeTexts: Readonly<Record<number, string>> = {
  [dnsCode.FORMERR]: 'Format Error',
  [dnsCode.SERVFAIL]: 'Server Failure ',
  [dnsCode.NXDOMAIN]: 'Non-Existent Domain',
  [dnsCode.NOTIMP]: 'Not Implemented',
  [dnsCode.REFUSED]: 'Query Refused',
}

function dnsSummary(type: LogRecord['type'], { query, qtypes, rcode, ips, cnames, ttl }: LogDns): string {
  const types = qtypes.map(dnsTypeName).join(',')
  if (type === 'Request') return `DNS Query ${query} ${types}`
  const parts = [
    ...(ips.length === 0 ? [] : [`"${ips.join(',')}"`]),
    ...(cnames.length === 0 ? [] : [`CNAMEs: "${cnames.join(',')}"`]),
  ]
  const answer = rcode === 0 ? parts.join(' ') : `RCode: ${codeTexts[rcode] ?? rcode}`
  return `DNS Answer ${answer} TTL: ${ttl} (Proxy ${query} ${types})`
}

function summaryOf({ type, http, dns }: LogRecord, latency: number): string {
  if (dns !== undefined) return dnsSummary(type, dns)
  if (http === undefined) return ''
  const request = `${http.method} ${http.url}`
  if (type === 'Request') return `${http.protocol} ${request}`
  return `${http.protocol} ${http.code} ${Math.floor(latency / 1e6)}ms (${request})`
}

/** computeResponseTime(), in nanoseconds. */
function latencyOf({ type, http }: LogRecord, time: number, times: RequestTimes): number {
  const id = http === undefined ? undefined : headerOf(http.headers, 'x-request-id')
  if (id === undefined) return 0
  if (type === 'Request') {
    times.set(id, time)
    return 0
  }
  const started = times.get(id)
  times.delete(id)
  return started === undefined ? 0 : time - started
}

function endOf({ address, identity }: LogEndpoint, { endpoint }: FlowContext) {
  return endpoint(present(parseIp(address), `an access log's address ${address}`), identity)
}

/** One line of an export. */
export function accessLogFlow(record: LogRecord, context: FlowContext, times: RequestTimes): Json {
  const { type, point, verdict, isIpv6, protocol, source, destination, http, dns } = record
  const latency = latencyOf(record, context.time, times)
  const time = timeText(context.time)
  const isReply = type === 'Response'
  const ports = withoutZeros({ source_port: source.port, destination_port: destination.port })
  const l7 = withoutZeros({
    type: type.toUpperCase(),
    // 64 bits are text in protobuf's JSON
    latency_ns: latency === 0 ? undefined : String(latency),
    http: http === undefined ? undefined : httpOf(http),
    dns: dns === undefined ? undefined : dnsOf(type, dns),
  })
  const flow = {
    ...withoutZeros({
      time,
      uuid: context.uuid,
      verdict: verdicts[verdict],
      IP: { source: source.address, destination: destination.address, ipVersion: isIpv6 ? 'IPv6' : 'IPv4' },
      l4: { [protocol === ipProtocol.tcp ? 'TCP' : 'UDP']: ports },
      source: endOf(source, context),
      destination: endOf(destination, context),
      Type: 'L7',
      node_name: context.nodeName,
      l7,
      reply: isReply,
      event_type: { type: accessLogType },
      traffic_direction: point.toUpperCase(),
      Summary: summaryOf(record, latency),
    }),
    is_reply: isReply,
  }
  return { flow, node_name: context.nodeName, time }
}

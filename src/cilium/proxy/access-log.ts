// Records of the proxies' access log as the agent hands them to its monitor (message type 129, pkg/proxy/accesslog/record.go
// LogRecord). The agent sends them to its listeners, not through the perf ring of the programs; in place of Go's gob
// encoding the bytes behind the type are JSON.
import { formatIp, type IpAddress, isIpv4 } from '../../net/address.ts'
import type { HttpHeader } from '../../net/http.ts'

/** MessageTypeAccessLog (pkg/monitor/api/types.go). */
export const accessLogType = 129

/** Where records stand in a trace. */
export const accessLogMap = 'accesslog'

/** One end: its number where it is an endpoint of the node, and its identity. */
export interface LogEndpoint {
  readonly id: number
  readonly address: string
  readonly port: number
  readonly identity: number
}

export interface LogHttp {
  /** 0 for requests. */
  readonly code: number
  readonly method: string
  readonly url: string
  /** `HTTP/1.1`. */
  readonly protocol: string
  readonly headers: readonly HttpHeader[]
}

export interface LogDns {
  readonly query: string
  readonly ips: readonly string[]
  /** Seconds; the least of the answers. */
  readonly ttl: number
  readonly cnames: readonly string[]
  readonly rcode: number
  readonly qtypes: readonly number[]
  readonly answerTypes: readonly number[]
}

export interface LogRecord {
  readonly type: 'Request' | 'Response'
  readonly point: 'Ingress' | 'Egress'
  readonly verdict: 'Forwarded' | 'Denied' | 'Error'
  /** `envoy` or `fqdn`: who wrote it. */
  readonly proxy: 'envoy' | 'fqdn'
  readonly isIpv6: boolean
  /** IP protocol number. */
  readonly protocol: number
  readonly source: LogEndpoint
  readonly destination: LogEndpoint
  readonly http?: LogHttp
  readonly dns?: LogDns
}

/** The ends of a record, by the packet's direction: a response comes from where the request went to. */
export function logEnds(
  type: LogRecord['type'],
  from: LogEndpoint,
  to: LogEndpoint,
): Pick<LogRecord, 'source' | 'destination'> {
  return type === 'Request' ? { source: from, destination: to } : { source: to, destination: from }
}

/** One end of a record. */
export function logEndpoint(
  id: number,
  at: { readonly address: IpAddress; readonly port: number },
  identity: number,
): LogEndpoint {
  return { id, address: formatIp(at.address), port: at.port, identity }
}

/** Whether an address makes a record one of IPv6. */
export function isSix(address: IpAddress): boolean {
  return !isIpv4(address)
}

/** The record as the monitor gets it. */
export function writeLogRecord(record: LogRecord): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(record))
  const bytes = new Uint8Array(text.length + 1)
  bytes[0] = accessLogType
  bytes.set(text, 1)
  return bytes
}

/** The record in a message of the monitor; undefined for other messages. */
export function readLogRecord(bytes: Uint8Array): LogRecord | undefined {
  if (bytes[0] !== accessLogType) return undefined
  return JSON.parse(new TextDecoder().decode(bytes.subarray(1))) as LogRecord
}

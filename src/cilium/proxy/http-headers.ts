// What Envoy's HTTP connection manager and router do to messages on their way, as Cilium configures them
// (pkg/envoy/xds_server.go getHttpFilterChainProto): names in lower case, what was added for the server and for the client.
import type { IpAddress } from '../../net/address.ts'
import {
  type HttpHeader,
  type HttpRequest,
  type HttpResponse,
  headerOf,
  httpDate,
  reasonPhrase,
} from '../../net/http.ts'
import { covers, parsePrefix } from '../../net/prefix.ts'

/** GetInternalListenerCIDRs() */
const internal = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '127.0.0.1/32', '::1/128']

function isInternal(address: IpAddress): boolean {
  return internal.some((text) => {
    const prefix = parsePrefix(text)
    return prefix !== undefined && covers(prefix, address)
  })
}

/** Headers of one connection (RFC 9110 section 7.6.1). */
const ofConnection: readonly string[] = ['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'te']

function lowered(headers: readonly HttpHeader[]): readonly HttpHeader[] {
  return headers
    .map(({ name, value }) => ({ name: name.toLowerCase(), value }))
    .filter(({ name }) => !ofConnection.includes(name))
}

function withHeader(headers: readonly HttpHeader[], name: string, value: string): readonly HttpHeader[] {
  return headers.some((each) => each.name === name)
    ? headers.map((each) => (each.name === name ? { name, value } : each))
    : [...headers, { name, value }]
}

/** A UUID of version 4 from four random words. */
export function uuid(word: (index: number) => number): string {
  const hex = [0, 1, 2, 3].map((index) => (word(index) >>> 0).toString(16).padStart(8, '0')).join('')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** ConnectionManagerUtility::mutateRequestHeaders(): what a filter sees of a request from a client. */
export function requestHeaders(request: HttpRequest, client: IpAddress, id: string): readonly HttpHeader[] {
  let headers = lowered(request.headers)
  headers = withHeader(headers, 'x-forwarded-proto', 'http')
  const isForwarded = headerOf(headers, 'x-forwarded-for') !== undefined
  if (isInternal(client) && !isForwarded) headers = withHeader(headers, 'x-envoy-internal', 'true')
  return withHeader(headers, 'x-request-id', id)
}

/** http-request-timeout (one hour), which the router tells the server. */
const requestTimeout = '3600000'

/** The request as it leaves for the server: the host first, as the codec writes it. */
export function upstreamRequest(
  request: HttpRequest,
  path: string,
  headers: readonly HttpHeader[],
): HttpRequest {
  const host = headers.filter(({ name }) => name === 'host')
  const rest = headers.filter(({ name }) => name !== 'host')
  const told = withHeader(rest, 'x-envoy-expected-rq-timeout-ms', requestTimeout)
  return { ...request, target: path, version: 'HTTP/1.1', headers: [...host, ...told] }
}

/** The response as it leaves for the client. Times in nanoseconds since 1970. */
export function downstreamResponse(
  response: HttpResponse,
  at: { readonly now: number; readonly took: number },
): HttpResponse {
  let headers = lowered(response.headers)
  headers = withHeader(headers, 'x-envoy-upstream-service-time', String(Math.floor(at.took / 1e6)))
  headers = withHeader(headers, 'date', httpDate(at.now))
  return { ...response, version: 'HTTP/1.1', headers: withHeader(headers, 'server', 'envoy') }
}

/** sendLocalReply(): an answer of Envoy's own. */
export function localReply(
  status: number,
  text: string,
  now: number,
  extra: readonly HttpHeader[] = [],
): HttpResponse {
  const body = new TextEncoder().encode(text)
  const length = { name: 'content-length', value: String(body.length) }
  return {
    kind: 'response',
    version: 'HTTP/1.1',
    status,
    reason: reasonPhrase(status),
    headers: [
      ...extra,
      ...(body.length === 0 ? [] : [length, { name: 'content-type', value: 'text/plain' }]),
      { name: 'date', value: httpDate(now) },
      { name: 'server', value: 'envoy' },
      ...(body.length === 0 ? [length] : []),
    ],
    body,
  }
}

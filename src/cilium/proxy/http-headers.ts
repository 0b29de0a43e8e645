// What Envoy's HTTP connection manager and router do to messages on their way, as Cilium configures them
// (pkg/envoy/xds_server.go getHttpFilterChainProto): names in lower case, what was added for the server and for the client.
import type { IpAddress } from '../../net/address.ts'
import {
  type HttpHeader,
  type HttpRequest,
  type HttpResponse,
  headerOf,
  httpDate,
  isChunked,
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

/** The codec writes it anew, behind all others. */
const transferEncoding = 'transfer-encoding'

function lowered(headers: readonly HttpHeader[]): readonly HttpHeader[] {
  return headers
    .map(({ name, value }) => ({ name: name.toLowerCase(), value }))
    .filter(({ name }) => !ofConnection.includes(name))
}

/** Headers without the one that says how the body comes. */
export function withoutTransferEncoding(headers: readonly HttpHeader[]): readonly HttpHeader[] {
  return headers.filter(({ name }) => name !== transferEncoding)
}

function withHeader(headers: readonly HttpHeader[], name: string, value: string): readonly HttpHeader[] {
  return headers.some((each) => each.name === name)
    ? headers.map((each) => (each.name === name ? { name, value } : each))
    : [...headers, { name, value }]
}

/** ConnectionManagerUtility::mutateRequestHeaders(): what a filter sees of a request from a client. */
export function requestHeaders(request: HttpRequest, client: IpAddress, id: string): readonly HttpHeader[] {
  let headers = withoutTransferEncoding(lowered(request.headers))
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
  const chunked = isChunked(request) ? [{ name: transferEncoding, value: 'chunked' }] : []
  return { ...request, target: path, version: 'HTTP/1.1', headers: [...host, ...told, ...chunked] }
}

/** A server's response as filters see it: names in lower case, and how long the server took (nanoseconds). */
export function filteredResponse(response: HttpResponse, took: number): HttpResponse {
  const headers = lowered(response.headers)
  const time = String(Math.floor(took / 1e6))
  return {
    ...response,
    version: 'HTTP/1.1',
    headers: withHeader(headers, 'x-envoy-upstream-service-time', time),
  }
}

/** sendLocalReply(): an answer of Envoy's own, as filters see it. */
export function localReply(status: number, text: string, extra: readonly HttpHeader[] = []): HttpResponse {
  const body = new TextEncoder().encode(text)
  const own = [
    { name: 'content-length', value: String(body.length) },
    { name: 'content-type', value: 'text/plain' },
  ]
  return {
    kind: 'response',
    version: 'HTTP/1.1',
    status,
    reason: reasonPhrase(status),
    headers: [...extra, ...(body.length === 0 ? [] : own)],
    body,
  }
}

/** The response as it leaves for the client: what the connection manager and the codec add. `now`: nanoseconds since 1970. */
export function sentResponse(response: HttpResponse, now: number): HttpResponse {
  const own = withoutTransferEncoding(response.headers)
  const dated = withHeader(withHeader(own, 'date', httpDate(now)), 'server', 'envoy')
  const isLocal = headerOf(response.headers, 'x-envoy-upstream-service-time') === undefined
  const hasLength = headerOf(response.headers, 'content-length') !== undefined
  const length = isLocal && !hasLength ? [{ name: 'content-length', value: '0' }] : []
  const chunked = isChunked(response) ? [{ name: transferEncoding, value: 'chunked' }] : []
  return { ...response, headers: [...dated, ...length, ...chunked] }
}

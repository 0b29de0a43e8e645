// Lines of the access log about HTTP: accesslog.cc of cilium/proxy, and what the agent makes of them (pkg/envoy/accesslog.go).
import type { SocketAddress } from '../../kernel/socket/hooks.ts'
import { type HttpHeader, type HttpRequest, type HttpResponse, headerOf } from '../../net/http.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { isSix, type LogHttp, type LogRecord, logEndpoint, logEnds } from './access-log.ts'
import type { ProxyDialect } from './dialect.ts'
import { sentResponse, withoutTransferEncoding } from './http-headers.ts'
import { endpointAt, identityAt, type ProxyNode } from './proxy-node.ts'

/** Who asks whom over a connection. */
interface LoggedEnds {
  readonly client: SocketAddress
  readonly server: SocketAddress
  readonly sourceIdentity: number
  /** 0 on ingress. */
  readonly destinationIdentity: number
}

interface LoggedRequest {
  readonly request: HttpRequest
  readonly path: string
  readonly headers: readonly HttpHeader[]
}

interface About {
  readonly ingress: boolean
  readonly verdict: LogRecord['verdict']
  /** As filters saw it. */
  readonly response: HttpResponse | undefined
  readonly now: number
}

/** Headers of a logged response: its own, and the request's x-request-id. */
function answered(
  dialect: ProxyDialect,
  response: HttpResponse,
  asked: readonly HttpHeader[],
  now: number,
): readonly HttpHeader[] {
  const id = asked.filter(({ name }) => name === 'x-request-id')
  if (dialect.logsBeforeManager) return [...id, ...response.headers]
  return [...withoutTransferEncoding(sentResponse(response, now).headers), ...id]
}

/** A line about a request, or about what was answered to it. */
export function httpRecord(
  node: ProxyNode,
  { client, server, sourceIdentity, destinationIdentity }: LoggedEnds,
  { request, path, headers }: LoggedRequest,
  { ingress, verdict, response, now }: About,
): LogRecord {
  const type = response === undefined || verdict === 'Denied' ? 'Request' : 'Response'
  const to = endpointAt(node, server.address)
  const known =
    destinationIdentity === 0 ? (to?.identity.id ?? identityAt(node, server.address)) : destinationIdentity
  const http: LogHttp = {
    code: response?.status ?? 0,
    method: request.method,
    url: `http://${headerOf(headers, 'host') ?? ''}${path}`,
    // GetProtocol()
    protocol: request.version === 'HTTP/1.0' ? 'HTTP/1' : request.version,
    headers:
      response === undefined
        ? headers.filter(({ name }) => name !== 'host')
        : answered(node.dialect, response, headers, now),
  }
  return {
    type,
    point: ingress ? 'Ingress' : 'Egress',
    verdict,
    proxy: 'envoy',
    isIpv6: isSix(client.address),
    protocol: ipProtocol.tcp,
    ...logEnds(
      type,
      logEndpoint(endpointAt(node, client.address)?.id ?? 0, client, sourceIdentity),
      logEndpoint(to?.id ?? 0, server, known),
    ),
    http,
  }
}

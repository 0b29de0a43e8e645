// A web server for the endpoints of a scenario: answers every request of a connection with one status and body.
import { failed } from '../kernel/socket/errno.ts'
import { serveTcp } from '../kernel/socket/program.ts'
import { tcpClose, tcpSend } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import { letters } from '../net/bytes.ts'
import { type HttpMessage, type HttpResponse, headerOf, reasonPhrase, writeHttp } from '../net/http.ts'
import { HttpStream } from './http-stream.ts'

/** What a server answers. */
export interface HttpAnswer {
  readonly status: number
  /** Length of the body (bytes). */
  readonly bytes: number
  /** The body comes in chunks, without a length. */
  readonly chunked?: boolean
}

/** The answer to a request; HEAD gets the headers alone. */
export function httpAnswer(
  request: HttpMessage,
  { status, bytes, chunked = false }: HttpAnswer,
): HttpResponse {
  const hasBody = status >= 200 && status !== 204 && status !== 304
  const isHead = request.kind === 'request' && request.method === 'HEAD'
  const headers = [
    { name: 'Server', value: 'scn' },
    ...(hasBody
      ? [
          { name: 'Content-Type', value: 'text/plain' },
          chunked
            ? { name: 'Transfer-Encoding', value: 'chunked' }
            : { name: 'Content-Length', value: String(bytes) },
        ]
      : []),
  ]
  return {
    kind: 'response',
    version: 'HTTP/1.1',
    status,
    reason: reasonPhrase(status),
    headers,
    ...(isHead ? { bodiless: true } : {}),
    body: hasBody && !isHead ? letters(bytes) : new Uint8Array(0),
  }
}

/** The peer wants the connection to end behind this message. */
export function wantsClose({ version, headers }: HttpMessage): boolean {
  const connection = headerOf(headers, 'connection')?.toLowerCase()
  return connection === 'close' || (version === 'HTTP/1.0' && connection !== 'keep-alive')
}

/** `listen tcp 80 http`: serves every connection of a listener. What is no request is answered with 400. */
export function serveHttp(listener: TcpSocket, answer: HttpAnswer): void {
  const streams = new WeakMap<TcpSocket, HttpStream>()
  serveTcp(listener, {
    accepted: (connection) => streams.set(connection, new HttpStream()),
    received: (connection, data) => {
      const stream = streams.get(connection) ?? new HttpStream()
      const cause = connection.newest?.record?.name ?? ''
      stream.push(data)
      for (;;) {
        const message = stream.take()
        if (message === undefined) return undefined
        const bad = message === 'malformed' || message.kind !== 'request'
        const response = bad ? badRequest() : httpAnswer(message, answer)
        const sent = tcpSend(connection, writeHttp(response), { name: 'response', cause })
        if (failed(sent)) return undefined
        if (bad || wantsClose(message)) {
          tcpClose(connection)
          return undefined
        }
      }
    },
  })
}

function badRequest(): HttpResponse {
  return {
    kind: 'response',
    version: 'HTTP/1.1',
    status: 400,
    reason: reasonPhrase(400),
    headers: [
      { name: 'Content-Length', value: '0' },
      { name: 'Connection', value: 'close' },
    ],
    body: new Uint8Array(0),
  }
}

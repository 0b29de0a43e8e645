// A flow of HTTP: what a web client does with a connection. Without `open` the first request connects, and the connection is
// closed when the block ends; with `open` it stays until `close`.

import { HttpStream } from '../app/http-stream.ts'
import { failed } from '../kernel/socket/errno.ts'
import { socketState } from '../kernel/socket/socket.ts'
import { tcpReceive, tcpSend } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import type { FlowOperation, Step } from '../model/step.ts'
import { formatIp, isIpv4 } from '../net/address.ts'
import { type HttpRequest, reasonPhrase, writeHttp } from '../net/http.ts'
import { type Conversation, receivePatience } from './conversation.ts'
import type { FlowResult } from './expect/context.ts'
import type { Run } from './run-state.ts'
import { TcpConversation } from './tcp-conversation.ts'

type FlowStep = Extract<Step, { readonly kind: 'flow' }>
type Ask = Extract<FlowOperation, { readonly kind: 'request' }>

const webPort = 80

export class HttpConversation implements Conversation {
  private readonly run: Run
  private readonly step: FlowStep
  private readonly tcp: TcpConversation
  private readonly stream = new HttpStream()
  /** The file says itself when the connection opens and closes. */
  private held = false
  private received = 0

  constructor(run: Run, step: FlowStep) {
    this.run = run
    this.step = step
    this.tcp = new TcpConversation(run, step)
  }

  operate(operation: FlowOperation): void {
    switch (operation.kind) {
      case 'request':
        return this.request(operation)
      case 'respond':
        return this.respond(operation.status)
      case 'open':
        this.held = true
        return this.tcp.operate(operation)
      default:
        return this.tcp.operate(operation)
    }
  }

  rest(): void {
    if (!this.held && this.tcp.connection() !== undefined && !this.tcp.result().closed)
      this.tcp.operate({ kind: 'close', span: this.step.span })
  }

  result(): FlowResult {
    return { ...this.tcp.result(), bytesReceived: this.received }
  }

  private request(ask: Ask): void {
    if (this.tcp.connection() === undefined) this.tcp.operate({ kind: 'open', span: ask.span })
    const client = this.tcp.connection()
    if (client === undefined) return
    this.tcp.note('send', tcpSend(client, writeHttp(this.message(ask)), { name: 'request' }))
    this.run.settle()
    // a socket without a program waits for `respond`
    if (this.tcp.served() === undefined) this.awaitResponse(client, ask.method)
  }

  /** As curl writes it. */
  private message({ method, url, headers, host }: Ask): HttpRequest {
    const [, written, path = ''] = /^[a-z]+:\/\/([^/]*)(.*)$/i.exec(url) ?? [undefined, undefined, url]
    return {
      kind: 'request',
      method,
      target: path === '' ? '/' : path,
      version: 'HTTP/1.1',
      headers: [
        { name: 'Host', value: host ?? written ?? this.authority() },
        { name: 'User-Agent', value: 'scn' },
        { name: 'Accept', value: '*/*' },
        ...headers,
      ],
      body: new Uint8Array(0),
    }
  }

  /** `api`, `api:8080`, `192.0.2.1`. */
  private authority(): string {
    const { namespace, address, port } = this.step.to
    const text = isIpv4(address) ? formatIp(address) : `[${formatIp(address)}]`
    const host = namespace ?? text
    return port === webPort ? host : `${host}:${port}`
  }

  private awaitResponse(client: TcpSocket, method: string): void {
    let over = false
    const read = (): boolean => {
      const got = tcpReceive(client)
      if (!failed(got)) {
        this.stream.push(got.ok)
        this.received += got.ok.length
        over ||= this.stream.take(method) !== undefined
      } else if (got.errno !== 'EAGAIN') this.tcp.note('recv', got)
      return over || client.peerClosed || client.state === socketState.close
    }
    if (!this.run.waitFor(read, receivePatience)) this.tcp.note('recv', { errno: 'EAGAIN' })
    this.run.settle()
  }

  /** The server reads what has come and answers it. */
  private respond(status: number): void {
    const [client, server] = [this.tcp.connection(), this.tcp.served()]
    if (client === undefined || server === undefined) return this.tcp.note('recv', { errno: 'ENOTCONN' })
    tcpReceive(server)
    const headers = status === 204 || status === 304 ? [] : [{ name: 'Content-Length', value: '0' }]
    const reason = reasonPhrase(status)
    const body = new Uint8Array(0)
    const answer = writeHttp({ kind: 'response', version: 'HTTP/1.1', status, reason, headers, body })
    const cause = server.newest?.record?.name ?? ''
    this.tcp.note('recv', tcpSend(server, answer, { name: 'response', cause }))
    this.awaitResponse(client, 'GET')
  }
}

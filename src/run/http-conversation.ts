// A flow of HTTP: what a web client does with a connection. The first request connects where `open` has not.

import { HttpStream } from '../app/http-stream.ts'
import { failed } from '../kernel/socket/errno.ts'
import { socketState } from '../kernel/socket/socket.ts'
import { tcpReceive, tcpSend } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import type { FlowOperation } from '../model/step.ts'
import { receivePatience } from './conversation.ts'
import { emptyResponse, requestBytes } from './messages.ts'
import { TcpConversation } from './tcp-conversation.ts'

type Ask = Extract<FlowOperation, { readonly kind: 'request' }>

export class HttpConversation extends TcpConversation {
  private readonly stream = new HttpStream()
  /** Methods of requests that wait for their responses. */
  private readonly asked: string[] = []

  override operate(operation: FlowOperation): void {
    switch (operation.kind) {
      case 'request':
        return this.request(operation)
      case 'respond':
        return this.respond(operation.status)
      default:
        return super.operate(operation)
    }
  }

  private request(ask: Ask): void {
    if (this.connection() === undefined) this.operate({ kind: 'open', span: ask.span })
    const client = this.connection()
    if (client === undefined) return
    this.note('send', tcpSend(client, requestBytes(this.step, ask), { name: 'request' }))
    this.asked.push(ask.method)
    // the next one follows at once
    if (ask.pipelined === true) return
    this.run.settle()
    // a socket without a program waits for `respond`
    if (this.served() === undefined) this.awaitResponses(client)
  }

  private awaitResponses(client: TcpSocket): void {
    const read = (): boolean => {
      const got = tcpReceive(client)
      if (!failed(got)) {
        this.stream.push(got.ok)
        this.received += got.ok.length
        while (this.asked.length > 0 && this.stream.take(this.asked[0]) !== undefined) this.asked.shift()
      } else if (got.errno !== 'EAGAIN') this.note('recv', got)
      return this.asked.length === 0 || client.peerClosed || client.state === socketState.close
    }
    if (!this.run.waitFor(read, receivePatience)) this.note('recv', { errno: 'EAGAIN' })
    this.run.settle()
  }

  /** The server reads what has come and answers it. */
  private respond(status: number): void {
    const [client, server] = [this.connection(), this.served()]
    if (client === undefined || server === undefined) return this.note('recv', { errno: 'ENOTCONN' })
    tcpReceive(server)
    const cause = server.newest?.record?.name ?? ''
    this.note('recv', tcpSend(server, emptyResponse(status), { name: 'response', cause }))
    this.awaitResponses(client)
  }
}

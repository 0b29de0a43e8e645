// A flow of HTTP: what a web client does with a connection. The first request connects where `open` has not.

import { HttpStream } from '../app/http-stream.ts'
import { failed } from '../kernel/socket/errno.ts'
import { socketState } from '../kernel/socket/socket.ts'
import { tcpReceive, tcpSend } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import type { FlowOperation, Step } from '../model/step.ts'
import { type Conversation, receivePatience } from './conversation.ts'
import type { FlowResult } from './expect/context.ts'
import { emptyResponse, requestBytes } from './messages.ts'
import type { Run } from './run-state.ts'
import { TcpConversation } from './tcp-conversation.ts'

type FlowStep = Extract<Step, { readonly kind: 'flow' }>
type Ask = Extract<FlowOperation, { readonly kind: 'request' }>

export class HttpConversation implements Conversation {
  private readonly run: Run
  private readonly step: FlowStep
  private readonly tcp: TcpConversation
  private readonly stream = new HttpStream()
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
      default:
        return this.tcp.operate(operation)
    }
  }

  result(): FlowResult {
    return { ...this.tcp.result(), bytesReceived: this.received }
  }

  private request(ask: Ask): void {
    if (this.tcp.connection() === undefined) this.tcp.operate({ kind: 'open', span: ask.span })
    const client = this.tcp.connection()
    if (client === undefined) return
    this.tcp.note('send', tcpSend(client, requestBytes(this.step, ask), { name: 'request' }))
    this.run.settle()
    // a socket without a program waits for `respond`
    if (this.tcp.served() === undefined) this.awaitResponse(client, ask.method)
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
    const cause = server.newest?.record?.name ?? ''
    this.tcp.note('recv', tcpSend(server, emptyResponse(status), { name: 'response', cause }))
    this.awaitResponse(client, 'GET')
  }
}

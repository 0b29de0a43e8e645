// A flow of DNS over TCP: what a resolver does with a connection. The first query connects; answers may be waited for 10 s.

import { DnsStream, framedDns } from '../app/dns-stream.ts'
import { failed } from '../kernel/socket/errno.ts'
import { socketState } from '../kernel/socket/socket.ts'
import { tcpReceive, tcpSend } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import type { FlowOperation } from '../model/step.ts'
import { readDns } from '../net/dns.ts'
import { queryBytes, queryId } from './messages.ts'
import { TcpConversation } from './tcp-conversation.ts'

type Query = Extract<FlowOperation, { readonly kind: 'query' }>

/** Two attempts of 5 s each, as over UDP. */
const timeout = 10_000_000_000

export class DnsStreamConversation extends TcpConversation {
  private readonly stream = new DnsStream()
  private asked = 0

  override operate(operation: FlowOperation): void {
    if (operation.kind === 'query') this.query(operation)
    else super.operate(operation)
  }

  private query(query: Query): void {
    if (this.connection() === undefined) super.operate({ kind: 'open', span: query.span })
    const client = this.connection()
    if (client === undefined) return
    this.asked += 1
    const { label } = this.step
    const message = framedDns(queryBytes(label, this.asked, query))
    this.note('send', tcpSend(client, message, { name: 'request' }))
    this.run.settle()
    const id = queryId(label, this.asked)
    if (!this.run.waitFor(() => this.hasAnswer(client, id), timeout))
      this.note('recv', { errno: 'ETIMEDOUT' })
    this.run.settle()
  }

  private hasAnswer(client: TcpSocket, id: number): boolean {
    const got = tcpReceive(client)
    if (failed(got)) {
      if (got.errno !== 'EAGAIN') this.note('recv', got)
    } else {
      this.received += got.ok.length
      this.stream.push(got.ok)
      for (let message = this.stream.take(); message !== undefined; message = this.stream.take()) {
        const answer = readDns(message)
        if (answer?.isResponse === true && answer.id === id) return true
      }
    }
    return client.peerClosed || client.state === socketState.close
  }
}

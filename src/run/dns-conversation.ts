// A flow of DNS: a resolver's socket, which sends a query and waits for the answer (5 s, then once more, as resolv.conf has it).

import { failed } from '../kernel/socket/errno.ts'
import { udpClose, udpConnect, udpSend } from '../kernel/socket/udp.ts'
import { udpReceive } from '../kernel/socket/udp-read.ts'
import type { UdpSocket } from '../kernel/socket/udp-socket.ts'
import type { FlowOperation } from '../model/step.ts'
import { readDns } from '../net/dns.ts'
import { Conversation, localNameOf, peerNameOf } from './conversation.ts'
import type { FlowResult } from './expect/context.ts'
import { queryBytes, queryId } from './messages.ts'
import { openUdpClient } from './udp-client.ts'

type Query = Extract<FlowOperation, { readonly kind: 'query' }>

/** RES_TIMEOUT and RES_DFLRETRY of resolv.conf(5). */
const timeout = 5_000_000_000
const attempts = 2

export class DnsConversation extends Conversation {
  private client: UdpSocket | undefined
  private received = 0
  private asked = 0
  private closed = false

  operate(operation: FlowOperation): void {
    switch (operation.kind) {
      case 'query':
        return this.query(operation)
      case 'wait':
        return this.run.pass(operation.duration)
      case 'close':
        if (this.client !== undefined) udpClose(this.client)
        this.closed = true
        return this.run.settle()
      default:
        return
    }
  }

  result(): FlowResult {
    const { client } = this
    return {
      label: this.step.label,
      established: client !== undefined,
      closed: this.closed,
      errnos: this.errnos,
      errorQueue: client?.errorQueue ?? [],
      peerName: peerNameOf(client),
      localName: localNameOf(client),
      bytesReceived: this.received,
    }
  }

  /** A connected socket, as resolvers have. */
  private socket(): UdpSocket | undefined {
    if (this.client !== undefined) return this.client
    const { address, port } = this.step.to
    const opened = openUdpClient(this.run, this.step, (call, answer) => this.note(call, answer))
    if (opened === undefined) return undefined
    const connected = udpConnect(opened, { address, port })
    this.note('connect', connected)
    if (failed(connected)) {
      udpClose(opened)
      return undefined
    }
    this.client = opened
    return opened
  }

  private query(query: Query): void {
    const client = this.socket()
    if (client === undefined) return
    this.asked += 1
    const { label } = this.step
    const id = queryId(label, this.asked)
    const message = queryBytes(label, this.asked, query)
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const packet = attempt === 1 ? `${label}.request` : `${label}.request.retry${attempt - 1}`
      this.note('send', udpSend(client, message, { name: packet, label }))
      if (this.run.waitFor(() => this.hasAnswer(client, id), timeout)) {
        this.run.settle()
        return
      }
    }
    this.note('recv', { errno: 'ETIMEDOUT' })
    this.run.settle()
  }

  /** Reads what has come; true for the answer to the query, or an error of the socket. */
  private hasAnswer(client: UdpSocket, id: number): boolean {
    for (;;) {
      const got = udpReceive(client)
      if (failed(got)) {
        if (got.errno === 'EAGAIN') return false
        this.note('recv', got)
        return true
      }
      this.received += got.ok.data.length
      const answer = readDns(got.ok.data)
      if (answer?.isResponse === true && answer.id === id) return true
    }
  }
}

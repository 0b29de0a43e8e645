// A UDP flow: the client's socket and whichever bound socket its datagrams reach.

import { answerName } from '../kernel/birth.ts'
import { failed } from '../kernel/socket/errno.ts'
import { hasSendSpace, udpClose, udpConnect, udpSend } from '../kernel/socket/udp.ts'
import { udpReceive } from '../kernel/socket/udp-read.ts'
import type { UdpSocket } from '../kernel/socket/udp-socket.ts'
import type { FlowOperation } from '../model/step.ts'
import { Conversation, dataOf, localNameOf, peerNameOf, receivePatience } from './conversation.ts'
import type { FlowResult } from './expect/context.ts'
import { openUdpClient } from './udp-client.ts'

/** `open` connects the socket; without it every `send` names the destination (sendto). */
export class UdpConversation extends Conversation {
  private client: UdpSocket | undefined
  private connected = false
  private received = 0
  private closed = false

  operate(operation: FlowOperation): void {
    switch (operation.kind) {
      case 'open': {
        this.connect()
        return
      }
      case 'send':
        return this.send(dataOf(operation))
      case 'recv':
        return this.reply(dataOf(operation))
      case 'wait':
        return this.run.pass(operation.duration)
      case 'close':
        if (this.client !== undefined) udpClose(this.client)
        this.closed = true
        return this.run.settle()
      case 'reset':
      case 'shutdown':
      case 'request':
      case 'respond':
      case 'query':
      case 'ping':
      case 'getpeername':
        return this.run.settle()
    }
  }

  result(): FlowResult {
    return {
      label: this.step.label,
      established: this.connected,
      closed: this.closed,
      errnos: this.errnos,
      errorQueue: this.client?.errorQueue ?? [],
      peerName: peerNameOf(this.client),
      localName: localNameOf(this.client),
      bytesReceived: this.received,
    }
  }

  private connect(): void {
    const socket = this.socket()
    if (socket === undefined) return
    const { address, port } = this.step.to
    const answer = udpConnect(socket, { address, port })
    this.note('connect', answer)
    this.connected = !failed(answer)
  }

  private socket(): UdpSocket | undefined {
    this.client ??= openUdpClient(this.run, this.step, (call, answer) => this.note(call, answer))
    return this.client
  }

  private send(data: Uint8Array): void {
    const socket = this.socket()
    if (socket === undefined) return
    if (this.step.connected === true && !this.connected) this.connect()
    const { address, port } = this.step.to
    // a blocking socket waits until its packets have left this host
    if (!hasSendSpace(socket)) this.run.waitFor(() => hasSendSpace(socket), receivePatience)
    this.note('send', udpSend(socket, data, this.connected ? {} : { to: { address, port } }))
    this.run.settle()
  }

  /** The socket that got the client's datagram answers it; the client waits for the answer. */
  private reply(data: Uint8Array): void {
    const client = this.socket()
    if (client === undefined) return
    const { label } = this.step
    const isFromClient = (socket: UdpSocket): boolean => socket.queue.some(({ flow }) => flow === label)
    const listener = this.run.listeners.find((each) => each.kind === 'udp' && isFromClient(each.socket))
    if (listener?.kind === 'udp') {
      const datagram = udpReceive(listener.socket, { withSource: true })
      if (!failed(datagram)) {
        const { source, sourcePort } = datagram.ok
        const name = answerName(listener.socket.ns.machine, label)
        udpSend(listener.socket, data, { to: { address: source, port: sourcePort }, name })
      }
    }
    const arrived = this.run.waitFor(
      () => client.queue.length > 0 || client.error !== undefined,
      this.step.patience ?? receivePatience,
    )
    const got = arrived ? udpReceive(client, { withSource: true }) : ({ errno: 'EAGAIN' } as const)
    this.note('recv', got)
    if (!failed(got)) this.received += got.ok.data.length
    this.run.settle()
  }
}

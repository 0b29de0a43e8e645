// A TCP flow: the client's socket, and the server's once a listener has accepted it.

import { unspecified } from '../boot/listeners.ts'
import { namespaceOf } from '../boot/resolved.ts'
import { failed } from '../kernel/socket/errno.ts'
import { openAndWait } from '../kernel/socket/program.ts'
import { type SocketOptions, socketState } from '../kernel/socket/socket.ts'
import {
  tcpAbort,
  tcpAccept,
  tcpBind,
  tcpClose,
  tcpOpen,
  tcpReceive,
  tcpSend,
  tcpShutdown,
} from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import type { FlowOperation } from '../model/step.ts'
import { isIpv4 } from '../net/address.ts'
import {
  Conversation,
  dataOf,
  localNameOf,
  patience,
  peerNameOf,
  receivePatience,
  socketOptions,
} from './conversation.ts'
import type { FlowResult } from './expect/context.ts'

export class TcpConversation extends Conversation {
  private client: TcpSocket | undefined
  private server: TcpSocket | undefined
  private established = false
  protected received = 0
  private peer: FlowResult['peerName']

  operate(operation: FlowOperation): void {
    switch (operation.kind) {
      case 'open':
        return this.open()
      case 'send':
        return this.transfer(dataOf(operation), 'client')
      case 'recv':
        return this.transfer(dataOf(operation), 'server')
      case 'close':
        return this.close()
      case 'reset':
        return this.reset()
      case 'shutdown':
        if (this.client !== undefined) this.note('shutdown', tcpShutdown(this.client))
        return this.run.settle()
      case 'wait':
        return this.run.pass(operation.duration)
      case 'getpeername':
        return this.askPeer()
      case 'request':
      case 'respond':
      case 'query':
      case 'ping':
        return
    }
  }

  /** The client's socket while the connection stands. */
  protected connection(): TcpSocket | undefined {
    return this.established ? this.client : undefined
  }

  /** The server's socket, where no program of its own serves it. */
  protected served(): TcpSocket | undefined {
    this.accept()
    return this.server
  }

  result(): FlowResult {
    const state = this.client?.state
    return {
      label: this.step.label,
      established: this.established,
      closed: this.established && (state === socketState.timeWait || state === socketState.close),
      errnos: this.errnos,
      errorQueue: this.client?.errorQueue ?? [],
      peerName: this.peer,
      localName: localNameOf(this.client),
      bytesReceived: this.received,
    }
  }

  private open(): void {
    const { from, to, label } = this.step
    const ns = namespaceOf(this.run.machine, from.namespace)
    const family = isIpv4(to.address) ? 4 : 6
    const opened = tcpOpen({ ns, family, label, options: this.options() })
    if (failed(opened)) return this.note('connect', opened)
    const socket = opened.ok
    if (from.port !== undefined || from.address !== undefined) {
      const bound = tcpBind(socket, { address: from.address ?? unspecified[family], port: from.port ?? 0 })
      if (failed(bound)) {
        tcpClose(socket)
        return this.note('bind', bound)
      }
    }
    this.client = socket
    this.note(
      'connect',
      openAndWait(socket, { address: to.address, port: to.port }, this.step.patience ?? patience),
    )
    this.established = socket.state === socketState.established
    if (!this.established) tcpClose(socket)
    this.run.settle()
    this.accept()
    if (this.established) this.askPeer()
  }

  private options(): Partial<SocketOptions> {
    const { mss } = this.step
    return {
      ...socketOptions(this.step),
      ...(mss === undefined ? {} : { maxSegment: mss }),
    }
  }

  /** Takes the connection from whichever listener it reached. */
  private accept(): void {
    for (const listener of this.run.listeners) {
      if (listener.kind !== 'tcp') continue
      const { acceptQueue } = listener.socket
      const at = acceptQueue.findIndex((socket) => socket.label === this.step.label)
      if (at === -1) continue
      const [socket] = acceptQueue.splice(at, 1)
      if (socket === undefined) continue
      acceptQueue.unshift(socket)
      const accepted = tcpAccept(listener.socket)
      if (!failed(accepted)) this.server = accepted.ok
      return
    }
  }

  /** Writes on one side and reads on the other until all bytes are there. */
  private transfer(data: Uint8Array, writer: 'client' | 'server'): void {
    this.accept()
    const [from, to] = writer === 'client' ? [this.client, this.server] : [this.server, this.client]
    const call = writer === 'client' ? 'send' : 'recv'
    if (from === undefined) return this.note(call, { errno: 'ENOTCONN' })
    const sent = tcpSend(from, data)
    this.note(call, sent)
    if (failed(sent) || to === undefined) return this.run.settle()
    let arrived = 0
    const read = (): boolean => {
      const got = tcpReceive(to)
      if (!failed(got)) arrived += got.ok.length
      else if (got.errno !== 'EAGAIN') {
        this.note('recv', got)
        return true
      }
      return arrived >= data.length || to.peerClosed
    }
    if (!this.run.waitFor(read, receivePatience)) this.note('recv', { errno: 'EAGAIN' })
    if (writer === 'server') this.received += arrived
    this.run.settle()
  }

  /** The client closes, the server sees the end of the stream and closes too. */
  private close(): void {
    this.accept()
    const { client, server } = this
    if (client === undefined) return
    tcpClose(client)
    this.run.settle()
    if (server !== undefined) {
      this.run.waitFor(() => server.peerClosed || server.state === socketState.close, receivePatience)
      tcpReceive(server)
      tcpClose(server)
    }
    this.run.waitFor(
      () => client.state === socketState.timeWait || client.state === socketState.close,
      receivePatience,
    )
    this.run.settle()
  }

  private reset(): void {
    if (this.client !== undefined) tcpAbort(this.client)
    this.run.settle()
  }

  private askPeer(): void {
    this.peer = peerNameOf(this.client) ?? this.peer
  }
}

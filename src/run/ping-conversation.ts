// `f1: ping a > b { ping 3 }`: echo requests and their replies.

import { namespaceOf } from '../boot/resolved.ts'
import { failed } from '../kernel/socket/errno.ts'
import { pingOpen, pingReceive, pingSend } from '../kernel/socket/ping.ts'
import type { PingSocket } from '../kernel/socket/ping-socket.ts'
import type { FlowOperation } from '../model/step.ts'
import { isIpv4 } from '../net/address.ts'
import { letters } from '../net/bytes.ts'
import { Conversation, ipOptions, receivePatience } from './conversation.ts'
import type { FlowResult } from './expect/context.ts'

/** ping(8) sends 56 bytes of data. */
const defaultBytes = 56

export class PingConversation extends Conversation {
  private socket: PingSocket | undefined
  private sequence = 0
  private replies = 0

  operate(operation: FlowOperation): void {
    if (operation.kind === 'wait') return this.run.pass(operation.duration)
    const count = operation.kind === 'ping' ? operation.count : operation.kind === 'open' ? 1 : 0
    const bytes = operation.kind === 'send' ? operation.bytes : (this.step.size ?? defaultBytes)
    for (let sent = 0; sent < (operation.kind === 'send' ? 1 : count); sent += 1) this.echo(bytes)
    this.run.settle()
  }

  result(): FlowResult {
    return {
      label: this.step.label,
      established: this.replies > 0,
      closed: false,
      errnos: this.errnos,
      errorQueue: [],
      peerName: undefined,
      localName: undefined,
      bytesReceived: this.replies,
    }
  }

  private echo(bytes: number): void {
    const { from, to, label } = this.step
    this.socket ??= pingOpen(namespaceOf(this.run.machine, from.namespace), {
      family: isIpv4(to.address) ? 4 : 6,
      label,
      identifier: from.port ?? to.port,
      options: {
        recvErr: true, // as ping(8) asks for
        ...ipOptions(this.step),
      },
    })
    const socket = this.socket
    this.sequence += 1
    const name = this.sequence === 1 ? `${label}.request` : `${label}.request${this.sequence}`
    const sent = pingSend(socket, {
      destination: to.address,
      label,
      identifier: socket.localPort,
      sequence: this.sequence,
      data: letters(bytes),
      name,
    })
    this.note('send', sent)
    if (failed(sent)) return
    const longest = this.step.patience ?? receivePatience / 30
    if (!this.run.waitFor(() => socket.replies.length > 0 || socket.error !== undefined, longest)) return
    const reply = pingReceive(socket)
    this.note('recv', reply)
    if (!failed(reply)) this.replies += 1
  }
}

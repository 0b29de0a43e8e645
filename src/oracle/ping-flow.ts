// `ping` over a real raw socket.
import type { FlowOperation } from '../model/step.ts'
import { letters, readU16, writeU16 } from '../net/bytes.ts'
import { checksumOf } from '../net/checksum.ts'
import { Flow } from './flows.ts'
import type { RealSocket } from './sockets.ts'

const echo = {
  4: { protocol: 1, request: 8, reply: 0 },
  6: { protocol: 58, request: 128, reply: 129 },
} as const
const pingBytes = 56

/** Echo requests from a raw socket. */
export class PingFlow extends Flow {
  private socket: RealSocket | undefined
  private sequence = 0

  operate(operation: FlowOperation, patience: number): void {
    if (operation.kind === 'wait') return this.world.pass(operation.duration / 1e6)
    const count = operation.kind === 'ping' ? operation.count : operation.kind === 'open' ? 1 : 0
    const bytes = operation.kind === 'send' ? operation.bytes : (this.step.size ?? pingBytes)
    for (let sent = 0; sent < (operation.kind === 'send' ? 1 : count); sent += 1) this.echo(bytes, patience)
  }

  private echo(bytes: number, patience: number): void {
    const { from, to } = this.step
    if (this.socket === undefined) {
      this.socket = this.world.open(from.namespace, this.family, 'raw', echo[this.family].protocol)
      this.socket.configure(this.step)
      this.socket.reportErrors()
    }
    const { socket } = this
    this.sequence += 1
    const message = new Uint8Array([echo[this.family].request, 0, 0, 0, 0, 0, 0, 0, ...letters(bytes)])
    writeU16(message, 4, from.port ?? to.port)
    writeU16(message, 6, this.sequence)
    if (this.family === 4) writeU16(message, 2, checksumOf(message, 0, message.length))
    if (!this.note('send', socket.send(message, { address: to.address, port: 0 }))) return
    this.world.waitFor(
      () => {
        const got = socket.receive()
        if ('errno' in got) return got.errno !== 'EAGAIN' && !this.note('recv', got)
        return this.isReply(got.ok.data, from.port ?? to.port)
      },
      Math.min(patience, 1000),
    )
  }

  private isReply(data: Uint8Array, identifier: number): boolean {
    const at = this.family === 4 ? ((data[0] as number) & 15) * 4 : 0
    const mine = data[at] === echo[this.family].reply && readU16(data, at + 4) === identifier
    if (mine) this.received += 1
    this.established ||= mine
    return mine
  }
}

// Flows over real sockets: the same operations as in src/run, one class for each protocol. A flow waits by letting the
// world go on until something holds, or until more time has passed than the model needed.

import { HttpStream } from '../app/http-stream.ts'
import type { FlowOperation, FlowStep } from '../model/step.ts'
import { anyIpv4, anyIpv6, isIpv4 } from '../net/address.ts'
import { dataOf } from '../run/conversation.ts'
import { emptyResponse, requestBytes } from '../run/messages.ts'
import type { Answer, Endpoint, RealSocket } from './sockets.ts'
import type { RealWorld } from './world.ts'

/** How a flow's calls ended, as in the model. */
export interface RealResult {
  readonly established: boolean
  readonly errnos: ReadonlyMap<string, string>
  readonly bytesReceived: number
}

export interface RealFlow {
  /** Carries out one operation; `patience` milliseconds at most. */
  operate(operation: FlowOperation, patience: number): void
  result(): RealResult
}

export abstract class Flow implements RealFlow {
  protected readonly world: RealWorld
  protected readonly step: FlowStep
  protected readonly errnos = new Map<string, string>()
  protected readonly family: 4 | 6
  protected established = false
  protected received = 0
  /** The port that the model's client had: the real one takes it too, so that ports need no translation. */
  private readonly port: number | undefined

  constructor(world: RealWorld, step: FlowStep, port: number | undefined) {
    this.world = world
    this.step = step
    this.family = isIpv4(step.to.address) ? 4 : 6
    this.port = port
  }

  abstract operate(operation: FlowOperation, patience: number): void

  result(): RealResult {
    return { established: this.established, errnos: this.errnos, bytesReceived: this.received }
  }

  protected note<T>(call: string, answer: Answer<T>): boolean {
    if ('ok' in answer) return true
    if (!this.errnos.has(call)) this.errnos.set(call, answer.errno)
    return false
  }

  /** Waits for a datagram, or for what recv(2) says instead. */
  protected receive(client: RealSocket, patience: number): void {
    let got: Answer<{ readonly data: Uint8Array }> = { errno: 'EAGAIN' }
    this.world.waitFor(() => {
      got = this.world.receiveAt(client)
      return 'ok' in got || got.errno !== 'EAGAIN'
    }, patience)
    if (this.note('recv', got) && 'ok' in got)
      this.received += (got as { ok: { data: Uint8Array } }).ok.data.length
  }

  protected get to(): Endpoint {
    return { address: this.step.to.address, port: this.step.to.port }
  }

  /** A bound client socket, or undefined when the binding fails. */
  protected openClient(kind: 'stream' | 'datagram'): RealSocket | undefined {
    const { from } = this.step
    const socket = this.world.open(from.namespace, this.family, kind)
    socket.configure(this.step)
    const port = from.port ?? this.port
    if (port === undefined && from.address === undefined) return socket
    const address = from.address ?? (this.family === 4 ? anyIpv4 : anyIpv6)
    return this.note('bind', socket.bind({ address, port: port ?? 0 })) ? socket : undefined
  }
}

/** What `send` and `recv` say of the bytes. */
type Sent = Parameters<typeof dataOf>[0]

/** UDP: `open` connects, without it every send names the destination. */
export class UdpFlow extends Flow {
  private client: RealSocket | undefined

  operate(operation: FlowOperation, patience: number): void {
    if (operation.kind === 'wait') return this.world.pass(operation.duration / 1e6)
    const socket = this.socket()
    if (socket === undefined) return
    if (operation.kind === 'open') this.established = this.note('connect', socket.connect(this.to))
    else if (operation.kind === 'send') {
      if (this.step.connected === true && !this.established)
        this.established = this.note('connect', socket.connect(this.to))
      this.note('send', socket.send(dataOf(operation), this.established ? undefined : this.to))
    } else if (operation.kind === 'recv') this.reply(socket, operation, patience)
  }

  private socket(): RealSocket | undefined {
    if (this.client !== undefined) return this.client
    this.client = this.openClient('datagram')
    if (this.client !== undefined) {
      const port = this.step.from.port ?? 0
      this.world.watch(this.step.from.namespace, port, this.client)
    }
    return this.client
  }

  private reply(client: RealSocket, sent: Sent, patience: number): void {
    this.world.waitFor(
      () => {
        const waiting = this.world.nextDatagram()
        if (waiting === undefined) return false
        waiting.socket.send(dataOf(sent), waiting.source)
        return true
      },
      Math.min(patience, 200),
    )
    this.receive(client, patience)
  }
}

/** TCP between a client and whichever listener accepts. */
export class TcpFlow extends Flow {
  protected client: RealSocket | undefined
  protected server: RealSocket | undefined

  operate(operation: FlowOperation, patience: number): void {
    switch (operation.kind) {
      case 'open':
        return this.open(patience)
      case 'send':
        return this.transfer(operation, 'client', patience)
      case 'recv':
        return this.transfer(operation, 'server', patience)
      case 'close':
        return this.close(patience)
      case 'reset':
        return this.client?.abort()
      case 'shutdown':
        return this.shutdown()
      case 'wait':
        return this.world.pass(operation.duration / 1e6)
      default:
        return
    }
  }

  private open(patience: number): void {
    const socket = this.openClient('stream')
    if (socket === undefined) return
    this.client = socket
    const connecting = socket.connect(this.to)
    if ('errno' in connecting && connecting.errno !== 'EINPROGRESS') {
      this.note('connect', connecting)
      return socket.disconnect()
    }
    let state = 'pending'
    this.world.waitFor(() => {
      state = socket.connectState()
      return state !== 'pending'
    }, patience)
    this.established = state === 'connected'
    if (state === 'pending' && this.step.patience !== undefined) state = 'ETIMEDOUT'
    if (!this.established && state !== 'pending') this.note('connect', { errno: state })
    if (this.established) this.world.waitFor(() => this.accept(), 200)
    else socket.disconnect() // the attempt is given up, as in the model: no SYN is sent again
  }

  private accept(): boolean {
    this.server ??= this.world.accept()
    return this.server !== undefined
  }

  private transfer(sent: Sent, writer: 'client' | 'server', patience: number): void {
    const data = dataOf(sent)
    if (this.established) this.accept()
    const [from, to] = writer === 'client' ? [this.client, this.server] : [this.server, this.client]
    const call = writer === 'client' ? 'send' : 'recv'
    if (from === undefined) {
      this.note(call, { errno: 'ENOTCONN' })
      return
    }
    if (!this.note(call, from.send(data)) || to === undefined) return
    let arrived = 0
    const complete = this.world.waitFor(() => {
      const got = to.receive()
      if ('ok' in got) arrived += got.ok.data.length
      else if (got.errno !== 'EAGAIN') return !this.note('recv', got)
      return arrived >= data.length || ('ok' in got && got.ok.data.length === 0)
    }, patience)
    if (!complete) this.note('recv', { errno: 'EAGAIN' })
    if (writer === 'server') this.received += arrived
  }

  private shutdown(): void {
    const { client } = this
    if (client !== undefined)
      this.note(
        'shutdown',
        this.world.punctuality.closing(() => client.shutdown()),
      )
  }

  private close(patience: number): void {
    const { server } = this
    const { punctuality } = this.world
    punctuality.closing(() => this.client?.close())
    if (server === undefined) return
    this.world.waitFor(
      () => {
        const got = server.receive()
        return 'ok' in got ? got.ok.data.length === 0 : got.errno !== 'EAGAIN'
      },
      Math.max(patience, 200),
    )
    punctuality.closing(() => server.close())
  }
}

/** A web client: as HttpConversation of src/run. */
export class HttpFlow extends TcpFlow {
  private readonly stream = new HttpStream()
  private readonly asked: string[] = []

  override operate(operation: FlowOperation, patience: number): void {
    if (operation.kind === 'request') return this.request(operation, patience)
    if (operation.kind === 'respond') return this.respond(operation.status, patience)
    super.operate(operation, patience)
  }

  private request(ask: Extract<FlowOperation, { kind: 'request' }>, patience: number): void {
    if (this.client === undefined) super.operate({ kind: 'open', span: ask.span }, patience)
    if (!this.established || this.client === undefined) return
    this.note('send', this.client.send(requestBytes(this.step, ask)))
    this.asked.push(ask.method)
    if (ask.pipelined !== true && this.server === undefined) this.await(this.client, patience)
  }

  private await(client: RealSocket, patience: number): void {
    const complete = this.world.waitFor(() => {
      const got = client.receive()
      if (!('ok' in got)) return got.errno !== 'EAGAIN' && !this.note('recv', got)
      this.received += got.ok.data.length
      this.stream.push(got.ok.data)
      while (this.asked.length > 0 && this.stream.take(this.asked[0]) !== undefined) this.asked.shift()
      return this.asked.length === 0 || got.ok.data.length === 0
    }, patience)
    if (!complete) this.note('recv', { errno: 'EAGAIN' })
  }

  private respond(status: number, patience: number): void {
    const { client, server } = this
    if (client === undefined || server === undefined) {
      this.note('recv', { errno: 'ENOTCONN' })
      return
    }
    this.world.waitFor(() => 'ok' in server.receive(), patience)
    this.note('recv', server.send(emptyResponse(status)))
    this.await(client, patience)
  }
}

// What the programs behind listening sockets do by themselves, on real sockets: echo, discard, web and name servers.
import { answerBytes } from '../app/dns-server.ts'
import { DnsStream, framedDns } from '../app/dns-stream.ts'
import { httpAnswer, wantsClose } from '../app/http-server.ts'
import { HttpStream } from '../app/http-stream.ts'
import { defaultBodyBytes } from '../boot/listeners.ts'
import type { ListenModel } from '../model/model.ts'
import { writeHttp } from '../net/http.ts'
import type { RealSocket } from './sockets.ts'
import type { Punctuality } from './tick.ts'

/** A line `listen` as a real program needs it. */
export type Served = Pick<
  ListenModel,
  'protocol' | 'port' | 'app' | 'status' | 'bodyBytes' | 'chunked' | 'answers'
>

/** Whether a program serves the socket, and no flow reads there. */
export function isServed({ app }: Served): boolean {
  return app === 'echo' || app === 'discard' || app === 'http' || app === 'dns'
}

/** What a program answers a datagram; undefined for nothing. */
export function answerDatagram({ app, answers = [] }: Served, data: Uint8Array): Uint8Array | undefined {
  if (app === 'echo') return data
  return app === 'dns' ? answerBytes(data, answers) : undefined
}

/** One connection that a program serves. */
export class ServedConnection {
  readonly #model: Served
  readonly socket: RealSocket
  readonly #stream = new HttpStream()
  readonly #queries = new DnsStream()
  #over = false

  constructor(model: Served, socket: RealSocket) {
    this.#model = model
    this.socket = socket
  }

  /** Does what has become possible. */
  work(punctuality: Punctuality): void {
    if (this.#over) return
    const got = this.socket.receive()
    if (!('ok' in got)) return
    const { data } = got.ok
    if (this.#model.app === 'http') {
      this.#web(data, punctuality)
      return
    }
    if (this.#model.app === 'echo' && data.length > 0) this.socket.send(data)
    if (this.#model.app === 'dns') this.#names(data)
    if (data.length > 0) return
    this.#over = true
    punctuality.closing(() => this.socket.close())
  }

  #names(data: Uint8Array): void {
    this.#queries.push(data)
    for (let message = this.#queries.take(); message !== undefined; message = this.#queries.take()) {
      const answer = answerDatagram(this.#model, message)
      if (answer !== undefined) this.socket.send(framedDns(answer))
    }
  }

  #web(data: Uint8Array, punctuality: Punctuality): void {
    this.#stream.push(data)
    const { status = 200, bodyBytes = defaultBodyBytes, chunked = false } = this.#model
    let close = data.length === 0
    for (let message = this.#stream.take(); message !== undefined; message = this.#stream.take()) {
      if (message === 'malformed') return
      this.socket.send(writeHttp(httpAnswer(message, { status, bytes: bodyBytes, chunked })))
      close ||= wantsClose(message)
    }
    if (!close) return
    this.#over = true
    punctuality.closing(() => this.socket.close())
  }
}

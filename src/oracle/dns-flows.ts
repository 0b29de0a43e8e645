// Resolvers on real sockets: over datagrams, and over one connection.
import { DnsStream, framedDns } from '../app/dns-stream.ts'
import type { FlowOperation } from '../model/step.ts'
import { queryBytes } from '../run/messages.ts'
import { Flow, TcpFlow } from './flows.ts'
import type { RealSocket } from './sockets.ts'

/** A resolver over TCP: as DnsStreamConversation of src/run. */
export class DnsStreamFlow extends TcpFlow {
  private readonly stream = new DnsStream()
  private asked = 0

  override operate(operation: FlowOperation, patience: number): void {
    if (operation.kind !== 'query') return super.operate(operation, patience)
    if (this.client === undefined) super.operate({ kind: 'open', span: operation.span }, patience)
    const { client } = this
    if (!this.established || client === undefined) return
    this.asked += 1
    this.note('send', client.send(framedDns(queryBytes(this.step.label, this.asked, operation))))
    const complete = this.world.waitFor(() => {
      const got = client.receive()
      if (!('ok' in got)) return got.errno !== 'EAGAIN' && !this.note('recv', got)
      this.received += got.ok.data.length
      this.stream.push(got.ok.data)
      return this.stream.take() !== undefined || got.ok.data.length === 0
    }, patience)
    if (!complete) this.note('recv', { errno: 'ETIMEDOUT' })
  }
}

/** A resolver: as DnsConversation of src/run. */
export class DnsFlow extends Flow {
  private client: RealSocket | undefined
  private asked = 0

  operate(operation: FlowOperation, patience: number): void {
    if (operation.kind === 'wait') return this.world.pass(operation.duration / 1e6)
    if (operation.kind !== 'query') return
    const client = this.socket()
    if (client === undefined) return
    this.asked += 1
    const { label } = this.step
    this.note('send', client.send(queryBytes(label, this.asked, operation)))
    this.receive(client, patience)
  }

  private socket(): RealSocket | undefined {
    if (this.client !== undefined) return this.client
    const client = this.openClient('datagram')
    if (client === undefined || !this.note('connect', client.connect(this.to))) return undefined
    this.client = client
    this.established = true
    this.world.watch(this.step.from.namespace, this.step.from.port ?? 0, client)
    return client
  }
}

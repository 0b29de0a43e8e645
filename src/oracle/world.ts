// A scenario's world while it runs on the real kernel: taps on every device, frames put onto wires, sockets and the
// programs that serve them, and waiting. `close` lets it all go.
import type { Booted } from '../boot/boot.ts'
import type { ListenModel, NamespaceModel, World } from '../model/model.ts'
import { anyIpv6, isIpv4 } from '../net/address.ts'
import { Capture, openInjector, type RingSize } from './capture.ts'
import { Ground, type Reach } from './ground.ts'
import { pause } from './pause.ts'
import { answerDatagram, isServed, type Served, ServedConnection } from './servers.ts'
import { type Answer, type Endpoint, RealSocket } from './sockets.ts'
import { Punctuality, tickClock } from './tick.ts'
import { portName, switchName } from './topology.ts'

/** A datagram that a socket got. */
export interface Delivery {
  readonly node: string
  readonly port: number
  readonly data: Uint8Array
}

interface Listening {
  readonly node: string
  readonly model: Served
  readonly socket: RealSocket
}

const pauseMs = 0.2

export class RealWorld {
  readonly ground: Ground
  readonly capture: Capture
  readonly deliveries: Delivery[] = []
  readonly punctuality: Punctuality
  private readonly reach: Reach
  private readonly listening: Listening[] = []
  private readonly serving: ServedConnection[] = []
  private readonly watched = new Map<RealSocket, { readonly node: string; readonly port: number }>()
  private readonly sockets: RealSocket[] = []
  private readonly injectors = new Map<string, number>()

  constructor(
    reach: Reach,
    world: World,
    booted: Booted,
    options: { readonly ring: RingSize; readonly ipv6: boolean },
  ) {
    this.reach = reach
    this.ground = new Ground(reach, world, booted, options.ipv6)
    this.capture = new Capture(reach.libc, options.ring)
    this.punctuality = new Punctuality(tickClock(reach.libc))
  }

  /** Builds everything. */
  build(): void {
    this.ground.build()
    const { namespaces } = this.ground.world
    for (const model of namespaces) for (const listen of model.listens) this.listen(model.name, listen)
    for (const model of namespaces) this.tap(model)
  }

  /** What comes later, with its taps. */
  grow(models: readonly NamespaceModel[]): void {
    this.ground.grow(models)
    for (const model of models) this.tap(model)
  }

  private tap(model: NamespaceModel): void {
    this.ground.namespaces.within(model.name, () => {
      for (const dev of this.ground.around.booted(model.name).devices.values())
        this.capture.add(model.name, dev.name, dev.ifindex)
    })
  }

  /** Sends a frame so that it arrives at a device, past the taps of whoever sends it. */
  inject(name: string, device: string, frame: Uint8Array): void {
    const { libc } = this.reach
    const key = `${name}/${device}`
    const socket = this.injectors.get(key) ?? this.openInjector(name, device)
    this.injectors.set(key, socket)
    const sent = Number(libc.sendto(socket, frame, frame.length, 0, null, 0))
    if (sent >= 0) return
    const errno = libc.errno()
    if (errno === 'ENOBUFS' || errno === 'ENETDOWN') return // lost on the way: the device is down, or takes no such size
    throw new Error(`a frame cannot be injected at ${key}: ${errno}`)
  }

  private openInjector(name: string, device: string): number {
    const model = this.ground.world.namespaces
      .find((each) => each.name === name)
      ?.devices.find((each) => each.name === device)
    const [node, far] =
      model?.peer === undefined
        ? [switchName, portName(this.ground.world, name, device)]
        : [model.peer.namespace, model.peer.device]
    return this.ground.namespaces.within(node, () =>
      openInjector(this.reach.libc, this.ground.interfaceIndex(far)),
    )
  }

  /** Opens a socket in a namespace. */
  open(name: string, family: 4 | 6, kind: 'stream' | 'datagram' | 'raw', protocol = 0): RealSocket {
    const socket = this.ground.cgroups.within(name, () =>
      this.ground.namespaces.within(name, () => RealSocket.open(this.reach.libc, family, kind, protocol)),
    )
    this.sockets.push(socket)
    return socket
  }

  /** Starts a listener; a failure is our own mistake, the model has accepted it. */
  listen(name: string, model: Served & Pick<ListenModel, 'address' | 'transparent'>): void {
    const family = model.address !== undefined && isIpv4(model.address) ? 4 : 6
    const socket = this.open(name, family, model.protocol === 'tcp' ? 'stream' : 'datagram')
    socket.takeBothFamilies()
    if (model.transparent === true) socket.takeForeignAddresses()
    socket.bind({ address: model.address ?? anyIpv6, port: model.port })
    if (model.protocol === 'tcp') socket.listen()
    else this.watch(name, model.port, socket)
    this.listening.push({ node: name, model, socket })
  }

  /** Remembers whose datagrams these are. */
  watch(node: string, port: number, socket: RealSocket): void {
    this.watched.set(socket, { node, port })
  }

  /** The next datagram at a listener that nobody serves. */
  nextDatagram(): { readonly socket: RealSocket; readonly source: Endpoint } | undefined {
    for (const { model, socket } of this.listening) {
      if (model.protocol !== 'udp' || isServed(model)) continue
      const got = this.receiveAt(socket)
      if ('ok' in got) return { socket, source: got.ok.source }
    }
    return undefined
  }

  /** Receives a datagram and writes it down. */
  receiveAt(socket: RealSocket): Answer<{ readonly data: Uint8Array; readonly source: Endpoint }> {
    const got = socket.receive()
    const owner = this.watched.get(socket)
    if ('ok' in got && owner !== undefined) this.deliveries.push({ ...owner, data: got.ok.data })
    return got
  }

  /** The next connection at any listener. */
  accept(): RealSocket | undefined {
    for (const { model, socket } of this.listening) {
      if (model.protocol !== 'tcp' || isServed(model)) continue
      const accepted = socket.accept()
      if (accepted !== undefined) {
        this.sockets.push(accepted)
        return accepted
      }
    }
    return undefined
  }

  /** What programs behind sockets do by themselves. */
  private serve(): void {
    for (const { model, socket } of this.listening) {
      if (!isServed(model)) continue
      if (model.protocol === 'udp') {
        for (let got = this.receiveAt(socket); 'ok' in got; got = this.receiveAt(socket)) {
          const answer = answerDatagram(model, got.ok.data)
          if (answer !== undefined) socket.send(answer, got.ok.source)
        }
        continue
      }
      const accepted = socket.accept()
      if (accepted !== undefined) this.serving.push(new ServedConnection(model, accepted))
    }
    for (const connection of this.serving) connection.work(this.punctuality)
  }

  /** Lets the world go on until something holds; false when it does not within so many milliseconds. */
  waitFor(holds: () => boolean, most: number): boolean {
    let now = this.reach.clock()
    const end = now + most
    for (;;) {
      this.serve()
      this.capture.drain()
      if (holds()) return true
      const last = now
      now = this.reach.clock()
      this.punctuality.looked(now - last)
      if (now >= end) return false
      pause(pauseMs)
    }
  }

  /** Lets so many milliseconds pass. */
  pass(milliseconds: number): void {
    this.waitFor(() => false, milliseconds)
  }

  /** Waits until as many frames have been seen as the model saw, and a moment of silence has followed. */
  settle(frames: number): void {
    let seen = -1
    let quiet = this.reach.clock()
    this.waitFor(() => {
      const count = this.capture.frames.length
      const now = this.reach.clock()
      if (count !== seen) quiet = now
      seen = count
      return now - quiet > (count >= frames ? 0.3 : 60)
    }, 1000)
  }

  /** Reads what is left in the sockets. */
  finish(): void {
    for (const socket of this.watched.keys()) {
      for (let got = this.receiveAt(socket); 'ok' in got; got = this.receiveAt(socket));
    }
  }

  close(): void {
    this.capture.close()
    for (const socket of [...this.sockets, ...this.serving.map((each) => each.socket)]) socket.close()
    for (const descriptor of this.injectors.values()) this.reach.libc.close(descriptor)
    this.ground.close()
  }
}

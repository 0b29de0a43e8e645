// The sockets of a recorded case, and which of them a delivered packet reached: the recorder had a filter on each.
import type { Machine } from '../../src/kernel/machine.ts'
import type { Skb } from '../../src/kernel/skb.ts'
import { socketState } from '../../src/kernel/socket/socket.ts'
import type { TcpSocket } from '../../src/kernel/socket/tcp-socket.ts'
import type { UdpSocket } from '../../src/kernel/socket/udp-socket.ts'
import { readU16 } from '../../src/net/bytes.ts'
import { ipProtocol } from '../../src/net/protocol.ts'
import type { Notebook } from './markers.ts'

/** A socket under its recorded name; an accepted one keeps the name of its listener. */
export interface Named {
  readonly id: string
  /** What its sightings are called: an accepted socket kept the filter of its listener. */
  readonly shown: string
  readonly socket: UdpSocket | TcpSocket
  /** Datagrams that were waiting when this socket was last looked at. */
  waiting: number
}

export class Sockets {
  readonly named: Named[] = []

  add(id: string, socket: UdpSocket | TcpSocket, shown = id): void {
    this.named.push({ id, shown, socket, waiting: 0 })
  }

  udp(id: string | undefined): UdpSocket | undefined {
    const found = this.find(id)
    return found?.protocol === ipProtocol.udp ? (found as UdpSocket) : undefined
  }

  tcp(id: string | undefined): TcpSocket | undefined {
    const found = this.find(id)
    return found?.protocol === ipProtocol.tcp ? (found as TcpSocket) : undefined
  }

  private find(id: string | undefined): UdpSocket | TcpSocket | undefined {
    return this.named.find((each) => each.id === id)?.socket
  }

  /** The name of the socket that a packet has just reached. */
  reached(skb: Skb): string | undefined {
    const { bytes, networkHeader: l3, dev } = skb
    const four = (bytes[l3] ?? 0) >> 4 === 4
    const protocol = four ? bytes[l3 + 9] : bytes[l3 + 6]
    const l4 = four ? l3 + ((bytes[l3] ?? 0) & 15) * 4 : l3 + 40
    const port = readU16(bytes, l4 + 2)
    const here = this.named.filter(
      ({ socket }) => socket.ns === dev.ns && socket.protocol === protocol && socket.localPort === port,
    )
    return protocol === ipProtocol.udp ? grown(here) : attached(here, readU16(bytes, l4))
  }
}

/** The UDP socket whose queue has just grown. */
function grown(here: readonly Named[]): string | undefined {
  let id: string | undefined
  for (const each of here) {
    const waiting = (each.socket as UdpSocket).queue.length
    if (waiting > each.waiting) id = each.shown
    each.waiting = waiting
  }
  return id
}

/** A closed socket in FIN_WAIT2 or TIME_WAIT has no filter any more. */
function attached(here: readonly Named[], remotePort: number): string | undefined {
  const exact = here.find(({ socket }) => socket.remotePort === remotePort)
  if (exact === undefined) return here.find(({ socket }) => socket.remotePort === 0)?.shown
  const socket = exact.socket as TcpSocket
  const waits = socket.state === socketState.finWait2 || socket.state === socketState.timeWait
  return socket.orphan && waits ? undefined : exact.shown
}

/** Writes a sighting whenever a packet reaches a socket of the case. */
export function markSockets(machine: Machine, sockets: Sockets, notebook: Notebook): void {
  const { trace } = machine
  if (trace === undefined) return
  const outcome = trace.outcome.bind(trace)
  trace.outcome = (packet, what) => {
    outcome(packet, what)
    const skb = packet as Skb
    const id = what.kind === 'delivered' ? sockets.reached(skb) : undefined
    if (id === undefined) return
    const header = (skb.bytes[skb.networkHeader] ?? 0) >> 4 === 4 ? 20 : 40
    notebook.packet(`${skb.dev.ns.name}:sock:${id}`, skb, skb.tail - skb.networkHeader - header)
  }
}

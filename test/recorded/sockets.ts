// The sockets of a recorded case, and which of them a delivered packet reached: the recorder had a filter on each.
import type { RunContext } from '../../src/bpf/contract.ts'
import { transportOf } from '../../src/kernel/ip6/extension.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import type { Skb } from '../../src/kernel/skb.ts'
import { attachCgroupSkb } from '../../src/kernel/socket/cgroup-skb.ts'
import { lookupTcp, type Tuple } from '../../src/kernel/socket/lookup.ts'
import { socketState } from '../../src/kernel/socket/socket.ts'
import type { TcpSocket } from '../../src/kernel/socket/tcp-socket.ts'
import type { UdpSocket } from '../../src/kernel/socket/udp-socket.ts'
import { readIpv4, readIpv6 } from '../../src/net/address.ts'
import { readU16 } from '../../src/net/bytes.ts'
import { ipProtocol } from '../../src/net/protocol.ts'
import { tcpFlag } from '../../src/net/tcp.ts'
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

  /** The listener that a segment reaches which no connection has and which opens none. */
  refusing(skb: Skb): string | undefined {
    const { bytes, dev } = skb
    const { protocol, offset: l4 } = transportIn(skb)
    if (protocol !== ipProtocol.tcp || ((bytes[l4 + 13] ?? 0) & flagMask) === tcpFlag.syn) return undefined
    const [source, port] = [readU16(bytes, l4), readU16(bytes, l4 + 2)]
    const here = this.named.filter(({ socket }) => socket.ns === dev.ns && socket.localPort === port)
    if (here.some(({ socket }) => socket.remotePort === source)) return undefined
    const listens = here.find(({ socket }) => socket.state === socketState.listen)
    const halfOpen = lookupTcp(dev.ns, tupleOf(skb, l4))
    return halfOpen?.state === socketState.listen ? listens?.shown : undefined
  }

  private find(id: string | undefined): UdpSocket | TcpSocket | undefined {
    return this.named.find((each) => each.id === id)?.socket
  }

  /** The name of the socket that a packet has just reached. */
  reached(skb: Skb): string | undefined {
    const { bytes, dev } = skb
    const { protocol, offset: l4 } = transportIn(skb)
    const port = readU16(bytes, l4 + 2)
    const here = this.named.filter(
      ({ socket }) => socket.ns === dev.ns && socket.protocol === protocol && socket.localPort === port,
    )
    return protocol === ipProtocol.udp ? grown(here) : attached(here, readU16(bytes, l4))
  }
}

const flagMask = tcpFlag.syn | tcpFlag.ack | tcpFlag.rst | tcpFlag.fin

function tupleOf(skb: Skb, l4: number): Tuple {
  const { bytes, networkHeader: l3, dev } = skb
  const four = (bytes[l3] ?? 0) >> 4 === 4
  return {
    local: four ? readIpv4(bytes, l3 + 16) : readIpv6(bytes, l3 + 24),
    localPort: readU16(bytes, l4 + 2),
    remote: four ? readIpv4(bytes, l3 + 12) : readIpv6(bytes, l3 + 8),
    remotePort: readU16(bytes, l4),
    ifindex: dev.ifindex,
  }
}

/** Where the transport header of a delivered packet is. */
function transportIn({ bytes, networkHeader: l3, tail }: Skb): { protocol: number; offset: number } {
  const first = bytes[l3] ?? 0
  if (first >> 4 === 4) return { protocol: bytes[l3 + 9] ?? 0, offset: l3 + (first & 15) * 4 }
  return transportOf(bytes, l3, tail) ?? { protocol: -1, offset: tail }
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

/** A listener's filter sees what the listener refuses, before the answer to it: it stands where programs of a cgroup do. */
function markRefused(machine: Machine, sockets: Sockets, notebook: Notebook): void {
  const run = (context: RunContext): number => {
    const skb = context.skb as Skb
    const id = sockets.refusing(skb)
    if (id !== undefined)
      notebook.packet(`${skb.dev.ns.name}:sock:${id}`, skb, skb.tail - transportIn(skb).offset)
    return 1
  }
  for (const ns of machine.namespaces.values())
    attachCgroupSkb(ns, 'ingress', { name: 'marker', type: 'cgroup_skb', run })
}

/** Writes a sighting whenever a packet reaches a socket of the case. */
export function markSockets(machine: Machine, sockets: Sockets, notebook: Notebook): void {
  const { trace } = machine
  if (trace === undefined) return
  markRefused(machine, sockets, notebook)
  const outcome = trace.outcome.bind(trace)
  trace.outcome = (packet, what) => {
    outcome(packet, what)
    const skb = packet as Skb
    const id = what.kind === 'delivered' ? sockets.reached(skb) : undefined
    if (id === undefined) return
    notebook.packet(`${skb.dev.ns.name}:sock:${id}`, skb, skb.tail - transportIn(skb).offset)
  }
}

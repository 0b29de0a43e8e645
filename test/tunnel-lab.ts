// Two hosts on a wire, each with a tunnel device on top: A 192.168.7.1 / 10.7.0.1, B 192.168.7.2 / 10.7.0.2. What passes
// the wire and the tunnel devices is written down.
import { addTap, setUp } from '../src/kernel/device/change.ts'
import type { NetDevice } from '../src/kernel/device/device.ts'
import { addVethPair } from '../src/kernel/device/veth.ts'
import { addAddress } from '../src/kernel/ip/admin-address.ts'
import { addNeighbour } from '../src/kernel/ip/admin-neighbour.ts'
import { createMachine, type Machine } from '../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../src/kernel/namespace.ts'
import { type HookName, priority } from '../src/kernel/netfilter/hook.ts'
import { failed } from '../src/kernel/socket/errno.ts'
import type { SocketOptions } from '../src/kernel/socket/socket.ts'
import { udpBind, udpOpen, udpSend } from '../src/kernel/socket/udp.ts'
import type { UdpSocket } from '../src/kernel/socket/udp-socket.ts'
import { type IpAddress, parseIp } from '../src/net/address.ts'
import { parsePrefix } from '../src/net/prefix.ts'

/** An address that must be right. */
export function at(text: string): IpAddress {
  const address = parseIp(text)
  if (address === undefined) throw new Error(text)
  return address
}

function address(dev: NetDevice, text: string): void {
  const prefix = parsePrefix(text)
  if (prefix === undefined || !addAddress(dev, prefix).ok) throw new Error(text)
}

export interface TunnelLab {
  readonly machine: Machine
  readonly a: Namespace
  readonly b: Namespace
  readonly a0: NetDevice
  readonly b0: NetDevice
  readonly ta: NetDevice
  readonly tb: NetDevice
  /** Frames that left A by the wire. */
  readonly wire: Uint8Array[]
  /** Hooks and devices that packets passed, as `A:OUTPUT inner` and `A:t0 out`. */
  readonly seen: string[]
}

type Make = (ns: Namespace, far: IpAddress, lower: NetDevice) => NetDevice

const hooks: readonly HookName[] = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']

/** The hooks and devices that one packet passes from A's socket to B's, inside the tunnel and as what carries it. */
export const wholeWay: readonly string[] = [
  'A:OUTPUT inner',
  'A:POSTROUTING inner',
  'A:t0 out',
  'A:OUTPUT outer',
  'A:POSTROUTING outer',
  'A:u0 out',
  'B:u0 in',
  'B:PREROUTING outer',
  'B:INPUT outer',
  'B:t0 in',
  'B:PREROUTING inner',
  'B:INPUT inner',
]

function watch(ns: Namespace, seen: string[]): void {
  for (const hook of hooks) {
    const run = (_ns: Namespace, skb: { bytes: Uint8Array; networkHeader: number }): 'accept' => {
      seen.push(`${ns.name}:${hook} ${skb.bytes[skb.networkHeader + 16] === 10 ? 'inner' : 'outer'}`)
      return 'accept'
    }
    ns.netfilter.register({ family: 4, hook, priority: priority.filter, run })
  }
  for (const dev of ns.devices.values()) {
    addTap(dev, (_dev, _skb, direction) => seen.push(`${ns.name}:${dev.name} ${direction}`))
  }
}

/** The hosts, with a tunnel device each; neighbours of both layers are known. */
export function tunnelLab(make: Make, options: { readonly underlay?: 4 | 6 } = {}): TunnelLab {
  const machine = createMachine({ seed: 1, trace: { full: false } })
  const a = addNamespace(machine, { name: 'A' })
  const b = addNamespace(machine, { name: 'B' })
  const [a0, b0] = addVethPair({ ns: a, name: 'u0' }, { ns: b, name: 'u0' })
  const six = options.underlay === 6
  const [near, far] = six ? ['fd00:7::1', 'fd00:7::2'] : ['192.168.7.1', '192.168.7.2']
  for (const dev of [a0, b0]) setUp(dev)
  address(a0, `${near}${six ? '/64' : '/24'}`)
  address(b0, `${far}${six ? '/64' : '/24'}`)
  addNeighbour(a0, at(far), { mac: b0.mac })
  addNeighbour(b0, at(near), { mac: a0.mac })
  const ta = make(a, at(far), a0)
  const tb = make(b, at(near), b0)
  for (const dev of [ta, tb]) setUp(dev)
  address(ta, '10.7.0.1/24')
  address(tb, '10.7.0.2/24')
  if (ta.arp) {
    addNeighbour(ta, at('10.7.0.2'), { mac: tb.mac })
    addNeighbour(tb, at('10.7.0.1'), { mac: ta.mac })
  }
  machine.clock.drain()
  const seen: string[] = []
  const wire: Uint8Array[] = []
  for (const ns of [a, b]) watch(ns, seen)
  addTap(a0, (_dev, skb, direction) => {
    if (direction === 'out') wire.push(skb.bytes.slice(skb.start, skb.tail))
  })
  return { machine, a, b, a0, b0, ta, tb, wire, seen }
}

/** A bound UDP socket. */
export function socketOn(
  ns: Namespace,
  text: string,
  port: number,
  options: Partial<SocketOptions> = {},
): UdpSocket {
  const opened = udpOpen({ ns, family: 4, label: `s${port}`, options })
  if (failed(opened)) throw new Error(opened.errno)
  const bound = udpBind(opened.ok, { address: at(text), port })
  if (failed(bound)) throw new Error(bound.errno)
  return opened.ok
}

/** Sends `bytes` zeros from A to B:7000 through the tunnel and lets everything happen; answers what B received. */
export function sendThrough(
  lab: TunnelLab,
  options: { readonly bytes?: number; readonly port?: number; readonly socket?: Partial<SocketOptions> } = {},
): number {
  const port = options.port ?? 5000
  const server = socketOn(lab.b, '0.0.0.0', 7000, { reuseAddr: true })
  const client = socketOn(lab.a, '10.7.0.1', port, options.socket)
  udpSend(client, new Uint8Array(options.bytes ?? 5), { to: { address: at('10.7.0.2'), port: 7000 } })
  lab.machine.clock.drain()
  return server.queue.length
}

// A laboratory for tests of sockets and IPv6: A -- R -- B, both families, R forwards; or without R at hand, R's own end.
import { addTap, setUp } from '../src/kernel/device/change.ts'
import type { NetDevice } from '../src/kernel/device/device.ts'
import { addVethPair } from '../src/kernel/device/veth.ts'
import { addAddress } from '../src/kernel/ip/admin-address.ts'
import { addRoute } from '../src/kernel/ip/admin-route.ts'
import { createMachine, type Machine } from '../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../src/kernel/namespace.ts'
import { type IpAddress, isIpv4, parseIp } from '../src/net/address.ts'
import { readU32 } from '../src/net/bytes.ts'
import { parsePrefix, prefixOf } from '../src/net/prefix.ts'
import { formatTcpFlags, tcpFlags, tcpHeaderLength } from '../src/net/tcp.ts'

export function at(text: string): IpAddress {
  const address = parseIp(text)
  if (address === undefined) throw new Error(`not an address: ${text}`)
  return address
}

function give(dev: NetDevice, text: string): void {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new Error(`not a prefix: ${text}`)
  addAddress(dev, prefix)
}

function defaultVia(ns: Namespace, gateway: string): void {
  const address = at(gateway)
  const prefix = prefixOf(at(isIpv4(address) ? '0.0.0.0' : '::'), 0)
  addRoute(ns, { prefix, nextHops: [{ gateway: address }] })
}

export interface SocketLab {
  readonly machine: Machine
  readonly a: Namespace
  readonly r: Namespace
  readonly b: Namespace
  readonly a0: NetDevice
  readonly b0: NetDevice
  readonly ra: NetDevice
  readonly rb: NetDevice
  /** TCP segments that A's device has sent (`>`) and received (`<`): `0.00 > syn 0 len 0`, sequence from the first on. */
  readonly segments: string[]
}

/** A 10.0.1.2 fd00:1::2, R .1 on both sides, B 10.0.2.2 fd00:2::2. */
export function socketLab(options: { readonly seed?: number } = {}): SocketLab {
  const machine = createMachine({ seed: options.seed ?? 1, trace: { full: false } })
  const [a, r, b] = ['A', 'R', 'B'].map((name) => addNamespace(machine, { name })) as [
    Namespace,
    Namespace,
    Namespace,
  ]
  for (const ns of [a, r, b]) ns.sysctls.set('net.ipv4.tcp_timestamps', 0)
  r.sysctls.set('net.ipv4.ip_forward', 1)
  r.sysctls.set('net.ipv6.conf.all.forwarding', 1)
  const [a0, ra] = addVethPair(
    { ns: a, name: 'a0', mac: 0x0200_0000_00a0 },
    { ns: r, name: 'ra', mac: 0x0200_0000_00a1 },
  )
  const [rb, b0] = addVethPair(
    { ns: r, name: 'rb', mac: 0x0200_0000_00b1 },
    { ns: b, name: 'b0', mac: 0x0200_0000_00b0 },
  )
  for (const dev of [a0, ra, rb, b0]) setUp(dev)
  give(a0, '10.0.1.2/24')
  give(ra, '10.0.1.1/24')
  give(rb, '10.0.2.1/24')
  give(b0, '10.0.2.2/24')
  give(a0, 'fd00:1::2/64')
  give(ra, 'fd00:1::1/64')
  give(rb, 'fd00:2::1/64')
  give(b0, 'fd00:2::2/64')
  defaultVia(a, '10.0.1.1')
  defaultVia(b, '10.0.2.1')
  defaultVia(a, 'fd00:1::1')
  defaultVia(b, 'fd00:2::1')
  machine.clock.drain()
  const segments: string[] = []
  watchTcp(a0, segments)
  return { machine, a, r, b, a0, b0, ra, rb, segments }
}

function watchTcp(dev: NetDevice, lines: string[]): void {
  const first = new Map<string, number>()
  addTap(dev, (_dev, skb, direction) => {
    const l3 = skb.networkHeader
    const four = (skb.bytes[l3] ?? 0) >> 4 === 4
    if ((four ? skb.bytes[l3 + 9] : skb.bytes[l3 + 6]) !== 6) return
    const l4 = l3 + (four ? 20 : 40)
    const sequence = readU32(skb.bytes, l4 + 4)
    if (!first.has(direction)) first.set(direction, sequence)
    const length = skb.tail - l4 - tcpHeaderLength(skb.bytes, l4)
    const seconds = (Math.floor(dev.ns.machine.clock.now / 1e7) / 100).toFixed(2)
    const flags = formatTcpFlags(tcpFlags(skb.bytes, l4))
    const relative = (sequence - (first.get(direction) ?? 0)) >>> 0
    lines.push(`${seconds} ${direction === 'out' ? '>' : '<'} ${flags} ${relative} len ${length}`)
  })
}

/** The names of all packets born so far. */
export function names(machine: Machine): string[] {
  return machine.trace?.packets.map((packet) => packet.name) ?? []
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const string = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

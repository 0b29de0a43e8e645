// A laboratory for tests of IPv4: A -- R -- B with R as a router, markers at the taps and at the five netfilter hooks, and
// the recorded runs of the real kernel played on it.
import { born } from '../src/kernel/birth.ts'
import { addTap, setUp } from '../src/kernel/device/change.ts'
import type { NetDevice } from '../src/kernel/device/device.ts'
import { addVethPair } from '../src/kernel/device/veth.ts'
import { addAddress } from '../src/kernel/ip/admin-address.ts'
import { addNeighbour } from '../src/kernel/ip/admin-neighbour.ts'
import { addRoute, type RouteSpec } from '../src/kernel/ip/admin-route.ts'
import { createMachine, type Machine } from '../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../src/kernel/namespace.ts'
import { type HookName, priority } from '../src/kernel/netfilter/hook.ts'
import { skbFromFrame } from '../src/kernel/skb.ts'
import { sendFrame } from '../src/kernel/transmit.ts'
import { type Ipv4, parseIp, parseIpv4 } from '../src/net/address.ts'
import { writeU16, writeU32 } from '../src/net/bytes.ts'
import { writeSegmentChecksum } from '../src/net/checksum.ts'
import { ethernetAt, writeEthernet } from '../src/net/ethernet.ts'
import { ipv4At, writeIpv4Checksum } from '../src/net/ipv4.ts'
import { macFrom } from '../src/net/mac.ts'
import { type Prefix, parsePrefix } from '../src/net/prefix.ts'
import { etherType, ipProtocol } from '../src/net/protocol.ts'

/** An address that a test writes down. */
export function ip(text: string): Ipv4 {
  const address = parseIpv4(text)
  if (address === undefined) throw new Error(`not an IPv4 address: ${text}`)
  return address
}

/** A prefix; a bare address is a host prefix, `default` is 0.0.0.0/0. */
export function net(text: string): Prefix {
  if (text === 'default') return { address: ip('0.0.0.0'), length: 0 }
  const prefix = parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
  if (prefix === undefined) throw new Error(`not a prefix: ${text}`)
  return prefix
}

/** `default via 10.0.1.1 dev a0 scope link`, `blackhole 10.0.0.0/8 table 100`: iproute2's words as a spec. */
function route(ns: Namespace, line: string): RouteSpec {
  const words = line.split(' ')
  const types = ['blackhole', 'unreachable', 'prohibit', 'throw', 'local', 'unicast'] as const
  const type = types.find((name) => name === words[0])
  if (type !== undefined) words.shift()
  const prefix = net(words.shift() ?? '')
  const value = (key: string): string | undefined =>
    words.includes(key) ? words[words.indexOf(key) + 1] : undefined
  const dev = value('dev')
  const device = dev === undefined ? undefined : ns.devicesByName.get(dev)
  const via = value('via')
  const gateway = via === undefined ? undefined : parseIp(via)
  const deviceless = type !== undefined && type !== 'unicast' && type !== 'local'
  const table = value('table')
  const metric = value('metric')
  const mtu = value('mtu')
  return {
    prefix,
    ...(type === undefined ? {} : { type }),
    ...(table === undefined ? {} : { table: Number(table) }),
    ...(metric === undefined ? {} : { metric: Number(metric) }),
    ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
    ...(value('proto') === '80' ? { protocol: 80 } : value('proto') === 'bird' ? { protocol: 12 } : {}),
    nextHops: deviceless
      ? []
      : [
          {
            ...(device === undefined ? {} : { device }),
            ...(gateway === undefined ? {} : { gateway }),
            onlink: words.includes('onlink'),
          },
        ],
  }
}

/** Adds a route in iproute2's words; throws when it is refused. */
export function routes(ns: Namespace, ...lines: readonly string[]): void {
  for (const line of lines) {
    const result = addRoute(ns, route(ns, line))
    if (!result.ok) throw new Error(`${line}: ${result.errno}`)
  }
}

/** One sighting: where, and the bytes there. */
interface Sighting {
  readonly place: string
  readonly bytes: Uint8Array
}

/** Marks every tap and hook of a namespace, as the recordings do. */
function watch(ns: Namespace, seen: Sighting[]): void {
  for (const dev of ns.devices.values()) {
    addTap(dev, (_dev, skb, direction) => {
      seen.push({
        place: `${ns.name}:${dev.name}:tap-${direction}`,
        bytes: skb.bytes.slice(skb.macHeader, skb.tail),
      })
    })
  }
  for (const hook of ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const) {
    ns.netfilter.register(marker(ns, hook, seen))
  }
}

function marker(
  ns: Namespace,
  hook: HookName,
  seen: Sighting[],
): Parameters<Namespace['netfilter']['register']>[0] {
  return {
    family: 4,
    hook,
    priority: priority.mangle,
    run: (_ns, skb) => {
      seen.push({ place: `${ns.name}:${hook}`, bytes: skb.bytes.slice(skb.networkHeader, skb.tail) })
      return 'accept'
    },
  }
}

/** A veth pair with addresses, both ends up. */
export function wire(
  left: { readonly ns: Namespace; readonly name: string; readonly mac: number },
  right: { readonly ns: Namespace; readonly name: string; readonly mac: number },
): readonly [NetDevice, NetDevice] {
  const ends = addVethPair(left, right)
  for (const dev of ends) setUp(dev)
  return ends
}

export interface IpLab {
  readonly machine: Machine
  readonly a: Namespace
  readonly r: Namespace
  readonly b: Namespace
  readonly a0: NetDevice
  readonly ra: NetDevice
  readonly rb: NetDevice
  readonly b0: NetDevice
  readonly seen: Sighting[]
}

/**
 * A (10.0.1.2) -- R (10.0.1.1, 10.0.2.1) -- B (10.0.2.2), default routes at A and B, R forwards. Neighbours are permanent
 * unless `cold`. IPv6 is off.
 */
export function ipLab(options: { readonly cold?: boolean; readonly traced?: boolean } = {}): IpLab {
  const machine = createMachine({ seed: 1, ...(options.traced === false ? {} : { trace: { full: true } }) })
  const made = ['A', 'R', 'B'].map((name) => {
    const ns = addNamespace(machine, { name })
    ns.sysctls.set('net.ipv6.conf.all.disable_ipv6', 1)
    return ns
  })
  const [a, r, b] = made as [Namespace, Namespace, Namespace]
  r.sysctls.set('net.ipv4.ip_forward', 1)
  const [a0, ra] = wire(
    { ns: a, name: 'a0', mac: 0x0200_0000_00a0 },
    { ns: r, name: 'ra', mac: 0x0200_0000_00a1 },
  )
  const [rb, b0] = wire(
    { ns: r, name: 'rb', mac: 0x0200_0000_00b1 },
    { ns: b, name: 'b0', mac: 0x0200_0000_00b0 },
  )
  addAddress(a0, net('10.0.1.2/24'))
  addAddress(ra, net('10.0.1.1/24'))
  addAddress(rb, net('10.0.2.1/24'))
  addAddress(b0, net('10.0.2.2/24'))
  routes(a, 'default via 10.0.1.1')
  routes(b, 'default via 10.0.2.1')
  if (options.cold !== true) {
    addNeighbour(a0, ip('10.0.1.1'), { mac: ra.mac })
    addNeighbour(ra, ip('10.0.1.2'), { mac: a0.mac })
    addNeighbour(rb, ip('10.0.2.2'), { mac: b0.mac })
    addNeighbour(b0, ip('10.0.2.1'), { mac: rb.mac })
  }
  const seen: Sighting[] = []
  for (const ns of made) watch(ns, seen)
  return { machine, a, r, b, a0, ra, rb, b0, seen }
}

/** An IPv4 packet with the header fields that tests vary. */
export function datagram(options: {
  readonly from: string
  readonly to: string
  readonly ttl?: number
  readonly protocol?: number
  readonly payload?: Uint8Array
  readonly flags?: number
  readonly ident?: number
  readonly options?: readonly number[]
}): Uint8Array {
  const payload = options.payload ?? udp(5000, 7000, 5)
  const extra = options.options ?? []
  const header = 20 + extra.length
  const bytes = new Uint8Array(header + payload.length)
  bytes[0] = 0x40 | (header / 4)
  writeU16(bytes, ipv4At.totalLength, bytes.length)
  writeU16(bytes, ipv4At.identification, options.ident ?? 0)
  writeU16(bytes, ipv4At.flagsAndOffset, options.flags ?? 0)
  bytes[ipv4At.ttl] = options.ttl ?? 64
  bytes[ipv4At.protocol] = options.protocol ?? ipProtocol.udp
  writeU32(bytes, ipv4At.source, ip(options.from))
  writeU32(bytes, ipv4At.destination, ip(options.to))
  bytes.set(extra, 20)
  bytes.set(payload, header)
  writeIpv4Checksum(bytes, 0)
  const whole = (options.flags ?? 0) % 0x4000 === 0
  const protocol = options.protocol ?? ipProtocol.udp
  if (whole) writeSegmentChecksum(bytes, { l3: 0, l4: header, end: bytes.length, protocol })
  return bytes
}

/** A UDP header with `size` bytes behind it. */
export function udp(sport: number, dport: number, size: number): Uint8Array {
  const bytes = new Uint8Array(8 + size)
  writeU16(bytes, 0, sport)
  writeU16(bytes, 2, dport)
  writeU16(bytes, 4, bytes.length)
  return bytes
}

/** An ICMP echo request. */
export function echoRequest(size = 8): Uint8Array {
  const bytes = new Uint8Array(8 + size)
  bytes[0] = 8
  writeU16(bytes, 4, 77)
  writeU16(bytes, 6, 1)
  return bytes
}

/** Sends an IP packet from a device to a MAC address as an AF_PACKET socket does, and runs what follows at once. */
export function sendRaw(dev: NetDevice, packet: Uint8Array, to: number): number {
  const frame = new Uint8Array(ethernetAt.payload + packet.length)
  writeEthernet(frame, 0, { destination: macFrom(to), source: macFrom(dev.mac), type: etherType.ipv4 })
  frame.set(packet, ethernetAt.payload)
  const skb = skbFromFrame(dev, frame)
  born(skb, 'p')
  const result = sendFrame(skb)
  dev.ns.machine.clock.drain()
  return result
}

/** Every outcome of every packet: `p1 dropped R//route REASON`. */
export function ends(machine: Machine): string[] {
  return (machine.trace?.packets ?? []).flatMap((packet) =>
    packet.outcomes.map((end) =>
      `${packet.name} ${end.kind} ${end.node}/${end.device}/${end.stage} ${end.reason ?? ''}`.trim(),
    ),
  )
}

/** `type/code` of the ICMP message that A received. */
export function answerAt(lab: IpLab): string | undefined {
  const found = lab.seen.find(({ place, bytes }) => place === 'A:PREROUTING' && bytes[9] === 1)
  return found === undefined ? undefined : `${found.bytes[20]}/${found.bytes[21]}`
}

import { describe, expect, test } from 'vitest'
import { at, type SocketLab, socketLab, text } from '../../../test/socket-lab.ts'
import { type Ipv6, linkLocalOf } from '../../net/address.ts'
import { concatBytes } from '../../net/bytes.ts'
import { writeSegmentChecksum } from '../../net/checksum.ts'
import { ethernetAt, writeEthernet } from '../../net/ethernet.ts'
import { encodeIpv6, type Ipv6Header } from '../../net/ipv6.ts'
import { encodeExtension, type Ipv6Extension } from '../../net/ipv6-extensions.ts'
import { macFrom } from '../../net/mac.ts'
import { encodeNd } from '../../net/nd.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { encodeUdp } from '../../net/udp.ts'
import { born } from '../birth.ts'
import { second } from '../clock.ts'
import { addTap } from '../device/change.ts'
import type { NetDevice } from '../device/device.ts'
import { addAddress } from '../ip/admin-address.ts'
import { addProxyNeighbour } from '../ip/admin-neighbour.ts'
import { addRoute } from '../ip/admin-route.ts'
import { findNeighbour } from '../neighbour-entry.ts'
import { skbFromFrame } from '../skb.ts'
import { icmpEcho, pingReceive } from '../socket/ping.ts'
import { udpBind, udpOpen } from '../socket/udp.ts'
import { sendFrame } from '../transmit.ts'
import { commonPrefix, labelOf, listensTo, selectSource } from './source.ts'

function six(value: string): Ipv6 {
  return at(value) as Ipv6
}

/** ICMPv6 messages that a device receives, as `type/code`, without neighbour discovery. */
function watchIcmp6(dev: NetDevice): string[] {
  const seen: string[] = []
  addTap(dev, (_dev, skb, direction) => {
    const l3 = skb.networkHeader
    if (direction !== 'in' || (skb.bytes[l3] ?? 0) >> 4 !== 6 || skb.bytes[l3 + 6] !== 58) return
    const type = skb.bytes[l3 + 40] ?? 0
    if (type < 133 || type > 137) seen.push(`${type}/${skb.bytes[l3 + 41]}`)
  })
  return seen
}

const plain: Ipv6Header = {
  trafficClass: 0,
  flowLabel: 0,
  payloadLength: 0,
  nextHeader: ipProtocol.udp,
  hopLimit: 64,
  source: six('fd00:1::2'),
  destination: six('fd00:2::2'),
}

/** Sends a UDP packet from A's wire; extensions stand in the order given. */
function inject(
  lab: SocketLab,
  header: Partial<Ipv6Header> = {},
  extensions: readonly { readonly protocol: number; readonly extension: Ipv6Extension }[] = [],
  payload: Uint8Array = new Uint8Array(4),
): void {
  const udp = encodeUdp({ source: 5000, destination: 7000, length: 8 + payload.length, checksum: 0 })
  const parts = extensions.map(({ extension }) => encodeExtension(extension))
  const body = concatBytes([...parts, udp, payload])
  const merged = { ...plain, ...header, payloadLength: body.length }
  const first = extensions[0]?.protocol ?? merged.nextHeader
  const packet = concatBytes([encodeIpv6({ ...merged, nextHeader: first }), body])
  const l4 = 40 + parts.reduce((sum, part) => sum + part.length, 0)
  writeSegmentChecksum(packet, { l3: 0, l4, end: packet.length, protocol: ipProtocol.udp })
  const frame = new Uint8Array(ethernetAt.payload + packet.length)
  writeEthernet(frame, 0, {
    destination: macFrom(lab.ra.mac),
    source: macFrom(lab.a0.mac),
    type: etherType.ipv6,
  })
  frame.set(packet, ethernetAt.payload)
  const skb = skbFromFrame(lab.a0, frame)
  born(skb, 'p1')
  sendFrame(skb)
  lab.machine.clock.drain()
}

describe('a router answers', () => {
  test.each([
    ['hop limit 1', {}, (): void => undefined, { hopLimit: 1 }, ['3/0']],
    ['a closed port', {}, (): void => undefined, {}, ['1/4']],
    ['no route', {}, (): void => undefined, { destination: six('fd00:9::9') }, ['1/0']],
    ['a link-local source', {}, (): void => undefined, { source: six('fe80::77') }, []],
    ['a multicast source', {}, (): void => undefined, { source: six('ff02::1') }, []],
    ['an unknown header', {}, (): void => undefined, { nextHeader: 253 }, ['4/1']],
  ] as const)('%s: %j', (_what, _options, _prepare, header, expected) => {
    const lab = socketLab()
    const seen = watchIcmp6(lab.a0)
    inject(lab, header)
    expect(seen).toEqual(expected)
  })

  test.each([
    ['unreachable', ['1/0']],
    ['prohibit', ['1/1']],
    ['blackhole', []],
  ] as const)('an %s route: %j', (type, expected) => {
    const lab = socketLab()
    const seen = watchIcmp6(lab.a0)
    addRoute(lab.r, { prefix: { address: at('fd00:9::'), length: 64 } as never, type, nextHops: [] })
    inject(lab, { destination: six('fd00:9::9') })
    expect(seen).toEqual(expected)
  })

  test('too big: 2/0, and nothing passes', () => {
    const lab = socketLab()
    lab.rb.mtu = 1300
    const seen = watchIcmp6(lab.a0)
    inject(lab, {}, [], new Uint8Array(1400))
    expect(seen).toEqual(['2/0'])
    expect(lab.b.counters.get('Ip6InReceives') ?? 0).toBe(0)
  })

  test('a neighbour that never answers: 1/3 after three seconds', () => {
    const lab = socketLab()
    const seen = watchIcmp6(lab.a0)
    inject(lab, { destination: six('fd00:2::77') })
    lab.machine.clock.advance(2.9 * second)
    expect(seen).toEqual([])
    lab.machine.clock.advance(3.2 * second)
    expect(seen).toEqual(['1/3'])
  })

  test('forwarding off: silence and Ip6InAddrErrors', () => {
    const lab = socketLab()
    lab.r.sysctls.set('net.ipv6.conf.all.forwarding', 0)
    const seen = watchIcmp6(lab.a0)
    inject(lab)
    expect(seen).toEqual([])
    expect(lab.r.counters.get('Ip6InAddrErrors')).toBe(1)
  })

  test('errors are limited: six at once to one sender over a /64', () => {
    const lab = socketLab()
    const seen = watchIcmp6(lab.a0)
    for (let n = 0; n < 40; n += 1) inject(lab, { hopLimit: 1 })
    expect(seen.length).toBeLessThan(40)
    expect(seen.length).toBeGreaterThanOrEqual(6)
    expect(lab.r.counters.get('Icmp6OutRateLimitHost')).toBe(40 - seen.length)
  })
})

describe('extension headers', () => {
  const options = (type: number): Ipv6Extension => ({
    kind: 'options',
    nextHeader: ipProtocol.udp,
    options: [{ kind: 'option', type, data: new Uint8Array(4) }],
  })
  const routing = (segmentsLeft: number): Ipv6Extension => ({
    kind: 'routing',
    nextHeader: ipProtocol.udp,
    type: 0,
    segmentsLeft,
    data: new Uint8Array(4),
  })
  const { destinationOptions, hopByHop } = ipProtocol

  test.each([
    ['an option to be skipped', destinationOptions, options(0x1e), [], 1],
    ['an option to be discarded', destinationOptions, options(0x5e), [], 0],
    ['an option to be reported', destinationOptions, options(0x9e), ['4/2'], 0],
    ['a hop-by-hop option that the router reports', hopByHop, options(0x9e), ['4/2'], 0],
    ['a hop-by-hop option to be skipped', hopByHop, options(0x1e), [], 1],
    ['a routing header that is done', ipProtocol.routing, routing(0), [], 1],
    ['a routing header of type 0 with segments left', ipProtocol.routing, routing(1), ['4/0'], 0],
  ] as const)('%s', (_what, protocol, extension, expected, datagrams) => {
    const lab = socketLab()
    const seen = watchIcmp6(lab.a0)
    const opened = udpOpen({ ns: lab.b, family: 6, label: 's' })
    if (!('ok' in opened)) throw new Error(opened.errno)
    udpBind(opened.ok, { address: at('::'), port: 7000 })
    inject(lab, {}, [{ protocol, extension }])
    expect(seen).toEqual(expected)
    expect(opened.ok.queue).toHaveLength(datagrams)
  })
})

describe('neighbour discovery', () => {
  test('the router asks from its link-local address and is answered', () => {
    const lab = socketLab()
    inject(lab)
    const asked = lab.machine.trace?.packets.find((packet) => packet.name === 'p1.nd')
    const source = asked?.first.bytes.slice(8, 24)
    expect(source?.slice(0, 2)).toEqual(Uint8Array.of(0xfe, 0x80))
    expect(findNeighbour(lab.rb, at('fd00:2::2'))?.state).toBe('REACHABLE')
    expect(findNeighbour(lab.b0, linkLocalOf(macFrom(lab.rb.mac)))?.mac).toBe(lab.rb.mac)
  })

  test.each([
    ['proxy_ndp alone', 1, false, 0],
    ['a listed address alone', 0, true, 0],
    ['both', 1, true, 1],
  ] as const)('%s', (_what, sysctl, listed, answers) => {
    const lab = socketLab()
    lab.r.sysctls.set('net.ipv6.conf.ra.proxy_ndp', sysctl)
    lab.r.sysctls.set('net.ipv6.neigh.ra.proxy_delay', 0)
    if (listed) addProxyNeighbour(lab.r, at('fd00:1::99'), lab.ra)
    icmpEcho(lab.a, {
      destination: at('fd00:1::99'),
      label: 'e',
      identifier: 1,
      sequence: 1,
      data: text('x'),
    })
    lab.machine.clock.drain()
    expect(lab.r.counters.get('Icmp6OutNeighborAdvertisements') ?? 0).toBe(answers)
  })

  test('a message that passed a router is not believed', () => {
    const lab = socketLab()
    const message = encodeNd({
      kind: 'neighbour-solicitation',
      target: six('fd00:1::1'),
      options: [{ kind: 'source-link', mac: macFrom(lab.a0.mac) }],
    })
    const header = encodeIpv6({
      ...plain,
      nextHeader: ipProtocol.icmp6,
      hopLimit: 254,
      payloadLength: message.length,
      destination: six('fd00:1::1'),
    })
    const packet = concatBytes([header, message])
    writeSegmentChecksum(packet, { l3: 0, l4: 40, end: packet.length, protocol: ipProtocol.icmp6 })
    const frame = new Uint8Array(ethernetAt.payload + packet.length)
    const ends = { destination: macFrom(lab.ra.mac), source: macFrom(lab.a0.mac) }
    writeEthernet(frame, 0, { ...ends, type: etherType.ipv6 })
    frame.set(packet, ethernetAt.payload)
    sendFrame(skbFromFrame(lab.a0, frame))
    lab.machine.clock.drain()
    expect(lab.r.counters.get('Icmp6OutNeighborAdvertisements') ?? 0).toBe(0)
  })
})

describe('source addresses', () => {
  test.each([
    ['fd00:2::9', 'fd00:1::2'],
    ['2001:db8:9::1', '2001:db8:1::2'],
    ['fe80::9', 'fe80::ff:fe00:a0'],
    ['ff02::1', 'fe80::ff:fe00:a0'],
    ['fd00:1::2', 'fd00:1::2'],
    ['2001:db8:1:2::7', '2001:db8:1::2'],
  ])('towards %s: %s', (towards, expected) => {
    const { a0 } = socketLab()
    addAddress(a0, { address: six('2001:db8:1::2'), length: 64 })
    expect(selectSource(a0.ns, a0, six(towards))).toEqual(six(expected))
  })

  test.each([
    ['::1', 0],
    ['2001:db8::1', 1],
    ['2002::1', 2],
    ['::ffff:1.2.3.4', 4],
    ['fd00::1', 5],
    ['2001::1', 6],
  ])('label of %s is %i', (address, label) => {
    expect(labelOf(six(address))).toBe(label)
  })

  test('common prefixes are counted across words', () => {
    expect(commonPrefix(six('fd00::1'), six('fd00::1'))).toBe(128)
    expect(commonPrefix(six('fd00:0:0:1::'), six('fd00:0:0:3::'))).toBe(62)
    expect(commonPrefix(six('::'), six('8000::'))).toBe(0)
  })

  test.each([
    ['ff02::1', true],
    ['ff02::1:ff00:2', true],
    ['ff02::1:ff00:a0', true],
    ['ff02::1:ff00:77', false],
    ['ff02::2', false],
    ['ff05::2', false],
    ['ff12::1', false],
    ['ff02:1::1', false],
  ])('a0 listens to %s: %s', (group, expected) => {
    expect(listensTo(socketLab().a0, six(group))).toBe(expected)
  })

  test.each([
    ['ff01::2', true],
    ['ff02::2', true],
    ['ff05::2', true],
    ['ff05::1', false],
    ['ff15::2', false],
  ])('as a router it listens to %s: %s', (group, expected) => {
    const lab = socketLab()
    lab.a.sysctls.set('net.ipv6.conf.all.forwarding', 1)
    expect(listensTo(lab.a0, six(group))).toBe(expected)
  })
})

describe('echo', () => {
  test.each([['fd00:2::2'], ['fd00:1::2'], ['::1'], ['10.0.2.2'], ['127.0.0.1']])(
    '%s answers',
    (destination) => {
      const lab = socketLab()
      const socket = icmpEcho(lab.a, {
        destination: at(destination),
        label: 'e',
        identifier: 7,
        sequence: 3,
        data: text('abc'),
      })
      if (!('ok' in socket)) throw new Error(socket.errno)
      lab.machine.clock.drain()
      const reply = pingReceive(socket.ok)
      expect('ok' in reply && [reply.ok.sequence, reply.ok.source]).toEqual([3, at(destination)])
    },
  )
})

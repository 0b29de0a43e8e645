// Fragments, reassembly, header checks, options, echo, path MTU, bpf_fib_lookup and redirect_neigh.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { datagram, echoRequest, ends, ip, ipLab, routes, sendRaw, udp } from '../../../test/ip-lab.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import { ipv4ChecksumIsRight, writeIpv4Checksum } from '../../net/ipv4.ts'
import { etherType } from '../../net/protocol.ts'
import { born } from '../birth.ts'
import { setMtu } from '../device/change.ts'
import { type Skb, skbFromFrame, skbFromPacket } from '../skb.ts'
import { deleteNeighbour } from './admin-neighbour.ts'
import { bpfFibLookup, fibLookupFlag } from './bpf-fib.ts'
import { fragmentPacket } from './fragment.ts'
import { learnPathMtu } from './icmp-learn.ts'
import { selectIdent } from './ident.ts'
import { listRouteCache } from './list.ts'
import { ipLocalOut } from './output.ts'
import { routeOutput } from './output-route.ts'
import { reassemble } from './reassembly.ts'
import { ipReceive } from './receive.ts'
import { redirectNeigh } from './redirect-neigh.ts'
import { plainFlow } from './source.ts'

const second = 1_000_000_000

function patterned(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7) & 255)
}

describe('fragments', () => {
  test('what was cut is put together again, in any order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 68, max: 1500 }),
        fc.nat(),
        (size, mtu, turn) => {
          const { b, b0 } = ipLab()
          const whole = datagram({
            from: '10.0.1.2',
            to: '10.0.2.2',
            payload: patterned(size),
            protocol: 200,
            ident: 9,
          })
          const pieces = fragmentPacket(skbFromPacket(b0, whole, etherType.ipv4), mtu)
          expect(
            pieces.every((piece) => piece.length <= mtu && ipv4ChecksumIsRight(piece.bytes, piece.data)),
          ).toBe(true)
          const at = turn % pieces.length
          const shuffled = [...pieces.slice(at), ...pieces.slice(0, at)].reverse()
          const answers = shuffled.map((piece) => reassemble(b, piece, 0))
          const joined = answers.at(-1)
          expect(answers.slice(0, -1).every((answer) => answer === undefined)).toBe(true)
          expect(joined?.bytes.slice(joined.data, joined.tail)).toEqual(whole)
          expect(b.ip.v4.fragments.size).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a fragment that is cut again keeps its offset and its flag', () => {
    const { b0 } = ipLab()
    const middle = datagram({
      from: '10.0.1.2',
      to: '10.0.2.2',
      payload: patterned(800),
      flags: 0x2000 | 100,
    })
    const words = fragmentPacket(skbFromPacket(b0, middle, etherType.ipv4), 420).map((piece) =>
      readU16(piece.bytes, piece.data + 6),
    )
    expect(words).toEqual([0x2000 | 100, 0x2000 | 150])
  })

  test('a router cuts what has no DF', () => {
    const lab = ipLab()
    setMtu(lab.rb, 600)
    const payload = udp(5000, 7000, 992)
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', payload, ident: 5 }), lab.ra.mac)
    expect(lab.seen.filter(({ place }) => place === 'B:b0:tap-in')).toHaveLength(2)
    expect(lab.seen.filter(({ place }) => place === 'B:INPUT').map(({ bytes }) => bytes.length)).toEqual([
      1020,
    ])
    expect([lab.r.counters.get('IpFragOKs'), lab.r.counters.get('IpFragCreates')]).toEqual([1, 2])
    expect(lab.b.counters.get('IpReasmOKs')).toBe(1)
  })

  test('an overlap ends the datagram, a copy only itself', () => {
    const { b, b0 } = ipLab()
    const part = (flags: number, size: number): Skb => {
      const bytes = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: patterned(size), flags, ident: 3 })
      return skbFromPacket(b0, bytes, etherType.ipv4)
    }
    expect(reassemble(b, part(0x2000, 16), 0)).toBeUndefined()
    expect(reassemble(b, part(0x2000, 16), 0)).toBeUndefined()
    expect(b.ip.v4.fragments.size).toBe(1)
    expect(reassemble(b, part(0x2001, 16), 0)).toBeUndefined()
    expect(b.ip.v4.fragments.size).toBe(0)
    expect(b.counters.get('IpReasmFails')).toBe(1)
  })

  test('after 30 s the sender of an unfinished datagram is told, if its start came', () => {
    const lab = ipLab()
    const start = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 7000, 8), flags: 0x2000 })
    sendRaw(lab.a0, start, lab.ra.mac)
    lab.machine.clock.advance(31 * second)
    const icmp = lab.seen.find(({ place, bytes }) => place === 'A:PREROUTING' && bytes[9] === 1)?.bytes
    expect([icmp?.[20], icmp?.[21]]).toEqual([11, 1])
    expect(lab.b.counters.get('IpReasmTimeout')).toBe(1)
    expect(ends(lab.machine)).toContain('p dropped B/b0/rx SKB_DROP_REASON_FRAG_REASM_TIMEOUT')
  })
})

const good = datagram({ from: '10.0.1.2', to: '10.0.1.1' })

describe('ip_rcv', () => {
  const changed = (change: (bytes: Uint8Array) => void, sum = true): Uint8Array => {
    const bytes = good.slice()
    change(bytes)
    if (sum) writeIpv4Checksum(bytes, 0)
    return bytes
  }
  test.each([
    {
      what: 'too short',
      packet: good.slice(0, 12),
      reason: 'SKB_DROP_REASON_IP_INHDR',
      counter: 'IpInHdrErrors',
    },
    {
      what: 'version 5',
      packet: changed((bytes) => {
        bytes[0] = 0x55
      }),
      reason: 'SKB_DROP_REASON_IP_INHDR',
      counter: 'IpInHdrErrors',
    },
    {
      what: 'header length 16',
      packet: changed((bytes) => {
        bytes[0] = 0x44
      }, false),
      reason: 'SKB_DROP_REASON_IP_INHDR',
      counter: 'IpInHdrErrors',
    },
    {
      what: 'bad checksum',
      packet: changed((bytes) => {
        bytes[10] = (bytes[10] as number) ^ 1
      }, false),
      reason: 'SKB_DROP_REASON_IP_CSUM',
      counter: 'IpExtInCsumErrors',
    },
    {
      what: 'longer than the frame',
      packet: changed((bytes) => writeU16(bytes, 2, 999)),
      reason: 'SKB_DROP_REASON_PKT_TOO_SMALL',
      counter: 'IpExtInTruncatedPkts',
    },
    {
      what: 'total length below the header',
      packet: changed((bytes) => writeU16(bytes, 2, 19)),
      reason: 'SKB_DROP_REASON_IP_INHDR',
      counter: 'IpInHdrErrors',
    },
  ])('$what', ({ packet, reason, counter }) => {
    const lab = ipLab()
    sendRaw(lab.a0, packet, lab.ra.mac)
    expect(ends(lab.machine)).toEqual([`p dropped R/ra/rx ${reason}`])
    expect(lab.r.counters.get(counter)).toBe(1)
    expect(lab.seen.some(({ place }) => place === 'R:PREROUTING')).toBe(false)
  })

  test('padding behind the packet is cut off', () => {
    const lab = ipLab()
    const padded = new Uint8Array(60)
    padded.set(good)
    sendRaw(lab.a0, padded, lab.ra.mac)
    expect(lab.seen.find(({ place }) => place === 'R:PREROUTING')?.bytes).toEqual(good)
  })

  test.each([
    { what: 'malformed option: parameter problem', options: [7, 99, 4, 0], answer: [12, 0, 20] },
    { what: 'loose source route: dropped in silence', options: [131, 4, 4, 0], answer: undefined },
  ])('$what', ({ options, answer }) => {
    const lab = ipLab()
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', options }), lab.ra.mac)
    const icmp = lab.seen.find(({ place, bytes }) => place === 'A:PREROUTING' && bytes[9] === 1)?.bytes
    expect(icmp && [icmp[20], icmp[21], icmp[24]]).toEqual(answer)
  })

  test('a router writes itself into a record route', () => {
    const lab = ipLab()
    sendRaw(
      lab.a0,
      datagram({ from: '10.0.1.2', to: '10.0.2.2', options: [7, 7, 4, 0, 0, 0, 0, 0] }),
      lab.ra.mac,
    )
    const arrived = lab.seen.find(({ place }) => place === 'B:PREROUTING')?.bytes
    expect(arrived?.slice(20, 27)).toEqual(new Uint8Array([7, 7, 8, 10, 0, 2, 1]))
  })
})

test.each([
  { assigned: true, kept: true },
  { assigned: false, kept: false },
])(
  'a socket on the packet survives ip_rcv only when bpf_sk_assign put it there: $assigned',
  ({ assigned, kept }) => {
    const lab = ipLab()
    const skb = skbFromPacket(lab.ra, good, etherType.ipv4)
    skb.sk = {} as NonNullable<Skb['sk']>
    skb.skAssigned = assigned
    let seen: unknown
    lab.r.netfilter.register({
      family: 4,
      hook: 'PREROUTING',
      priority: 0,
      run: (_ns, packet) => {
        seen = packet.sk
        return 'stolen'
      },
    })
    ipReceive(skb)
    expect(seen !== undefined).toBe(kept)
  },
)

describe('echo', () => {
  test('comes back with the same bytes and the address that was asked', () => {
    const lab = ipLab()
    sendRaw(
      lab.a0,
      datagram({ from: '10.0.1.2', to: '10.0.2.1', protocol: 1, payload: echoRequest(40) }),
      lab.ra.mac,
    )
    const reply = lab.seen.find(({ place, bytes }) => place === 'A:PREROUTING' && bytes[20] === 0)?.bytes
    expect(reply?.slice(12, 16)).toEqual(new Uint8Array([10, 0, 2, 1]))
    expect(reply?.length).toBe(68)
    expect(lab.machine.trace?.packets.map(({ name, cause }) => `${name} ${cause}`)).toEqual([
      'p ',
      'p.icmp p',
    ])
  })

  test.each([
    { sysctl: 'net.ipv4.icmp_echo_ignore_all', to: '10.0.1.1', value: 1, answered: false },
    { sysctl: 'net.ipv4.icmp_echo_ignore_broadcasts', to: '10.0.1.255', value: 1, answered: false },
    { sysctl: 'net.ipv4.icmp_echo_ignore_broadcasts', to: '10.0.1.255', value: 0, answered: true },
  ])('$sysctl=$value to $to', ({ sysctl, to, value, answered }) => {
    const lab = ipLab()
    lab.r.sysctls.set(sysctl, value)
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to, protocol: 1, payload: echoRequest() }), 0xffff_ffff_ffff)
    expect(lab.r.counters.get('IcmpOutEchoReps') === 1).toBe(answered)
  })
})

describe('path MTU', () => {
  test('is kept for 600 s, for the sender only', () => {
    const { a, machine } = ipLab()
    learnPathMtu(a, ip('10.0.2.2'), 1450)
    const mtu = (): unknown => routeOutput(a, plainFlow(ip('10.0.2.2')))
    expect(mtu()).toMatchObject({ route: { mtu: 1450 } })
    expect(listRouteCache(a, 4)).toEqual(['10.0.2.2 dev a0 cache mtu 1450'])
    learnPathMtu(a, ip('10.0.2.2'), 1480)
    expect(mtu()).toMatchObject({ route: { mtu: 1450 } })
    learnPathMtu(a, ip('10.0.2.2'), 100)
    expect(mtu()).toMatchObject({ route: { mtu: 552 } })
    machine.clock.advance(601 * second)
    expect(mtu()).toMatchObject({ route: { mtu: 1500 } })
  })

  test('a packet with DF that is too big for it is refused to its sender', () => {
    const { a } = ipLab()
    learnPathMtu(a, ip('10.0.2.2'), 600)
    const answer = routeOutput(a, plainFlow(ip('10.0.2.2')))
    if (answer.kind === 'error') throw new Error(answer.errno)
    const bytes = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(1, 2, 700), flags: 0x4000 })
    const skb = skbFromPacket(answer.route.device, bytes, etherType.ipv4)
    born(skb, 'u')
    skb.route = answer.route
    expect(ipLocalOut(a, skb)).toBe(-90)
    expect(a.counters.get('IpFragFails')).toBe(1)
  })
})

// ip_mc_output(): the sender's own sockets hear broadcasts and the groups that the device has joined
test.each([
  { to: '255.255.255.255', copies: 1 },
  { to: '10.0.1.255', copies: 1 },
  { to: '224.0.0.1', copies: 1 },
  { to: '224.0.0.9', copies: 0 },
])('a packet to $to is heard by the sender itself $copies times', ({ to, copies }) => {
  const lab = ipLab()
  const answer = routeOutput(lab.a, { ...plainFlow(ip(to)), source: ip('10.0.1.2') })
  if (answer.kind === 'error') throw new Error(answer.errno)
  const skb = skbFromPacket(answer.route.device, datagram({ from: '10.0.1.2', to }), etherType.ipv4)
  born(skb, 'u')
  skb.route = answer.route
  expect(ipLocalOut(lab.a, skb)).toBe(0)
  lab.machine.clock.drain()
  const count = (place: string): number => lab.seen.filter((sighting) => sighting.place === place).length
  expect(count('A:INPUT')).toBe(copies)
  expect(count('A:POSTROUTING')).toBe(1 + copies)
  expect(count('R:ra:tap-in')).toBe(1)
})

// facts/linux 4.12
test.each([
  { what: 'unconnected, DF wished for', packet: { dontFragment: true, ignoreDontFragment: true }, step: 1 },
  { what: 'unconnected, DF demanded', packet: { dontFragment: true, ignoreDontFragment: false }, step: 0 },
  { what: 'no DF', packet: { dontFragment: false, ignoreDontFragment: false }, step: 1 },
])('identification: $what', ({ packet, step }) => {
  const { a } = ipLab()
  const ends4 = { source: ip('10.0.1.2'), destination: ip('10.0.2.2'), protocol: 17 }
  const first = selectIdent(a, { ...ends4, ...packet })
  expect((selectIdent(a, { ...ends4, ...packet }) - first) & 0xffff).toBe(step)
  if (step === 0) expect(first).toBe(0)
})

describe('bpf_fib_lookup', () => {
  const request = {
    family: 4 as const,
    source: [ip('10.0.1.2')],
    protocol: 17,
    sport: 1,
    dport: 2,
    totalLength: 0,
    tos: 0,
    ifindex: 2,
    mark: 0,
  }
  // facts/linux 3.10
  test.each([
    { what: 'forwarded', to: '10.0.2.2', code: 0, ifindex: 3 },
    { what: 'blackhole', to: '203.0.113.1', route: 'blackhole 203.0.113.0/24', code: 1 },
    { what: 'unreachable', to: '203.0.113.1', route: 'unreachable 203.0.113.0/24', code: 2 },
    { what: 'prohibit', to: '203.0.113.1', route: 'prohibit 203.0.113.0/24', code: 3 },
    { what: 'no route', to: '203.0.113.1', code: 4 },
    { what: 'local destination', to: '10.0.2.1', code: 4 },
    { what: 'forwarding disabled', to: '10.0.2.2', forward: 0, code: 5 },
    { what: 'no neighbour', to: '10.0.2.99', code: 7, ifindex: 3 },
    {
      what: 'no neighbour, not asked for',
      to: '10.0.2.99',
      flags: fibLookupFlag.skipNeighbour,
      code: 0,
      ifindex: 3,
    },
    { what: 'too long', to: '10.0.2.2', totalLength: 1600, code: 8 },
    { what: 'unknown flag', to: '10.0.2.2', flags: 64, code: -22 },
  ])('$what: $code', ({ to, route, forward, flags, totalLength, code, ifindex }) => {
    const { r, rb, b0 } = ipLab()
    if (route !== undefined) routes(r, route)
    if (forward !== undefined) r.sysctls.set('net.ipv4.ip_forward', forward)
    const answer = bpfFibLookup(
      r,
      { ...request, destination: [ip(to)], totalLength: totalLength ?? 0 },
      flags ?? 0,
    )
    expect(answer.code).toBe(code)
    expect(answer.ifindex).toBe(ifindex ?? 2)
    if (code === 0 && flags === undefined)
      expect(answer).toMatchObject({ sourceMac: rb.mac, destinationMac: b0.mac, mtu: 1500 })
  })

  test('answers the gateway, and with flags a source, a table, a mark', () => {
    const { r } = ipLab()
    routes(r, '10.9.0.0/24 via 10.0.2.2 metric 7', '10.9.0.0/24 via 10.0.1.2 table 100')
    const to = { ...request, destination: [ip('10.9.0.1')] }
    expect(bpfFibLookup(r, to, fibLookupFlag.source)).toMatchObject({
      gateway: [ip('10.0.2.2')],
      metric: 7,
      preferredSource: [ip('10.0.2.1')],
    })
    const inTable = fibLookupFlag.direct | fibLookupFlag.table
    expect(bpfFibLookup(r, { ...to, table: 100 }, inTable)).toMatchObject({ gateway: [ip('10.0.1.2')] })
    expect(bpfFibLookup(r, { ...to, table: 101 }, inTable).code).toBe(4)
  })
})

describe('redirect_neigh', () => {
  test.each([
    { what: 'by the tables', nextHop: undefined },
    { what: 'with a next hop', nextHop: '10.0.2.2' },
  ])('$what: new MAC addresses, same TTL, no netfilter', ({ nextHop }) => {
    const lab = ipLab()
    const packet = datagram({ from: '10.0.1.2', to: '10.0.2.2' })
    const skb = skbFromFrame(lab.ra, new Uint8Array([...new Uint8Array(14), ...packet]))
    skb.networkHeader = skb.data + 14
    skb.protocol = etherType.ipv4
    born(skb, 'p')
    expect(redirectNeigh(skb, lab.rb, nextHop === undefined ? undefined : ip(nextHop))).toBe(true)
    lab.machine.clock.drain()
    const arrived = lab.seen.find(({ place }) => place === 'B:b0:tap-in')?.bytes
    expect(arrived?.slice(14)).toEqual(packet)
    expect(arrived?.slice(0, 12)).toEqual(new Uint8Array([2, 0, 0, 0, 0, 0xb0, 2, 0, 0, 0, 0, 0xb1]))
    const hooks = lab.seen.filter(
      ({ place, bytes }) => place.startsWith('R:') && bytes.join() === packet.join(),
    )
    expect(hooks).toEqual([])
  })

  test('asks for an unknown neighbour while the packet waits', () => {
    const lab = ipLab()
    deleteNeighbour(lab.rb, ip('10.0.2.2'))
    const packet = datagram({ from: '10.0.1.2', to: '10.0.2.2' })
    const skb = skbFromFrame(lab.ra, new Uint8Array([...new Uint8Array(14), ...packet]))
    skb.networkHeader = skb.data + 14
    skb.protocol = etherType.ipv4
    born(skb, 'p')
    redirectNeigh(skb, lab.rb, undefined)
    lab.machine.clock.drain()
    expect(lab.seen.some(({ place }) => place === 'B:PREROUTING')).toBe(true)
    expect(lab.machine.trace?.packets.map(({ name }) => name)).toContain('p.arp')
  })
})

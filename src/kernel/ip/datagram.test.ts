import { describe, expect, test } from 'vitest'
import { datagram, echoRequest, ends, ip, ipLab, sendRaw, udp } from '../../../test/ip-lab.ts'
import { writeU16 } from '../../net/bytes.ts'
import { writeIpv4Checksum } from '../../net/ipv4.ts'
import { etherType } from '../../net/protocol.ts'
import { born } from '../birth.ts'
import { type Skb, skbFromPacket } from '../skb.ts'
import { learnPathMtu } from './icmp-learn.ts'
import { selectIdent } from './ident.ts'
import { listRouteCache } from './list.ts'
import { ipLocalOut } from './output.ts'
import { routeOutput } from './output-route.ts'
import { ipReceive } from './receive.ts'
import { plainFlow } from './source.ts'

const second = 1_000_000_000

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

// Every row of facts/linux section 8, "Routing / drops at R": the last hook, the answer to the sender, the counter.
import { describe, expect, test } from 'vitest'
import { datagram, echoRequest, ends, type IpLab, ip, ipLab, routes, sendRaw } from '../../../test/ip-lab.ts'
import { setDown, setMtu } from '../device/change.ts'
import { addNeighbour } from './admin-neighbour.ts'
import { addRule } from './admin-rule.ts'
import { formatRoute, listRoutes } from './list.ts'
import { routeOutput } from './output-route.ts'
import { routeTable } from './route.ts'
import { plainFlow } from './source.ts'

interface Row {
  readonly name: string
  readonly prepare?: (lab: IpLab) => void
  readonly from?: string
  readonly to?: string
  readonly ttl?: number
  readonly protocol?: number
  readonly payload?: Uint8Array
  readonly flags?: number
  readonly mac?: number
  /** The last hook at R that saw the packet, before any answer. */
  readonly last: string
  /** `type/code` of the ICMP answer that reached A. */
  readonly answer?: string
  readonly counters: readonly string[]
  readonly end: string
}

const forwarded = 'POSTROUTING'
/** The packet went on to B, whose answer may come back through R. */
const forwardedOn = 'forwarded'
const big = new Uint8Array(1000)

const rows: readonly Row[] = [
  {
    name: 'ip_forward=0',
    prepare: ({ r }) => r.sysctls.set('net.ipv4.ip_forward', 0),
    last: 'PREROUTING',
    counters: ['IpInAddrErrors', 'IpInReceives'],
    end: 'dropped R//route SKB_DROP_REASON_IP_INADDRERRORS',
  },
  {
    name: 'TTL 1 to forward',
    ttl: 1,
    last: 'PREROUTING',
    answer: '11/0',
    counters: [
      'IcmpOutMsgs',
      'IcmpOutTimeExcds',
      'IpInHdrErrors',
      'IpInReceives',
      'IpOutRequests',
      'IpOutTransmits',
    ],
    end: 'dropped R//route SKB_DROP_REASON_IP_INHDR',
  },
  {
    name: 'TTL 0 to forward',
    ttl: 0,
    last: 'PREROUTING',
    answer: '11/0',
    counters: [
      'IcmpOutMsgs',
      'IcmpOutTimeExcds',
      'IpInHdrErrors',
      'IpInReceives',
      'IpOutRequests',
      'IpOutTransmits',
    ],
    end: 'dropped R//route SKB_DROP_REASON_IP_INHDR',
  },
  {
    name: 'TTL 1 to a local address',
    ttl: 1,
    to: '10.0.2.1',
    protocol: 1,
    payload: echoRequest(),
    last: 'INPUT',
    answer: '0/0',
    counters: [
      'IcmpInEchos',
      'IcmpInMsgs',
      'IcmpOutEchoReps',
      'IcmpOutMsgs',
      'IpInDelivers',
      'IpInReceives',
      'IpOutRequests',
      'IpOutTransmits',
    ],
    end: 'delivered R/ra/rx',
  },
  {
    name: 'no route',
    to: '203.0.113.9',
    last: 'PREROUTING',
    answer: '3/0',
    counters: [
      'IcmpOutDestUnreachs',
      'IcmpOutMsgs',
      'IpExtInNoRoutes',
      'IpInReceives',
      'IpOutRequests',
      'IpOutTransmits',
    ],
    end: 'dropped R//route SKB_DROP_REASON_IP_INNOROUTES',
  },
  {
    name: 'throw route',
    to: '203.0.113.9',
    prepare: ({ r }) => routes(r, 'throw 203.0.113.0/24'),
    last: 'PREROUTING',
    answer: '3/0',
    counters: [
      'IcmpOutDestUnreachs',
      'IcmpOutMsgs',
      'IpExtInNoRoutes',
      'IpInReceives',
      'IpOutRequests',
      'IpOutTransmits',
    ],
    end: 'dropped R//route SKB_DROP_REASON_IP_INNOROUTES',
  },
  {
    name: 'unreachable route',
    to: '203.0.113.9',
    prepare: ({ r }) => routes(r, 'unreachable 203.0.113.0/24'),
    last: 'PREROUTING',
    answer: '3/1',
    counters: ['IcmpOutDestUnreachs', 'IcmpOutMsgs', 'IpInReceives', 'IpOutRequests', 'IpOutTransmits'],
    end: 'dropped R//route IP_ROUTE_UNREACHABLE_SCN',
  },
  {
    name: 'prohibit route',
    to: '203.0.113.9',
    prepare: ({ r }) => routes(r, 'prohibit 203.0.113.0/24'),
    last: 'PREROUTING',
    answer: '3/13',
    counters: ['IcmpOutDestUnreachs', 'IcmpOutMsgs', 'IpInReceives', 'IpOutRequests', 'IpOutTransmits'],
    end: 'dropped R//route IP_ROUTE_PROHIBIT_SCN',
  },
  {
    name: 'blackhole route',
    to: '203.0.113.9',
    prepare: ({ r }) => routes(r, 'blackhole 203.0.113.0/24'),
    last: 'PREROUTING',
    counters: ['IpInReceives'],
    end: 'dropped R//route IP_ROUTE_BLACKHOLE_SCN',
  },
  {
    name: 'too big with DF',
    prepare: ({ rb }) => setMtu(rb, 900),
    payload: big,
    flags: 0x4000,
    last: 'PREROUTING',
    answer: '3/4',
    counters: [
      'IcmpOutDestUnreachs',
      'IcmpOutMsgs',
      'IpForwDatagrams',
      'IpFragFails',
      'IpInReceives',
      'IpOutRequests',
      'IpOutTransmits',
    ],
    end: 'dropped R//route SKB_DROP_REASON_PKT_TOO_BIG',
  },
  {
    name: 'unknown IP protocol for the router',
    to: '10.0.1.1',
    protocol: 200,
    last: 'INPUT',
    answer: '3/2',
    counters: [
      'IcmpOutDestUnreachs',
      'IcmpOutMsgs',
      'IpInReceives',
      'IpInUnknownProtos',
      'IpOutRequests',
      'IpOutTransmits',
    ],
    end: 'dropped R/ra/rx SKB_DROP_REASON_IP_NOPROTO',
  },
  {
    name: 'frame for another MAC',
    mac: 0x0200_0000_0077,
    last: '',
    counters: [],
    end: 'dropped R/ra/rx SKB_DROP_REASON_OTHERHOST',
  },
  ...['127.0.0.5', '0.0.0.0', '255.255.255.255', '224.0.0.5', '10.0.2.1'].map((from) => ({
    name: `source ${from}`,
    from,
    last: 'PREROUTING',
    counters: ['IpInReceives'],
    end: `dropped R//route ${
      from === '127.0.0.5'
        ? 'SKB_DROP_REASON_IP_LOCALNET'
        : from === '10.0.2.1'
          ? 'SKB_DROP_REASON_IP_LOCAL_SOURCE'
          : 'SKB_DROP_REASON_IP_INVALID_SOURCE'
    }`,
  })),
  ...['169.254.3.3', '240.0.0.9', '10.0.2.255'].map((from) => ({
    name: `source ${from}`,
    from,
    last: forwarded,
    counters: ['IpForwDatagrams', 'IpInReceives', 'IpOutTransmits'],
    end: forwardedOn,
  })),
  {
    name: 'destination 127/8 from the wire',
    to: '127.0.0.1',
    last: 'PREROUTING',
    counters: ['IpInReceives'],
    end: 'dropped R//route SKB_DROP_REASON_IP_LOCALNET',
  },
  {
    name: 'destination 0.0.0.0 from the wire',
    to: '0.0.0.0',
    last: 'PREROUTING',
    counters: ['IpInReceives'],
    end: 'dropped R//route SKB_DROP_REASON_IP_INVALID_DEST',
  },
  {
    name: 'rp_filter=1, the way back is another device',
    from: '10.0.2.77',
    prepare: ({ r }) => r.sysctls.set('net.ipv4.conf.all.rp_filter', 1),
    last: 'PREROUTING',
    counters: ['IpInReceives', 'TcpExtIPReversePathFilter'],
    end: 'dropped R//route SKB_DROP_REASON_IP_RPFILTER',
  },
  {
    name: 'rp_filter=1, no way back',
    from: '198.51.100.1',
    prepare: ({ r }) => r.sysctls.set('net.ipv4.conf.ra.rp_filter', 1),
    last: 'PREROUTING',
    counters: ['IpInReceives', 'TcpExtIPReversePathFilter'],
    end: 'dropped R//route SKB_DROP_REASON_IP_RPFILTER',
  },
  {
    name: 'rp_filter=2 on the device is looser than all=1',
    from: '10.0.2.77',
    prepare: ({ r }) => {
      r.sysctls.set('net.ipv4.conf.all.rp_filter', 1)
      r.sysctls.set('net.ipv4.conf.ra.rp_filter', 2)
    },
    last: forwarded,
    counters: ['IpForwDatagrams', 'IpInReceives', 'IpOutTransmits'],
    end: forwardedOn,
  },
  {
    name: 'rp_filter=2, no route to the source at all',
    from: '198.51.100.1',
    prepare: ({ r }) => r.sysctls.set('net.ipv4.conf.ra.rp_filter', 2),
    last: 'PREROUTING',
    counters: ['IpInReceives', 'TcpExtIPReversePathFilter'],
    end: 'dropped R//route SKB_DROP_REASON_IP_RPFILTER',
  },
  {
    name: 'accept_local lets an own address in',
    from: '10.0.2.1',
    prepare: ({ r }) => r.sysctls.set('net.ipv4.conf.ra.accept_local', 1),
    last: forwarded,
    counters: ['IpForwDatagrams', 'IpInReceives', 'IpOutTransmits'],
    end: forwardedOn,
  },
]

function countersOf(lab: IpLab): string[] {
  return [...lab.r.counters.keys()].sort()
}

/** `type/code` of the ICMP message that A received. */
function answerAt(lab: IpLab): string | undefined {
  const found = lab.seen.find(({ place, bytes }) => place === 'A:PREROUTING' && bytes[9] === 1)
  return found === undefined ? undefined : `${found.bytes[20]}/${found.bytes[21]}`
}

describe('what a router does with a packet', () => {
  test.each(rows)('$name', (row) => {
    const lab = ipLab()
    row.prepare?.(lab)
    const packet = datagram({ from: '10.0.1.2', to: '10.0.2.2', ...row })
    sendRaw(lab.a0, packet, row.mac ?? lab.ra.mac)
    const source = packet.slice(12, 16).join()
    const hooks = lab.seen.filter(({ place, bytes }) => {
      return place.startsWith('R:') && !place.includes('tap') && bytes.slice(12, 16).join() === source
    })
    const router = hooks.filter(({ bytes }) => bytes[9] === packet[9] || row.last === '')
    expect(router.at(-1)?.place ?? 'R:').toBe(`R:${row.last}`)
    if (row.end !== forwardedOn) expect(answerAt(lab)).toBe(row.answer)
    if (row.end === forwardedOn) {
      expect(countersOf(lab)).toEqual(expect.arrayContaining([...row.counters]))
      return
    }
    expect(countersOf(lab)).toEqual([...row.counters].sort())
    expect(ends(lab.machine)[0]).toBe(`p ${row.end}`)
  })

  test('a forwarded packet loses one TTL and keeps the rest', () => {
    const lab = ipLab()
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2' }), lab.ra.mac)
    const arrived = lab.seen.find(({ place }) => place === 'B:PREROUTING')
    expect(arrived?.bytes).toEqual(datagram({ from: '10.0.1.2', to: '10.0.2.2', ttl: 63 }))
    const event = lab.machine.trace?.packets[0]?.events.find(({ stage }) => stage === 'route')
    expect(event).toMatchObject({
      node: 'R',
      device: '',
      actor: 'kernel',
      decision: { code: 'FORWARD', target: 'rb' },
      facts: [{ kind: 'fib', device: 'rb', table: 254 }],
    })
  })

  test('broadcasts are delivered and never answered', () => {
    const lab = ipLab()
    for (const to of ['255.255.255.255', '10.0.1.255', '10.0.2.255']) {
      sendRaw(lab.a0, datagram({ from: '10.0.1.2', to, protocol: 200 }), lab.ra.mac)
    }
    expect(lab.r.counters.get('IpExtInBcastPkts')).toBe(3)
    expect(lab.seen.filter(({ place }) => place === 'R:INPUT')).toHaveLength(3)
    expect(answerAt(lab)).toBeUndefined()
  })
})

describe('ICMP errors', () => {
  test('quote at most 576 bytes and name the next MTU', () => {
    const lab = ipLab()
    setMtu(lab.rb, 900)
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: big, flags: 0x4000 }), lab.ra.mac)
    const icmp = lab.seen.find(({ place }) => place === 'A:PREROUTING')?.bytes
    expect(icmp?.length).toBe(576)
    expect([icmp?.[26], icmp?.[27]]).toEqual([900 >> 8, 900 & 255])
    expect(icmp?.slice(12, 16)).toEqual(new Uint8Array([10, 0, 1, 1]))
    expect(icmp?.[8]).toBe(64)
    expect(icmp?.[1]).toBe(0xc0)
  })

  // facts/linux 8.14
  test.each([
    { what: 'time exceeded', packet: { to: '10.0.2.2', ttl: 1 }, answers: 6 },
    { what: 'protocol unreachable', packet: { to: '10.0.1.1', protocol: 200 }, answers: 6 },
    { what: 'net unreachable (two limiters)', packet: { to: '203.0.113.9' }, answers: 2 },
  ])('30 fast packets give $answers $what', ({ packet, answers }) => {
    const lab = ipLab()
    for (let i = 0; i < 30; i += 1) sendRaw(lab.a0, datagram({ from: '10.0.1.2', ...packet }), lab.ra.mac)
    expect(lab.seen.filter(({ place }) => place === 'A:PREROUTING')).toHaveLength(answers)
  })

  test('one more after a second', () => {
    const lab = ipLab()
    const packet = datagram({ from: '10.0.1.2', to: '10.0.2.2', ttl: 1 })
    for (let i = 0; i < 10; i += 1) sendRaw(lab.a0, packet, lab.ra.mac)
    expect(lab.r.counters.get('IcmpOutRateLimitHost')).toBe(4)
    lab.machine.clock.advance(1_000_000_000)
    for (let i = 0; i < 3; i += 1) sendRaw(lab.a0, packet, lab.ra.mac)
    expect(lab.r.counters.get('IcmpOutTimeExcds')).toBe(7)
  })

  test('never about an ICMP error, a later fragment, or a frame to a group', () => {
    const lab = ipLab()
    const error = new Uint8Array(36)
    error[0] = 11
    sendRaw(
      lab.a0,
      datagram({ from: '10.0.1.2', to: '10.0.2.2', ttl: 1, protocol: 1, payload: error }),
      lab.ra.mac,
    )
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', ttl: 1, flags: 5 }), lab.ra.mac)
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', ttl: 1 }), 0xffff_ffff_ffff)
    expect(answerAt(lab)).toBeUndefined()
  })

  test('a router tells of a shorter way and forwards all the same', () => {
    const lab = ipLab()
    routes(lab.r, '10.0.9.0/24 via 10.0.1.77')
    addNeighbour(lab.ra, ip('10.0.1.77'), { mac: 0x0200_0000_0077 })
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.9.1' }), lab.ra.mac)
    expect(answerAt(lab)).toBe('5/1')
    expect(lab.r.counters.get('IcmpOutRedirects')).toBe(1)
    expect(lab.r.counters.get('IpForwDatagrams')).toBe(1)
  })
})

describe('rules', () => {
  // recorded/kernel pr-rule-actions
  test.each([
    { to: '203.0.113.1', answer: undefined, reason: 'IP_ROUTE_BLACKHOLE_SCN' },
    { to: '203.0.113.65', answer: '3/0', reason: 'SKB_DROP_REASON_IP_INNOROUTES' },
    { to: '203.0.113.129', answer: '3/13', reason: 'IP_ROUTE_PROHIBIT_SCN' },
  ])('with an action: $to', ({ to, answer, reason }) => {
    const lab = ipLab()
    const prefix = (address: string): { to: { address: ReturnType<typeof ip>; length: number } } => ({
      to: { address: ip(address), length: 26 },
    })
    addRule(lab.r, { family: 4, priority: 40, ...prefix('203.0.113.0'), action: { kind: 'blackhole' } })
    addRule(lab.r, { family: 4, priority: 41, ...prefix('203.0.113.64'), action: { kind: 'unreachable' } })
    addRule(lab.r, { family: 4, priority: 42, ...prefix('203.0.113.128'), action: { kind: 'prohibit' } })
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to }), lab.ra.mac)
    expect(answerAt(lab)).toBe(answer)
    expect(ends(lab.machine)[0]).toBe(`p dropped R//route ${reason}`)
  })
})

describe('what senders are told', () => {
  // facts/linux 8.15
  test.each([
    { line: 'blackhole 203.0.113.0/24', errno: 'EINVAL' },
    { line: 'unreachable 203.0.113.0/24', errno: 'EHOSTUNREACH' },
    { line: 'prohibit 203.0.113.0/24', errno: 'EACCES' },
    { line: 'throw 203.0.113.0/24', errno: 'ENETUNREACH' },
    { line: '198.51.100.0/24 via 10.0.1.2', errno: 'ENETUNREACH' },
  ])('$line', ({ line, errno }) => {
    const lab = ipLab()
    routes(lab.r, line)
    expect(routeOutput(lab.r, plainFlow(ip('203.0.113.9')))).toEqual({ kind: 'error', errno })
  })

  test('a foreign source is EINVAL', () => {
    const { a } = ipLab()
    const flow = { ...plainFlow(ip('10.0.2.2')), source: ip('10.0.1.99') }
    expect(routeOutput(a, flow)).toEqual({ kind: 'error', errno: 'EINVAL' })
  })

  test('own device down: its routes vanish', () => {
    const { a, a0 } = ipLab()
    setDown(a0)
    expect(routeOutput(a, plainFlow(ip('10.0.2.2')))).toEqual({ kind: 'error', errno: 'ENETUNREACH' })
    expect(listRoutes(a, { family: 4 }).map(formatRoute)).toEqual([])
    expect(listRoutes(a, { family: 4, table: routeTable.local }).map(formatRoute)).toContain(
      'local 10.0.1.2 dev a0 proto kernel scope host src 10.0.1.2',
    )
  })

  test('every own address is reached over lo', () => {
    const { r } = ipLab()
    for (const own of ['10.0.1.1', '10.0.2.1', '127.0.0.1', '127.3.3.3']) {
      expect(routeOutput(r, plainFlow(ip(own)))).toMatchObject({
        route: { device: { name: 'lo' }, local: true },
      })
    }
  })
})

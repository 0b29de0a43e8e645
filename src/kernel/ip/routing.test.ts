// Every row of facts/linux section 8, "Routing / drops at R": the last hook, the answer to the sender, the counter.
import { describe, expect, test } from 'vitest'
import {
  answerAt,
  datagram,
  echoRequest,
  ends,
  type IpLab,
  ipLab,
  routes,
  sendRaw,
} from '../../../test/ip-lab.ts'
import { setMtu } from '../device/change.ts'

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

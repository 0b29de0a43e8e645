// bpf_redirect_neigh and the services that programs ask of the kernel, on A -- R -- B (facts/linux section 3).
import { expect, test } from 'vitest'
import { datagram, ends, type IpLab, ip, ipLab, routes, sendRaw, udp } from '../../test/ip-lab.ts'
import { program } from '../../test/lab.ts'
import type { FibAnswer, FibLookup, Redirect } from '../bpf/contract.ts'
import { formatMac, readMac } from '../net/mac.ts'
import { flowHash } from './flow-hash.ts'
import { skbFromPacket } from './skb.ts'
import { attachTc } from './tc/attach.ts'

const toB = datagram({ from: '10.0.1.2', to: '10.0.2.2' })

function redirecting(to: Redirect, mark = 0) {
  return program('r', (context) => {
    context.redirect = to
    if (context.skb !== undefined) context.skb.mark = mark
    return 7
  })
}

/** Places where the packet was seen, with the TTL there and, on devices, where the frame goes. */
function trail(lab: IpLab): string[] {
  return lab.seen.map(({ place, bytes }) => {
    const device = place.includes('tap')
    const ttl = bytes[device ? 22 : 8]
    return `${place} ${ttl}${device ? ` > ${formatMac(readMac(bytes, 0)).slice(-2)}` : ''}`
  })
}

test('without a next hop it routes by destination, fills in both addresses, and leaves TTL and netfilter alone', () => {
  const lab = ipLab()
  attachTc(lab.ra, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'neigh', ifindex: lab.rb.ifindex }, 5),
  })
  const marks: (number | undefined)[] = []
  attachTc(lab.rb, 'egress', {
    kind: 'tcx',
    program: program('out', ({ skb }) => {
      marks.push(skb?.mark)
      return -1
    }),
  })
  sendRaw(lab.a0, toB, lab.ra.mac)
  expect(trail(lab).slice(0, 6)).toEqual([
    'A:a0:tap-out 64 > a1',
    'R:ra:tap-in 64 > a1',
    'R:rb:tap-out 64 > b0',
    'B:b0:tap-in 64 > b0',
    'B:PREROUTING 64',
    'B:INPUT 64',
  ])
  expect(marks).toEqual([5])
})

test('what the device does not take counts on it twice: by its driver, and by the redirect', () => {
  const lab = ipLab()
  const program = redirecting({ kind: 'neigh', ifindex: lab.rb.ifindex })
  attachTc(lab.ra, 'ingress', { kind: 'tcx', program })
  lab.b0.mtu = 600
  const long = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 7000, 800) })
  sendRaw(lab.a0, long, lab.ra.mac)
  expect([lab.rb.counters.tx_dropped, lab.b0.counters.rx_dropped]).toEqual([2, 1])
})

test('with a next hop it asks for that address on the device, and the packet waits', () => {
  const lab = ipLab()
  attachTc(lab.ra, 'ingress', {
    kind: 'tcx',
    program: redirecting({
      kind: 'neigh',
      ifindex: lab.rb.ifindex,
      nextHop: { family: 4, address: [ip('10.0.2.99')] },
    }),
  })
  sendRaw(lab.a0, toB, lab.ra.mac)
  expect(trail(lab)[2]).toMatch(/^R:rb:tap-out \d+ > ff$/)
  expect(ends(lab.machine).filter((line) => line.startsWith('p '))).toEqual([])
})

test('from an egress program', () => {
  const lab = ipLab()
  attachTc(lab.a0, 'egress', {
    kind: 'tcx',
    program: redirecting({
      kind: 'neigh',
      ifindex: lab.a0.ifindex,
      nextHop: { family: 4, address: [ip('10.0.1.77')] },
    }),
  })
  expect(sendRaw(lab.a0, toB, lab.ra.mac)).toBe(0)
  // its own question for the neighbour is an ARP frame that the same program sends round: a silent failure
  expect(trail(lab)).toEqual([])
})

test('a destination without a route is asked for on the device itself; a broadcast one is a silent drop', () => {
  const send = (to: string): string[] => {
    const lab = ipLab()
    attachTc(lab.ra, 'ingress', {
      kind: 'tcx',
      program: redirecting({ kind: 'neigh', ifindex: lab.rb.ifindex }),
    })
    expect(sendRaw(lab.a0, datagram({ from: '10.0.1.2', to }), lab.ra.mac)).toBe(0)
    return [...trail(lab).filter((line) => line.startsWith('R:rb')), ...ends(lab.machine)]
  }
  // ip_route_output_key_hash_rcu(): with an output device and no route, the destination is taken to be on the link
  expect(send('203.0.113.1')[0]).toMatch(/^R:rb:tap-out \d+ > ff$/)
  expect(send('10.0.2.255')).toEqual(['p dropped R/ra/tc-in TC_REDIRECT_FAILED_SCN'])
})

// facts/linux 3.10
test.each([
  { to: '10.0.2.2', code: 0, out: 'rb' },
  { to: '10.0.3.1', code: 1, out: undefined },
  { to: '10.0.4.1', code: 2, out: undefined },
  { to: '10.0.5.1', code: 3, out: undefined },
  { to: '203.0.113.1', code: 4, out: undefined },
  { to: '10.0.2.1', code: 4, out: undefined },
  { to: '10.0.2.99', code: 7, out: 'rb' },
])('bpf_fib_lookup of $to at tc ingress answers $code', ({ to, code, out }) => {
  const lab = ipLab()
  routes(lab.r, 'blackhole 10.0.3.0/24', 'unreachable 10.0.4.0/24', 'prohibit 10.0.5.0/24')
  const answers: FibAnswer[] = []
  const request: FibLookup = {
    family: 4,
    source: [ip('10.0.1.2')],
    destination: [ip(to)],
    protocol: 17,
    sport: 0,
    dport: 0,
    totalLength: 0,
    tos: 0,
    ifindex: lab.ra.ifindex,
    mark: 0,
  }
  attachTc(lab.ra, 'ingress', {
    kind: 'tcx',
    program: program('look', ({ kernel }) => {
      answers.push(kernel.fibLookup(request, 0))
      return 0
    }),
  })
  sendRaw(lab.a0, toB, lab.ra.mac)
  expect(answers[0]?.code).toBe(code)
  if (out !== undefined) expect(answers[0]?.ifindex).toBe(lab[out as 'rb'].ifindex)
})

test('a flow has one hash in both directions; ports, and whether there are any, make another one', () => {
  const { a0 } = ipLab()
  const hash = (packet: Uint8Array): number => flowHash(skbFromPacket(a0, packet, 0x0800))
  const there = hash(datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 7000, 1) }))
  const back = hash(datagram({ from: '10.0.2.2', to: '10.0.1.2', payload: udp(7000, 5000, 1) }))
  const other = hash(datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5001, 7000, 1) }))
  const fragment = hash(datagram({ from: '10.0.1.2', to: '10.0.2.2', flags: 0x2000 }))
  expect(there).toBe(back)
  expect(new Set([there, other, fragment, 0]).size).toBe(4)
})

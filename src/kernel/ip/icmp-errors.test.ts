import { describe, expect, test } from 'vitest'
import { answerAt, datagram, ends, ip, ipLab, routes, sendRaw } from '../../../test/ip-lab.ts'
import { setMtu } from '../device/change.ts'
import { addNeighbour } from './admin-neighbour.ts'
import { addRule } from './admin-rule.ts'

describe('ICMP errors', () => {
  test('quote at most 576 bytes and name the next MTU', () => {
    const lab = ipLab()
    setMtu(lab.rb, 900)
    sendRaw(
      lab.a0,
      datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: new Uint8Array(1000), flags: 0x4000 }),
      lab.ra.mac,
    )
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

  test('to all hosts together 50 at once; the bucket is filled when it is empty, after 20 ms at the earliest', () => {
    const lab = ipLab()
    const sent = () => lab.r.counters.get('IcmpOutTimeExcds')
    const flood = (from: number) => {
      for (let i = from; i < from + 60; i += 1)
        sendRaw(lab.a0, datagram({ from: `10.0.1.${i}`, to: '10.0.2.2', ttl: 1 }), lab.ra.mac)
    }
    flood(10)
    expect(sent()).toBe(50)
    expect(lab.r.counters.get('IcmpOutRateLimitGlobal')).toBe(10)
    lab.machine.clock.advance(19_000_000)
    flood(70)
    expect(sent()).toBe(50)
    lab.machine.clock.advance(20_000_000)
    flood(130)
    expect(sent()).toBe(70)
  })

  test.each([47, 58, 132])(
    'protocol %i, which IPv4 has no handler for, is told to be unknown',
    (protocol) => {
      const lab = ipLab()
      sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.1.1', protocol }), lab.ra.mac)
      expect(lab.r.counters.get('IpInUnknownProtos')).toBe(1)
      expect(lab.r.counters.get('IcmpOutDestUnreachs')).toBe(1)
    },
  )

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

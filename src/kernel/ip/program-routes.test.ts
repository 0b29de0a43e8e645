import { describe, expect, test } from 'vitest'
import { datagram, ip, ipLab, routes } from '../../../test/ip-lab.ts'
import { parseIpv6 } from '../../net/address.ts'
import { etherType } from '../../net/protocol.ts'
import { born } from '../birth.ts'
import { redirectNeigh } from '../redirect-neigh.ts'
import { skbFromFrame } from '../skb.ts'
import { deleteNeighbour } from './admin-neighbour.ts'
import { bpfFibLookup, fibLookupFlag } from './bpf-fib.ts'

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

  test.each([
    { from: 'fd00::2', to: 'fd01::2', code: 0 },
    { from: 'fd00::2', to: 'fe80::2', code: 4 },
    { from: 'fd00::2', to: 'ff02::5', code: 4 },
    { from: 'fe80::2', to: 'fd01::2', code: 4 },
    { from: '::1', to: 'fd01::2', code: 4 },
  ])('IPv6 from $from to $to: $code, as what stays on its link is never forwarded', ({ from, to, code }) => {
    const { r } = ipLab()
    r.sysctls.set('net.ipv6.conf.all.forwarding', 1)
    routes(r, 'fd01::/64 dev rb', 'fe80::/64 dev rb')
    const words = (text: string): readonly number[] => parseIpv6(text) ?? []
    const asked = { ...request, family: 6 as const, source: words(from), destination: words(to) }
    expect(bpfFibLookup(r, asked, fibLookupFlag.skipNeighbour).code).toBe(code)
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

// ARP and the neighbour states over virtual time. Facts: linux 6.1 to 6.9 and 15; recorded/kernel cal-no-route-no-proxy.
import { describe, expect, test } from 'vitest'
import { datagram, type IpLab, ip, ipLab, net, routes, sendRaw, udp, wire } from '../../test/ip-lab.ts'
import { encodeArp } from '../net/arp.ts'
import { ethernetAt, writeEthernet } from '../net/ethernet.ts'
import { macFrom } from '../net/mac.ts'
import { etherType } from '../net/protocol.ts'
import { born } from './birth.ts'
import { setUp } from './device/change.ts'
import type { NetDevice } from './device/device.ts'
import { addDummy } from './device/dummy.ts'
import { addAddress } from './ip/admin-address.ts'
import { addNeighbour, addProxyNeighbour, warmNeighbour } from './ip/admin-neighbour.ts'
import { formatNeighbour, listNeighbours } from './ip/list.ts'
import { ipLocalOut } from './ip/output.ts'
import { routeOutput } from './ip/output-route.ts'
import { plainFlow } from './ip/source.ts'
import type { Namespace } from './namespace.ts'
import { confirmNeighbour } from './neighbour.ts'
import { findNeighbour } from './neighbour-entry.ts'
import { skbFromFrame, skbFromPacket } from './skb.ts'
import { sendFrame } from './transmit.ts'

const second = 1_000_000_000

/** Sends a packet from a namespace's own stack. */
function sendLocal(ns: Namespace, from: string, to: string, payload = udp(5000, 7000, 1)): number {
  const answer = routeOutput(ns, { ...plainFlow(ip(to)), source: ip(from) })
  if (answer.kind === 'error') throw new Error(answer.errno)
  const skb = skbFromPacket(answer.route.device, datagram({ from, to, payload }), etherType.ipv4)
  born(skb, 'u')
  skb.route = answer.route
  const result = ipLocalOut(ns, skb)
  ns.machine.clock.drain()
  return result
}

/** Injects an ARP message on a device's wire. */
function sendArpFrom(
  dev: NetDevice,
  message: { op: number; sip: string; tip: string; sha?: number; tha?: number; to?: number },
): void {
  const frame = new Uint8Array(42)
  const source = message.sha ?? dev.mac
  writeEthernet(frame, 0, {
    destination: macFrom(message.to ?? 0xffff_ffff_ffff),
    source: macFrom(source),
    type: etherType.arp,
  })
  const arp = encodeArp({
    operation: message.op,
    senderMac: macFrom(source),
    senderIp: ip(message.sip),
    targetMac: macFrom(message.tha ?? 0),
    targetIp: ip(message.tip),
  })
  frame.set(arp, ethernetAt.payload)
  const skb = skbFromFrame(dev, frame)
  born(skb, 'arp')
  sendFrame(skb)
  dev.ns.machine.clock.drain()
}

/** ARP messages that a device sent: `request`, `reply`, `probe` (unicast request) with sender and target. */
function arpFrom(lab: Pick<IpLab, 'seen'>, place: string): string[] {
  return lab.seen
    .filter(({ place: at, bytes }) => at === `${place}:tap-out` && bytes[12] === 8 && bytes[13] === 6)
    .map(({ bytes }) => {
      const name = bytes[21] === 2 ? 'reply' : bytes[0] === 0xff ? 'request' : 'probe'
      return `${name} ${bytes.slice(28, 32).join('.')} > ${bytes.slice(38, 42).join('.')}`
    })
}

function stateOf(dev: NetDevice, address: string): string | undefined {
  return findNeighbour(dev, ip(address))?.state
}

describe('resolution', () => {
  test('the packet waits for the answer; both ends then know each other', () => {
    const lab = ipLab({ cold: true })
    expect(sendLocal(lab.a, '10.0.1.2', '10.0.1.1')).toBe(0)
    expect(arpFrom(lab, 'A:a0')).toEqual(['request 10.0.1.2 > 10.0.1.1'])
    expect(arpFrom(lab, 'R:ra')[0]).toBe('reply 10.0.1.1 > 10.0.1.2')
    expect(listNeighbours(lab.a, 4).map(formatNeighbour)).toEqual([
      '10.0.1.1 dev a0 lladdr 02:00:00:00:00:a1 REACHABLE',
    ])
    expect(stateOf(lab.ra, '10.0.1.2')).toMatch(/STALE|DELAY/)
    expect(lab.seen.some(({ place }) => place === 'R:INPUT')).toBe(true)
  })

  test('nobody answers: three tries a second apart, then FAILED and host unreachable to oneself', () => {
    const lab = ipLab({ cold: true })
    sendLocal(lab.a, '10.0.1.2', '10.0.1.99')
    expect(stateOf(lab.a0, '10.0.1.99')).toBe('INCOMPLETE')
    lab.machine.clock.advance(2.9 * second)
    expect(arpFrom(lab, 'A:a0')).toHaveLength(3)
    expect(stateOf(lab.a0, '10.0.1.99')).toBe('INCOMPLETE')
    lab.machine.clock.advance(3.1 * second)
    expect(arpFrom(lab, 'A:a0')).toHaveLength(3)
    expect(stateOf(lab.a0, '10.0.1.99')).toBe('FAILED')
    const icmp = lab.seen.find(({ place, bytes }) => place === 'A:INPUT' && bytes[9] === 1)?.bytes
    expect([icmp?.[20], icmp?.[21]]).toEqual([3, 1])
    expect(icmp?.slice(12, 20)).toEqual(new Uint8Array([10, 0, 1, 2, 10, 0, 1, 2]))
    expect(lab.a.counters.get('IcmpOutDestUnreachs')).toBe(1)
  })

  test('a forwarded packet whose next hop fails: host unreachable to its sender after 3 s', () => {
    const lab = ipLab()
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.99' }), lab.ra.mac)
    lab.machine.clock.advance(3.1 * second)
    const icmp = lab.seen.find(({ place, bytes }) => place === 'A:PREROUTING' && bytes[9] === 1)?.bytes
    expect([icmp?.[20], icmp?.[21]]).toEqual([3, 1])
    expect(icmp?.slice(12, 16)).toEqual(new Uint8Array([10, 0, 1, 1]))
    expect(icmp?.[28 + 8]).toBe(63)
  })

  test('of 600 small packets the newest 256 are kept', () => {
    const lab = ipLab({ cold: true, traced: false })
    for (let i = 0; i < 600; i += 1) sendLocal(lab.a, '10.0.1.2', '10.0.1.99', udp(5000, i, 1))
    const waiting = findNeighbour(lab.a0, ip('10.0.1.99'))?.queue ?? []
    expect(waiting).toHaveLength(256)
    expect(waiting[0]?.bytes.slice(-7, -5)).toEqual(new Uint8Array([344 >> 8, 344 & 255]))
  })
})

describe('states over time', () => {
  test('REACHABLE, then STALE when unused, DELAY on use, a unicast probe after 5 s', () => {
    const lab = ipLab({ cold: true })
    sendLocal(lab.a, '10.0.1.2', '10.0.1.1')
    lab.machine.clock.advance(29 * second)
    expect(stateOf(lab.a0, '10.0.1.1')).toBe('REACHABLE')
    lab.machine.clock.advance(31 * second)
    expect(stateOf(lab.a0, '10.0.1.1')).toBe('STALE')
    lab.seen.length = 0
    sendLocal(lab.a, '10.0.1.2', '10.0.1.1')
    expect(stateOf(lab.a0, '10.0.1.1')).toBe('DELAY')
    expect(arpFrom(lab, 'A:a0')).toEqual([])
    lab.machine.clock.advance(37 * second)
    expect(arpFrom(lab, 'A:a0')).toEqual(['probe 10.0.1.2 > 10.0.1.1'])
    expect(stateOf(lab.a0, '10.0.1.1')).toBe('REACHABLE')
  })

  test('proof from a higher layer spares the probe', () => {
    const lab = ipLab({ cold: true })
    sendLocal(lab.a, '10.0.1.2', '10.0.1.1')
    lab.machine.clock.advance(31 * second)
    lab.seen.length = 0
    sendLocal(lab.a, '10.0.1.2', '10.0.1.1')
    lab.machine.clock.advance(32 * second)
    confirmNeighbour(lab.a0, ip('10.0.1.1'))
    lab.machine.clock.advance(37 * second)
    expect(arpFrom(lab, 'A:a0')).toEqual([])
    expect(stateOf(lab.a0, '10.0.1.1')).toBe('REACHABLE')
  })

  test('a warm neighbour has no timer until it is used, and is STALE after 30 s', () => {
    const lab = ipLab({ cold: true })
    warmNeighbour(lab.a0, ip('10.0.1.1'), lab.ra.mac)
    expect(lab.machine.clock.nextTimer()).toBeUndefined()
    expect(stateOf(lab.a0, '10.0.1.1')).toBe('REACHABLE')
    lab.machine.clock.advance(30.5 * second)
    expect(stateOf(lab.a0, '10.0.1.1')).toBe('STALE')
  })

  test('a permanent neighbour is never asked and never changes', () => {
    const lab = ipLab()
    sendArpFrom(lab.ra, { op: 2, sip: '10.0.1.1', tip: '10.0.1.2', sha: 0x0200_0000_00ee, to: lab.a0.mac })
    sendLocal(lab.a, '10.0.1.2', '10.0.1.1')
    lab.machine.clock.advance(60 * second)
    expect(arpFrom(lab, 'A:a0')).toEqual([])
    expect(findNeighbour(lab.a0, ip('10.0.1.1'))).toMatchObject({ state: 'PERMANENT', mac: lab.ra.mac })
  })
})

describe('who is answered', () => {
  interface Answer {
    readonly what: string
    readonly target: string
    readonly sysctls?: Readonly<Record<string, number>>
    readonly forward?: number
    readonly route?: string
    readonly answered: boolean
  }
  const proxy = { 'net.ipv4.conf.ra.proxy_arp': 1, 'net.ipv4.neigh.ra.proxy_delay': 0 }
  test.each<Answer>([
    { what: 'the address of the device', target: '10.0.1.1', answered: true },
    { what: 'an address of another device', target: '10.0.2.1', answered: true },
    {
      what: 'arp_ignore=1: not of another device',
      target: '10.0.2.1',
      sysctls: { 'net.ipv4.conf.ra.arp_ignore': 1 },
      answered: false,
    },
    {
      what: 'arp_ignore=1: of the device',
      target: '10.0.1.1',
      sysctls: { 'net.ipv4.conf.all.arp_ignore': 1 },
      answered: true,
    },
    {
      what: 'arp_ignore=8: nothing',
      target: '10.0.1.1',
      sysctls: { 'net.ipv4.conf.all.arp_ignore': 8 },
      answered: false,
    },
    {
      what: 'arp_filter: the way back is this device',
      target: '10.0.2.1',
      sysctls: { 'net.ipv4.conf.ra.arp_filter': 1 },
      answered: true,
    },
    { what: '127.0.0.1', target: '127.0.0.1', answered: false },
    { what: 'a foreign address without proxy_arp', target: '10.0.2.2', answered: false },
    { what: 'proxy_arp: behind another device', target: '10.0.2.2', sysctls: proxy, answered: true },
    {
      what: 'proxy_arp: any address with a default route',
      target: '8.8.8.8',
      sysctls: proxy,
      route: 'default via 10.0.2.2',
      answered: true,
    },
    {
      what: 'proxy_arp: no route (Calico without default)',
      target: '169.254.1.1',
      sysctls: proxy,
      answered: false,
    },
    { what: 'proxy_arp: behind the same device', target: '10.0.1.9', sysctls: proxy, answered: false },
    { what: 'proxy_arp without forwarding', target: '10.0.2.2', sysctls: proxy, forward: 0, answered: false },
    {
      what: 'proxy_arp over a blackhole',
      target: '10.7.0.1',
      sysctls: proxy,
      route: 'blackhole 10.7.0.0/16',
      answered: false,
    },
    {
      what: 'proxy_arp_pvlan: behind the same device',
      target: '10.0.1.9',
      sysctls: { 'net.ipv4.conf.ra.proxy_arp_pvlan': 1, 'net.ipv4.neigh.ra.proxy_delay': 0 },
      answered: true,
    },
  ])('$what', ({ target, sysctls, forward, route, answered }) => {
    const lab = ipLab({ cold: true })
    for (const [name, value] of Object.entries(sysctls ?? {})) lab.r.sysctls.set(name, value)
    if (forward !== undefined) lab.r.sysctls.set('net.ipv4.ip_forward', forward)
    if (route !== undefined) routes(lab.r, route)
    sendArpFrom(lab.a0, { op: 1, sip: '10.0.1.2', tip: target })
    expect(arpFrom(lab, 'R:ra')).toEqual(answered ? [`reply ${target} > 10.0.1.2`] : [])
    expect(stateOf(lab.ra, '10.0.1.2')).toBe(answered ? 'STALE' : undefined)
  })

  test('`ip neigh add proxy` answers for one address without proxy_arp', () => {
    const lab = ipLab({ cold: true })
    lab.r.sysctls.set('net.ipv4.neigh.ra.proxy_delay', 0)
    addProxyNeighbour(lab.r, ip('10.0.2.2'), lab.ra)
    sendArpFrom(lab.a0, { op: 1, sip: '10.0.1.2', tip: '10.0.2.2' })
    sendArpFrom(lab.a0, { op: 1, sip: '10.0.1.2', tip: '10.0.2.3' })
    expect(arpFrom(lab, 'R:ra')).toEqual(['reply 10.0.2.2 > 10.0.1.2'])
  })

  test('the default proxy_delay holds the answer back for up to 0.8 s, the same in every run', () => {
    const times = [0, 1].map(() => {
      const lab = ipLab({ cold: true })
      lab.r.sysctls.set('net.ipv4.conf.ra.proxy_arp', 1)
      sendArpFrom(lab.a0, { op: 1, sip: '10.0.1.2', tip: '10.0.2.2' })
      expect(arpFrom(lab, 'R:ra')).toEqual([])
      const due = lab.machine.clock.nextTimer() ?? -1
      lab.machine.clock.advance(0.8 * second)
      expect(arpFrom(lab, 'R:ra')).toHaveLength(1)
      return due
    })
    expect(times[0]).toBe(times[1])
    expect(times[0]).toBeLessThan(0.8 * second)
  })

  test('a probe for duplicates (sender 0.0.0.0) is answered and teaches nothing', () => {
    const lab = ipLab({ cold: true })
    sendArpFrom(lab.a0, { op: 1, sip: '0.0.0.0', tip: '10.0.1.1' })
    expect(arpFrom(lab, 'R:ra')).toEqual(['reply 10.0.1.1 > 0.0.0.0'])
    expect(listNeighbours(lab.r, 4)).toEqual([])
  })
})

describe('which source a request has', () => {
  test.each([
    { announce: 0, source: '10.0.1.2' },
    { announce: 1, source: '192.168.9.1' },
    { announce: 2, source: '192.168.9.1' },
  ])('arp_announce=$announce for a packet from another subnet', ({ announce, source }) => {
    const lab = ipLab({ cold: true })
    const [h0] = wire(
      { ns: lab.a, name: 'h0', mac: 0x0200_0000_0901 },
      { ns: lab.b, name: 'h1', mac: 0x0200_0000_0902 },
    )
    addAddress(h0, net('192.168.9.1/24'))
    lab.a.sysctls.set('net.ipv4.conf.all.arp_announce', announce)
    sendLocal(lab.a, '10.0.1.2', '192.168.9.2')
    const request = lab.machine.trace?.packets.find(({ name }) => name.endsWith('.arp'))
    expect(request?.first.bytes.slice(14, 18).join('.')).toBe(source)
  })

  test('a device without addresses asks with the address of another one (Calico)', () => {
    const lab = ipLab({ cold: true })
    const dummy = addDummy(lab.r, { name: 'cali1' })
    setUp(dummy)
    routes(lab.r, '10.65.1.1 dev cali1')
    const answer = routeOutput(lab.r, plainFlow(ip('10.65.1.1')))
    expect(answer).toMatchObject({ kind: 'route', source: ip('10.0.1.1') })
  })
})

describe('gratuitous ARP', () => {
  test('makes no entry, and changes an old one as STALE', () => {
    const lab = ipLab({ cold: true })
    sendArpFrom(lab.a0, { op: 1, sip: '10.0.1.50', tip: '10.0.1.50' })
    expect(listNeighbours(lab.r, 4)).toEqual([])
    addNeighbour(lab.ra, ip('10.0.1.50'), { mac: 1, state: 'REACHABLE' })
    lab.machine.clock.advance(2 * second)
    sendArpFrom(lab.a0, { op: 1, sip: '10.0.1.50', tip: '10.0.1.50' })
    expect(findNeighbour(lab.ra, ip('10.0.1.50'))).toMatchObject({ state: 'STALE', mac: lab.a0.mac })
  })

  // tried on Linux 6.18: a reply whose target MAC is not its own is no announcement
  test.each([
    { what: 'request', op: 1, tha: 0, atOnce: true },
    { what: 'reply with its own MAC as target', op: 2, tha: 0x0200_0000_00a0, atOnce: true },
    { what: 'reply with target MAC 0', op: 2, tha: 0, atOnce: false },
    { what: 'reply with target MAC ff:ff:ff:ff:ff:ff', op: 2, tha: 0xffff_ffff_ffff, atOnce: false },
  ])('$what within the lock time of 1 s', ({ op, tha, atOnce }) => {
    const lab = ipLab({ cold: true })
    addNeighbour(lab.ra, ip('10.0.1.50'), { mac: 1, state: 'REACHABLE' })
    const announce = (): void => sendArpFrom(lab.a0, { op, tha, sip: '10.0.1.50', tip: '10.0.1.50' })
    announce()
    expect(findNeighbour(lab.ra, ip('10.0.1.50'))?.mac).toBe(atOnce ? lab.a0.mac : 1)
    lab.machine.clock.advance(1.3 * second)
    announce()
    expect(findNeighbour(lab.ra, ip('10.0.1.50'))).toMatchObject({ mac: lab.a0.mac, state: 'STALE' })
  })

  test('arp_accept=1 makes an entry', () => {
    const lab = ipLab({ cold: true })
    lab.r.sysctls.set('net.ipv4.conf.all.arp_accept', 1)
    sendArpFrom(lab.a0, { op: 1, sip: '10.0.1.50', tip: '10.0.1.50' })
    expect(stateOf(lab.ra, '10.0.1.50')).toBe('STALE')
  })
})

// Tunnel devices: each numbered fact of facts/linux section 7, and what Geneve and ipip do differently.
import { expect, test } from 'vitest'
import { program } from '../../../test/lab.ts'
import { at, sendThrough, socketOn, type TunnelLab, tunnelLab, wholeWay } from '../../../test/tunnel-lab.ts'
import { readU16, readU24 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { udpSend } from '../socket/udp.ts'
import { attachTc } from '../tc/attach.ts'
import { setMtu } from './change.ts'
import { addGeneve, type GeneveConfig } from './geneve.ts'
import { addIpip } from './ipip.ts'
import { addVxlan } from './vxlan.ts'
import { addVxlanRemote } from './vxlan-fdb.ts'
import { type VxlanConfig, vxlanState } from './vxlan-state.ts'

function vxlanLab(config: Partial<VxlanConfig> = {}, underlay: 4 | 6 = 4): TunnelLab {
  return tunnelLab((ns, remote) => addVxlan(ns, { name: 't0', vni: 7, remote, ...config }), { underlay })
}

function geneveLab(config: Partial<GeneveConfig> = {}): TunnelLab {
  return tunnelLab((ns, remote) => addGeneve(ns, { name: 't0', vni: 7, remote, ...config }))
}

/** The first frame on the wire, from its outer IP header on. */
function outer(lab: TunnelLab): Uint8Array {
  return (lab.wire[0] ?? new Uint8Array(0)).subarray(14)
}

const dontFragment = (packet: Uint8Array): boolean => ((packet[6] ?? 0) & 0x40) !== 0

test('7.1: 50 bytes over the inner IP packet: IP, UDP, VXLAN, Ethernet', () => {
  const lab = vxlanLab()
  expect(sendThrough(lab)).toBe(1)
  const packet = outer(lab)
  expect(packet.length).toBe(33 + 50)
  expect([packet[28], readU24(packet, 29), readU24(packet, 32), packet[35]]).toEqual([8, 0, 7, 0])
  expect(readU16(packet, 22)).toBe(8472)
})

test('7.2: the outer packet passes OUTPUT and POSTROUTING, then PREROUTING and INPUT; never FORWARD', () => {
  const lab = vxlanLab()
  sendThrough(lab)
  expect(lab.seen).toEqual(wholeWay)
})

test('7.3: the source port is a function of the inner flow, within the local range or srcport', () => {
  const port = (client: number, config: Partial<VxlanConfig> = {}): number => {
    const lab = vxlanLab(config)
    sendThrough(lab, { port: client })
    return readU16(outer(lab), 20)
  }
  const ports = Array.from({ length: 40 }, (_, index) => port(5000 + index))
  expect(port(5000)).toBe(ports[0])
  expect(new Set(ports).size).toBeGreaterThan(30)
  expect(ports.every((each) => each >= 32_768 && each < 60_999)).toBe(true)
  const few = Array.from({ length: 20 }, (_, index) =>
    port(5000 + index, { srcport: { first: 100, last: 104 } }),
  )
  expect([...new Set(few)].sort()).toEqual([100, 101, 102, 103])
})

test.each([
  ['default', {}, { ttl: 9 }, [64, 0, false]],
  ['ttl 5', { ttl: 5 }, { ttl: 9 }, [5, 0, false]],
  ['ttl inherit', { ttl: 'inherit' }, { ttl: 9 }, [9, 0, false]],
  ['tos 0x10', { tos: 0x10 }, {}, [64, 0x10, false]],
  ['tos inherit', { tos: 'inherit' }, { tos: 0x20 }, [64, 0x20, false]],
  ['ECN of the inner packet', {}, { tos: 0x02 }, [64, 2, false]],
  ['CE inside is ECT(0) outside', {}, { tos: 0x03 }, [64, 2, false]],
  ['df unset, inner DF', {}, { mtuDiscover: 'do' }, [64, 0, false]],
  ['df set', { df: 'set' }, { mtuDiscover: 'dont' }, [64, 0, true]],
  ['df inherit, inner DF', { df: 'inherit' }, { mtuDiscover: 'do' }, [64, 0, true]],
  ['df inherit, no inner DF', { df: 'inherit' }, { mtuDiscover: 'dont' }, [64, 0, false]],
] as const)('7.4: %s', (_name, config, socket, want) => {
  for (const lab of [vxlanLab(config), geneveLab(config)]) {
    expect(sendThrough(lab, { socket })).toBe(1)
    const packet = outer(lab)
    expect([packet[8], packet[1], dontFragment(packet)]).toEqual(want)
  }
})

test.each([
  [true, false],
  [false, true],
])('7.5: udpcsum %s', (udpcsum, zero) => {
  const lab = vxlanLab({ udpcsum })
  expect(sendThrough(lab)).toBe(1)
  const packet = outer(lab)
  expect(readU16(packet, 26) === 0).toBe(zero)
  expect(segmentChecksumIsRight(packet, { l3: 0, l4: 20, end: packet.length, protocol: 17 })).toBe(true)
})

test('7.6: with a lower device the MTU is 50 less and cannot be raised; without, 1500', () => {
  const lab = tunnelLab((ns, remote, lower) => addVxlan(ns, { name: 't0', vni: 7, remote, lower }))
  expect([lab.ta.mtu, vxlanLab().ta.mtu]).toEqual([1450, 1500])
  expect(setMtu(lab.ta, 1451)).toEqual({ ok: false, errno: 'EINVAL' })
  expect(setMtu(lab.ta, 1400)).toEqual({ ok: true })
})

test('7.6: 1500 over 1500: the outer packet is cut and put together, even with inner DF', () => {
  const lab = vxlanLab()
  expect(sendThrough(lab, { bytes: 1472, socket: { mtuDiscover: 'do' } })).toBe(1)
  expect(lab.wire.map((frame) => frame.length)).toEqual([1514, 84])
  expect(lab.a.counters.get('IpFragCreates')).toBe(2)
})

test('a host that sends through a tunnel learns the smaller MTU (tried on 6.18)', () => {
  const lab = vxlanLab()
  sendThrough(lab, { bytes: 1472 })
  expect(lab.a.ip.v4.exceptions.get(at('10.7.0.2'))?.mtu).toBe(1450)
})

test('7.7: no entry for the address: dropped and counted', () => {
  const lab = vxlanLab()
  vxlanState(lab.ta).fdb.clear()
  expect(sendThrough(lab)).toBe(0)
  expect([lab.ta.counters.tx_dropped, lab.wire.length]).toEqual([1, 0])
  expect(lastOutcome(lab)).toBe('SKB_DROP_REASON_VXLAN_NO_REMOTE')
})

function lastOutcome(lab: TunnelLab): string | undefined {
  return lab.machine.trace?.packets.at(-1)?.outcomes.at(-1)?.reason
}

test('7.7: another VNI: dropped after INPUT, counted nowhere', () => {
  const lab = tunnelLab((ns, remote) => addVxlan(ns, { name: 't0', vni: ns.name === 'A' ? 7 : 8, remote }))
  expect(sendThrough(lab)).toBe(0)
  expect(lab.seen.at(-1)).toBe('B:INPUT outer')
  const { rx_dropped, rx_packets } = lab.tb.counters
  expect([rx_dropped, rx_packets, lab.b0.counters.rx_dropped]).toEqual([0, 0, 0])
  expect(lastOutcome(lab)).toBe('SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND')
})

test('bits that the device was not made for: an error of the device (tried on 6.18)', () => {
  const lab = vxlanLab({ udpcsum: false })
  attachTc(lab.b0, 'ingress', {
    kind: 'tcx',
    program: program('flags', ({ skb }) => {
      if (skb !== undefined && skb.end - skb.start > 60) skb.bytes[skb.start + 42] = 0xff
      return -1
    }),
  })
  expect(sendThrough(lab)).toBe(0)
  expect([lab.tb.counters.rx_errors, lab.tb.counters.rx_packets]).toEqual([1, 0])
  expect(lastOutcome(lab)).toBe('SKB_DROP_REASON_VXLAN_INVALID_HDR')
})

test('several remotes get a copy each, the first one last', () => {
  const lab = vxlanLab()
  const remote = { address: at('192.168.7.9'), port: undefined, vni: 9, via: 0 }
  expect(addVxlanRemote(vxlanState(lab.ta).fdb, 0, remote, { fixed: true, now: 0 })).toBe('ok')
  sendThrough(lab)
  const answers = lab.wire.filter((frame) => readU16(frame, 12) === 0x0800)
  expect(answers.map((frame) => frame[33])).toEqual([2])
  expect(lab.machine.trace?.packets.some(({ name }) => name.endsWith('.arp'))).toBe(true)
})

test('an answer teaches where its sender is; with nolearning it does not', () => {
  for (const learning of [true, false]) {
    const lab = vxlanLab({ learning })
    sendThrough(lab)
    expect(vxlanState(lab.tb).fdb.has(lab.ta.mac)).toBe(learning)
  }
})

const key = { id: 42, remote: 0xc0a8_0702, tos: 0, ttl: 17, flags: 0 }

test.each(['vxlan', 'geneve', 'ipip'] as const)(
  '7.8: external %s goes where the key of the packet says',
  (kind) => {
    const lab = tunnelLab((ns) => {
      const options = { name: 't0', vni: 0, external: true }
      if (kind === 'vxlan') return addVxlan(ns, options)
      return kind === 'geneve' ? addGeneve(ns, options) : addIpip(ns, options)
    })
    const set = program('set', ({ skb }) => {
      if (skb !== undefined) skb.tunnelKey = key
      return -1
    })
    let got: unknown
    const get = program('get', ({ skb }) => {
      got = skb?.tunnelKey
      return -1
    })
    attachTc(lab.ta, 'egress', { kind: 'clsact', pref: 1, program: set })
    attachTc(lab.tb, 'ingress', { kind: 'clsact', pref: 1, program: get })
    expect(sendThrough(lab)).toBe(1)
    const id = kind === 'ipip' ? 0 : 42
    expect(got).toMatchObject({ id, remote: 0xc0a8_0701, local: 0xc0a8_0702, ttl: 17, received: true })
  },
)

test('7.8: without a key the tap sees the packet, then it is gone without a counter', () => {
  const lab = tunnelLab((ns) => addVxlan(ns, { name: 't0', vni: 0, external: true }))
  expect(sendThrough(lab)).toBe(0)
  expect([lab.seen.at(-1), lab.ta.counters.tx_dropped]).toEqual(['A:t0 out', 0])
  expect(lastOutcome(lab)).toBe('SKB_DROP_REASON_TUNNEL_TXINFO')
})

test('over IPv6: 70 bytes', () => {
  const lab = vxlanLab({}, 6)
  expect(sendThrough(lab)).toBe(1)
  expect(outer(lab).length).toBe(33 + 70)
})

test('over IPv6 an outer packet that is too big is lost, and the host learns 1430 (tried on 6.18)', () => {
  const lab = vxlanLab({}, 6)
  expect(sendThrough(lab, { bytes: 1472 })).toBe(0)
  expect(lab.a.counters.get('Ip6FragFails')).toBe(1)
  expect(lab.a.ip.v4.exceptions.get(at('10.7.0.2'))?.mtu).toBe(1430)
})

test('geneve: port 6081, 50 bytes, source ports of the whole range; another remote than its own is not heard', () => {
  const lab = geneveLab()
  expect(sendThrough(lab)).toBe(1)
  const packet = outer(lab)
  expect([packet.length, readU16(packet, 22), readU16(packet, 30), readU24(packet, 32)]).toEqual([
    83, 6081, 0x6558, 7,
  ])
  const deaf = tunnelLab((ns, remote) =>
    addGeneve(ns, { name: 't0', vni: 7, remote: ns.name === 'A' ? remote : at('192.168.7.99') }),
  )
  expect(sendThrough(deaf)).toBe(0)
})

test('ipip: 20 bytes, protocol 4, MTU 1480, TTL of the inner packet, DF unless nopmtudisc', () => {
  const lab = tunnelLab((ns, remote) => addIpip(ns, { name: 't0', remote }))
  expect(sendThrough(lab, { socket: { ttl: 9, mtuDiscover: 'dont' } })).toBe(1)
  const packet = outer(lab)
  expect([lab.ta.mtu, packet.length, packet[9], packet[8], dontFragment(packet)]).toEqual([
    1480,
    53,
    4,
    9,
    true,
  ])
  const open = tunnelLab((ns, remote) => addIpip(ns, { name: 't0', remote, ttl: 33, pathMtu: false }))
  sendThrough(open, { socket: { mtuDiscover: 'dont' } })
  expect([outer(open)[8], dontFragment(outer(open))]).toEqual([33, false])
})

test('a port that a tunnel uses is taken', () => {
  const lab = vxlanLab()
  expect(() => socketOn(lab.a, '0.0.0.0', 8472)).toThrow('EADDRINUSE')
  const client = socketOn(lab.a, '10.7.0.1', 5001)
  expect(udpSend(client, new Uint8Array(1), { to: { address: at('10.7.0.2'), port: 9 } })).toEqual({ ok: 1 })
})

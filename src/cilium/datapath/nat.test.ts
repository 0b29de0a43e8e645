import { describe, expect, test } from 'vitest'
import { readLe32 } from '../../bpf/context/byte-order.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import { natTexts } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  entryText,
  frame,
  keysOf,
  packetTuple,
} from '../test-support/lab.ts'
import { drop } from './drop-reason.ts'
import { ipv4, ipv6 } from './family.ts'
import { ethernetLength, walkHeaders } from './headers.ts'
import { snatNat, snatRevNat } from './nat.ts'
import { NAT_PUNT_TO_STACK } from './nat-embedded.ts'
import { clampPort, type NatTarget, newNatTarget } from './nat-mapping.ts'
import type { TraceContext } from './notify.ts'

const pod = '10.0.1.10'
const node = '192.168.0.1'
const world = '8.8.8.8'

function lab(random = 0): DatapathLab {
  return datapathLab({ object: { kind: 'bpf_host' }, kernel: { random32: () => random } })
}

/** A packet through snat_nat() with a target like that of a masqueraded pod. */
function masquerade(to: DatapathLab, packet: Uint8Array, change: Partial<NatTarget> = {}) {
  return to.run(packet, (ctx) => {
    const family = ctx.protocol === 0x86dd ? ipv6 : ipv4
    const l3Offset = ethernetLength(ctx)
    const walk = walkHeaders(ctx, family, l3Offset)
    if (typeof walk === 'number') throw new Error(String(walk))
    const tuple = new Tuple(family)
    tuple.saddr = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
    tuple.daddr = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
    tuple.nexthdr = walk.nexthdr
    tuple.flags = tupleFlag.OUT
    const address = addressBytes(family === ipv4 ? node : 'fd01::1')
    const target = { ...newNatTarget(ctx, family), address, fromLocalEndpoint: true, ...change }
    const trace: TraceContext = { reason: 5, monitor: 0 }
    const place = { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment }
    const code = snatNat(ctx, tuple, place, target, trace)
    return { code, trace, extErr: ctx.extErr }
  })
}

/** A packet through snat_rev_nat(). */
function reverse(of: DatapathLab, packet: Uint8Array) {
  return of.run(packet, (ctx) => {
    const family = ctx.protocol === 0x86dd ? ipv6 : ipv4
    return snatRevNat(ctx, family, newNatTarget(ctx, family), { reason: 5, monitor: 0 })
  })
}

const udp = (source: string, sport: number, destination: string, dport: number): Uint8Array =>
  frame(source, destination, { kind: 'udp', source: sport, destination: dport })
const tcp = (source: string, sport: number, destination: string, dport: number): Uint8Array =>
  frame(source, destination, { kind: 'tcp', source: sport, destination: dport, flags: 2 })

describe('the masquerade example (facts 12.4)', () => {
  test('a port of the range is kept, both entries are made, the reply finds its way back', () => {
    const on = lab()
    const out = masquerade(on, tcp(pod, 40_000, world, 53))
    expect(out.result.code).toBe(0)
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([
      'IN 8.8.8.8:53 -> 192.168.0.1:40000 = 10.0.1.10:40000 ct 0',
      'OUT 10.0.1.10:40000 -> 8.8.8.8:53 = 192.168.0.1:40000 ct 0',
    ])
    expect(out.frame).toEqual(tcp(node, 40_000, world, 53))
    expect(keysOf(on.maps.cilium_ct4_global)).toEqual([])
    const back = reverse(on, tcp(world, 53, node, 40_000))
    expect(back.result).toBe(0)
    expect(back.frame).toEqual(tcp(world, 53, pod, 40_000))
  })

  test('a port below the range is replaced by a random one of the range', () => {
    const on = lab(0x8000)
    const out = masquerade(on, udp(pod, 1024, world, 53))
    expect(clampPort(32_768, 65_535, 0x8000)).toBe(49_152)
    expect(out.frame).toEqual(udp(node, 49_152, world, 53))
  })

  test('a second pod with the same port and destination gets a random port, counted as one retry', () => {
    const on = lab(0)
    masquerade(on, udp(pod, 40_000, world, 53))
    const second = masquerade(on, udp('10.0.1.11', 40_000, world, 53))
    expect(second.frame).toEqual(udp(node, 32_768, world, 53))
    const retries = (count: number): number => {
      const key = Uint8Array.of(count, 0, 0, 0)
      const value = on.maps.cilium_snat_v4_alloc_retries.lookup(key, 0)
      return value instanceof Uint8Array ? readLe32(value, 0) : -1
    }
    expect([retries(0), retries(1), retries(2)]).toEqual([1, 1, 0])
  })

  test('the same port to another destination does not collide', () => {
    const on = lab()
    masquerade(on, udp(pod, 40_000, world, 53))
    expect(masquerade(on, udp('10.0.1.11', 40_000, '1.1.1.1', 53)).frame).toEqual(
      udp(node, 40_000, '1.1.1.1', 53),
    )
  })
})

describe('allocation (facts 4.3)', () => {
  test('the biased clamp covers the whole range', () => {
    expect([0, 1, 0xffff].map((value) => clampPort(32_768, 65_535, value))).toEqual([32_768, 32_768, 65_535])
    expect(clampPort(0, 0xffff, 4711)).toBe(4711)
  })

  test('with one port in the range the 33rd attempt is not made: 167, and the agent is asked to collect', () => {
    const on = lab()
    const signals: Uint8Array[] = []
    on.maps.cilium_signals.onRecord = (record) => signals.push(record.slice())
    const narrow = { minPort: 40_000, maxPort: 40_000 }
    expect(masquerade(on, udp(pod, 40_000, world, 53), narrow).result.code).toBe(0)
    expect(signals).toEqual([])
    const second = masquerade(on, udp('10.0.1.11', 40_000, world, 53), narrow)
    expect(second.result.code).toBe(drop.NAT_NO_MAPPING)
    expect(signals.map((record) => [...record.subarray(0, 8)])).toEqual([[0, 0, 0, 0, 0, 0, 0, 0]])
    const value = on.maps.cilium_snat_v4_alloc_retries.lookup(Uint8Array.of(32, 0, 0, 0), 0)
    expect(value instanceof Uint8Array && readLe32(value, 0)).toBe(1)
  })

  test('an entry for another address is replaced with its sibling', () => {
    const on = lab()
    masquerade(on, udp(pod, 40_000, world, 53), { address: addressBytes('192.168.0.9') })
    masquerade(on, udp(pod, 40_000, world, 53))
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([
      'IN 8.8.8.8:53 -> 192.168.0.1:40000 = 10.0.1.10:40000 ct 0',
      'OUT 10.0.1.10:40000 -> 8.8.8.8:53 = 192.168.0.1:40000 ct 0',
    ])
  })

  test.each([tupleFlag.OUT, tupleFlag.IN])(
    'an entry that was evicted (flags %i) comes back with the next packet',
    (flags) => {
      const on = lab()
      masquerade(on, udp(pod, 40_000, world, 53))
      const map = on.maps.cilium_snat_v4_external
      const before = natTexts(map)
      for (const key of keysOf(map)) if (Tuple.of(key).flags === flags) map.delete(key)
      expect(natTexts(map).length).toBe(1)
      if (flags === tupleFlag.IN) masquerade(on, udp(pod, 40_000, world, 53))
      else reverse(on, udp(world, 53, node, 40_000))
      expect(natTexts(map)).toEqual(before)
    },
  )

  test('with needs_ct the connection is tracked, without an ICMP twin, and its state becomes the reason', () => {
    const on = lab()
    const first = masquerade(on, udp(node, 40_000, world, 53), { needsCt: true, fromLocalEndpoint: false })
    expect(first.result.trace).toEqual({ reason: 0, monitor: 128 })
    expect(keysOf(on.maps.cilium_ct_any4_global).map(entryText)).toEqual([
      '0 proto 17 192.168.0.1:40000 -> 8.8.8.8:53',
    ])
    const second = masquerade(on, udp(node, 40_000, world, 53), { needsCt: true, fromLocalEndpoint: false })
    expect(second.result.trace.reason).toBe(1)
    expect(reverse(on, udp(world, 53, node, 40_000)).result).toBe(0)
  })

  test('ports below the range of a host socket never collide and are left alone', () => {
    const on = lab()
    const host = masquerade(on, udp(node, 1024, world, 53), { needsCt: true, fromLocalEndpoint: false })
    expect(host.result.code).toBe(NAT_PUNT_TO_STACK)
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([])
  })

  test('a reply to a port outside of the range is no reply', () => {
    expect(reverse(lab(), udp(world, 53, node, 1024)).result).toBe(NAT_PUNT_TO_STACK)
    expect(reverse(lab(), udp(world, 53, node, 40_000)).result).toBe(drop.NAT_NO_MAPPING)
  })
})

describe('ICMP (facts 4.5)', () => {
  const echo = (source: string, destination: string, type: number, identifier: number): Uint8Array =>
    frame(source, destination, { kind: 'icmp', type, rest: identifier * 0x1_0000 + 1 })

  test('an echo keeps its identifier, whatever it is, and its reply comes back', () => {
    const on = lab()
    expect(masquerade(on, echo(pod, world, 8, 7)).frame).toEqual(echo(node, world, 8, 7))
    expect(reverse(on, echo(world, node, 0, 7)).frame).toEqual(echo(world, pod, 0, 7))
  })

  test('on collision the identifier is replaced', () => {
    const on = lab(0xabcd)
    masquerade(on, echo(pod, world, 8, 7))
    expect(masquerade(on, echo('10.0.1.11', world, 8, 7)).frame).toEqual(echo(node, world, 8, 0xabcd))
    expect(reverse(on, echo(world, node, 0, 0xabcd)).frame).toEqual(echo(world, '10.0.1.11', 0, 7))
  })

  test.each([
    [0, NAT_PUNT_TO_STACK],
    [5, NAT_PUNT_TO_STACK],
    [13, drop.NAT_UNSUPP_PROTO],
    [12, drop.NAT_UNSUPP_PROTO],
  ])('type %i leaves with %i', (type, code) => {
    expect(masquerade(lab(), echo(pod, world, type, 0)).result.code).toBe(code)
  })

  test.each([
    [13, NAT_PUNT_TO_STACK],
    [8, NAT_PUNT_TO_STACK],
  ])('type %i arrives with %i', (type, code) => {
    expect(reverse(lab(), echo(world, node, type, 0)).result).toBe(code)
  })

  /** An ICMP error with the first bytes of a frame's IP packet. */
  const error = (source: string, destination: string, quoted: Uint8Array, type = 3, code = 4): Uint8Array =>
    frame(source, destination, { kind: 'icmp', type, code }, { kind: 'payload', bytes: quoted.subarray(14) })

  test.each([28, 40])(
    'an error about a masqueraded flow is translated inside and outside (%i bytes quoted)',
    (bytes) => {
      const on = lab(0x8000)
      masquerade(on, tcp(pod, 1024, world, 443))
      const sent = tcp(node, 49_152, world, 443)
      const back = reverse(on, error('172.16.0.1', node, sent.subarray(0, 14 + bytes)))
      expect(back.result).toBe(0)
      expect(back.frame).toEqual(error('172.16.0.1', pod, tcp(pod, 1024, world, 443).subarray(0, 14 + bytes)))
    },
  )

  test('an error about a flow that nobody knows goes to the stack', () => {
    expect(reverse(lab(), error('172.16.0.1', node, tcp(node, 49_152, world, 443))).result).toBe(
      NAT_PUNT_TO_STACK,
    )
  })

  test('an unknown code of unreachable: dropped on the way out, left alone on the way in', () => {
    const quoted = tcp(world, 443, pod, 40_000)
    expect(masquerade(lab(), error(pod, world, quoted, 3, 16)).result.code).toBe(drop.UNKNOWN_ICMP4_CODE)
    expect(reverse(lab(), error(world, node, quoted, 3, 16)).result).toBe(NAT_PUNT_TO_STACK)
  })

  test("a pod's error about a packet of a masqueraded flow leaves with the node's address inside and outside", () => {
    const on = lab()
    masquerade(on, udp(pod, 40_000, world, 53))
    // the pod complains about the answer as it saw it
    const out = masquerade(on, error(pod, world, udp(world, 53, pod, 40_000), 3, 3))
    expect(out.result.code).toBe(0)
    expect(out.frame.subarray(26, 30)).toEqual(addressBytes(node))
    const inner = out.frame.subarray(14 + 20 + 8)
    expect(inner.subarray(16, 20)).toEqual(addressBytes(node))
  })
})

test('IPv6: the same engine, with all checksums', () => {
  const on = lab()
  const six = 'fd00:1::10'
  const out = masquerade(on, tcp(six, 40_000, 'fd01::64', 443))
  expect(out.frame).toEqual(tcp('fd01::1', 40_000, 'fd01::64', 443))
  expect(reverse(on, tcp('fd01::64', 443, 'fd01::1', 40_000)).frame).toEqual(
    tcp('fd01::64', 443, six, 40_000),
  )
  const ping = (source: string, destination: string, type: number): Uint8Array =>
    frame(source, destination, { kind: 'icmp6', type, rest: 0x0009_0001 })
  expect(masquerade(on, ping(six, 'fd01::64', 128)).frame).toEqual(ping('fd01::1', 'fd01::64', 128))
  expect(reverse(on, ping('fd01::64', 'fd01::1', 129)).frame).toEqual(ping('fd01::64', six, 129))
  expect(masquerade(on, ping(six, 'fd01::64', 135)).result.code).toBe(NAT_PUNT_TO_STACK)
})

test('protocols without ports are left alone', () => {
  const on = lab()
  expect(packetTuple(pod, world, 50).nexthdr).toBe(50)
  const esp = frame(pod, world, { kind: 'payload', bytes: new Uint8Array(8) })
  esp[23] = 50
  expect(masquerade(on, esp).result.code).toBe(NAT_PUNT_TO_STACK)
})

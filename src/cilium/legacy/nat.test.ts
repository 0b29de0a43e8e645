import { describe, expect, test } from 'vitest'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4, ipv6 } from '../datapath/family.ts'
import { NAT_PUNT_TO_STACK } from '../datapath/nat-embedded.ts'
import { natTexts } from '../test-support/entries.ts'
import { addressBytes, type DatapathLab, datapathLab, entryText, frame, keysOf } from '../test-support/lab.ts'
import { natDirection, snatProcess } from './nat.ts'
import { clampPort, natTarget } from './nat-mapping.ts'

const pod = '10.0.1.10'
const node = '192.168.0.1'
const world = '8.8.8.8'

function lab(random = 0, retries = 128): DatapathLab {
  return datapathLab({
    legacy: true,
    object: { kind: 'bpf_host' },
    values: { SNAT_COLLISION_RETRIES: retries },
    kernel: { random32: () => random },
  })
}

/** A packet through snat_v4_process() or snat_v6_process() of to-netdev. */
function send(on: DatapathLab, packet: Uint8Array, fromEndpoint = true) {
  return on.run(packet, (ctx) => {
    const family = ctx.protocol === ipv6.etherType ? ipv6 : ipv4
    const target = natTarget(ctx, addressBytes(family === ipv4 ? node : 'fd01::1'), false)
    return snatProcess(ctx, family, natDirection.EGRESS, target, fromEndpoint)
  })
}

/** A packet as from-netdev looks for its mapping. */
function receive(on: DatapathLab, packet: Uint8Array) {
  return on.run(packet, (ctx) =>
    snatProcess(ctx, ipv4, natDirection.INGRESS, natTarget(ctx, addressBytes(node), true), false),
  )
}

const udp = (source: string, sport: number, destination: string, dport: number): Uint8Array =>
  frame(source, destination, { kind: 'udp', source: sport, destination: dport })
const echo = (type: number, source: string, destination: string, id: number): Uint8Array =>
  frame(source, destination, { kind: 'icmp', type, code: 0, rest: id * 0x1_0000 + 1 })

describe('a pod that talks to the world', () => {
  test('keeps a port of the range, and its reply finds back', () => {
    const on = lab()
    const out = send(on, udp(pod, 40_000, world, 53))
    expect(out.result).toBe(0)
    expect(out.frame).toEqual(udp(node, 40_000, world, 53))
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([
      'IN 8.8.8.8:53 -> 192.168.0.1:40000 = 10.0.1.10:40000 ct 0',
      'OUT 10.0.1.10:40000 -> 8.8.8.8:53 = 192.168.0.1:40000 ct 0',
    ])
    const back = receive(on, udp(world, 53, node, 40_000))
    expect(back.result).toBe(0)
    expect(back.frame).toEqual(udp(world, 53, pod, 40_000))
    expect(keysOf(on.maps.cilium_ct_any4_global)).toEqual([])
  })

  test('gets another identifier for an echo below 32768, which its answer has, too', () => {
    const on = lab(7)
    const out = send(on, echo(8, pod, world, 1))
    expect(out.frame).toEqual(echo(8, node, world, 32_775))
    expect(receive(on, echo(0, world, node, 32_775)).frame).toEqual(echo(0, world, pod, 1))
  })

  test('sends no other ICMP', () => {
    expect(send(lab(), echo(13, pod, world, 1)).result).toBe(drop.NAT_UNSUPP_PROTO)
  })

  test('gets a random port where another pod has its own, then the next ones', () => {
    const on = lab(100)
    const from = (last: number) => send(on, udp(`10.0.1.${last}`, 40_000, world, 53)).frame
    from(10)
    expect(from(11)).toEqual(udp(node, 32_868, world, 53))
    // the third meets the second, too: one more than that, by the remainder
    expect(from(12)).toEqual(udp(node, clampPort(32_768, 65_535, 32_869), world, 53))
  })

  test('is dropped where no attempt finds a port', () => {
    const on = lab(100, 1)
    send(on, udp(pod, 40_000, world, 53))
    expect(send(on, udp('10.0.1.11', 40_000, world, 53)).result).toBe(drop.NAT_NO_MAPPING)
  })
})

test('the last port of a range is never chosen', () => {
  const chosen = Array.from({ length: 0x1_0000 }, (_, value) => clampPort(32_768, 65_535, value))
  expect([Math.min(...chosen), Math.max(...chosen)]).toEqual([32_768, 65_534])
})

describe("the host's own connection", () => {
  test('stays as it is, is tracked, and its entries say so', () => {
    const on = lab()
    const packet = udp(node, 40_000, world, 53)
    const out = send(on, packet, false)
    expect(out.result).toBe(0)
    expect(out.frame).toEqual(packet)
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([
      'IN 8.8.8.8:53 -> 192.168.0.1:40000 = 192.168.0.1:40000 ct 1',
      'OUT 192.168.0.1:40000 -> 8.8.8.8:53 = 192.168.0.1:40000 ct 1',
    ])
    expect(keysOf(on.maps.cilium_ct_any4_global).map(entryText)).toEqual([
      '0 proto 17 192.168.0.1:40000 -> 8.8.8.8:53',
    ])
  })

  test('with a port below the range needs nothing', () => {
    expect(send(lab(), udp(node, 1024, world, 53), false).result).toBe(NAT_PUNT_TO_STACK)
  })
})

describe('what arrives and is no reply', () => {
  test.each([
    ['a port of the range', 40_000, drop.NAT_NO_MAPPING],
    ['a port below the range', 1024, NAT_PUNT_TO_STACK],
  ])('%s', (_, port, code) => {
    expect(receive(lab(), udp(world, 53, node, port)).result).toBe(code)
  })
})

test('IPv6 lets neighbour discovery pass and translates the node alone', () => {
  const on = lab()
  const solicitation = frame('fd01::1', 'fd01::2', { kind: 'icmp6', type: 135, code: 0, rest: 0 })
  expect(send(on, solicitation).result).toBe(0)
  expect(send(on, udp('fd01::1', 40_000, 'fd02::1', 53)).result).toBe(0)
  expect(natTexts(on.maps.cilium_snat_v6_external)).toHaveLength(2)
})

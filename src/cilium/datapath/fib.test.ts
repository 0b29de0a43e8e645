import { describe, expect, test } from 'vitest'
import { datapathLab, frame, routeTo, usualDefines } from '../test-support/lab.ts'
import { drop } from './drop-reason.ts'
import { type Family, ipv4, ipv6 } from './family.ts'
import { fibRedirectPacket } from './fib.ts'
import { neighLookup, neighRecord } from './neigh.ts'

const options = { needsL2Check: true, useMap: true }
const client = '203.0.113.7'
const backend = '10.0.2.10'
const packet4 = frame(client, backend, { kind: 'tcp', source: 40_000, destination: 8080, flags: 2 })
const packet6 = frame('2001:db8::7', 'fd00::10', { kind: 'tcp', source: 40_000, destination: 8080, flags: 2 })
const ttlAt = 22
const hopLimitAt = 21
const noNeighbour = 7
const notForwarded = 4

const macsOf = (packet: Uint8Array): string => Buffer.from(packet.subarray(0, 12)).toString('hex')

describe('tc', () => {
  test('the kernel finds the neighbour of the next hop; the packet has one hop less', () => {
    const on = datapathLab({ kernel: routeTo({ gateway: [0xc0a8_00fe] }) })
    const {
      result,
      frame: sent,
      context,
    } = on.run(packet4, (ctx) => fibRedirectPacket(ctx, ipv4, 14, options))
    expect(result).toEqual({ result: 7, oif: 3 })
    const nextHop = { family: 4, address: [0xc0a8_00fe] }
    expect(context.redirect).toEqual({ kind: 'neigh', ifindex: 3, nextHop })
    expect(sent[ttlAt]).toBe((packet4[ttlAt] as number) - 1)
    expect(macsOf(sent)).toBe(macsOf(packet4))
  })

  test('a neighbour still to be found is no obstacle', () => {
    const on = datapathLab({ kernel: routeTo({ code: noNeighbour }) })
    expect(on.run(packet4, (ctx) => fibRedirectPacket(ctx, ipv4, 14, options)).result.result).toBe(7)
  })

  test.each([
    ['IPv4', ipv4, packet4],
    ['IPv6', ipv6, packet6],
  ] as const)(
    '%s without a route: DROP_NO_FIB with the code of the lookup, the packet as it was',
    (_, family, packet) => {
      const on = datapathLab({ kernel: routeTo({ code: notForwarded }) })
      const { result, frame: sent } = on.run(packet, (ctx) => ({
        ...fibRedirectPacket(ctx, family, 14, options),
        extErr: ctx.extErr,
      }))
      expect(result).toEqual({ result: drop.NO_FIB, oif: 0, extErr: notForwarded })
      expect(sent).toEqual(packet)
    },
  )

  test('the last hop: DROP_TTL_EXCEEDED for IPv4', () => {
    const on = datapathLab({ kernel: routeTo({}) })
    const old = packet4.slice()
    old[ttlAt] = 1
    const { result } = on.run(old, (ctx) => fibRedirectPacket(ctx, ipv4, 14, options))
    expect(result).toEqual({ result: drop.TTL_EXCEEDED, oif: 3 })
  })

  test('a device without Ethernet takes the packet by a plain redirect', () => {
    const on = datapathLab({ values: { l3Devices: new Set([3]) }, kernel: routeTo({}) })
    const { context } = on.run(packet4, (ctx) => fibRedirectPacket(ctx, ipv4, 14, options))
    expect(context.redirect).toEqual({ kind: 'device', ifindex: 3, ingress: false })
  })
})

describe('XDP', () => {
  test('writes the addresses that the lookup found', () => {
    const on = datapathLab({ kernel: routeTo({}) })
    const { result, frame: sent } = on.runXdp(packet6, (ctx) => fibRedirectPacket(ctx, ipv6, 14, options))
    expect(result).toEqual({ result: 4, oif: 3 })
    expect(macsOf(sent)).toBe('0a00000000fe0a0000000003')
    expect(sent[hopLimitAt]).toBe((packet6[hopLimitAt] as number) - 1)
  })

  test('back out of the same device is XDP_TX', () => {
    const on = datapathLab({ kernel: routeTo({ ifindex: 2 }) })
    expect(on.runXdp(packet4, (ctx) => fibRedirectPacket(ctx, ipv4, 14, options)).result.result).toBe(3)
  })

  test('without a neighbour the neighbour map helps, where it may', () => {
    const on = datapathLab({
      values: { nativeDeviceMacs: new Map([[3, 0x0a00_0000_0033]]) },
      kernel: routeTo({ code: noNeighbour }),
    })
    const redirect = (useMap: boolean) =>
      on.runXdp(packet4, (ctx) => ({
        result: fibRedirectPacket(ctx, ipv4, 14, { needsL2Check: true, useMap }).result,
        extErr: ctx.extErr,
      }))
    // BPF_FIB_MAP_NO_NEIGH
    expect(redirect(true).result).toEqual({ result: drop.NO_FIB, extErr: 100 })
    const known = frame(backend, client, { kind: 'tcp', source: 8080, destination: 40_000, flags: 18 })
    on.run(known, (ctx) => neighRecord(ctx, ipv4))
    const { result, frame: sent } = redirect(true)
    expect(result.result).toBe(4)
    expect(macsOf(sent)).toBe(`${macsOf(known).slice(12)}0a0000000033`)
    expect(redirect(false).result).toEqual({ result: drop.NO_FIB, extErr: 100 })
  })
})

describe('the neighbour map', () => {
  test.each([
    ['IPv4', ipv4, packet4],
    ['IPv6', ipv6, packet6],
  ] as const)('remembers the sender of an %s packet', (_, family: Family, packet) => {
    const on = datapathLab({ defines: usualDefines })
    const { result } = on.run(packet, (ctx) => {
      const source = packet.slice(14 + family.sourceAt, 14 + family.sourceAt + family.addressBytes)
      const before = neighLookup(ctx, family, source)
      return [before, neighRecord(ctx, family), neighLookup(ctx, family, source)]
    })
    expect(result).toEqual([undefined, 0, packet.slice(6, 12)])
  })
})

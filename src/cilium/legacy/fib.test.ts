import { describe, expect, test } from 'vitest'
import type { NodeValues } from '../datapath/config.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { datapathLab, frame, routeTo } from '../test-support/lab.ts'
import { redirectDirect } from './fib.ts'

const segment = { kind: 'tcp', source: 40_000, destination: 80 } as const
const packets = {
  4: frame('10.0.1.10', '8.8.8.8', segment),
  6: frame('fd00:1::10', '2001:db8::1', segment),
} as const
const hopsAt = { 4: 22, 6: 21 } as const
const DROP = 2
const REDIRECT = 7
const noNeighbour = 7
const notForwarded = 4

function redirected(
  family: Family,
  route: Parameters<typeof routeTo>[0],
  values: Partial<NodeValues> = {},
  hops = 64,
) {
  const packet = packets[family.version].slice()
  packet[hopsAt[family.version]] = hops
  const on = datapathLab({ legacy: true, values, kernel: routeTo(route) })
  const { result, frame: sent, context } = on.run(packet, (ctx) => redirectDirect(ctx, family))
  const macs = Buffer.from(sent.subarray(0, 12)).toString('hex')
  return { result, redirect: context.redirect, hops: sent[hopsAt[family.version]], macs }
}

const asSent = '0e00000010010a0000001001'

describe.each([ipv4, ipv6])('IPv$version', (family) => {
  test('with one device no route is asked for', () => {
    const values = { ENABLE_SKIP_FIB: true, direct_routing_dev_ifindex: 10 }
    expect(redirected(family, { code: notForwarded }, values)).toEqual({
      result: REDIRECT,
      redirect: { kind: 'neigh', ifindex: 10 },
      hops: 63,
      macs: asSent,
    })
  })

  test('a known neighbour gets the packet', () => {
    expect(redirected(family, {})).toEqual({
      result: REDIRECT,
      redirect: { kind: 'device', ifindex: 3, ingress: false },
      hops: 63,
      macs: '0a00000000fe0a0000000003',
    })
  })

  test('the kernel looks for another one', () => {
    const gateway = family.version === 4 ? [0xc0a8_00fe] : [0xfd01_0000, 0, 0, 0xfe]
    expect(redirected(family, { code: noNeighbour, gateway })).toEqual({
      result: REDIRECT,
      redirect: { kind: 'neigh', ifindex: 3, nextHop: { family: family.version, address: gateway } },
      hops: 63,
      macs: asSent,
    })
  })

  test('without a route the packet is dropped as it is', () => {
    const { result, hops } = redirected(family, { code: notForwarded })
    expect([result, hops]).toEqual([DROP, 64])
  })
})

test.each([
  [ipv4, drop.INVALID],
  // the program that answers is behind a tail call
  [ipv6, drop.MISSED_TAIL_CALL],
])('a packet at its end', (family, reason) => {
  expect(redirected(family, {}, {}, 1).result).toBe(reason)
})

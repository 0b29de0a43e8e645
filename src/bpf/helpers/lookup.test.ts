import { expect, test } from 'vitest'
import { readFibResult, writeFib } from '../context/structs.ts'
import type { RunContext } from '../contract.ts'
import { tcContext, udpFrame } from '../test-support/contexts.ts'
import { checkMtu, fibLookup, getHashRecalc } from './lookup.ts'

test('fib_lookup fills the struct of a neighbour that was found', () => {
  const answer = {
    code: 0,
    ifindex: 3,
    gateway: [0x0a00_0063],
    sourceMac: 0x0200_0000_0001,
    destinationMac: 0x0200_0000_0002,
    mtu: 1400,
    metric: 100,
    preferredSource: [0],
  }
  const context = tcContext(udpFrame(), { fibLookup: () => answer })
  const request = {
    family: 4,
    source: [1],
    destination: [2],
    protocol: 17,
    sport: 1,
    dport: 2,
    tos: 0,
    ifindex: 2,
    mark: 0,
  } as const
  const params = writeFib({ ...request, totalLength: 100 })
  expect(fibLookup(context, params)).toBe(0)
  const { preferredSource: _none, code: _code, ...rest } = answer
  expect(readFibResult(params)).toMatchObject(rest)
})

/** 3000 bytes of TCP payload behind 54 bytes of headers, to be cut into segments of `size`. */
function largeFrame(size: number) {
  const context = tcContext(new Uint8Array(3054))
  const gsoSegs = Math.ceil(3000 / size)
  const wireLength = { value: 3054 + (gsoSegs - 1) * 54 }
  Object.defineProperties(context.skb, { gsoSize: { value: size }, gsoSegs: { value: gsoSegs }, wireLength })
  return context
}

test('a packet that is cut later fits a device, whole or by its segments', () => {
  const asked = (context: RunContext, flags: number): number =>
    checkMtu(context, 2, new Uint8Array(4), 0, flags)
  expect([asked(largeFrame(1460), 0), asked(largeFrame(1460), 1)]).toEqual([0, 0])
  expect([asked(largeFrame(1461), 0), asked(largeFrame(1461), 1)]).toEqual([0, 2])
  expect(asked(tcContext(new Uint8Array(3054)), 1)).toBe(1)
})

test('fib_lookup without a length asks whether the packet fits, which one that is cut later does', () => {
  const answer = {
    ...{ code: 0, ifindex: 3, gateway: [1], sourceMac: 1, destinationMac: 2, mtu: 1500 },
    ...{ metric: 100, preferredSource: [0] },
  }
  const request = writeFib({
    ...{ family: 4, source: [1], destination: [2], protocol: 6, sport: 1, dport: 2 },
    ...{ tos: 0, ifindex: 2, mark: 0, totalLength: 0 },
  })
  const of = (context: RunContext): number => {
    context.kernel.fibLookup = () => answer
    return fibLookup(context, request.slice())
  }
  expect([of(largeFrame(1448)), of(tcContext(new Uint8Array(3054)))]).toEqual([0, 8])
})

test('the hash is asked for once', () => {
  const context = tcContext(udpFrame())
  expect([getHashRecalc(context), context.skb.hash]).toEqual([77, 77])
})

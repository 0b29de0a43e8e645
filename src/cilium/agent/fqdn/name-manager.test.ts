import { describe, expect, test } from 'vitest'
import { type IpAddress, parseIp } from '../../../net/address.ts'
import { NameManager } from './name-manager.ts'

const second = 1_000_000_000
const address = (text: string): IpAddress => parseIp(text) as IpAddress
const [one, two] = [address('192.0.2.1'), address('192.0.2.2')]
const endpoints = new Set([7])

function manager(legacy: boolean, minTtl = 0): NameManager {
  return new NameManager({ minTtl, maxAddresses: 2, maxZombies: 10, grace: 0 }, legacy)
}

/** Both collectors as they run: conntrack's each five minutes, that of names each minute; when names lost an address. */
function losses(names: NameManager, upTo: number, connected: (at: number) => readonly IpAddress[]): number[] {
  const found: number[] = []
  for (let at = 60; at <= upTo; at += 60) {
    if (at % 300 === 0) names.conntrackCollected(at * second, () => connected(at))
    if (names.collect(at * second, endpoints)) found.push(at)
  }
  return found
}

describe('a name that nobody asks for again', () => {
  test('1.19: after conntrack was collected twice', () => {
    const names = manager(false)
    expect(names.answered(7, 0, { name: 'a', addresses: [one], ttl: 5 })).toBe(true)
    expect(losses(names, 1200, () => [])).toEqual([600])
    expect(names.idle).toBe(true)
  })
  test('1.10: after it was collected once behind the end', () => {
    const names = manager(true)
    names.answered(7, 0, { name: 'a', addresses: [one], ttl: 5 })
    expect(losses(names, 1200, () => [])).toEqual([300])
  })
  test('tofqdns-min-ttl', () => {
    const names = manager(true, 3600)
    names.answered(7, 0, { name: 'a', addresses: [one], ttl: 5 })
    expect(losses(names, 4200, () => [])).toEqual([3900])
  })
  test('stays while a connection is seen', () => {
    const names = manager(false)
    names.answered(7, 0, { name: 'a', addresses: [one], ttl: 5 })
    expect(losses(names, 2400, (at) => (at <= 1200 ? [one] : []))).toEqual([1500])
  })
})

test('one address in use keeps all of its name', () => {
  const names = manager(false)
  names.answered(7, 0, { name: 'a', addresses: [one, two], ttl: 5 })
  expect(losses(names, 1200, () => [two])).toEqual([])
  expect(names.answers).toEqual([{ name: 'a', addresses: [one, two] }])
})

test('an answer with other addresses: the old one goes, the new one stays while it is asked for', () => {
  const names = manager(false)
  names.answered(7, 0, { name: 'a', addresses: [one], ttl: 5 })
  names.answered(7, 100 * second, { name: 'a', addresses: [two], ttl: 5000 })
  expect(losses(names, 1200, () => [])).toEqual([600])
  expect(names.answers).toEqual([{ name: 'a', addresses: [two] }])
})

test('the same answer once more is nothing new', () => {
  const names = manager(false)
  expect(names.answered(7, 0, { name: 'a', addresses: [one], ttl: 60 })).toBe(true)
  expect(names.answered(7, second, { name: 'a', addresses: [one], ttl: 60 })).toBe(false)
  expect(names.answered(8, second, { name: 'a', addresses: [one, two], ttl: 60 })).toBe(true)
})

test('above the limit of a name an address waits for its end, and is then the first to go', () => {
  const names = manager(false)
  for (const [at, each] of [one, two, address('192.0.2.3')].entries())
    names.answered(7, 0, { name: 'a', addresses: [each], ttl: 5000 + at })
  expect(losses(names, 6000, () => [])).toEqual([5040, 5400])
})

test('names of an endpoint that is gone go in the next round', () => {
  const names = manager(false)
  names.answered(9, 0, { name: 'a', addresses: [one], ttl: 5000 })
  expect(names.collect(60 * second, endpoints)).toBe(true)
  expect(names.idle).toBe(true)
})

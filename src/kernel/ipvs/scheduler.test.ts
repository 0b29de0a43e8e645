// Which server a scheduler chooses, by its rules in net/netfilter/ipvs.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ipv4From } from '../../net/address.ts'
import { schedule } from './scheduler.ts'
import { addService, createIpvs, type IpvsScheduler, type IpvsService } from './service.ts'

const asked = { source: ipv4From(0xc0a8_0009), destination: ipv4From(0x0a60_000a) }

function serviceOf(scheduler: IpvsScheduler, weights: readonly number[]): IpvsService {
  const ipvs = createIpvs()
  const servers = weights.map((weight, index) => ({
    address: ipv4From(index + 1),
    port: 80,
    forward: 'masq' as const,
    weight,
  }))
  const virtual = { kind: 'fwmark', mark: 1 } as const
  addService(ipvs, { virtual, scheduler, persistent: undefined, netmask: 0xffff_ffff, servers })
  return ipvs.services[0]!
}

/** The servers (1, 2, ...) of so many connections; each stays open. */
function choices(service: IpvsService, count: number): number[] {
  return Array.from({ length: count }, () => {
    const server = schedule(service, asked)
    if (server === undefined) return 0
    server.active += 1
    return server.address
  })
}

test.each<[IpvsScheduler, number[], number[]]>([
  ['rr', [1, 1, 1], [3, 2, 1, 3, 2, 1]],
  ['rr', [1, 0, 1], [3, 1, 3, 1]],
  ['rr', [0, 0], [0, 0]],
  ['rr', [], [0]],
  // each server that is added leaves the weight of the round as it was (ip_vs_wrr_dest_changed): 1 at first
  ['wrr', [1, 3], [2, 1, 2, 2, 2, 1, 2, 2]],
  ['wrr', [2, 4], [2, 1, 2, 2, 1, 2]],
  ['wrr', [0], [0]],
  ['lc', [1, 9], [2, 1, 2, 1]],
  ['wlc', [1, 2], [2, 1, 2, 2, 1, 2]],
  ['sed', [1, 2], [2, 2, 1, 2, 2, 1]],
  ['nq', [1, 2], [2, 1, 2, 2, 2]],
  ['sh', [], [0]],
  ['dh', [0, 0], [0]],
])('%s with the weights %j', (scheduler, weights, expected) => {
  expect(choices(serviceOf(scheduler, weights), expected.length)).toEqual(expected)
})

test('hash schedulers keep to one server for one address, and use every server with a weight', () => {
  for (const scheduler of ['sh', 'dh'] as const) {
    const service = serviceOf(scheduler, [1, 1, 1])
    const seen = new Set<number>()
    for (let address = 1; address < 200; address += 1) {
      const question = { source: ipv4From(address), destination: ipv4From(address) }
      const first = schedule(service, question)
      expect(schedule(service, question)).toBe(first)
      seen.add(first?.address ?? 0)
    }
    expect(seen).toEqual(new Set([1, 2, 3]))
  }
})

test('a round of wrr gives every server as many connections as its weight', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }), (weights) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const counted = new Map<number, number>()
      for (const server of choices(serviceOf('wrr', weights), total)) {
        counted.set(server, (counted.get(server) ?? 0) + 1)
      }
      expect(weights.map((_, index) => counted.get(index + 1))).toEqual(weights)
    }),
  )
})

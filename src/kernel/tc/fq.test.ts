// fq by itself: what leaves, when, and in which order (net/sched/sch_fq.c). Specs show it on a device.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { durationText } from '../../base/duration.ts'
import { addDummy } from '../device/dummy.ts'
import { createMachine } from '../machine.ts'
import { addNamespace } from '../namespace.ts'
import { type Skb, skbFromFrame } from '../skb.ts'
import { udpOpen } from '../socket/udp.ts'
import { Fq, type FqOptions, fqDefaults } from './fq.ts'

const machine = createMachine({ seed: 1 })
const ns = addNamespace(machine, { name: 'n' })
const dev = addDummy(ns, { name: 'd0' })

function packet(flow: number, options: { tstamp?: number; bytes?: number; priority?: number } = {}): Skb {
  const skb = skbFromFrame(dev, new Uint8Array(options.bytes ?? 1000))
  skb.hash = flow
  skb.tstamp = options.tstamp ?? 0
  skb.priority = options.priority ?? 0
  return skb
}

function fq(options: Partial<FqOptions> = {}): Fq {
  return new Fq({ ...fqDefaults(1500, 14), ...options })
}

/** Lets virtual time pass as the watchdog would and says which packet left when. */
function departures(queue: Fq, names: ReadonlyMap<Skb, string>, from = 0): readonly string[] {
  const left: string[] = []
  for (let now = from; ; ) {
    for (let skb = queue.dequeue(now); skb !== undefined; skb = queue.dequeue(now))
      left.push(`${names.get(skb)}@${now}`)
    const next = queue.nextDeparture()
    if (next === undefined) return left
    now = next
  }
}

test('defaults of a device with an MTU of 1500', () => {
  expect(fqDefaults(1500, 14)).toMatchObject({ quantum: 3028, initialQuantum: 15_140, limit: 10_000 })
})

test('a packet with a departure time waits, others of its flow that may leave earlier do', () => {
  const queue = fq()
  const names = new Map<Skb, string>()
  for (const [name, tstamp] of [
    ['late', 3000],
    ['early', 1000],
    ['middle', 2000],
  ] as const) {
    const skb = packet(1, { tstamp })
    names.set(skb, name)
    expect(queue.enqueue(skb, 0)).toEqual({ until: tstamp, behind: 0 })
  }
  expect(queue.counters).toMatchObject({ queued: 3, backlogBytes: 3000 })
  expect(departures(queue, names)).toEqual(['early@1000', 'middle@2000', 'late@3000'])
  expect(queue.counters).toMatchObject({ queued: 0, backlogBytes: 0, packets: 3, bytes: 3000 })
})

test('flows take turns by their credit, and the bands of priority by theirs', () => {
  const queue = fq({ quantum: 1000, initialQuantum: 1000 })
  const names = new Map<Skb, string>()
  const put = (name: string, skb: Skb): void => {
    names.set(skb, name)
    queue.enqueue(skb, 0)
  }
  // all of them wait for the same moment, so that the fast path takes none
  for (const index of [1, 2, 3]) put(`a${index}`, packet(1, { tstamp: 10 }))
  for (const index of [1, 2]) put(`b${index}`, packet(2, { tstamp: 10 }))
  put('urgent', packet(3, { tstamp: 10, priority: 6 }))
  const order = departures(queue, names)
  expect(order.filter((name) => name !== 'urgent@10')).toEqual(['a1@10', 'b1@10', 'a2@10', 'b2@10', 'a3@10'])
  expect(order).toContain('urgent@10')
})

test('an idle queue lets packets pass by the fast path, up to eight of them', () => {
  const queue = fq()
  for (let index = 0; index < 9; index += 1) queue.enqueue(packet(index + 1), 5)
  expect(queue.own.fastPath).toBe(8)
  expect(queue.flows.size).toBe(1)
})

test('a rate of at most a second for a packet', () => {
  const queue = fq({ maxRate: 100, quantum: 1, initialQuantum: 1 })
  const names = new Map<Skb, string>()
  for (const name of ['first', 'second']) {
    const skb = packet(1)
    names.set(skb, name)
    queue.enqueue(skb, 0)
  }
  expect(departures(queue, names)).toEqual(['first@0', 'second@1000000000'])
  expect(queue.own.tooLong).toBe(2)
})

test('a connected socket is a flow, an unconnected one is as many as it has peers', () => {
  const opened = udpOpen({ ns, family: 4, label: 'f' })
  if ('errno' in opened) throw new Error(opened.errno)
  const socket = opened.ok
  const keysWith = (state: number): number => {
    const queue = fq()
    socket.state = state
    for (const hash of [1, 2]) {
      const skb = packet(hash, { tstamp: 10 })
      skb.sk = socket
      queue.enqueue(skb, 0)
    }
    return queue.flows.size
  }
  expect(keysWith(1)).toBe(1)
  expect(keysWith(7)).toBe(2)
  expect(socket.pacing).toBe('fq')
})

test('reset gives back everything that waits', () => {
  const queue = fq()
  for (const tstamp of [5, 6]) queue.enqueue(packet(1, { tstamp }), 0)
  expect(queue.reset()).toHaveLength(2)
  expect(queue.nextDeparture()).toBeUndefined()
  expect(queue.dequeue(100)).toBeUndefined()
})

test('nothing is lost, nothing leaves early, and equal departures of a flow keep their order', () => {
  const arrival = fc.record({ flow: fc.integer({ min: 1, max: 3 }), tstamp: fc.integer({ min: 0, max: 50 }) })
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 40 }), (arrivals) => {
      const queue = fq()
      const names = new Map<Skb, string>()
      arrivals.forEach(({ flow, tstamp }, index) => {
        const skb = packet(flow, { tstamp })
        names.set(skb, `${index}`)
        queue.enqueue(skb, 0)
      })
      const left = departures(queue, names).map((text) => text.split('@').map(Number) as [number, number])
      expect(left.map(([index]) => index).toSorted((a, b) => a - b)).toEqual(
        arrivals.map((_, index) => index),
      )
      for (const [index, at] of left) expect(at).toBe(arrivals[index]?.tstamp)
    }),
  )
})

test('lengths of time', () => {
  expect(
    [7, 1500, 2_000_000, 1_500_000, 20_840_000, 10_000_000_000, 1_000_000_001].map(durationText),
  ).toEqual(['7ns', '1.5us', '2ms', '1.5ms', '20.84ms', '10s', '1.000000001s'])
})

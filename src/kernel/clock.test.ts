import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Clock, cancel } from './clock.ts'

const clock = (tasksMax = 1000): Clock => new Clock({ tasksMax })

test('timers fire by time, and those of one time in the order in which they were set', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (delays) => {
      const subject = clock()
      const fired: [number, number][] = []
      for (const [index, delay] of delays.entries()) subject.after(delay, () => fired.push([delay, index]))
      subject.advance(20)
      const wanted = delays.map((delay, index): [number, number] => [delay, index])
      expect(fired).toEqual(wanted.sort(([a, i], [b, j]) => a - b || i - j))
    }),
  )
})

test('time stands at the timer while it runs, and at the goal afterwards', () => {
  const subject = clock()
  const times: number[] = []
  subject.after(5, () => times.push(subject.now))
  subject.advance(9)
  expect([...times, subject.now]).toEqual([5, 9])
})

test('a timer set by a timer runs in the same advance when it is due', () => {
  const subject = clock()
  const times: number[] = []
  subject.after(5, () => subject.after(2, () => times.push(subject.now)))
  subject.advance(10)
  expect(times).toEqual([7])
})

test('a cancelled timer neither runs nor counts as the next one', () => {
  const subject = clock()
  let ran = false
  const timer = subject.after(5, () => {
    ran = true
  })
  subject.after(8, () => {})
  cancel(timer)
  cancel(undefined)
  expect(subject.nextTimer()).toBe(8)
  subject.advance(10)
  expect([ran, subject.nextTimer()]).toEqual([false, undefined])
})

test('the backlog is first in, first out, before any timer of the same time', () => {
  const subject = clock()
  const order: string[] = []
  subject.after(0, () => order.push('timer'))
  subject.soon(() => {
    order.push('first')
    subject.soon(() => order.push('third'))
  })
  subject.soon(() => order.push('second'))
  subject.advance(0)
  expect(order).toEqual(['first', 'second', 'third', 'timer'])
})

test('work without end stops at the limit, which is told', () => {
  let told = 0
  const subject = new Clock({ tasksMax: 10, limitReached: () => (told += 1) })
  let runs = 0
  const again = (): void => {
    runs += 1
    subject.soon(again)
  }
  subject.soon(again)
  expect(subject.drain()).toBe('limit')
  expect([runs, told]).toEqual([10, 1])
})

test('softirq work comes in between the transmissions of a system call, as soon as bottom halves are enabled', () => {
  const subject = clock()
  const order: string[] = []
  const transmit = (name: string): void => {
    subject.disableBottomHalves()
    subject.soon(() => order.push(`${name} arrives`))
    order.push(`${name} leaves`)
    subject.enableBottomHalves()
  }
  subject.interruptible(() => {
    transmit('first')
    transmit('second')
  })
  transmit('third')
  order.push('idle')
  subject.drain()
  expect(order).toEqual([
    'first leaves',
    'first arrives',
    'second leaves',
    'second arrives',
    'third leaves',
    'idle',
    'third arrives',
  ])
})

test('nothing comes in between inside softirq work', () => {
  const subject = clock()
  const order: string[] = []
  subject.soon(() => {
    subject.interruptible(() => subject.soon(() => order.push('behind')))
    order.push('before')
  })
  subject.drain()
  expect(order).toEqual(['before', 'behind'])
})

test('the backlog is one of those that are polled, 64 packets at a time; what a poll asks for comes in the next round', () => {
  const subject = clock()
  const order: string[] = []
  for (let n = 0; n < 65; n += 1) subject.soon(() => order.push(`packet ${n}`))
  subject.poll(() => {
    order.push('first ring')
    subject.soon(() => order.push('answer'))
    return false
  })
  let left = 2
  subject.poll(() => {
    order.push('second ring')
    left -= 1
    return left > 0
  })
  subject.drain()
  expect(order.slice(63)).toEqual([
    'packet 63',
    'first ring',
    'second ring',
    'packet 64',
    'answer',
    'second ring',
  ])
})

test('processes run when no packet is left', () => {
  const subject = clock()
  const order: string[] = []
  subject.atRest(() => order.push('process'))
  subject.soon(() => subject.soon(() => order.push('packet')))
  subject.drain()
  expect(order).toEqual(['packet', 'process'])
})

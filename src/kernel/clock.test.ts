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

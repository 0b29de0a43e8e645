import { describe, expect, test } from 'vitest'
import { Punctuality, untilPunctual } from './tick.ts'

/** A clock that a test moves by hand. */
function handClock(): { now: bigint; readonly read: () => bigint } {
  const clock = { now: 0n, read: () => clock.now }
  return clock
}

describe('calls that belong together', () => {
  test('are punctual in one tick', () => {
    const clock = handClock()
    const watch = new Punctuality(clock.read)
    expect(watch.closing(() => 7)).toBe(7)
    watch.closing(() => {})
    expect(watch.disturbed).toBe(false)
  })

  test('are late when a tick comes between them', () => {
    const clock = handClock()
    const watch = new Punctuality(clock.read)
    watch.closing(() => {})
    clock.now += 4n
    watch.closing(() => {})
    expect(watch.disturbed).toBe(true)
  })

  test('are late when a tick comes during the later', () => {
    const clock = handClock()
    const watch = new Punctuality(clock.read)
    watch.closing(() => {})
    watch.closing(() => {
      clock.now += 4n
    })
    expect(watch.disturbed).toBe(true)
  })

  test('of two steps have nothing to do with each other', () => {
    const clock = handClock()
    const watch = new Punctuality(clock.read)
    watch.closing(() => {})
    clock.now += 4n
    watch.newStep()
    watch.closing(() => {})
    expect(watch.disturbed).toBe(false)
  })
})

test.each([
  [1, false],
  [10, false],
  [25, true],
])('%i ms without a look at the world: disturbed %s', (milliseconds, disturbed) => {
  const watch = new Punctuality(() => 0n)
  watch.looked(milliseconds)
  expect(watch.disturbed).toBe(disturbed)
})

describe('asking again', () => {
  const answers = (...given: readonly (readonly [kind: string, disturbed: boolean])[]) => {
    let asked = 0
    const result = untilPunctual(() => {
      const [kind, disturbed] = given[asked] ?? ['no more', false]
      asked += 1
      return { result: { kind }, disturbed }
    }, 3)
    return [result.kind, asked]
  }

  test('a punctual difference counts at once', () => {
    expect(answers(['differs', false])).toEqual(['differs', 1])
  })

  test('an agreement counts, however late', () => {
    expect(answers(['agrees', true])).toEqual(['agrees', 1])
  })

  test('a late difference is asked about again', () => {
    expect(answers(['differs', true], ['agrees', false])).toEqual(['agrees', 2])
    expect(answers(['differs', true], ['differs', false])).toEqual(['differs', 2])
  })

  test('not for ever', () => {
    expect(answers(['differs', true], ['differs', true], ['differs', true])).toEqual(['differs', 3])
  })
})

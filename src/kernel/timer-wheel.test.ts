import { describe, expect, test } from 'vitest'
import { millisecond, second } from './clock.ts'
import { wheelDelay } from './timer-wheel.ts'

/** The times at which a chain of timers fires, in milliseconds cut to two digits of a second. */
function schedule(delays: readonly number[]): readonly number[] {
  let now = 0
  return delays.map((delay) => {
    now += wheelDelay(now, delay)
    return Math.floor(now / (10 * millisecond)) / 100
  })
}

describe('wheelDelay', () => {
  test('gives the recorded times of SYN retransmissions', () => {
    const steps = [1, 1, 1, 1, 1, 2, 4, 8].map((seconds) => seconds * second)
    expect(schedule(steps)).toEqual([1.02, 2.04, 3.06, 4.09, 5.11, 7.13, 11.22, 19.42])
  })

  test('is never early and at most one slot late', () => {
    for (const delay of [4, 200, 400, 1000, 2000, 16000].map((ms) => ms * millisecond)) {
      for (const age of [0, 3 * millisecond, 17 * second]) {
        const real = wheelDelay(age, delay)
        expect(real).toBeGreaterThanOrEqual(delay - 4 * millisecond)
        expect(real).toBeLessThanOrEqual(delay * 1.13 + 8 * millisecond)
      }
    }
  })
})

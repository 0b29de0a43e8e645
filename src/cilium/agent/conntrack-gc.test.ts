import { describe, expect, test } from 'vitest'
import { ConntrackPace } from './conntrack-gc.ts'

const second = 1_000_000_000
const hour = 3600

/** The waits (seconds) after rounds that each deleted such a share, each when the wait before is over. */
function waits(
  ratios: readonly number[],
  options: { interval?: number; max?: number; legacy?: boolean } = {},
) {
  const { interval = 0, max = 0, legacy = false } = options
  const pace = new ConntrackPace({ interval: interval * second, maxInterval: max * second }, legacy)
  let at = 0
  return ratios.map((ratio) => {
    const wait = pace.after({ at, ratio, full: true })
    at += wait
    return wait / second
  })
}

describe.each([false, true])('the interval, 1.10: %s', (legacy) => {
  test('stays where nothing was deleted', () => {
    expect(waits([0, 0, 0], { legacy })).toEqual([300, 300, 300])
  })
  test('grows by half with little, rounded to seconds, up to twelve hours', () => {
    expect(waits([0, 0.01, 0.01, 0.01, 0.01], { legacy })).toEqual([300, 450, 675, 1013, 1520])
    expect(waits(new Array(20).fill(0.01), { legacy }).at(-1)).toBe(12 * hour)
  })
  test('shrinks with much, not below ten seconds', () => {
    expect(waits([0, 0.5, 0.95, 0.95], { legacy })).toEqual([300, 150, 15, 10])
  })
  test('stays in between', () => {
    expect(waits([0, 0.05, 0.1, 0.25], { legacy })).toEqual([300, 300, 300, 300])
  })
  test('is what conntrack-gc-interval says', () => {
    expect(waits([0, 0.01, 0.9], { interval: 60, legacy })).toEqual([60, 60, 60])
  })
})

test('conntrack-gc-max-interval is the longest', () => {
  expect(waits([0, 0.01, 0.01], { max: 400 })).toEqual([300, 400, 400])
  expect(waits([0, 0], { max: 100 })).toEqual([100, 100])
})

describe('a round that a signal asked for', () => {
  const options = { interval: 0, maxInterval: 0 }
  test('1.19: what it deleted counts for the whole interval', () => {
    const pace = new ConntrackPace(options, false)
    pace.after({ at: 0, ratio: 0, full: true })
    // a tenth after 30 of 300 seconds is as much as all of it
    expect(pace.after({ at: 30 * second, ratio: 0.1, full: true })).toBe(30 * second)
  })
  test('1.10: it does not', () => {
    const pace = new ConntrackPace(options, true)
    pace.after({ at: 0, ratio: 0, full: true })
    expect(pace.after({ at: 30 * second, ratio: 0.1, full: true })).toBe(300 * second)
  })
  test('1.19: for one family of two leaves the other its time', () => {
    const pace = new ConntrackPace(options, false)
    pace.after({ at: 0, ratio: 0, full: true })
    expect(pace.after({ at: 200 * second, ratio: 0, full: false })).toBe(100 * second)
    expect(pace.after({ at: 300 * second, ratio: 0, full: true })).toBe(300 * second)
  })
})

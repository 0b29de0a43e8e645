// The benchmark's own arithmetic: a table of numbers nobody can check would be worth nothing.
import { expect, test } from 'vitest'
import { measureWork } from '../bench/interleave.ts'
import { cpuTime } from '../bench/process-ratio.ts'
import { estimate, median, ratio, shuffled } from '../bench/statistics.ts'
import { digits, table } from '../bench/table.ts'

test.each([
  [[3], 3],
  [[3, 1, 2], 2],
  [[4, 1, 2, 3], 2.5],
  [[1, 1, 1, 100], 1],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected)
})

test('the median of nothing is no number', () => {
  expect(median([])).toBeNaN()
})

test('the interval holds the median, is the same every time, and narrows with more numbers', () => {
  const few = [10, 12, 11, 14, 9]
  const many = Array.from({ length: 20 }, () => few).flat()
  const wide = estimate(few)
  const narrow = estimate(many)
  expect(wide.median).toBe(11)
  expect(wide).toEqual(estimate(few))
  expect(wide.low).toBeLessThanOrEqual(wide.median)
  expect(wide.high).toBeGreaterThanOrEqual(wide.median)
  expect([wide.low, wide.high]).toEqual([9, 14])
  expect(narrow.high - narrow.low).toBeLessThan(wide.high - wide.low)
})

test('equal numbers leave no doubt', () => {
  expect(estimate([2, 2, 2, 2])).toEqual({ median: 2, low: 2, high: 2 })
})

test('a ratio is taken within each round: a machine that slows down changes nothing', () => {
  expect(ratio([2, 20, 200], [1, 10, 100])).toEqual({ median: 2, low: 2, high: 2 })
})

test('shuffling keeps every value', () => {
  const values = Array.from({ length: 50 }, (_, index) => index)
  let next = 0
  const order = shuffled(values, () => {
    next = (next + 0.37) % 1
    return next
  })
  expect(order).not.toEqual(values)
  expect(order.toSorted((a, b) => a - b)).toEqual(values)
})

test('every piece of work runs once a round, and warm rounds are not counted', () => {
  const runs: string[] = []
  const times = measureWork(
    [
      { name: 'a', run: () => void runs.push('a') },
      { name: 'b', run: () => void runs.push('b') },
    ],
    { rounds: 3, warm: 2 },
  )
  expect(runs.toSorted().join('')).toBe('aaaaabbbbb')
  expect([...times.values()].map((each) => each.length)).toEqual([3, 3])
})

test('a command is measured by what it used, and an unexpected exit code stops the benchmark', () => {
  const spin = 'const end = process.cpuUsage().user + 200_000; while (process.cpuUsage().user < end);'
  const command = { name: 'spin', argv: [process.execPath, '-e', spin], exit: 0, cwd: '.', times: 1 }
  expect(cpuTime(command)).toBeGreaterThan(0.15)
  expect(() => cpuTime({ ...command, argv: [process.execPath, '-e', 'process.exit(3)'] })).toThrow(
    'spin ended with 3 where 0 was expected',
  )
})

test('numbers keep three digits, and a row says whether its target is met', () => {
  expect([1.234, 12.34, 123.4, 1234.5, 1_234_567].map(digits)).toEqual([
    '1.23',
    '12.3',
    '123',
    '1,235',
    '1,234,567',
  ])
  const row = (median: number): string =>
    table([{ measure: 'm', estimate: { median, low: 1, high: 3 }, unit: 'x', target: 2 }]).split('\n')[1] ??
    ''
  expect(row(1.5)).toMatch(/ok$/)
  expect(row(2.5)).toMatch(/over$/)
})

import { describe, expect, test } from 'vitest'
import { IdentityCollector } from './identity-gc.ts'

const minute = 60_000_000_000
const options = { interval: 15 * minute, timeout: 30 * minute }

/** Minutes at which `web` is deleted, if it is without pods from one time to another. */
function deletions(marks: boolean, from: number, to = Number.MAX_SAFE_INTEGER): number[] {
  const collector = new IdentityCollector(options, marks)
  const known = new Set(['web', 'api'])
  const usedAt = (at: number): ReadonlySet<string> =>
    new Set(at >= from && at < to ? ['api'] : ['web', 'api'])
  collector.seen(0, known, usedAt(-1))
  collector.seen(from * minute, known, usedAt(from - 1))
  const found: number[] = []
  for (let at = 15; at <= 180; at += 15)
    for (const key of collector.collect(at * minute, known, usedAt(at))) {
      expect(key).toBe('web')
      known.delete(key)
      found.push(at)
    }
  return found
}

describe('an identity without pods', () => {
  test('1.19 marks it after half an hour and deletes it after another', () => {
    expect(deletions(true, 5)).toEqual([60])
    expect(deletions(true, 20)).toEqual([75])
  })
  test('1.10 deletes it after half an hour', () => expect(deletions(false, 5)).toEqual([30]))
  test('whose pods come back stays', () => {
    expect(deletions(true, 5, 50)).toEqual([])
    expect(deletions(false, 5, 20)).toEqual([])
  })
})

test('without an interval nothing is collected', () => {
  const collector = new IdentityCollector({ interval: 0, timeout: minute }, true)
  expect(collector.nextAfter(5)).toBeUndefined()
  expect(new IdentityCollector(options, true).nextAfter(15 * minute)).toBe(30 * minute)
})

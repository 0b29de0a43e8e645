import fc from 'fast-check'
import { expect, test } from 'vitest'
import { portPrefixes } from './port-range.ts'

const texts = (first: number, last: number): readonly string[] =>
  portPrefixes(first, last).map(({ port, length }) => `${port}/${length}`)

test('ranges as prefixes', () => {
  expect(texts(80, 0)).toEqual(['80/16'])
  expect(texts(80, 83)).toEqual(['80/14'])
  expect(texts(0, 0)).toEqual(['0/0'])
  expect(texts(0, 65535)).toEqual(['0/0'])
  expect(texts(16, 31)).toEqual(['16/12'])
  expect(texts(1000, 2000)).toEqual([
    '1000/13',
    '1008/12',
    '1024/7',
    '1536/8',
    '1792/9',
    '1920/10',
    '1984/12',
    '2000/16',
  ])
  expect(texts(32768, 65535)).toEqual(['32768/1'])
})

test('a range is exactly its prefixes, which do not overlap', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 1, max: 65535 }), (left, right) => {
      const [first, last] = left < right ? [left, right] : [right, left]
      let next = first
      for (const { port, length } of portPrefixes(first, last)) {
        expect(port).toBe(next)
        next = port + 2 ** (16 - length)
      }
      expect(next).toBe(last + 1)
    }),
  )
})

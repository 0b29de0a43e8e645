// Whatever a person or a broken disk makes of a text: it parses or it is told why. No crash, no hang.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { complete } from './complete.ts'
import { parse } from './parse.ts'
import { print } from './print.ts'
import { samples } from './samples.test-data.ts'

const texts = samples.map(([, text]) => text)
const pieces = [
  '{',
  '}',
  '"',
  '"""',
  '#',
  '[',
  ']',
  '(',
  '|',
  '->',
  '=>',
  '==',
  ';',
  '\n',
  ' ',
  '$',
  '${',
  '\\',
  '-',
  '..',
  'é',
  '\0',
  'not ',
  'ip.',
  '1',
]

/** A sample with some of its pieces deleted, doubled, moved or replaced. */
const mutant = fc
  .record({
    text: fc.constantFrom(...texts),
    edits: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        length: fc.nat(12),
        put: fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 6 })),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .map(({ text, edits }) =>
    edits.reduce((now, { at, length, put }) => {
      const start = Math.floor(at * now.length)
      return now.slice(0, start) + put + now.slice(start + length)
    }, text),
  )

function check(text: string): void {
  const source = { name: 'a.scn', text }
  const started = performance.now()
  const result = parse(source)
  if (!result.ok) {
    expect(result.diagnostics.length).toBeGreaterThan(0)
    for (const { span } of result.diagnostics) {
      expect(span.start).toBeGreaterThanOrEqual(0)
      expect(span.end).toBeGreaterThanOrEqual(span.start)
      expect(span.end).toBeLessThanOrEqual(text.length)
    }
  }
  print(source)
  complete(source, text.length >> 1)
  expect(performance.now() - started).toBeLessThan(3000)
}

test('a mutated text is parsed or refused, never more', () => {
  fc.assert(fc.property(mutant, check), { numRuns: 150 })
}, 60_000)

test('any text is parsed or refused, never more', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => check(`scn 1\n${text}`)),
    { numRuns: 200 },
  )
}, 60_000)

test.each([
  ['not ', 'prog p xdp {\n  ', ' => 1\n}'],
  ['a[', 'prog p xdp {\n  ', ' => 1\n}'],
  ['reply ', 'scenario s {\n  expect f ', '\n}'],
  ['repeat $i in 1..2 { ', 'scenario s {\n', '\n}'],
  ['[a] ', 'scenario s {\n', 'wait 1s\n}'],
  ['a/', 'scenario s {\n expect f delivered to ', 'b\n}'],
  ['x\n', 'scenario s {\n', '\n}'],
])('many `%s` in a row end', (piece, before, after) => {
  check(`scn 1\n${before}${piece.repeat(5000)}${after}`)
})

// Printing moves blanks and nothing else.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from './parse.ts'
import { print } from './print.ts'
import { samples } from './samples.test-data.ts'
import { scan } from './scan.ts'

function printed(text: string): string {
  const result = print({ name: 'a.scn', text })
  if (!result.ok) throw new Error(result.diagnostics.map((each) => each.message).join('\n'))
  return result.value
}

/** A tree without its spans. */
function shapeOf(text: string): unknown {
  const result = parse({ name: 'a.scn', text })
  if (!result.ok) throw new Error(result.diagnostics.map((each) => each.message).join('\n'))
  return JSON.parse(
    JSON.stringify(result.value, (key, value) => (key === 'span' || key === 'typeSpan' ? undefined : value)),
  )
}

function commentsOf(text: string): string[] {
  const source = { name: 'a.scn', text }
  return scan(source).comments.map(({ span }) => text.slice(span.start, span.end).trimEnd())
}

/** The same text with other blanks: wider gaps, no indentation, more empty lines; strings, blocks and comments stay. */
function respaced(text: string, widths: readonly number[]): string {
  let turn = 0
  const width = () => widths[turn++ % widths.length] ?? 1
  return text.replace(/"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|#.*|[ ]+|\n/g, (piece) => {
    if (piece === '\n') return '\n'.repeat(width() > 2 ? 2 : 1)
    return /^ +$/.test(piece) ? ' '.repeat(width()) : piece
  })
}

const widths = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 30 })

test.each(samples)('the printed %s sample has the same tree and comments', (_, text) => {
  expect(shapeOf(printed(text))).toEqual(shapeOf(text))
  expect(commentsOf(printed(text))).toEqual(commentsOf(text))
})

test.each(samples)('printing the %s sample twice is printing it once, however it is spaced', (_, text) => {
  fc.assert(
    fc.property(widths, (numbers) => {
      const other = respaced(text, numbers)
      const once = printed(other)
      expect(printed(once)).toBe(once)
      expect(shapeOf(once)).toEqual(shapeOf(text))
      expect(commentsOf(once)).toEqual(commentsOf(text))
    }),
    { numRuns: 15 },
  )
})

test('the canonical form', () => {
  const text = `scn 1
topology {

   external friend on lan 10.1.0.50
   external   attacker on lan 10.1.0.66 ;


   node n { dev e on lan 10.1.0.1  { xdp native p ;tc-in q } }
   # alone
   dev: x
}
`.replace('   dev: x\n', '')
  const program =
    'prog p xdp {\n  ip.src in deny=>XDP_DROP   # why\n  otherwise => XDP_PASS {swap eth ip}\n}\n'
  const scenario =
    'scenario s {\r\ncases {\n| id|a |\n|x|"b | c"|# row\n\n}\n  expect f1 dnat a:1->b:2\n\n}\n'
  expect(printed(text + program + scenario)).toBe(`scn 1
topology {
  external friend   on lan 10.1.0.50
  external attacker on lan 10.1.0.66

  node n { dev e on lan 10.1.0.1 { xdp native p; tc-in q } }
  # alone
}
prog p xdp {
  ip.src in deny        => XDP_DROP         # why
  otherwise             => XDP_PASS { swap eth ip }
}
scenario s {
  cases {
    | id | a       |
    | x  | "b | c" |                        # row
  }
  expect f1 dnat a:1 -> b:2
}
`)
})

test('line ends of Windows become LF, also inside a block', () => {
  const text = 'scn 1\n\nmanifest """\na: 1\n"""\n'
  expect(printed(text.replaceAll('\n', '\r\n'))).toBe(text)
})

test('a text with mistakes is not printed', () => {
  expect(print({ name: 'a.scn', text: 'scn 1\nfoo\n' }).ok).toBe(false)
})

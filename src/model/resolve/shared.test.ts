// A line is read once for each set of values; what it was read as keeps the cells of its own case.
import { expect, test } from 'vitest'
import type { Diagnostic } from '../../base/diagnostic.ts'
import type { Source, Span } from '../../base/text.ts'
import type { VariablePart, Word } from '../../syntax/ast.ts'
import { type Binding, given } from '../words/fill.ts'
import type { Scope } from './scope.ts'
import { readShared } from './shared.ts'

const source: Source = { name: 'a.scn', text: '' }
const span = (start: number): Span => ({ source, start, end: start + 1 })
const variable: VariablePart = { name: 'a', span: span(0) }
const word: Word = { kind: 'word', span: span(0), text: '$a', form: 'bare', parts: [variable] }
const line = { kind: 'line', word }

function scopeOf(messages: Diagnostic[]): Scope {
  return { entities: {} as Scope['entities'], report: (diagnostic) => messages.push(diagnostic) }
}

test('equal values share a reading but not the cell', () => {
  const scope = scopeOf([])
  let reads = 0
  const read = (binding: Binding): { readonly claims: readonly { readonly cell?: Span }[] } =>
    readShared(
      line,
      () => binding,
      scope,
      (filled) => {
        reads += 1
        return { claims: [given(filled.word, filled.word.text)] }
      },
    )
  const cells = [span(10), span(20), span(30)]
  const of = (text: string, cell?: Span): Binding => ({
    text,
    form: 'bare',
    ...(cell === undefined ? {} : { cell }),
  })
  expect(read(of('x', cells[0])).claims[0]?.cell).toBe(cells[0])
  expect(read(of('x', cells[1])).claims[0]?.cell).toBe(cells[1])
  expect(read(of('x', cells[0])).claims[0]?.cell).toBe(cells[0])
  expect(reads).toBe(1)
  expect(read(of('y', cells[2])).claims[0]?.cell).toBe(cells[2])
  expect(read(of('x')).claims[0]?.cell).toBeUndefined()
  expect(reads).toBe(3)
})

test('a reading that gave a message is not shared', () => {
  const messages: Diagnostic[] = []
  const scope = scopeOf(messages)
  for (let round = 0; round < 2; round += 1) {
    readShared(
      line,
      () => ({ text: 'x', form: 'bare' }),
      scope,
      (_filled, { report }) => {
        report({ code: 'S100', severity: 'error', span: span(0), message: 'no' })
        return {}
      },
    )
  }
  expect(messages).toHaveLength(2)
})

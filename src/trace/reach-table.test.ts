import { expect, test } from 'vitest'
import { diffSections } from './diff.ts'
import type { ReachedPair, Trace } from './event.ts'
import { formatTrace } from './format.ts'
import { parseGolden } from './golden.ts'
import { renderDiff } from './render-diff.ts'

const pair = (from: string, to: string, verdict: string, more: Partial<ReachedPair> = {}): ReachedPair => ({
  ...{ from, to, protocol: 'tcp', port: 80, family: 4, verdict },
  ...more,
})

const traceOf = (reached: readonly ReachedPair[]): Trace => ({
  ...{ scenario: 's', bindings: [], packets: [], state: [] },
  steps: [{ title: 'reach tcp 80', packets: 0, nodes: [], reached }],
})

const textOf = (reached: readonly ReachedPair[]): string => formatTrace(traceOf(reached), { level: 'hops' })

const pairs = [
  pair('a', 'b', 'denied egress', { reason: 'Policy denied' }),
  pair('a', 'c', 'connected'),
  pair('a', 'd', 'connected'),
  pair('a', 'b', 'connected', { family: 6 }),
  pair('b', 'a', 'lost', { reason: 'SKB_DROP_REASON_NEIGH_FAILED' }),
  pair('b', 'c', 'denied ingress', { reason: 'Policy denied by denylist' }),
]

test('rows of one source stand together, what was reached first', () => {
  expect(textOf(pairs)).toBe(`scn-trace 1 hops

scenario s

step reach tcp 80
@ a
  tcp 80     connected           c d
  tcp 80     denied egress       b
  tcp6 80    connected           b
@ b
  tcp 80     denied ingress Policy denied by denylist  c
  tcp 80     lost NEIGH_FAILED   a
`)
})

/** The lines of a comparison. */
function compared(before: readonly ReachedPair[], after: readonly ReachedPair[]): readonly string[] {
  const sections = [before, after].map((reached) => {
    const golden = parseGolden({ name: 'x.trace', text: textOf(reached) })
    expect(golden.diagnostics).toEqual([])
    return golden.sections[0]!.section
  })
  return renderDiff(diffSections(sections[0]!, sections[1]!), { golden: 'x.trace', verbose: true })
}

test('a pair that has changed is told as a pair', () => {
  const changed = pairs.map((each) =>
    each.from === 'a' && each.to === 'd' ? pair('a', 'd', 'refused') : each,
  )
  expect(compared(pairs, changed)).toEqual([
    `  ${'first divergence: reach tcp 80'.padEnd(70)}  x.trace:7`,
    '    - tcp 80 a > d: connected',
    '    + tcp 80 a > d: refused',
  ])
  expect(compared(pairs, pairs.slice(1)).slice(1)).toEqual(['    - tcp 80 a > b: denied egress'])
  expect(compared(pairs.slice(1), pairs).slice(1)).toEqual(['    + tcp 80 a > b: denied egress'])
  expect(compared(pairs, pairs.toReversed())).toEqual([])
})

test('a pair that changes touches the two rows that it leaves and enters', () => {
  const lines = (reached: readonly ReachedPair[]): ReadonlySet<string> => new Set(textOf(reached).split('\n'))
  const more = [...pairs, pair('a', 'a-host-with-a-very-long-name', 'refused')]
  const [before, after] = [lines(pairs), lines(more)]
  expect([...after].filter((line) => !before.has(line))).toEqual([
    '  tcp 80     refused             a-host-with-a-very-long-name',
  ])
  expect([...before].filter((line) => !after.has(line))).toEqual([])
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { align } from './align.ts'
import { diffSections } from './diff.ts'
import { parseGolden } from './golden.ts'
import { renderDiff } from './render-diff.ts'
import type { Section } from './section.ts'
import { anySection } from './testing/any-section.ts'

function sectionIn(text: string): Section {
  const golden = parseGolden({ name: 'x.trace', text: `scn-trace 1 hops\n\nscenario s\n${text}` })
  expect(golden.diagnostics).toEqual([])
  return golden.sections[0]!.section
}

function rendered(expected: string, actual: string, verbose = false): string {
  const diff = diffSections(sectionIn(expected), sectionIn(actual))
  return renderDiff(diff, { golden: 'x.trace', verbose }).join('\n')
}

const dsr = `outcome f1.syn delivered web
packet f1.syn tcp client:55000 > n1:30080 S ttl 64
@ n1
  eth0 rx
  eth0 tc-in            cil_from_netdev     REDIRECT eth0
    service n1:30080 NodePort
    dnat n1:30080 -> web:8080
    ip-opt add dsr n1:30080
    ttl 64 -> 63
    fib n2 eth0
packet f1.synack tcp web:8080 > client:55000 SA ttl 64
@ n2
  eth0 tc-out           cil_to_netdev       OK
    dnat reply web:8080 -> n1:30080
`

test('the first divergence with one line of context, and how much follows from it', () => {
  const snat = dsr
    .replace('ip-opt add dsr n1:30080', 'snat client:55000 -> n1:55000')
    .replace('> client:55000 SA', '> n1:55000 SA')
    .replace('    dnat reply web:8080 -> n1:30080\n', '')
    .replace('delivered web', 'unfinished')
  expect(
    rendered(dsr, snat),
  ).toBe(`  first divergence: f1.syn @ n1 › eth0 tc-in › cil_from_netdev            x.trace:11
      dnat n1:30080 -> web:8080
    - ip-opt add dsr n1:30080
    + snat client:55000 -> n1:55000
      ttl 64 -> 63
    then 5 lines differ as a consequence (-v shows all)`)
})

test('a changed decision, an inserted hook and a vanished packet', () => {
  const changed = dsr
    .replace('cil_from_netdev     REDIRECT eth0', 'cil_from_netdev     SHOT')
    .replace('@ n2\n', '@ n2\n  lxc tc-in             x                   OK\n')
    .replace('f1.synack', 'f1.rst')
  expect(
    rendered(dsr, changed, true),
  ).toBe(`  first divergence: f1.syn @ n1 › eth0 tc-in › cil_from_netdev            x.trace:8
    - eth0 tc-in            cil_from_netdev     REDIRECT eth0
    + eth0 tc-in            cil_from_netdev     SHOT
  packet f1.synack                                                        x.trace:14
    - packet f1.synack tcp web:8080 > client:55000 SA ttl 64
    -   eth0 tc-out           cil_to_netdev       OK
    -     dnat reply web:8080 -> n1:30080
  packet f1.rst                                                           x.trace
    + packet f1.rst tcp web:8080 > client:55000 SA ttl 64
    +   lxc tc-in             x                   OK
    +   eth0 tc-out           cil_to_netdev       OK
    +     dnat reply web:8080 -> n1:30080`)
})

test('an inserted hook is one difference, before the golden line that it precedes', () => {
  const more = dsr.replace('  eth0 rx\n', '  eth0 rx\n  eth0 xdp              f                   PASS\n')
  const { differences } = diffSections(sectionIn(dsr), sectionIn(more))
  expect(differences).toEqual([
    {
      kind: 'hook',
      packet: 'f1.syn',
      node: 'n1',
      place: 'eth0 xdp',
      actor: 'f',
      row: 8,
      lines: [{ sign: '+', text: 'eth0 xdp              f                   PASS', row: 0 }],
    },
  ])
})

test('renumbering shows in the addresses only; outcomes and state come last', () => {
  const left = `where a 10.0.0.1\noutcome p delivered a\nstate n\n  neigh a\n`
  const right = `where a 10.0.0.2\noutcome p delivered b\nstate n\n  neigh b\n`
  const { differences } = diffSections(sectionIn(left), sectionIn(right))
  expect(differences.map(({ kind, node }) => `${kind} ${node}`.trim())).toEqual([
    'where',
    'outcome',
    'state n',
  ])
})

test('equal causes have equal keys, whatever packet, case and consequence', () => {
  const change = (text: string): string => text.replace('ip-opt add dsr n1:30080', 'snat client:1 -> n1:2')
  const one = diffSections(sectionIn(dsr), sectionIn(change(dsr)))
  const renamed = dsr.replaceAll('f1.', 'f7.').replace('SA ttl 64', 'SA ttl 62')
  const two = diffSections(
    sectionIn(renamed),
    sectionIn(change(renamed).replace('    dnat reply web:8080 -> n1:30080\n', '')),
  )
  const three = diffSections(sectionIn(dsr), sectionIn(dsr.replace('ttl 64 -> 63', 'ttl 64 -> 62')))
  expect(two.cause).toEqual(one.cause)
  expect(one.cause?.key).toMatch(/^[0-9a-f]{16}$/)
  expect(three.cause?.key).not.toBe(one.cause?.key)
})

test('at most twenty lines of a case are shown', () => {
  const effects = (word: string): string =>
    Array.from({ length: 60 }, (_, index) => `    ${word} ${index}\n`).join('')
  const text = (word: string): string =>
    `packet p x\n@ n\n  eth0 tc-in            p                   OK\n${effects(word)}`
  const lines = rendered(text('a'), text('b')).split('\n')
  expect(lines.length).toBeLessThanOrEqual(20)
  expect(lines.at(-1)).toBe('    and 103 more lines here (-v shows all)')
})

test('another level is the only difference: other hooks are shown then', () => {
  const { differences } = diffSections(
    sectionIn(dsr),
    sectionIn(`level minimal\n${dsr.replace('  eth0 rx\n', '')}`),
  )
  expect(differences.map(({ place, lines }) => [place, lines.map(({ sign, text }) => sign + text)])).toEqual([
    ['level', ['-level hops', '+level minimal']],
  ])
})

test('packets born in another order are a difference', () => {
  const a = 'packet a x\n@ n\n  e rx\n'
  const b = 'packet b x\n@ n\n  e rx\n'
  expect(diffSections(sectionIn(a + b), sectionIn(b + a)).differences.map(({ kind }) => kind)).toEqual([
    'order',
  ])
})

describe('laws', () => {
  test('a section does not differ from itself', () => {
    fc.assert(
      fc.property(anySection, (section) => {
        expect(diffSections(section, section).differences).toEqual([])
      }),
    )
  })

  test('every difference has a changed line, and there is none only between equals', () => {
    fc.assert(
      fc.property(anySection, anySection, (left, right) => {
        const { differences } = diffSections(left, right)
        for (const { lines } of differences) expect(lines.some(({ sign }) => sign !== ' ')).toBe(true)
        expect(differences.length === 0).toBe(JSON.stringify(left) === JSON.stringify(right))
      }),
    )
  })

  test('any two texts can be compared', () => {
    const word = fc.constantFrom(
      'packet p x',
      'packet q x',
      'like p',
      '@ n',
      '  e rx',
      '    ttl',
      'state n',
      'where a',
      'level full',
    )
    const text = fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }).map((lines) => lines.join('\n'))
    fc.assert(
      fc.property(text, text, (left, right) => {
        const [old, now] = [left, right].map((lines) =>
          parseGolden({ name: 'law', text: `scn-trace 1 hops\nscenario a\n${lines}` }),
        )
        const [expected, actual] = [old?.sections[0]?.section, now?.sections[0]?.section]
        if (expected !== undefined && actual !== undefined)
          renderDiff(diffSections(expected, actual), { golden: 'law', verbose: true })
      }),
    )
  })

  test('an alignment rises and pairs equal lines only', () => {
    const words = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 120 })
    fc.assert(
      fc.property(words, words, (left, right) => {
        let last = -1
        align(left, right).forEach((partner, index) => {
          if (partner < 0) return
          expect(partner).toBeGreaterThan(last)
          expect(right[partner]).toBe(left[index])
          last = partner
        })
      }),
    )
  })
})

describe('the cost grows with the number of lines', () => {
  const numbers = Array.from({ length: 4000 }, (_, index) => index)
  test.each([
    ['nothing in common', numbers.map((n) => `a${n}`), numbers.map((n) => `b${n}`)],
    [
      'the same few words in another order',
      numbers.map((n) => `${n % 7}`),
      numbers.map((n) => `${(n * n) % 11}`),
    ],
    ['reversed', numbers.map((n) => `${n}`), numbers.map((n) => `${4000 - n}`)],
    ['every second line new', numbers.map((n) => `${n}`), numbers.map((n) => (n % 2 ? `${n}` : `x${n}`))],
  ])('%s', (_title, left, right) => {
    const work = { steps: 0 }
    align(left, right, work)
    expect(work.steps).toBeLessThan(100 * (left.length + right.length))
  })

  test('wholly different sections of thousands of lines', () => {
    const text = (word: string): string =>
      `packet p x\n@ n\n${numbers.map((n) => `  ${word}${n} rx\n    ttl ${word}${n}\n`).join('')}`
    const work = { steps: 0 }
    const diff = diffSections(sectionIn(text('a')), sectionIn(text('b')), work)
    expect(diff.whollyDifferent).toBe(true)
    expect(work.steps).toBeLessThan(1_600_000)
    expect(renderDiff(diff, { golden: 'x' }).at(-1)).toBe(
      '    hardly a line is common: read the new trace as a whole',
    )
  })
})

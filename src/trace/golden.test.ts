import fc from 'fast-check'
import { expect, test } from 'vitest'
import { textOf } from '../base/text.ts'
import { formatSections } from './format.ts'
import { parseGolden } from './golden.ts'
import { updateGolden } from './golden-write.ts'
import type { Section } from './section.ts'
import { anySection } from './testing/any-section.ts'

/** The codes and the words under the carets. */
function mistakes(text: string): readonly (readonly [string, string])[] {
  const { diagnostics } = parseGolden({ name: 'a.trace', text })
  return diagnostics.map(({ code, span }) => [code, textOf(span)] as const)
}

const good = `scn-trace 1 hops

scenario codes case redirect
where app 10.2.0.2
outcome p1 delivered app

packet p1 tcp friend:4000 > app:80 S ttl 64
@ host
  eth0 tc-in            classify            OK
    ct new egress
    policy allow
  veth0 tx

packet p2 tcp friend:4000 > app:80 A ttl 64
like p1 except
@ host eth0 tc-in: ct established egress
@ host eth0 tc-in: no policy

state host
  neigh app

scenario blocked
level minimal
outcome p1 unfinished
`

test('a golden is read into sections with line numbers, references resolved', () => {
  const golden = parseGolden({ name: 'a.trace', text: good })
  expect(golden.diagnostics).toEqual([])
  expect(golden.sections.map(({ key, row }) => [key, row])).toEqual([
    ['codes[redirect]', 3],
    ['blocked', 22],
  ])
  const section = golden.sections[0]?.section
  expect(section?.packets[1]?.hooks).toEqual([
    {
      node: 'host',
      line: 'eth0 tc-in            classify            OK',
      effects: ['ct established egress'],
      rows: [15, 16],
    },
    { node: 'host', line: 'veth0 tx', effects: [], rows: [15] },
  ])
  expect(section?.state).toEqual([{ node: 'host', row: 19, lines: [{ text: 'neigh app', row: 20 }] }])
  expect(golden.sections[1]?.section.level).toBe('minimal')
})

test('reading and writing gives the same text; CRLF and a byte order mark are accepted', () => {
  for (const text of [good, `\ufeff${good.replaceAll('\n', '\r\n')}`]) {
    const golden = parseGolden({ name: 'a.trace', text })
    expect(golden.diagnostics).toEqual([])
    expect(formatSections(golden.sections.map(({ section }) => section))).toBe(good)
  }
})

test.each([
  ['', [['G001', '']]],
  ['\u0000\u0001binary', [['G001', '\u0000\u0001binary']]],
  ['scn-trace 2 hops\n', [['G002', '2']]],
  ['scn-trace x hops\n', [['G002', 'x']]],
  ['scn-trace 1 hop\n', [['G004', 'hop']]],
  ['scn-trace 1\n', [['G004', 'scn-trace 1']]],
  ['scn-trace 1 hops\nwhere\n', [['G006', 'where']]],
  ['scn-trace 1 hops\nscenario a\n<<<<<<< ours\n=======\n>>>>>>> theirs\n', [['G003', '<<<<<<< ours']]],
  ['scn-trace 1 hops\nscenario a\nscenario a\n', [['G005', 'scenario a']]],
  ['scn-trace 1 hops\nscenario a case b c\n', [['G006', 'scenario a case b c']]],
  [
    'scn-trace 1 hops\nscenario a\nwher x\noutcom y\n',
    [
      ['G006', 'wher'],
      ['G006', 'outcom'],
    ],
  ],
  ['scn-trace 1 hops\nscenario a\n  eth0 rx\n', [['G006', '  eth0 rx']]],
  ['scn-trace 1 hops\nscenario a\npacket p x\n@ n\n    ttl\n', [['G006', '    ttl']]],
  ['scn-trace 1 hops\nscenario a\npacket p x\nlike q\n', [['G007', 'q']]],
  [
    'scn-trace 1 hops\nscenario a\npacket p x\n@ n\n  e rx\npacket q x\nlike p except\n@ n f rx: ttl\n',
    [['G007', 'n f rx: ttl']],
  ],
])('mistake in %j', (text, expected) => {
  expect(mistakes(text)).toEqual(expected)
})

test('sections without mistakes survive their neighbours', () => {
  const golden = parseGolden({ name: 'a', text: 'scn-trace 1 hops\n\nscenario a\nbad\n\nscenario b\n' })
  expect(golden.sections.map(({ key }) => key)).toEqual(['b'])
})

/** Example 2, case `dsr`, as the format's own description shows it. */
const dsr = `scn-trace 1 hops

scenario nodeport case dsr
where client 192.168.5.100
where n1 192.168.5.11
where n2 192.168.5.12
where web 10.0.2.20 identity 7781
outcome f1.syn delivered web
outcome f1.ack delivered web

packet f1.syn tcp client:55000 > n1:30080 S ttl 64
@ n1
  eth0 rx
  eth0 tc-in            cil_from_netdev     REDIRECT eth0
    service n1:30080 NodePort
    ct new service
    dnat n1:30080 -> web:8080
    ip-opt add dsr n1:30080
    ttl 64 -> 63
    fib n2 eth0
    monitor from-network
  eth0 tx
@ n2
  eth0 rx
  eth0 tc-in            cil_from_netdev     REDIRECT web/eth0 peer
    dsr learn n1:30080
    source world
    ttl 63 -> 62
    monitor from-network
    tail cil_lxc_policy lxc-web
    ct new ingress
    policy allow ingress
    monitor to-endpoint
@ web
  eth0 rx               socket              DELIVER tcp/8080

packet f1.ack tcp client:55000 > n1:30080 A ttl 64
like f1.syn except
@ n1 eth0 tc-in: ct established service
@ n1 eth0 tc-in: no ip-opt
@ n2 eth0 tc-in: no dsr learn
@ n2 eth0 tc-in: ct established ingress
@ n2 eth0 tc-in: no policy

state n1
  ct4 tcp client:55000 > n1:30080 service
state n2
  ct4 tcp client:55000 > web:8080 egress dsr n1:30080
`

test('the format of the description is written as it is read', () => {
  const golden = parseGolden({ name: 'dsr.trace', text: dsr })
  expect(golden.diagnostics).toEqual([])
  expect(formatSections(golden.sections.map(({ section }) => section))).toBe(dsr)
})

const named = (scenario: string, level: Section['level'] = 'hops'): Section => ({
  scenario,
  level,
  where: [],
  outcomes: [],
  packets: [],
  state: [],
})

const keys = (text: string | undefined): readonly string[] =>
  parseGolden({ name: 'w', text: text ?? '' }).sections.map(({ key }) => key)

test('accepting puts sections in the order of the specification, and obsolete ones stay where they were', () => {
  const old = parseGolden({ name: 'a', text: formatSections(['a', 'gone', 'c'].map((name) => named(name))) })
  const order = ['a', 'b', 'c']
  const text = updateGolden(old, { replace: [named('b')], order })
  expect(keys(text)).toEqual(['a', 'gone', 'b', 'c'])
  expect(keys(updateGolden(old, { replace: [], remove: ['gone'], order }))).toEqual(['a', 'c'])
  expect(updateGolden(old, { replace: [], remove: ['a', 'gone', 'c'], order })).toBeUndefined()
  expect(keys(updateGolden(undefined, { replace: [named('c'), named('a')], order }))).toEqual(['a', 'c'])
})

test('a section of another level says so; the header names the common level', () => {
  expect(formatSections([named('a', 'minimal'), named('b', 'minimal')])).toContain(
    'scn-trace 1 minimal\n\nscenario a\n',
  )
  expect(formatSections([named('a', 'minimal'), named('b')])).toContain(
    'scn-trace 1 hops\n\nscenario a\nlevel minimal\n\nscenario b\n',
  )
})

test('law: formatting and reading gives the sections back, whatever was referenced', () => {
  fc.assert(
    fc.property(fc.array(anySection, { maxLength: 3 }), (made) => {
      const sections = made.map((section, index) => ({ ...section, scenario: `s${index}` }))
      const text = formatSections(sections)
      const golden = parseGolden({ name: 'law', text })
      expect(golden.diagnostics).toEqual([])
      expect(formatSections(golden.sections.map(({ section }) => section))).toBe(text)
      expect(golden.sections.map(({ section }) => withoutRows(section))).toEqual(sections.map(withoutRows))
    }),
  )
})

test('law: reading never throws', () => {
  const word = fc.constantFrom(
    'scenario a',
    'packet p x',
    'like p except',
    '@ n e rx: no x',
    '@ n',
    '  e rx',
    '    ttl',
    '',
    'state n',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }), (lines) => {
      parseGolden({ name: 'law', text: `scn-trace 1 hops\n${lines.join('\n')}` })
    }),
  )
})

function withoutRows(section: Section): unknown {
  const { where, outcomes, packets, state, ...rest } = section
  const texts = (lines: readonly { readonly text: string }[]): readonly string[] =>
    lines.map(({ text }) => text)
  return {
    ...rest,
    where: texts(where),
    outcomes: texts(outcomes),
    packets: packets.map(({ name, summary, hooks }) => ({
      name,
      summary,
      hooks: hooks.map(({ node, line, effects }) => ({ node, line, effects })),
    })),
    state: state.map(({ node, lines }) => ({ node, lines: texts(lines) })),
  }
}

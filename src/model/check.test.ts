import { afterAll, describe, expect, test } from 'vitest'
import { textOf } from '../base/text.ts'
import { modelCodes } from './codes.ts'
import { checkText, expectMistake, unmark } from './marked.test-helper.ts'
import { clusters, later } from './mistakes/clusters.test-data.ts'
import { devices, rulesets } from './mistakes/devices.test-data.ts'
import { names } from './mistakes/names.test-data.ts'
import { programs } from './mistakes/programs.test-data.ts'
import { file, send } from './mistakes/row.test-helper.ts'
import { scenarios } from './mistakes/scenarios.test-data.ts'
import { values } from './mistakes/values.test-data.ts'

/** Every catalogue entry must be produced by one of the lists. */
const produced = new Set<string>()
afterAll(() => {
  expect([...produced].toSorted()).toEqual(Object.keys(modelCodes).toSorted())
})

describe.each([
  ['clusters of Cilium', clusters],
  ['tunnels and rule sets', rulesets],
  ['names', names],
  ['values', values],
  ['devices and routes', devices],
  ['programs', programs],
  ['tables and scenarios', scenarios],
  ['constructs to come', later],
] as const)('%s', (_, rows) => {
  test.each(rows.map((row) => [...row] as const))('%s %s', (code, hint, marked) => {
    produced.add(code)
    expectMistake(marked, hint === undefined ? { code } : { code, hint })
  })
})

test('constructs to come are warnings: the file has a model that says so', () => {
  const checked = checkText(unmark(file({ topology: 'cluster kube-proxy iptables' })).text)
  expect(checked.ok && checked.value.unavailable.map((each) => [each.severity, textOf(each.span)])).toEqual([
    ['warning', 'cluster kube-proxy iptables'],
  ])
})

describe('imports', () => {
  const main =
    'scn 1\nimport "lib/base.scn" as base\ntopology { use base }\nscenario s { p1: packet udp friend:1 > host:2 on host/eth0 }\n'
  const base =
    'scn 1\ntopology {\n net lan 10.1.0.0/24\n external friend on lan 10.1.0.50\n node host { dev eth0 on lan 10.1.0.1 { xdp p } }\n}\nprog p xdp { otherwise => XDP_PASS }\n'

  test('bring a topology with its programs', () => {
    const checked = checkText(main, { 'lib/base.scn': base })
    expect(checked.diagnostics).toEqual([])
    expect(
      checked.ok && checked.value.scenarios[0]?.cases[0]?.world.namespaces.map((each) => each.name),
    ).toEqual(['friend', 'host'])
  })

  test.each([
    [
      'S129',
      'scn 1\nimport <|"lib/bse.scn"|> as base\n',
      { 'lib/base.scn': base },
      'did you mean `lib/base.scn`?',
    ],
    [
      'S139',
      'scn 1\nimport "lib/base.scn" as <|base|>\n',
      { 'lib/base.scn': base },
      'write `use base` in the topology',
    ],
    [
      'S103',
      'scn 1\nimport "lib/base.scn" as base\ntopology { use base; use <|bse|> }\n',
      { 'lib/base.scn': base },
      'did you mean `base`?',
    ],
  ] as const)('%s', (code, text, imports, hint) => {
    produced.add(code)
    expectMistake(text, { code, hint }, imports)
  })

  test('S128 a cycle is named', () => {
    produced.add('S128')
    const files = {
      'a.scn': 'scn 1\nimport "b.scn" as b\ntopology { use b }\n',
      'b.scn': 'scn 1\nimport "a.scn" as a\ntopology { use a }\n',
    }
    const checked = checkText('scn 1\nimport "a.scn" as a\ntopology { use a }\n', files)
    expect(checked.diagnostics.map((each) => [each.code, each.hint])).toEqual([
      ['S128', 'a.scn > b.scn > a.scn'],
    ])
  })
})

test('a mistake in a cell is reported once, at the cell, with the line that uses it', () => {
  const marked = file({
    steps: `cases {\n | id | tc |\n | a | TC_ACT_OK |\n | b | <|TC_ACT_DROP|> |\n }\n ${send}\n expect p1 verdict host/eth0/tc-in == <~$tc~>`,
  })
  const found = expectMistake(marked, { code: 'S107', hint: 'did you mean `TC_ACT_SHOT`?' })
  expect(found.notes?.map((note) => note.message)).toEqual([
    'XDP_DROP belongs to xdp programs; a tc program drops with TC_ACT_SHOT',
    'used here',
  ])
})

test('every mistake of a file is reported in one run', () => {
  const { diagnostics } = checkText(
    file({
      topology: 'external c on lan 10.2.0.5\n netns a on hst { listen tcp 70000 }',
      steps: `${send}\n expect p2 delivered to hos\n expect p1 ip.ttl == friend`,
    }),
  )
  expect(diagnostics.map((each) => each.code)).toEqual(['S105', 'S103', 'S108', 'S119', 'S103', 'S121'])
})

test('a second device of a host may have its address, with the length of an address alone', () => {
  const topology = 'node n { dev d0 dummy 10.9.0.1/24 fd09::1/64; dev d1 dummy 10.9.0.1/32 fd09::1/128 }'
  expect(checkText(unmark(file({ topology })).text).ok).toBe(true)
})

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the language are written like this
// The tree of a text: every construct parses, spans cover what was written, words keep their variables.
import { expect, test } from 'vitest'
import { textOf } from '../base/text.ts'
import type { Expect, File, Program, Scenario, Topology } from './ast.ts'
import { parse } from './parse.ts'
import { samples } from './samples.test-data.ts'
import { expandWord } from './words.ts'

function treeOf(text: string): File {
  const result = parse({ name: 'a.scn', text })
  if (!result.ok) throw new Error(result.diagnostics.map((each) => each.message).join('\n'))
  return result.value
}

function topologyOf(text: string): Topology {
  return treeOf(`scn 1\ntopology {\n${text}\n}\n`).items[0] as Topology
}

function scenarioOf(text: string): Scenario {
  return treeOf(`scn 1\nscenario s {\n${text}\n}\n`).items[0] as Scenario
}

function programOf(text: string): Program {
  return treeOf(`scn 1\nprog p xdp {\n${text}\n}\n`).items[0] as Program
}

/** Every object with a kind in a tree. */
function nodesOf(value: unknown): { kind: string; span: { start: number; end: number } }[] {
  if (typeof value !== 'object' || value === null) return []
  const node = value as { kind?: string; span: { start: number; end: number } }
  const below = Object.entries(value).flatMap(([key, child]) => (key === 'span' ? [] : nodesOf(child)))
  return node.kind === undefined
    ? below
    : [node as { kind: string; span: { start: number; end: number } }, ...below]
}

test.each(samples)('every construct of the %s sample parses', (name, text) => {
  expect(parse({ name, text }).diagnostics).toEqual([])
})

test.each(samples)('spans of the %s sample lie inside the text and hold words', (_, text) => {
  const file = treeOf(text)
  for (const { kind, span } of nodesOf(file)) {
    expect(span.start, kind).toBeGreaterThanOrEqual(0)
    expect(span.end, kind).toBeLessThanOrEqual(text.length)
    expect(span.start, kind).toBeLessThanOrEqual(span.end)
  }
})

test('a device keeps head and block options in one list', () => {
  const [host] = topologyOf(
    'node n { dev e on lan 10.0.0.1/24 mtu 9000 { xdp native p; mac 02:00:00:00:00:01 } }',
  ).items
  if (host?.kind !== 'node' || host.items[0]?.kind !== 'dev') throw new Error('no device')
  const [device] = host.items
  expect(device.net?.text).toBe('lan')
  expect(device.addresses.map((word) => word.text)).toEqual(['10.0.0.1/24'])
  expect(device.options.map(({ name, values }) => [name, ...values.map((word) => word.text)])).toEqual([
    ['mtu', '9000'],
    ['mac', '02:00:00:00:00:01'],
  ])
  expect(device.attachments.map(({ hook, mode }) => [hook, mode])).toEqual([['xdp', 'native']])
})

test('a word keeps its variables and where they stand', () => {
  const [flow] = scenarioOf('f1: tcp a > ${host}-x:80').items
  if (flow?.kind !== 'flow') throw new Error('no flow')
  const { host } = flow.to
  expect(host.text).toBe('${host}-x')
  expect(textOf(host.span)).toBe('${host}-x')
  const [part] = host.parts
  expect(typeof part === 'object' && [part.name, textOf(part.span)]).toEqual(['host', '${host}'])
  expect(expandWord(host, (name) => (name === 'host' ? 'web' : undefined))).toBe('web-x')
  expect(expandWord(host, () => undefined)).toBe('${host}-x')
})

test('a hyphen belongs to a variable only before a letter or digit', () => {
  const [claim] = (scenarioOf('expect f1 dnat $a->$reply-via:80').items[0] as Expect).lines[0]!.claims
  if (claim?.kind !== 'dnat') throw new Error('no dnat')
  expect([claim.from?.host.text, claim.to?.host.text, claim.to?.port?.text]).toEqual([
    '$a',
    '$reply-via',
    '80',
  ])
})

test('an escaped sign in a string is no variable', () => {
  const [tags] = treeOf('scn 1\nscenario s "a \\"b\\" ${c}\\n" { }').items
  const title = (tags as Scenario).title
  expect(title?.text).toBe('a "b" ${c}\n')
  expect(title?.parts.map((part) => (typeof part === 'string' ? part : part.name))).toEqual([
    'a "b" ',
    'c',
    '\n',
  ])
})

test('cells lose the blanks around them, a dash and an empty cell stay', () => {
  const [cases] = scenarioOf('cases {\n| id | a |\n| x  | - |\n| "y | z" | |\n}').items
  if (cases?.kind !== 'cases') throw new Error('no cases')
  expect(cases.columns.map((word) => word.text)).toEqual(['id', 'a'])
  expect(cases.rows.map((row) => row.cells.map((word) => word.text))).toEqual([
    ['x', '-'],
    ['y | z', ''],
  ])
  expect(textOf(cases.rows[0]!.cells[0]!.span)).toBe('x')
})

test('operators join from left to right', () => {
  const program = programOf('ip.ttl - 1 - 2 == 3 => 1')
  if (program.body.kind !== 'small') throw new Error('no rules')
  const [rule] = program.body.items
  if (rule?.kind !== 'program-rule' || rule.test?.kind !== 'compare') throw new Error('no test')
  const { left } = rule.test
  if (left.kind !== 'arithmetic') throw new Error('no arithmetic')
  expect([textOf(left.left.span), left.operator, textOf(left.right.span)]).toEqual(['ip.ttl - 1', '-', '2'])
})

test.each([
  ['f1', 'f1', null, []],
  ['f1.syn.retry1', 'f1', null, ['syn', 'retry1']],
  ['p[17].icmp', 'p', '17', ['icmp']],
])('the packet name %s is taken apart', (text, label, index, rest) => {
  const subject = (scenarioOf(`expect ${text} established`).items[0] as Expect).subject
  expect([subject.label.text, subject.index?.text ?? null, subject.rest.map((word) => word.text)]).toEqual([
    label,
    index,
    rest,
  ])
})

test.each(['dev', 'route', 'packet', 'expect', 'node', 'on', 'all', 'state', 'redirect', 'data'])(
  'no word is reserved: `%s` is a name',
  (name) => {
    expect(topologyOf(`node ${name} { dev ${name} on ${name} 10.0.0.1 }`).items).toHaveLength(1)
    expect(scenarioOf(`${name}: packet tcp ${name}:1 > ${name}:2 on ${name}/${name}`).items).toHaveLength(1)
    expect(scenarioOf(`expect ${name} delivered to ${name}`).items).toHaveLength(1)
  },
)

test('a name of hexadecimal letters with a port is no IPv6 address', () => {
  const [flow] = scenarioOf('f1: tcp face:80 > [fd00::1]:81').items
  if (flow?.kind !== 'flow') throw new Error('no flow')
  expect([flow.from.host.text, flow.from.port?.text, flow.to.host.text, flow.to.port?.text]).toEqual([
    'face',
    '80',
    'fd00::1',
    '81',
  ])
})

test('line ends of Windows and a byte order mark change nothing', () => {
  const text = 'scn 1\n\nscenario s {\n  wait 1s # a\n}\n'
  const kinds = (file: File) => nodesOf(file).map((node) => node.kind)
  expect(kinds(treeOf(`\uFEFF${text.replaceAll('\n', '\r\n')}`))).toEqual(kinds(treeOf(text)))
})

// What a person is told: for each mistake the code, the exact words it stands at, and the nearest valid word.
import { expect, test } from 'vitest'
import { textOf } from '../base/text.ts'
import { syntaxCodes } from './codes.ts'
import { complete } from './complete.ts'
import { parse } from './parse.ts'
import { samples } from './samples.test-data.ts'

/** Takes the marks `«` `»` out of a text, in order of their appearance. */
function marked(text: string): { text: string; marks: readonly (readonly [number, number])[] } {
  const marks: [number, number][] = []
  let plain = ''
  for (const piece of text.split(/([«»])/)) {
    if (piece === '«') marks.push([plain.length, plain.length])
    else if (piece === '»') marks[marks.length - 1]![1] = plain.length
    else plain += piece
  }
  return { text: plain, marks }
}

function mistakesOf(
  text: string,
): { code: string; at: readonly [number, number]; hint: string | undefined }[] {
  const { diagnostics } = parse({ name: 'a.scn', text })
  return diagnostics.map(({ code, span, hint }) => ({ code, at: [span.start, span.end], hint }))
}

const inTopology = (line: string) => `scn 1\ntopology {\n  ${line}\n}\n`
const inNode = (line: string) => inTopology(`node n {\n    ${line}\n  }`)
const inProgram = (line: string) => `scn 1\nprog p xdp {\n  ${line}\n}\n`
const inScenario = (line: string) => `scn 1\nscenario s {\n  ${line}\n}\n`
const inExpect = (line: string) => inScenario(`expect f1 {\n    ${line}\n  }`)

test.each([
  ['S002', 'node', inTopology('«nod» n { }')],
  ['S002', 'routing', inTopology('cluster cilium 1.19 { «rooting» tunnel vxlan }')],
  ['S002', 'vxlan', inTopology('cluster cilium 1.19 { routing tunnel «vxlam» }')],
  ['S002', 'native', inNode('dev e { xdp «nativ» p }')],
  ['S001', 'expected', inScenario('cases { «}»')],
  ['S002', 'none', inExpect('dnat «nnoe»')],
  ['S002', 'cases', inScenario('«csaes» {\n| id |\n| a |\n}')],
  ['S002', 'all', inScenario('expect p «al» verdict n/e/xdp == XDP_DROP')],
  ['S002', 'peer', inNode('dev veth0 10.2.0.1/24 «pear» app/eth0')],
  ['S002', 'expected `via`', inNode('route default «through» 10.2.0.1')],
  ['S001', 'plain', inTopology('node«\u00a0»server { }')],
  ['S006', '`"`', 'scn 1\ndoc «\u201c»A story."\n'],
  ['S014', 'expected a port', inNode('listen tcp«»')],
  ['S014', 'expected an address', inTopology('net lan«»')],
  ['S003', '=', inNode('sysctl net.ipv4.ip_forward «==» 1')],
  ['S003', '->', inTopology('service web NodePort 80:30080 «>» app=web:8080')],
  ['S003', '==', inProgram('udp.dport «=» 7 => XDP_TX')],
  ['S003', '=>', inProgram('ip.ttl == 0 «->» XDP_ABORTED')],
  ['S002', 'src', inProgram('ip.«srcc» in deny => XDP_DROP')],
  ['S002', 'udp', inProgram('otherwise => XDP_TX { swap eth ip «upd» }')],
  ['S002', 'otherwise', inProgram('«otherwize» => XDP_PASS')],
  ['S002', 'lpm-trie', inProgram('map deny «lpm-tree» [10.1.0.66/32]')],
  ['S002', 'tags', inScenario('«tgas» overlay')],
  ['S015', 'close the row', inScenario('cases {\n| id | a |\n| x | y«»\n}')],
  ['S003', '>', inScenario('f1: tcp a:1 «->» b:2')],
  ['S003', '>', inScenario('f1: tcp a:1«->»b:2')],
  ['S002', 'tcp', inScenario('f1: «tpc» a:1 > b:2')],
  ['S002', 'send', inScenario('f1: tcp a:1 > b:2 { open «snd» 100 }')],
  ['S001', 'expected a port', inScenario('f1: tcp a:«80a» > b:2')],
  ['S002', 'ttl', inScenario('p1: packet tcp a:1 > b:2 «tll» 3 on n/e')],
  ['S002', 'minimal', inScenario('golden «minimum»')],
  ['S013', 'the end of the line', inScenario('wait 30s «please»')],
  ['S002', 'outcome', inExpect('«outcom» dropped n/e')],
  ['S002', 'ttl', inExpect('ip.«tll» == 63')],
  ['S002', 'ttl', inExpect('outer.ip.«tll» == 63')],
  ['S002', 'event', inExpect('[a] «evnt» xdp_exception on n/e')],
  ['S002', 'expected `to`', inExpect('delivered «app»')],
  ['S003', '->', inExpect('dnat a:1 «>» b:2')],
  ['S003', '==', inExpect('verdict n/e/xdp «=» XDP_DROP')],
  ['S008', 'scn 1', '«topology» { }\n'],
  ['S002', 'scn', '«scm» 1\n'],
  ['S009', 'edition 1', 'scn «2»\n'],
  ['S010', 'scn 1', '«» \n'],
  ['S011', 'byte 1', '«»\0ELF'],
  ['S004', 'add a `}`', 'scn 1\ntopology «{»\n'],
  ['S004', 'add a `}`', 'scn 1\ntopology {\n  node n «{»\n    listen tcp 80\n}\nscenario s {\n}\n'],
  ['S005', 'too many', 'scn 1\ntopology { } «}»\n'],
  ['S006', 'own line', 'scn 1\ndoc «"abc»\n'],
  ['S007', '"""', 'scn 1\nmanifest «"""»\nabc\n'],
])('%s with `%s`', (code, hint, text) => {
  const { text: plain, marks } = marked(text)
  const found = mistakesOf(plain)
  expect(found.map((each) => [each.code, each.at])).toEqual([[code, marks[0]]])
  expect(found[0]?.hint).toContain(hint)
})

test('all mistakes of a text come in one run, in order, each once', () => {
  const { text, marks } = marked(
    `scn 1
topology {
  «nod» host {
    dev eth0 on lan 10.1.0.1 { «xpd» native blocklist }
    route default «thru» 10.2.0.1
    listen tcp 80
  }
  foo: bar
}
prog p xdp {
  ip.«srcc» in deny => XDP_DROP
  otherwise => XDP_PASS
}
scenario s {
  cases {
    | id | a |
    | x  | y«»
  }
  f1: tcp a:1 «->» b:2
  expect f1 {
    ip.«tll» == 63
    «outcom» dropped
  }
}
`.replace('foo: bar', '«foo»: bar'),
  )
  expect(mistakesOf(text).map((each) => each.at)).toEqual(marks)
})

/** Every word of the samples with two letters swapped; names and comments may stay without a mistake. */
function* typos(text: string): Generator<readonly [mistyped: string, start: number, end: number]> {
  for (const { 0: word, index } of text.matchAll(/[a-z]{4,}/g)) {
    const middle = word.length >> 1
    const typo = `${word.slice(0, middle - 1)}${word[middle]}${word[middle - 1]}${word.slice(middle + 1)}`
    if (typo !== word)
      yield [text.slice(0, index) + typo + text.slice(index + word.length), index, index + word.length]
  }
}

test.each(samples)('one mistyped word in the %s sample is at most one mistake, at that word', (_, text) => {
  let told = 0
  for (const [mistyped, start, end] of typos(text)) {
    const found = mistakesOf(mistyped)
    if (found.length === 0) continue
    told += 1
    expect(found, mistyped.slice(start - 20, end + 20)).toHaveLength(1)
    expect(found[0]!.at[0]).toBeLessThan(end)
    expect(found[0]!.at[1]).toBeGreaterThan(start)
  }
  expect(told).toBeGreaterThan(20)
})

test('a fix that is offered mends the mistake', () => {
  const text = inExpect('ip.tll = 63')
  const [first] = parse({ name: 'a.scn', text }).diagnostics
  if (first?.fix === undefined) throw new Error('no fix')
  const mended = text.slice(0, first.fix.span.start) + first.fix.text + text.slice(first.fix.span.end)
  const [second] = parse({ name: 'a.scn', text: mended }).diagnostics
  expect([textOf(first.span), second && textOf(second.span)]).toEqual(['tll', '='])
})

test('a string without its end does not hide other mistakes', () => {
  const { text, marks } = marked('scn 1\ndoc «"abc { #»\nscenario s {\n  «wiat» 1s\n}\n')
  expect(mistakesOf(text).map((each) => each.at)).toEqual(marks)
})

test('a file of ten megabytes is one mistake', () => {
  expect(mistakesOf('x\n'.repeat(5_000_000)).map((each) => each.code)).toEqual(['S012'])
})

test('brackets nested too deep are one mistake', () => {
  expect(
    mistakesOf(inProgram(`${'('.repeat(9000)}ip${')'.repeat(9000)} => 1`)).map((each) => each.code),
  ).toEqual(['S018'])
})

test('after many mistakes the search stops and says so', () => {
  const codes = mistakesOf(inScenario('nonsense here\n'.repeat(500))).map((each) => each.code)
  expect(codes).toHaveLength(51)
  expect(codes.at(-1)).toBe('S017')
})

test('every code has a page', () => {
  for (const page of Object.values(syntaxCodes)) expect(page.explanation.length).toBeGreaterThan(20)
})

test.each([
  [inExpect('verd'), 'verd', ['verdict']],
  [inExpect('ip.tt'), 'ip.tt', ['ttl']],
  [inScenario('golden m'), 'golden m', ['minimal']],
  [inNode('dev e { tc'), 'tc', ['tc-in', 'tc-out', 'tcx-in', 'tcx-out']],
])('completion offers what the grammar expects', (text, typed, words) => {
  const at = text.lastIndexOf(typed) + typed.length
  expect(complete({ name: 'a.scn', text }, at).words).toEqual(words)
})

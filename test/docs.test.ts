// The documents may not promise what the grammar refuses, nor leave out what it accepts.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Source, Span } from '../src/base/text.ts'
import { check } from '../src/model/check.ts'
import { knownCommands } from '../src/run/answer.ts'
import { parse } from '../src/syntax/parse.ts'

const root = join(import.meta.dirname, '..')
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')
const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** What stands around a block that shows a part of a file: the word behind ```scn says which part. */
const around: Readonly<Record<string, (text: string) => string>> = {
  file: (text) => text,
  item: (text) => `scn 1\n${text}`,
  topology: (text) => `scn 1\ntopology {\n${text}\n}`,
  host: (text) => `scn 1\ntopology { node n1 {\n${text}\n} }`,
  device: (text) => `scn 1\ntopology { node n1 { dev eth0 {\n${text}\n} } }`,
  program: (text) => `scn 1\nprog p xdp {\n${text}\n}`,
  action: (text) => `scn 1\nprog p tc { otherwise => TC_ACT_OK {\n${text}\n} }`,
  scenario: (text) => `scn 1\nscenario s {\n${text}\n}`,
}

interface Block {
  readonly document: string
  readonly line: number
  readonly part: string
  readonly text: string
}

const blocks: readonly Block[] = documents.flatMap((document) => {
  const text = textOf(document)
  return [...text.matchAll(/^```scn *(.*)\n([\s\S]*?)^```$/gm)].map(
    ([, part = '', body = ''], index, all) => ({
      document,
      line: text.slice(0, all[index]?.index).split('\n').length,
      part: part === '' ? 'file' : part,
      text: body,
    }),
  )
})

test('there are blocks to parse', () => {
  expect(blocks.length).toBeGreaterThan(15)
  expect(blocks.filter(({ part }) => !(part in around))).toEqual([])
})

const sourceOf = ({ document, line, part, text }: Block): Source => ({
  name: `${document}:${line}`,
  text: around[part]?.(text) ?? text,
})

test.each(blocks)('$document:$line, $part, parses', (block) => {
  const source = sourceOf(block)
  const parsed = parse(source)
  const near = (span: Span): string => source.text.slice(span.start, span.start + 40)
  expect(parsed.ok ? [] : parsed.diagnostics.map(({ message, span }) => [message, near(span)])).toEqual([])
})

test.each(blocks.filter(({ part }) => part === 'file'))('$document:$line is right', (block) => {
  const parsed = parse(sourceOf(block))
  const checked = parsed.ok ? check({ main: parsed.value, imports: new Map() }) : parsed
  expect(checked.diagnostics.map(({ message }) => message)).toEqual([])
})

/** Every word that stands in quotes in a rule of the grammar. */
function wordsOfGrammar(): string[] {
  const texts = readdirSync(join(root, 'grammar'))
    .filter((name) => name.endsWith('.peggy'))
    .map((name) => textOf(`grammar/${name}`).replaceAll(/^\s*\/\/.*$/gm, ''))
    // A display name stands between a rule's name and its `=`.
    .map((text) => text.replaceAll(/^\w+ "(?:[^"\\]|\\.)*"/gm, ''))
  const words = texts.flatMap((text) =>
    [...text.matchAll(/"([A-Za-z][A-Za-z0-9_.-]+)"/g)].map(([, word = '']) => word),
  )
  return [...new Set(words)].sort()
}

test('the reference names every word of the grammar', () => {
  const said = new Set(
    textOf('docs/language.md')
      .split(/[^A-Za-z0-9_.-]+/)
      .flatMap((word) => [word, word.replace(/\.+$/, ''), ...word.split('.')]),
  )
  const words = wordsOfGrammar()
  expect(words.length).toBeGreaterThan(300)
  expect(words.filter((word) => !said.has(word.replace(/\.$/, '')))).toEqual([])
})

test('the page of the command names every command', () => {
  const commands = [...textOf('src/cli/program.ts').matchAll(/\.?command\(\s*['"`](\w+)/g)].map(
    ([, name = '']) => name,
  )
  const page = textOf('docs/cli.md')
  expect(commands.length).toBeGreaterThan(5)
  expect(commands.filter((name) => !new RegExp(`scn (\\[)?${name}`).test(page))).toEqual([])
})

test('the page of the command names every tool whose views exist', () => {
  const page = textOf('docs/cli.md')
  const tools = new Set(knownCommands.map((form) => form.split(' ')[0] ?? ''))
  expect(tools.size).toBeGreaterThan(10)
  expect([...tools].filter((tool) => !new RegExp(`^\\|.*\`${tool}[\` ]`, 'm').test(page))).toEqual([])
})

test('links inside the documents lead somewhere', () => {
  const broken = documents.flatMap((document) =>
    [...textOf(document).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => {
        try {
          readFileSync(join(root, document, '..', target))
          return false
        } catch (problem) {
          return !(problem instanceof Error && 'code' in problem && problem.code === 'EISDIR')
        }
      })
      .map((target) => `${document}: ${target}`),
  )
  expect(broken).toEqual([])
})

test('links within a document lead to its headings', () => {
  const broken = documents.flatMap((document) => {
    const text = textOf(document)
    const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    )
    const targets = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, target = '']) => target)
    return targets.filter((target) => !headings.includes(target)).map((target) => `${document}: ${target}`)
  })
  expect(broken).toEqual([])
})

test('the README shows an example and its golden as they are', () => {
  const readme = textOf('README.md')
  expect(readme).toContain(textOf('examples/05-xdp.scn').trimEnd())
  const [, trace = ''] = /^```text trace\n([\s\S]*?)^```$/m.exec(readme) ?? []
  expect(trace).not.toBe('')
  expect(textOf('examples/05-xdp.trace')).toContain(trace)
})

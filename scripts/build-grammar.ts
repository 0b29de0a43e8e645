// Makes the parser: grammar/*.peggy in, src/syntax/parser.gen.ts out. Run by `npm run grammar`.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import peggy from 'peggy'
import { compact } from './compact-parser.ts'

const folder = join(import.meta.dirname, '..', 'grammar')

/** The parts of the grammar in the order in which they are joined; the first holds the import of the builders. */
export const parts = ['file', 'topology', 'program', 'scenario', 'traffic', 'expect', 'words'] as const

/** The texts of all parts, each named, so that Peggy's own messages name the file. */
export function grammarParts(): { source: string; text: string }[] {
  return parts.map((part) => ({
    source: `grammar/${part}.peggy`,
    text: readFileSync(join(folder, `${part}.peggy`), 'utf8'),
  }))
}

/**
 * The source of an ES module with a plain Peggy parser of the same language: the same rules, no actions, no tree.
 * Only the benchmark needs it.
 */
export function plainGrammar(): string {
  const withoutActions = grammarParts().map(({ source, text }) => ({
    source,
    text: text.replace(/\{\{.*?\}\}/s, '').replace(/\{ return b\.[^}]*; \}/g, ''),
  }))
  return peggy.generate(withoutActions, { output: 'source', format: 'es', grammarSource: 'grammar' })
}

function buildParser(): string {
  const code = peggy.generate(grammarParts(), {
    output: 'source',
    format: 'es',
    grammarSource: 'grammar',
    allowedStartRules: ['File'],
  })
  return `// @ts-nocheck -- generated from grammar/*.peggy by scripts/build-grammar.ts; do not edit\n${compact(code)}`
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(folder, '..', 'src', 'syntax', 'parser.gen.ts'), buildParser())
}

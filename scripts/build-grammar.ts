// Makes the parser: grammar/*.peggy in, src/syntax/parser.gen.ts out. Run by `npm run grammar`.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import peggy from 'peggy'

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

/**
 * Says what Peggy writes out at every literal, character and class as calls of four small functions: a third of the
 * code, and so a shorter start of the command. The parser's behaviour is the same. Repeated classes no longer collect
 * their characters in a list, which no rule reads: words take the text as a whole (`$`).
 */
function compact(code: string): string {
  const failed = (name: string) =>
    `else \\{\\s+${name} = peg\\$FAILED;\\s+if \\(peg\\$silentFails === 0\\) \\{ peg\\$fail\\((peg\\$e\\d+)\\); \\}\\s+\\}`
  const literal = new RegExp(
    `if \\(input\\.substr\\(peg\\$currPos, \\d+\\) === (peg\\$c\\d+)\\) \\{\\s+(s\\d+) = \\1;\\s+peg\\$currPos \\+= \\d+;\\s+\\} ${failed('\\2')}`,
    'g',
  )
  const character = new RegExp(
    `if \\(input\\.charCodeAt\\(peg\\$currPos\\) === (\\d+)\\) \\{\\s+(s\\d+) = (peg\\$c\\d+);\\s+peg\\$currPos\\+\\+;\\s+\\} ${failed('\\2')}`,
    'g',
  )
  const oneOf = new RegExp(
    `(s\\d+) = input\\.charAt\\(peg\\$currPos\\);\\s+if \\((peg\\$r\\d+)\\.test\\(\\1\\)\\) \\{\\s+peg\\$currPos\\+\\+;\\s+\\} ${failed('\\1')}`,
    'g',
  )
  const many =
    /(s\d+) = \[\];\s+(s\d+) = peg\$class\(peg\$r(\d+), (peg\$e\d+)\);\s+while \(\2 !== peg\$FAILED\) \{\s+\1\.push\(\2\);\s+\2 = peg\$class\(peg\$r\3, \4\);\s+\}/g
  const short = code
    .replace(literal, '$2 = peg$literal($1, $3);')
    .replace(character, '$2 = peg$character($1, $3, $4);')
    .replace(oneOf, '$1 = peg$class($2, $3);')
    .replace(many, '$1 = peg$many(peg$m$3, $4);')
  const used = new Set([...short.matchAll(/peg\$m(\d+)/g)].map((match) => match[1]))
  return short
    .replace(
      /^( *)const peg\$r(\d+) = \/\^(\[.*\])\/;$/gm,
      (line, indent: string, number: string, set: string) =>
        used.has(number) ? `${line}\n${indent}const peg$m${number} = /${set}*/y;` : line,
    )
    .replace(/^( *)function peg\$fail\(/m, `${helpers}\n$1function peg$fail(`)
}

const helpers = `
  function peg$literal(text, expected) {
    if (input.startsWith(text, peg$currPos)) { peg$currPos += text.length; return text; }
    if (peg$silentFails === 0) { peg$fail(expected); }
    return peg$FAILED;
  }
  function peg$character(code, text, expected) {
    if (input.charCodeAt(peg$currPos) === code) { peg$currPos++; return text; }
    if (peg$silentFails === 0) { peg$fail(expected); }
    return peg$FAILED;
  }
  function peg$class(set, expected) {
    const found = input.charAt(peg$currPos);
    if (set.test(found)) { peg$currPos++; return found; }
    if (peg$silentFails === 0) { peg$fail(expected); }
    return peg$FAILED;
  }
  function peg$many(set, expected) {
    set.lastIndex = peg$currPos;
    set.test(input);
    peg$currPos = set.lastIndex;
    if (peg$silentFails === 0) { peg$fail(expected); }
    return null;
  }`.replaceAll('$', '$$$$')

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

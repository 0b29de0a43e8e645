// `scn explain WORD`: a diagnostic, a drop reason, a hook, a word of a trace: what it means and where it comes from.
import { closest } from '../../base/closest.ts'
import { type Page, pageFor, pageWords } from '../../report/explain.ts'
import type { Console } from '../console.ts'
import { exitCode } from '../exit-code.ts'

function pageText(word: string, page: Page): string {
  const lines = [`${word}: ${page.title}`, '', ...wrapped(page.text, 90)]
  if (page.example !== undefined)
    lines.push('', ...page.example.split('\n').map((line) => `    ${line}`.trimEnd()))
  return `${lines.join('\n')}\n`
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  if (line !== '') lines.push(line)
  return lines
}

/** Exit code 2 for a word that nothing is known of, with the nearest that is. */
export function explainCommand(word: string, console: Console): number {
  const page = pageFor(word)
  if (page !== undefined) {
    console.out(pageText(word, page))
    return exitCode.passed
  }
  const near = closest(word, pageWords())
  console.err(
    `scn: nothing is known of \`${word}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}\n`,
  )
  return exitCode.usage
}

// Which reports are written where: `--reporter text`, `--reporter junit=out.xml`, several times.

import { closest } from '../base/closest.ts'
import { githubReport } from '../report/github.ts'
import { jsonReport } from '../report/json.ts'
import { junitReport } from '../report/junit.ts'
import { textReport } from '../report/text.ts'
import type { RunResult } from '../report/totals.ts'
import { type Console, paintFor } from './console.ts'
import { writeWhole } from './files.ts'
import { UsageError } from './usage.ts'

export const reporterNames = ['text', 'json', 'junit', 'github', 'quiet'] as const

export interface ReporterSpec {
  readonly name: (typeof reporterNames)[number]
  /** A file, or undefined for standard output. */
  readonly file: string | undefined
}

/** `junit=out.xml`. */
export function parseReporter(text: string): ReporterSpec {
  const [word = '', ...rest] = text.split('=')
  const name = reporterNames.find((known) => known === word)
  if (name === undefined) {
    const near = closest(word, reporterNames)
    throw new UsageError(
      `there is no reporter \`${word}\`; ${near === undefined ? `write one of ${reporterNames.join(', ')}` : `did you mean \`${near}\`?`}`,
    )
  }
  return { name, file: rest.length === 0 ? undefined : rest.join('=') }
}

interface Look {
  readonly color: 'auto' | 'always' | 'never'
  readonly verbose: boolean
  readonly quiet: boolean
}

/** Writes one report. */
export function reportTo(spec: ReporterSpec, result: RunResult, look: Look, console: Console): void {
  const text = reportText(spec, result, look, console)
  if (spec.file === undefined) console.out(text)
  else writeWhole(console.cwd, spec.file, text)
}

function reportText(spec: ReporterSpec, result: RunResult, look: Look, console: Console): string {
  switch (spec.name) {
    case 'text':
    case 'quiet': {
      const paint = paintFor(console, spec.file === undefined ? look.color : 'never')
      return textReport(result, { paint, verbose: look.verbose, quiet: look.quiet || spec.name === 'quiet' })
    }
    case 'json':
      return `${JSON.stringify(jsonReport(result), undefined, 2)}\n`
    case 'junit':
      return junitReport(result)
    case 'github':
      return githubReport(result)
  }
}

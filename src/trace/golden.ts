// A golden as it lies in a file. Enters: text; leaves: its sections with line numbers, and every mistake at once as a
// Diagnostic under the exact words. References (`like`) are resolved, so that comparing sees events only. CRLF and a
// byte order mark are accepted, for editors make them; they are gone after the next write.

import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import type { Level } from './event.ts'
import { traceVersion } from './format.ts'
import { type GoldenLine, type GoldenReport, goldenCodes, readLevel, reportAt } from './golden-report.ts'
import { readSection } from './golden-section.ts'
import { type Section, sectionKey } from './section.ts'

/** One case in a golden. */
export interface GoldenSection {
  readonly key: string
  readonly section: Section
  /** The lines as they stand, each with `\n`, without blank lines around. */
  readonly text: string
  /** Number of the `scenario` line. */
  readonly row: number
}

/** A golden that was read; sections with mistakes are left out of `sections`. */
export interface Golden {
  readonly level: Level
  readonly sections: readonly GoldenSection[]
  readonly diagnostics: readonly Diagnostic[]
}

function linesOf(text: string): GoldenLine[] {
  const lines: GoldenLine[] = []
  let start = text.startsWith('\ufeff') ? 1 : 0
  for (let row = 1; start < text.length; row += 1) {
    const found = text.indexOf('\n', start)
    const end = found < 0 ? text.length : found
    const bare = end > start && text[end - 1] === '\r' ? end - 1 : end
    lines.push({ text: text.slice(start, bare), start, row })
    start = end + 1
  }
  return lines
}

/** Reads a golden; never throws. */
export function parseGolden(source: Source): Golden {
  const report: GoldenReport = { source, diagnostics: [] }
  const lines = linesOf(source.text)
  const level = readHeader(lines[0] ?? { text: '', start: 0, row: 1 }, report)
  if (level === undefined || hasConflict(lines, report)) {
    return { level: level ?? 'hops', sections: [], diagnostics: report.diagnostics }
  }
  const sections: GoldenSection[] = []
  const rows = new Map<string, number>()
  for (const block of blocksOf(lines.slice(1), report)) {
    const before = report.diagnostics.length
    const section = readSection(block, level, report)
    const first = block[0]
    if (section === undefined || first === undefined || report.diagnostics.length > before) continue
    const key = sectionKey(section)
    const other = rows.get(key)
    if (other !== undefined) {
      const message = `\`${key}\` stands twice in this golden, first in line ${other}`
      const hint = 'delete one of the two'
      reportAt(report, first, { code: goldenCodes.duplicateSection, message, hint })
      continue
    }
    rows.set(key, first.row)
    const text = block.map((line) => `${line.text}\n`).join('')
    sections.push({ key, section, text, row: first.row })
  }
  return { level, sections, diagnostics: report.diagnostics }
}

function readHeader(line: GoldenLine, report: GoldenReport): Level | undefined {
  const match = /^scn-trace (\S+)(?: (\S+))?$/.exec(line.text)
  const version = match?.[1]
  if (match === null || version === undefined) {
    const message = `this is not a trace: its first line is not \`scn-trace ${traceVersion} LEVEL\``
    const hint = 'delete the file and accept the trace again'
    reportAt(report, line, { code: goldenCodes.notATrace, message, hint })
    return undefined
  }
  if (version !== `${traceVersion}`) {
    const newer = Number(version) > traceVersion
    const message = newer
      ? `this trace has format ${version}; this program reads format ${traceVersion}`
      : `\`${version}\` is not a version of the trace format`
    const hint = newer ? 'use a newer scn, or accept the trace again' : undefined
    reportAt(report, line, {
      code: goldenCodes.newerVersion,
      message,
      hint,
      from: 10,
      to: 10 + version.length,
    })
    return undefined
  }
  return readLevel(line, match[2] ?? '', report)
}

/** Whether a merge left its marks, told once for each conflict; nothing else is read then, for both halves are there. */
function hasConflict(lines: readonly GoldenLine[], report: GoldenReport): boolean {
  const before = report.diagnostics.length
  let inside = false
  for (const line of lines) {
    const mark = /^(<{7}|={7}|>{7}|\|{7})(?: |$)/.exec(line.text)?.[1]
    if (mark === undefined) continue
    const told = inside && !mark.startsWith('<')
    inside = !mark.startsWith('>')
    if (told) continue
    reportAt(report, line, {
      code: goldenCodes.mergeConflict,
      message: 'a merge left a conflict marker here',
      hint: 'resolve the specification, delete this file, run again and accept',
    })
  }
  return report.diagnostics.length > before
}

/** The lines of each section, from its `scenario` line on, without blank lines at the end. */
function blocksOf(lines: readonly GoldenLine[], report: GoldenReport): GoldenLine[][] {
  const blocks: GoldenLine[][] = []
  for (const line of lines) {
    if (line.text.startsWith('scenario ')) blocks.push([line])
    else if (blocks.length > 0) blocks.at(-1)?.push(line)
    else if (line.text !== '') {
      reportAt(report, line, {
        code: goldenCodes.unexpectedLine,
        message: 'a line outside of any scenario',
      })
    }
  }
  for (const block of blocks) while (block.at(-1)?.text === '') block.pop()
  return blocks
}

// JUnit XML, in the form that CI systems read: a suite for each file, a test case for each case.
import type { CaseVerdict, FileVerdict } from '../run/verdict.ts'
import { renderDiff } from '../trace/render-diff.ts'
import { renderDiagnostics } from './diagnostic.ts'
import { plain } from './paint.ts'
import { failureLines } from './text.ts'
import { casePassed, type RunResult, totalsOf } from './totals.ts'

/** Characters that XML 1.0 cannot hold are replaced. */
function xml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

function caseText(path: string, verdict: CaseVerdict): string {
  const lines = verdict.failures.flatMap((failure) => failureLines(failure, plain))
  if (verdict.golden.kind === 'changed')
    lines.push(...renderDiff(verdict.golden.diff, { golden: path.replace(/\.scn$/, '.trace') }))
  if (verdict.golden.kind === 'missing') lines.push('there is no golden for this case yet')
  if (verdict.golden.kind === 'unreadable') lines.push('the golden cannot be read')
  return lines.join('\n')
}

function caseElement(path: string, verdict: CaseVerdict, result: RunResult): string {
  const name = verdict.id === undefined ? verdict.scenario : `${verdict.scenario}[${verdict.id}]`
  const open = `    <testcase classname="${xml(path)}" name="${xml(name)}"`
  if (casePassed(verdict, result)) return `${open}/>`
  const message = verdict.failures[0]?.message ?? `golden ${verdict.golden.kind}`
  return `${open}>\n      <failure message="${xml(message)}">${xml(caseText(path, verdict))}</failure>\n    </testcase>`
}

function fileElement(file: FileVerdict, result: RunResult): string {
  if (file.kind !== 'run') {
    const text = file.kind === 'broken' ? file.message : renderDiagnostics(file.diagnostics)
    const error = `      <error message="${xml(file.kind)}">${xml(text)}</error>`
    return `  <testsuite name="${xml(file.path)}" tests="1" failures="0" errors="1">\n    <testcase classname="${xml(file.path)}" name="file">\n${error}\n    </testcase>\n  </testsuite>`
  }
  const failed = file.cases.filter((each) => !casePassed(each, result)).length
  const obsolete = file.obsolete.map(({ scenario, id, line }) => {
    const name = `obsolete ${id === undefined ? scenario : `${scenario}[${id}]`}`
    return `    <testcase classname="${xml(file.path)}" name="${xml(name)}">\n      <failure message="golden section without a case, line ${line}"/>\n    </testcase>`
  })
  const tests = file.cases.length + obsolete.length
  const head = `  <testsuite name="${xml(file.path)}" tests="${tests}" failures="${failed + obsolete.length}" errors="0">`
  return [
    head,
    ...file.cases.map((each) => caseElement(file.path, each, result)),
    ...obsolete,
    '  </testsuite>',
  ].join('\n')
}

/** The whole document. */
export function junitReport(result: RunResult): string {
  const totals = totalsOf(result)
  const errors = totals.rejected + totals.unavailable
  const tests = totals.passed + totals.failed
  const head = `<testsuites name="scn" tests="${tests}" failures="${totals.failed - errors}" errors="${errors}">`
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    head,
    ...result.files.map((file) => fileElement(file, result)),
    '</testsuites>',
    '',
  ].join('\n')
}

// A run as JSON, for tools. The shape is fixed by `runSchema`; a test holds every report against it.
import type { Diagnostic } from '../base/diagnostic.ts'
import { positionOf, type Span } from '../base/text.ts'
import type { CaseVerdict, FileVerdict } from '../run/verdict.ts'
import { casePassed, type RunResult, type Totals, totalsOf } from './totals.ts'

interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly endLine: number
  readonly endColumn: number
}

interface JsonDiagnostic extends Place {
  readonly code: string
  readonly severity: string
  readonly message: string
  readonly hint?: string
  readonly notes?: readonly string[]
}

interface JsonCase {
  readonly selector: string
  readonly scenario: string
  readonly case?: string
  readonly title: string
  readonly tags: readonly string[]
  readonly status: 'passed' | 'failed'
  readonly golden: string
  readonly failures: readonly (Place & {
    readonly code: string
    readonly message: string
    readonly packet?: string
    readonly place?: string
  })[]
  readonly cause?: { readonly key: string; readonly text: string }
  readonly limit?: string
}

interface JsonFile {
  readonly path: string
  readonly status: FileVerdict['kind']
  readonly diagnostics: readonly JsonDiagnostic[]
  readonly cases: readonly JsonCase[]
  readonly obsolete: readonly string[]
  readonly message?: string
}

/** The value that `--reporter json` prints. */
export interface JsonReport {
  readonly format: 1
  readonly totals: Totals
  readonly files: readonly JsonFile[]
}

function placeOf(span: Span): Place {
  const start = positionOf(span.source, span.start)
  const end = positionOf(span.source, span.end)
  return {
    file: span.source.name,
    line: start.line,
    column: start.column,
    endLine: end.line,
    endColumn: end.column,
  }
}

/** A diagnostic as data: the editor shows the same as the terminal. */
export function jsonDiagnostic(diagnostic: Diagnostic): JsonDiagnostic {
  return {
    ...placeOf(diagnostic.span),
    code: diagnostic.code,
    severity: diagnostic.severity,
    message: diagnostic.message,
    ...(diagnostic.hint === undefined ? {} : { hint: diagnostic.hint }),
    ...(diagnostic.notes === undefined ? {} : { notes: diagnostic.notes.map(({ message }) => message) }),
  }
}

function jsonCase(verdict: CaseVerdict, result: RunResult): JsonCase {
  const cause = verdict.golden.kind === 'changed' ? verdict.golden.diff.cause : undefined
  return {
    selector: verdict.selector,
    scenario: verdict.scenario,
    ...(verdict.id === undefined ? {} : { case: verdict.id }),
    title: verdict.title,
    tags: verdict.tags,
    status: casePassed(verdict, result) ? 'passed' : 'failed',
    golden: verdict.golden.kind,
    failures: verdict.failures.map((failure) => ({
      ...placeOf(failure.span),
      code: failure.code,
      message: failure.message,
      ...(failure.evidence === undefined
        ? {}
        : { packet: failure.evidence.packet, place: failure.evidence.place }),
    })),
    ...(cause === undefined ? {} : { cause: { key: cause.key, text: cause.text } }),
    ...(verdict.limit === undefined ? {} : { limit: verdict.limit }),
  }
}

function jsonFile(file: FileVerdict, result: RunResult): JsonFile {
  const diagnostics = file.kind === 'broken' ? [] : file.diagnostics.map(jsonDiagnostic)
  if (file.kind !== 'run') {
    const message = file.kind === 'broken' ? { message: file.message } : {}
    return { path: file.path, status: file.kind, diagnostics, cases: [], obsolete: [], ...message }
  }
  return {
    path: file.path,
    status: 'run',
    diagnostics,
    cases: file.cases.map((each) => jsonCase(each, result)),
    obsolete: file.obsolete.map(({ scenario, id }) => (id === undefined ? scenario : `${scenario}[${id}]`)),
  }
}

/** The report as a value; elapsed time is left out, so that two runs give the same bytes. */
export function jsonReport(result: RunResult): JsonReport {
  return { format: 1, totals: totalsOf(result), files: result.files.map((file) => jsonFile(file, result)) }
}

const text = { type: 'string' } as const
const count = { type: 'integer', minimum: 0 } as const

const object = (properties: Readonly<Record<string, object>>, optional: readonly string[] = []): object => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
})

const list = (items: object): object => ({ type: 'array', items })
const place = { file: text, line: count, column: count, endLine: count, endColumn: count }

/** JSON Schema (draft 2020-12 words only) of `JsonReport`. */
export const runSchema: object = object({
  format: { const: 1 },
  totals: object({
    passed: count,
    failed: count,
    changed: count,
    obsolete: count,
    missing: count,
    files: count,
    rejected: count,
    unavailable: count,
  }),
  files: list(
    object(
      {
        path: text,
        status: { enum: ['run', 'rejected', 'unavailable', 'broken'] },
        diagnostics: list(
          object(
            {
              ...place,
              code: text,
              severity: { enum: ['error', 'warning'] },
              message: text,
              hint: text,
              notes: list(text),
            },
            ['hint', 'notes'],
          ),
        ),
        cases: list(
          object(
            {
              selector: text,
              scenario: text,
              case: text,
              title: text,
              tags: list(text),
              status: { enum: ['passed', 'failed'] },
              golden: { enum: ['equal', 'off', 'missing', 'changed', 'unreadable'] },
              failures: list(
                object({ ...place, code: text, message: text, packet: text, place: text }, [
                  'packet',
                  'place',
                ]),
              ),
              cause: object({ key: text, text }),
              limit: text,
            },
            ['case', 'cause', 'limit'],
          ),
        ),
        obsolete: list(text),
        message: text,
      },
      ['message'],
    ),
  ),
})

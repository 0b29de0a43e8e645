// What a run says of a file: the value that every report is made from. No state, no text of a report.
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source, Span } from '../base/text.ts'
import type { SectionDiff } from '../trace/diff.ts'
import type { Section } from '../trace/section.ts'

/** Where in the trace a failed expectation looked. */
export interface Evidence {
  /** `f1.syn`, or '' when no packet of that name was seen. */
  readonly packet: string
  /** `n1/eth0/tc-in`: the place whose packet was read, and who changed it there. */
  readonly place: string
  readonly actor: string
  /** The node that the packet was delivered to, when it was looked at there. */
  readonly deliveredTo?: string
  /** Where the field that is wrong got its value, when something on the way wrote it. */
  readonly changed?: { readonly place: string; readonly actor: string }
}

/** A claim that does not hold. `span` is the cell of the case table when the value came from one. */
export interface Failure {
  readonly code: string
  readonly span: Span
  /** The whole claim. */
  readonly claim: Span
  /** Where the claim uses the value, when `span` is the cell that it came from. */
  readonly usedAt?: Span
  /** `expected client (192.168.5.100), actual n1 (192.168.5.11)`. */
  readonly message: string
  readonly evidence: Evidence | undefined
}

/** How a case's trace compares with its golden section. */
export type GoldenVerdict =
  | { readonly kind: 'equal' }
  | { readonly kind: 'off' }
  /** There is no section for this case. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'changed'; readonly diff: SectionDiff }
  /** The golden file itself cannot be read (merge conflict, newer format). */
  | { readonly kind: 'unreadable' }

export interface CaseVerdict {
  readonly scenario: string
  readonly id?: string
  /** `path::scenario[case]`: the exact selector. */
  readonly selector: string
  readonly title: string
  readonly tags: readonly string[]
  readonly failures: readonly Failure[]
  readonly golden: GoldenVerdict
  /** The trace at the golden's level, as lines; undefined when the golden is off. */
  readonly section: Section | undefined
  /** A limit that ended the case early (`tasks`, `packets`), or undefined. */
  readonly limit: string | undefined
}

/** An obsolete golden section: no scenario or case of the file has its name. */
export interface ObsoleteSection {
  readonly scenario: string
  readonly id?: string
  readonly line: number
}

export type FileVerdict =
  /** The file does not parse or check (exit code 3). */
  | { readonly kind: 'rejected'; readonly path: string; readonly diagnostics: readonly Diagnostic[] }
  /** The file needs an engine that does not exist yet (exit code 4). */
  | { readonly kind: 'unavailable'; readonly path: string; readonly diagnostics: readonly Diagnostic[] }
  /** Our own mistake (exit code 4). */
  | { readonly kind: 'broken'; readonly path: string; readonly message: string }
  | {
      readonly kind: 'run'
      readonly path: string
      readonly source: Source
      /** Warnings of the check, and mistakes in the golden file. */
      readonly diagnostics: readonly Diagnostic[]
      readonly cases: readonly CaseVerdict[]
      readonly obsolete: readonly ObsoleteSection[]
      readonly golden: Source | undefined
    }

/** Whether a case counts as passed under the rule for missing goldens. */
export function passed(verdict: CaseVerdict, rules: { readonly missingIsFailure: boolean }): boolean {
  if (verdict.failures.length > 0) return false
  switch (verdict.golden.kind) {
    case 'equal':
    case 'off':
      return true
    case 'missing':
      return !rules.missingIsFailure
    case 'changed':
    case 'unreadable':
      return false
  }
}

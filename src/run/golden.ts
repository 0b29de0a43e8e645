// Compares what the cases of a file did with its golden. Where a whole file says what it said before, the comparison is
// one of strings and the golden is not even read; only a difference is parsed and aligned.
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import { diffSections } from '../trace/diff.ts'
import { formatSection, formatSections } from '../trace/format.ts'
import { type Golden, type GoldenSection, parseGolden } from '../trace/golden.ts'
import { type Section, sectionKey } from '../trace/section.ts'
import type { CaseVerdict, GoldenVerdict, ObsoleteSection } from './verdict.ts'

/** A case that ran and was not compared yet. */
export type Ran = Omit<CaseVerdict, 'golden'>

export interface Compared {
  readonly cases: readonly CaseVerdict[]
  /** Mistakes in the golden file. */
  readonly diagnostics: readonly Diagnostic[]
  readonly obsolete: readonly ObsoleteSection[]
}

/**
 * Compares all cases of a run with the golden. `keys` are those of all cases that keep a golden, when the run was a
 * complete one: only then can a section be obsolete.
 */
export function compareAll(
  ran: readonly Ran[],
  source: Source | undefined,
  keys: ReadonlySet<string> | undefined,
): Compared {
  if (keys !== undefined && source !== undefined && saysTheSame(ran, source)) {
    const cases = ran.map(
      (each): CaseVerdict => ({ ...each, golden: { kind: each.section === undefined ? 'off' : 'equal' } }),
    )
    return { cases, diagnostics: [], obsolete: [] }
  }
  const golden = source === undefined ? undefined : parseGolden(source)
  const accepted = new Map(golden?.sections.map((section) => [section.key, section]))
  return {
    cases: ran.map((each) => ({ ...each, golden: compareOne(golden, accepted, each.section) })),
    diagnostics: golden?.diagnostics ?? [],
    obsolete: keys === undefined ? [] : obsoleteSections(golden, keys),
  }
}

/** Whether the golden is, to the letter, what this run would write. */
function saysTheSame(ran: readonly Ran[], source: Source): boolean {
  const sections = ran.flatMap(({ section }) => (section === undefined ? [] : [section]))
  return sections.length > 0 && formatSections(sections) === source.text
}

function compareOne(
  golden: Golden | undefined,
  accepted: ReadonlyMap<string, GoldenSection>,
  section: Section | undefined,
): GoldenVerdict {
  if (section === undefined) return { kind: 'off' }
  if (golden === undefined) return { kind: 'missing' }
  if (golden.diagnostics.length > 0) return { kind: 'unreadable' }
  const known = accepted.get(sectionKey(section))
  if (known === undefined) return { kind: 'missing' }
  if (known.text === formatSection(section, golden.level)) return { kind: 'equal' }
  const diff = diffSections(known.section, section)
  return diff.differences.length === 0 ? { kind: 'equal' } : { kind: 'changed', diff }
}

/** Sections of a golden that no case of the file has. */
function obsoleteSections(golden: Golden | undefined, known: ReadonlySet<string>): ObsoleteSection[] {
  return (golden?.sections ?? [])
    .filter((each) => !known.has(each.key))
    .map(({ section, row }) => ({
      scenario: section.scenario,
      ...(section.case === undefined ? {} : { id: section.case }),
      line: row,
    }))
}

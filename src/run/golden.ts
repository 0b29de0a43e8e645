// Compares what a case did with its golden section. Equal text is the common case and costs one comparison of strings;
// only a difference is aligned.

import { diffSections } from '../trace/diff.ts'
import { formatSection } from '../trace/format.ts'
import type { Golden, GoldenSection } from '../trace/golden.ts'
import { type Section, sectionKey } from '../trace/section.ts'
import type { GoldenVerdict, ObsoleteSection } from './verdict.ts'

/** What one case's golden says of its section. `golden` is undefined when there is no file. */
export function compareGolden(golden: Golden | undefined, section: Section): GoldenVerdict {
  if (golden === undefined) return { kind: 'missing' }
  if (golden.diagnostics.length > 0) return { kind: 'unreadable' }
  const key = sectionKey(section)
  const accepted = sectionsByKey(golden).get(key)
  if (accepted === undefined) return { kind: 'missing' }
  if (accepted.text === formatSection(section, golden.level)) return { kind: 'equal' }
  const diff = diffSections(accepted.section, section)
  return diff.differences.length === 0 ? { kind: 'equal' } : { kind: 'changed', diff }
}

const indexes = new WeakMap<Golden, ReadonlyMap<string, GoldenSection>>()

/** The sections of a golden by key; the index is made once. */
function sectionsByKey(golden: Golden): ReadonlyMap<string, GoldenSection> {
  const known = indexes.get(golden)
  if (known !== undefined) return known
  const made = new Map(golden.sections.map((section) => [section.key, section]))
  indexes.set(golden, made)
  return made
}

/** Sections of a golden that no case of the file has; `known` are the keys of all cases that keep a golden. */
export function obsoleteSections(golden: Golden | undefined, known: ReadonlySet<string>): ObsoleteSection[] {
  return (golden?.sections ?? [])
    .filter((each) => !known.has(each.key))
    .map(({ section, row }) => ({
      scenario: section.scenario,
      ...(section.case === undefined ? {} : { id: section.case }),
      line: row,
    }))
}

// A golden after some of its cases were accepted. Enters: what lies in the file and what is to change; leaves: the whole
// new text. Sections that nobody touched keep their lines, and the order is that of the scenarios and their cases.
import { formatSection, headerLevel, headerLine } from './format.ts'
import type { Golden, GoldenSection } from './golden.ts'
import { type Section, sectionKey } from './section.ts'

/** What to write. */
export interface GoldenUpdate {
  /** Sections to put in, new or in place of the old one of the same name. */
  readonly replace: readonly Section[]
  /** Keys of sections to take out. */
  readonly remove?: readonly string[]
  /** Keys of all scenarios and cases in the order of the specification. Sections that are not named in it follow the
   * section that they follow now. */
  readonly order: readonly string[]
}

interface Entry {
  readonly key: string
  readonly section: Section
  readonly kept: GoldenSection | undefined
}

/** The new text; undefined when no section is left, for a golden without sections is no file. */
export function updateGolden(golden: Golden | undefined, update: GoldenUpdate): string | undefined {
  const removed = new Set(update.remove ?? [])
  const entries = new Map<string, Entry>()
  for (const kept of golden?.sections ?? []) {
    if (!removed.has(kept.key)) entries.set(kept.key, { key: kept.key, section: kept.section, kept })
  }
  for (const section of update.replace) {
    const key = sectionKey(section)
    entries.set(key, { key, section, kept: undefined })
  }
  const ordered = inOrder(entries, update.order)
  if (ordered.length === 0) return undefined
  const level = headerLevel(ordered.map(({ section }) => section))
  const parts = ordered.map((entry) => `\n${entryText(entry, level, golden)}`)
  return `${headerLine(level)}\n${parts.join('')}`
}

/** Text of a section that stays: its own lines, unless the header's level changed under it. */
function entryText({ section, kept }: Entry, level: Section['level'], golden: Golden | undefined): string {
  const same = kept !== undefined && golden?.level === level
  return same ? kept.text : formatSection(section, level)
}

function inOrder(entries: ReadonlyMap<string, Entry>, order: readonly string[]): Entry[] {
  const known = new Set(order)
  const behind = new Map<string, Entry[]>()
  let anchor = ''
  for (const [key, entry] of entries) {
    if (known.has(key)) {
      anchor = key
      continue
    }
    const list = behind.get(anchor)
    if (list === undefined) behind.set(anchor, [entry])
    else list.push(entry)
  }
  const ordered = [...(behind.get('') ?? [])]
  for (const key of order) {
    const entry = entries.get(key)
    if (entry === undefined) continue
    ordered.push(entry, ...(behind.get(key) ?? []))
  }
  return ordered
}

// How a trace looks. Enters: sections; leaves: text by the eleven rules of the format. Only this file knows indents and
// blank lines, so a change of the look is one diff.

import type { Level, Trace } from './event.ts'
import { type Reference, References } from './like.ts'
import { type Hook, headLine, type Section } from './section.ts'
import { type FormatOptions, sectionOf } from './section-of.ts'

/** The version of the format that this program writes. */
export const traceVersion = 1

/** The first line of a trace. */
export function headerLine(level: Level): string {
  return `scn-trace ${traceVersion} ${level}`
}

/** A whole text with one case: header, blank line, section, final newline. */
export function formatTrace(trace: Trace, options: FormatOptions): string {
  return formatSections([sectionOf(trace, options)])
}

/** The level that the header names: the common one, else `hops`; other sections say theirs. */
export function headerLevel(sections: readonly Pick<Section, 'level'>[]): Level {
  const first = sections[0]?.level ?? 'hops'
  return sections.every(({ level }) => level === first) ? first : 'hops'
}

/** A whole text of several cases, in the order given. */
export function formatSections(sections: readonly Section[]): string {
  const level = headerLevel(sections)
  const parts = sections.map((section) => `\n${formatSection(section, level)}`)
  return `${headerLine(level)}\n${parts.join('')}`
}

/** The lines of one case, each with its newline. `level` is what the header of the whole text says. */
export function formatSection(section: Section, level: Level = section.level): string {
  const lines: string[] = []
  lines.push(
    section.case === undefined
      ? `scenario ${section.scenario}`
      : `scenario ${section.scenario} case ${section.case}`,
  )
  if (section.level !== level) lines.push(`level ${section.level}`)
  for (const { text } of section.where) lines.push(`where ${text}`)
  for (const { text } of section.outcomes) lines.push(`outcome ${text}`)
  const references = new References()
  for (const packet of section.packets) {
    lines.push('', headLine(packet))
    const reference = packet.step === true ? undefined : references.find(packet)
    if (reference === undefined) addHooks(packet.hooks, lines)
    else addReference(reference, lines)
  }
  if (section.state.length > 0) lines.push('')
  for (const { node, lines: left } of section.state) {
    lines.push(`state ${node}`)
    for (const { text } of left) lines.push(`  ${text}`)
  }
  return `${lines.join('\n')}\n`
}

function addHooks(hooks: readonly Hook[], lines: string[]): void {
  let node: string | undefined
  for (const hook of hooks) {
    if (hook.node !== node) lines.push(`@ ${hook.node}`)
    node = hook.node
    lines.push(`  ${hook.line}`)
    for (const effect of hook.effects) lines.push(`    ${effect}`)
  }
}

function addReference({ packet, exceptions }: Reference, lines: string[]): void {
  lines.push(exceptions.length === 0 ? `like ${packet}` : `like ${packet} except`)
  for (const { node, place, text } of exceptions) lines.push(`@ ${node} ${place}: ${text}`)
}

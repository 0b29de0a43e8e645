// A program that is attached nowhere never runs.
import type { Report } from '../../base/diagnostic.ts'
import type { HostAddress, HostItem, Word } from '../../syntax/ast.ts'
import { warning } from '../diagnose.ts'
import { itemsOf } from '../resolve/cases.ts'
import { usesOf } from '../resolve/program-uses.ts'
import { isMachine } from '../world/entities.ts'
import type { Linked, NamedProgram } from '../world/link.ts'

/** Warns of programs that no hook, no tail call and no map of programs names. A file of libraries is left alone. */
export function programsAreUsed(
  { topology, programs, scenarios, programNames }: Linked,
  report: Report,
): void {
  if (scenarios.length === 0) return
  const used = new Set<NamedProgram>()
  const use = (word: Word): void => {
    const found = programNames.get(word.span.source.name)?.get(word.text)
    if (found !== undefined) used.add(found)
  }
  for (const item of topology) if (isMachine(item)) for (const each of item.items) attached(each, use)
  for (const scenario of scenarios) {
    for (const { item } of itemsOf(scenario)) {
      if (item.kind === 'on-host') for (const change of item.changes) attached(change.item, use)
      if (item.kind === 'add' && isMachine(item.item)) for (const each of item.item.items) attached(each, use)
    }
  }
  for (const { syntax } of programs) {
    if (syntax.body.kind !== 'small') continue
    usesOf(syntax.body).tails.forEach(use)
    for (const item of syntax.body.items) {
      if (item.kind !== 'map' || item.type !== 'prog-array') continue
      for (const { key, value } of item.entries) {
        if (key.kind === 'word') use(key)
        if (value?.kind === 'word') use(value)
      }
    }
  }
  const main = scenarios[0]?.span.source
  for (const program of programs) {
    const { name, span } = program.syntax
    if (used.has(program) || span.source !== main) continue
    report(
      warning('S140', name.span, `the program \`${name.text}\` is attached nowhere`, {
        hint: usage(program.syntax.type, name.text),
      }),
    )
  }
}

/** Where a program of this type is attached. */
function usage(type: string, name: string): string {
  if (type.startsWith('cgroup/')) return `write \`${type} ${name}\` in a host`
  return `write \`${type === 'xdp' ? 'xdp' : 'tc-in'} ${name}\` in a device`
}

function attached(item: HostItem | HostAddress, use: (word: Word) => void): void {
  if (item.kind === 'attachment') use(item.program)
  if (item.kind === 'dev') for (const each of item.attachments) use(each.program)
}

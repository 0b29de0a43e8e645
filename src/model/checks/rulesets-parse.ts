// The texts of iptables, ip6tables, ipset and ipvsadm are right by their own tools' rules. Each mistake stands at its word inside
// the block.
import type { Report } from '../../base/diagnostic.ts'
import type { Span } from '../../base/text.ts'
import { mistake } from '../diagnose.ts'
import type { CaseModel } from '../model.ts'
import type { WorldDraft } from '../resolve/world.ts'
import type { RulesetChange, RulesetMistake, RulesetModel, RulesetReader } from '../ruleset.ts'
import { blockStart } from '../world/manifests.ts'

const quotes = 3

/** The words that a mistake is about. */
function place(ruleset: RulesetModel, { line, column, length }: RulesetMistake): Span {
  const { source, start: first, end } = ruleset.span
  // a block of the language has no lines of a text
  if (!source.text.startsWith('"""', first)) return ruleset.span
  let at = blockStart(ruleset.span)
  for (let passed = 1; passed < line; passed += 1) {
    const next = source.text.indexOf('\n', at)
    if (next === -1 || next >= end) break
    at = next + 1
  }
  const start = Math.min(at + column - 1, end - quotes)
  return { source, start, end: Math.min(start + Math.max(length, 1), end) }
}

/** A check with the reader of other tools' texts. */
export function rulesetsParse(read: RulesetReader): (world: WorldDraft, report: Report) => void {
  return ({ world }, report) => {
    for (const { rulesets } of world.namespaces) {
      if (rulesets === undefined) continue
      tell(rulesets, read(rulesets), report)
    }
  }
}

function tell(
  rulesets: readonly RulesetModel[],
  found: readonly (readonly RulesetMistake[])[],
  report: Report,
): void {
  rulesets.forEach((ruleset, index) => {
    for (const each of found[index] ?? []) {
      report(mistake('S145', place(ruleset, each), each.message, { hint: each.hint }))
    }
  })
}

/** The texts of a case's steps fit what the host has by then. */
export function changedRulesetsParse({ world, steps }: CaseModel, read: RulesetReader, report: Report): void {
  const changes = new Map<string, RulesetChange[]>()
  for (const step of steps) {
    if (step.kind !== 'change' || step.change.item.kind !== 'ruleset') continue
    const { namespace, verb, item } = step.change
    const list = changes.get(namespace) ?? []
    list.push({ verb, ruleset: item.ruleset })
    changes.set(namespace, list)
  }
  for (const [name, list] of changes) {
    const texts = world.namespaces.find((host) => host.name === name)?.rulesets ?? []
    const rulesets = list.map(({ ruleset }) => ruleset)
    tell(rulesets, read(texts, list).slice(texts.length), report)
  }
}

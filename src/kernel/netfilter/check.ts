// What a rule set must satisfy as a whole: chains that are jumped to exist, no chain reaches itself, targets stand where
// they may, sets exist (mark_source_chains(), check_target() of ip_tables.c).
import { didYouMean } from '../../base/closest.ts'
import { targetKinds } from './catalogue.ts'
import type { SetUse } from './extension.ts'
import type { HookName } from './hook.ts'
import { builtInChains, type RuleSpec, type Ruleset, type TableSpec } from './ruleset.ts'
import type { Place, ReportProblem } from './words.ts'

const verdictWords = ['ACCEPT', 'DROP', 'RETURN'] as const

function checkJumps(table: TableSpec, report: ReportProblem): boolean {
  let sound = true
  for (const chain of table.chains.values()) {
    for (const { target } of chain.rules) {
      if (target.kind !== 'chain' || table.chains.has(target.chain)) continue
      sound = false
      const known = [...verdictWords, ...targetKinds.keys(), ...table.chains.keys()]
      const what = target.goto ? 'chain' : 'target or chain'
      const hint = didYouMean(target.chain, known)
      report(target.place, `table \`${table.name}\` has no ${what} \`${target.chain}\``, hint)
    }
  }
  return sound
}

function jumpsOf(table: TableSpec, chain: string): { readonly chain: string; readonly place: Place }[] {
  const rules = table.chains.get(chain)?.rules ?? []
  return rules.flatMap(({ target }) => (target.kind === 'chain' ? [target] : []))
}

/** Depth-first over jumps; the jump that closes a circle is reported, once for each chain. */
function checkLoops(table: TableSpec, report: ReportProblem): boolean {
  const done = new Set<string>()
  const path: string[] = []
  let sound = true
  const visit = (chain: string): void => {
    if (done.has(chain)) return
    path.push(chain)
    for (const jump of jumpsOf(table, chain)) {
      const at = path.indexOf(jump.chain)
      if (at === -1) visit(jump.chain)
      else {
        sound = false
        const circle = [...path.slice(at), jump.chain].join(' -> ')
        report(jump.place, `this jump closes a loop: ${circle}`)
      }
    }
    path.pop()
    done.add(chain)
  }
  for (const chain of table.chains.keys()) visit(chain)
  return sound
}

/** For each chain, the hooks from which packets come into it. */
function hooksInto(table: TableSpec): ReadonlyMap<string, ReadonlySet<HookName>> {
  const into = new Map<string, Set<HookName>>()
  const mark = (chain: string, hook: HookName): void => {
    const hooks = into.get(chain) ?? new Set()
    if (hooks.has(hook)) return
    hooks.add(hook)
    into.set(chain, hooks)
    for (const jump of jumpsOf(table, chain)) mark(jump.chain, hook)
  }
  for (const hook of builtInChains[table.name]) mark(hook, hook)
  return into
}

function checkTarget(
  table: TableSpec,
  rule: RuleSpec,
  hooks: ReadonlySet<HookName>,
  report: ReportProblem,
): void {
  const { target } = rule
  if (target.kind !== 'extension') return
  const kind = targetKinds.get(target.name)
  if (kind?.tables !== undefined && !kind.tables.includes(table.name)) {
    report(target.place, `target \`${target.name}\` is only valid in table ${kind.tables.join(' or ')}`)
    return
  }
  const wrong = [...hooks].find((hook) => kind?.hooks !== undefined && !kind.hooks.includes(hook))
  if (wrong !== undefined && kind?.hooks !== undefined) {
    const message = `target \`${target.name}\` is only valid in ${kind.hooks.join(', ')}, but packets come here from ${wrong}`
    report(target.place, message)
  }
}

function setsOfRule(rule: RuleSpec): readonly SetUse[] {
  const target = rule.target.kind === 'extension' ? (rule.target.spec.sets ?? []) : []
  return [...rule.matches.flatMap(({ spec }) => spec.sets ?? []), ...target]
}

function checkSets(rule: RuleSpec, sets: ReadonlySet<string>, report: ReportProblem): void {
  for (const { name, place } of setsOfRule(rule)) {
    if (sets.has(name)) continue
    report(
      place,
      `there is no set \`${name}\``,
      didYouMean(name, sets) ?? 'sets are made by ipset, before the rules',
    )
  }
}

/** Reports everything about a rule set that no single line is to blame for. */
export function checkRuleset(ruleset: Ruleset, sets: ReadonlySet<string>, report: ReportProblem): void {
  for (const table of ruleset.tables) {
    const sound = checkJumps(table, report) && checkLoops(table, report)
    const into = sound ? hooksInto(table) : new Map<string, ReadonlySet<HookName>>()
    for (const chain of table.chains.values()) {
      const hooks = into.get(chain.name) ?? new Set<HookName>()
      for (const rule of chain.rules) {
        checkTarget(table, rule, hooks, report)
        checkSets(rule, sets, report)
      }
    }
  }
}

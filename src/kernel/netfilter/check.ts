// What a rule set must satisfy as a whole: chains that are jumped to exist, no chain reaches itself, targets stand where
// they may, sets exist (mark_source_chains(), check_target() of ip_tables.c).
import { didYouMean } from '../../base/closest.ts'
import { matchKinds, targetKinds } from './catalogue.ts'
import type { OptionStanding, SetUse, Standing } from './extension.ts'
import type { HookName } from './hook.ts'
import { builtInChains, type RuleSpec, type Ruleset, type TableSpec } from './ruleset.ts'
import { type KnownSets, setFits } from './set/set-table.ts'
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

/**
 * mark_source_chains(): depth-first over the jumps from built-in chains; the jump that closes a circle is reported, once for
 * each chain. A circle that no packet can come into does no harm.
 */
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
  for (const hook of builtInChains[table.name]) visit(hook)
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

interface Position {
  readonly table: TableSpec
  /** The hooks from which packets come to the rule. */
  readonly hooks: ReadonlySet<HookName>
  readonly place: Place
  readonly report: ReportProblem
}

/** xt_check_match(), xt_check_target(): the table and the hooks. False after a report. */
function checkStanding({ what, tables, hooks }: OptionStanding, at: Position): boolean {
  if (tables !== undefined && !tables.includes(at.table.name)) {
    at.report(at.place, `${what} is only valid in table ${tables.join(' or ')}`)
    return false
  }
  const wrong = [...at.hooks].find((hook) => hooks !== undefined && !hooks.includes(hook))
  if (wrong === undefined || hooks === undefined) return true
  at.report(at.place, `${what} is only valid in ${hooks.join(', ')}, but packets come here from ${wrong}`)
  return false
}

function checkPlace(
  table: TableSpec,
  rule: RuleSpec,
  into: ReadonlySet<HookName>,
  report: ReportProblem,
): void {
  const { matches, target } = rule
  for (const { name, spec, place } of matches) {
    const at = { table, hooks: into, place, report }
    const sound = checkStanding({ what: `match \`${name}\``, ...standingOf(matchKinds.get(name)) }, at)
    if (sound && spec.standing !== undefined) checkStanding(spec.standing, at)
  }
  if (target.kind !== 'extension') return
  const { name, spec, place } = target
  const at = { table, hooks: into, place, report }
  const sound = checkStanding({ what: `target \`${name}\``, ...standingOf(targetKinds.get(name)) }, at)
  if (sound && spec.standing !== undefined) checkStanding(spec.standing, at)
}

function standingOf(kind: Standing | undefined): Standing {
  return {
    ...(kind?.tables === undefined ? {} : { tables: kind.tables }),
    ...(kind?.hooks === undefined ? {} : { hooks: kind.hooks }),
  }
}

function setsOfRule(rule: RuleSpec): readonly SetUse[] {
  const target = rule.target.kind === 'extension' ? (rule.target.spec.sets ?? []) : []
  return [...rule.matches.flatMap(({ spec }) => spec.sets ?? []), ...target]
}

/** The ipsets that rules name. */
export function setsNamed(ruleset: Ruleset): readonly string[] {
  return ruleset.tables.flatMap(({ chains }) =>
    [...chains.values()].flatMap(({ rules }) =>
      rules.flatMap((rule) => setsOfRule(rule).map(({ name }) => name)),
    ),
  )
}

function checkSets(rule: RuleSpec, family: 4 | 6, sets: KnownSets, report: ReportProblem): void {
  for (const { name, place } of setsOfRule(rule)) {
    const set = sets.get(name)
    if (set === undefined) {
      const hint = didYouMean(name, sets.keys()) ?? 'sets are made by ipset, before the rules'
      report(place, `there is no set \`${name}\``, hint)
    } else if (!setFits(set, family)) {
      report(place, `set \`${name}\` holds IPv${set.family} addresses, which no packet of this rule has`)
    }
  }
}

/** Reports everything about a rule set that no single line is to blame for. */
export function checkRuleset(ruleset: Ruleset, sets: KnownSets, report: ReportProblem): void {
  for (const table of ruleset.tables) {
    const sound = checkJumps(table, report) && checkLoops(table, report)
    const into = sound ? hooksInto(table) : new Map<string, ReadonlySet<HookName>>()
    for (const chain of table.chains.values()) {
      const hooks = into.get(chain.name) ?? new Set<HookName>()
      for (const rule of chain.rules) {
        checkPlace(table, rule, hooks, report)
        checkSets(rule, ruleset.family, sets, report)
      }
    }
  }
}

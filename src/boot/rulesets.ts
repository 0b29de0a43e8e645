// Texts of iptables, ip6tables, ipset and ipvsadm: read for their mistakes while a file is checked, attached when its world boots.
import { assert, present } from '../base/assert.ts'
import { attachServices } from '../kernel/ipvs/hooks.ts'
import { parseIpvs } from '../kernel/ipvs/parse.ts'
import type { IpvsServiceSpec } from '../kernel/ipvs/service.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { attachIptables } from '../kernel/netfilter/iptables.ts'
import { parseRuleset } from '../kernel/netfilter/parse.ts'
import type { Ruleset } from '../kernel/netfilter/ruleset.ts'
import { parseSets } from '../kernel/netfilter/set/parse-set.ts'
import type { SetTable } from '../kernel/netfilter/set/set-table.ts'
import type { RulesetMistake, RulesetModel, RulesetReader } from '../model/ruleset.ts'

const nothing: readonly RulesetMistake[] = []

function familyOf({ tool }: RulesetModel): 4 | 6 {
  return tool === 'ip6tables' ? 6 : 4
}

/** The sets of a host's texts, and the mistakes of each ipset text. */
function readSets(texts: readonly RulesetModel[]): {
  readonly sets: SetTable
  readonly mistakes: ReadonlyMap<RulesetModel, readonly RulesetMistake[]>
} {
  let sets: SetTable = new Map()
  const mistakes = new Map<RulesetModel, readonly RulesetMistake[]>()
  for (const text of texts) {
    if (text.tool !== 'ipset') continue
    const parsed = parseSets(text.text, sets)
    if (parsed.ok) sets = parsed.sets
    else mistakes.set(text, parsed.problems)
  }
  return { sets, mistakes }
}

/** The mistakes of one ipvs text; its services are added to those that are there. */
function ipvsMistakes({ text }: RulesetModel, before: IpvsServiceSpec[]): readonly RulesetMistake[] {
  const parsed = parseIpvs(text, before)
  if (!parsed.ok) return parsed.problems
  before.push(...parsed.services)
  return nothing
}

/** The mistakes in the texts of one host, for `check`. */
export const rulesetMistakes: RulesetReader = (texts) => {
  const { sets, mistakes } = readSets(texts)
  // a set whose text has a mistake is not missed by the rules
  const lenient = mistakes.size > 0
  const services: IpvsServiceSpec[] = []
  return texts.map((text) => {
    if (text.tool === 'ipset') return mistakes.get(text) ?? nothing
    if (text.tool === 'ipvs') return ipvsMistakes(text, services)
    const parsed = parseRuleset(text.text, familyOf(text), { sets })
    if (parsed.ok) return nothing
    return lenient ? parsed.problems.filter(({ message }) => !message.includes('set')) : parsed.problems
  })
}

/** Parsed once for all cases that share a world: rules are not changed by packets. */
const known = new WeakMap<RulesetModel, Ruleset>()

function rulesetOf(model: RulesetModel, sets: SetTable): Ruleset {
  const found = known.get(model)
  if (found !== undefined) return found
  const parsed = parseRuleset(model.text, familyOf(model), { sets })
  const ruleset = present(parsed.ok ? parsed.ruleset : undefined, 'a checked rule set can be parsed')
  known.set(model, ruleset)
  return ruleset
}

function servicesOf({ text }: RulesetModel): readonly IpvsServiceSpec[] {
  const parsed = parseIpvs(text)
  return present(parsed.ok ? parsed.services : undefined, 'a checked ipvs text can be parsed')
}

/** `ipvsadm-restore`. */
function attachServicesOf(ns: Namespace, model: RulesetModel): void {
  assert(attachServices(ns, servicesOf(model)) === 'ok', 'a checked service is new')
}

/** `ipset restore`, then `iptables-restore` and `ip6tables-restore`, in the order of the file. */
export function attachRulesets(ns: Namespace, models: readonly RulesetModel[]): void {
  if (models.length === 0) return
  const { sets, mistakes } = readSets(models)
  assert(mistakes.size === 0, 'a checked ipset text can be parsed')
  if (sets.size > 0) ns.netfilter.sets = sets
  for (const model of models) {
    if (model.tool === 'ipvs') attachServicesOf(ns, model)
    else if (model.tool !== 'ipset') attachIptables(ns, familyOf(model), rulesetOf(model, sets))
  }
}

// Texts of iptables, ip6tables, nft, ipset, ipvsadm and ip xfrm: read for their mistakes while a file is checked, attached when its world boots.
import { assert, present } from '../base/assert.ts'
import { changeServices } from '../kernel/ipvs/admin.ts'
import { attachServices } from '../kernel/ipvs/hooks.ts'
import { parseIpvs, sameVirtual } from '../kernel/ipvs/parse.ts'
import { type IpvsServerSpec, type IpvsServiceSpec, servicesNow } from '../kernel/ipvs/service.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { setsNamed } from '../kernel/netfilter/check.ts'
import { attachIptables, currentRuleset } from '../kernel/netfilter/iptables.ts'
import { type ParsedRuleset, parseRuleset } from '../kernel/netfilter/parse.ts'
import type { Ruleset } from '../kernel/netfilter/ruleset.ts'
import { copySets, type ParsedSets, parseSets } from '../kernel/netfilter/set/parse-set.ts'
import { type SetTable, setsOf } from '../kernel/netfilter/set/set-table.ts'
import { attachNft, currentNft } from '../kernel/nftables/nftables.ts'
import { parseNft } from '../kernel/nftables/parse.ts'
import { Ruleset as NftRuleset } from '../kernel/nftables/ruleset.ts'
import { changeTables, changeXfrm, type Refusal, type XfrmCommand } from '../kernel/xfrm/install.ts'
import { parseXfrm } from '../kernel/xfrm/parse.ts'
import { emptyTables, type XfrmTables } from '../kernel/xfrm/tables.ts'
import type { RulesetChange, RulesetMistake, RulesetModel, RulesetReader } from '../model/ruleset.ts'

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

/** The mistakes of one nft text; its tables are added to those that are there. */
function nftMistakes({ text }: RulesetModel, before: NftRuleset): readonly RulesetMistake[] {
  const parsed = parseNft(text, before)
  return parsed.ok ? nothing : parsed.problems
}

const refusals: Readonly<Record<Refusal, string>> = {
  EEXIST: 'it is there already',
  ENOENT: 'there is no such policy',
  ESRCH: 'there is no such state',
}

/** The mistakes of one text of `ip xfrm`; what it says is done to `tables`. */
function xfrmMistakes({ text }: RulesetModel, tables: XfrmTables): readonly RulesetMistake[] {
  const parsed = parseXfrm(text)
  if (!parsed.ok) return parsed.problems
  return parsed.commands.flatMap(({ command, at }) => {
    const answer = changeTables(tables, command)
    return answer === 'ok' ? [] : [{ ...at, message: refusals[answer], hint: `the kernel answers ${answer}` }]
  })
}

function xfrmCommands({ text }: RulesetModel): readonly XfrmCommand[] {
  const parsed = parseXfrm(text)
  return present(
    parsed.ok ? parsed.commands.map(({ command }) => command) : undefined,
    'a checked text of ip xfrm can be parsed',
  )
}

/** What a host has of rules, as far as texts say it. */
interface Rules {
  readonly sets: SetTable
  readonly rulesets: Map<4 | 6, Ruleset>
  readonly services: IpvsServiceSpec[]
  readonly nft: NftRuleset
  readonly xfrm: XfrmTables
}

function noRules(family: 4 | 6): Ruleset {
  return { family, tables: [] }
}

/** A rule set after another one that has some of its tables. */
function joined(before: Ruleset, after: Ruleset): Ruleset {
  const fresh = new Set(after.tables.map(({ name }) => name))
  return { ...before, tables: [...before.tables.filter(({ name }) => !fresh.has(name)), ...after.tables] }
}

/** The mistakes in the texts of one host, and in those of later changes, for `check`. */
export const rulesetMistakes: RulesetReader = (texts, changes = []) => {
  const { sets, mistakes } = readSets(texts)
  // a set whose text has a mistake is not missed by the rules
  const lenient = mistakes.size > 0
  const rules: Rules = {
    sets: copySets(sets),
    rulesets: new Map(),
    services: [],
    nft: new NftRuleset(),
    xfrm: emptyTables(),
  }
  const found = texts.map((text) => {
    if (text.tool === 'ipset') return mistakes.get(text) ?? nothing
    if (text.tool === 'ipvs') return ipvsMistakes(text, rules.services)
    if (text.tool === 'nft') return nftMistakes(text, rules.nft)
    if (text.tool === 'xfrm') return xfrmMistakes(text, rules.xfrm)
    const family = familyOf(text)
    const parsed = parseRuleset(text.text, family, { sets })
    if (!parsed.ok)
      return lenient ? parsed.problems.filter(({ message }) => !message.includes('set')) : parsed.problems
    rules.rulesets.set(family, joined(rules.rulesets.get(family) ?? noRules(family), parsed.ruleset))
    return nothing
  })
  return [...found, ...changes.map((change) => changeMistakes(change, rules))]
}

/** The mistakes of one change; without any the rules are changed. */
function changeMistakes(change: RulesetChange, rules: Rules): readonly RulesetMistake[] {
  const { ruleset } = change
  if (ruleset.tool === 'ipvs') return serviceMistakes(change, rules)
  if (ruleset.tool === 'nft') return nftMistakes(ruleset, rules.nft)
  if (ruleset.tool === 'xfrm') return xfrmMistakes(ruleset, rules.xfrm)
  if (ruleset.tool === 'ipset') {
    const used = [...rules.rulesets.values()].flatMap(setsNamed)
    const parsed = readSetChange(change, rules.sets, new Set(used))
    return parsed.ok ? nothing : parsed.problems
  }
  const family = familyOf(ruleset)
  const before = rules.rulesets.get(family) ?? noRules(family)
  const parsed = readRuleChange(change, before, rules.sets)
  if (!parsed.ok) return parsed.problems
  rules.rulesets.set(family, joined(before, parsed.ruleset))
  return nothing
}

/** What shall go has to be there; the rest of a change of services cannot fail. */
function serviceMistakes({ verb, ruleset }: RulesetChange, { services }: Rules): readonly RulesetMistake[] {
  const parsed = parseIpvs(ruleset.text, [], services)
  if (!parsed.ok) return parsed.problems
  const problems: RulesetMistake[] = []
  for (const spec of parsed.services) {
    const at = services.findIndex((each) => sameVirtual(each.virtual, spec.virtual))
    const known = services[at]
    if (known === undefined) {
      if (verb === 'del')
        problems.push({ line: 1, column: 1, length: 1, message: 'there is no such service' })
      else services.push(spec)
      continue
    }
    const own = (server: IpvsServerSpec): boolean =>
      spec.servers.some(({ address, port }) => address === server.address && port === server.port)
    const others = known.servers.filter((server) => !own(server))
    const missing = known.servers.length - others.length < spec.servers.length
    if (verb === 'del' && missing)
      problems.push({ line: 1, column: 1, length: 1, message: 'there is no such server' })
    if (verb === 'del' && spec.servers.length === 0) services.splice(at, 1)
    else services[at] = { ...known, servers: verb === 'del' ? others : [...others, ...spec.servers] }
  }
  return problems
}

/** `iptables-restore --noflush`; with `replace`, `iptables-restore`; with `del`, every `-A` is a `-D`. */
function readRuleChange({ verb, ruleset }: RulesetChange, before: Ruleset, sets: SetTable): ParsedRuleset {
  const options = verb === 'replace' ? { sets } : { sets, base: before, purpose: verb }
  return parseRuleset(ruleset.text, before.family, options)
}

/** `ipset restore` of lines; all of them or none. */
function readSetChange(
  { verb, ruleset }: RulesetChange,
  sets: SetTable,
  used: ReadonlySet<string>,
  now = 0,
): ParsedSets {
  const options = { used, now, purpose: verb === 'del' ? ('del' as const) : ('add' as const) }
  const tried = parseSets(ruleset.text, copySets(sets), options)
  if (!tried.ok) return tried
  const changed = parseSets(ruleset.text, sets, options)
  if (!changed.ok) return changed
  for (const name of sets.keys()) if (!changed.sets.has(name)) sets.delete(name)
  for (const [name, set] of changed.sets) sets.set(name, set)
  return changed
}

/** Changes the rules of a running host; false when its tools refuse, and nothing has changed. */
export function changeRules(ns: Namespace, change: RulesetChange): boolean {
  const { ruleset } = change
  if (ruleset.tool === 'ipvs') {
    const parsed = parseIpvs(ruleset.text, [], servicesNow(ns))
    return parsed.ok && changeServices(ns, change.verb, parsed.services) === 'ok'
  }
  if (ruleset.tool === 'nft') {
    const parsed = parseNft(ruleset.text, currentNft(ns))
    if (parsed.ok) attachNft(ns, parsed.ruleset)
    return parsed.ok
  }
  if (ruleset.tool === 'xfrm') {
    const answers = xfrmCommands(ruleset).map((command) => changeXfrm(ns, command))
    return answers.every((answer) => answer === 'ok')
  }
  const sets = setsOf(ns)
  if (ruleset.tool === 'ipset') {
    const used = ([4, 6] as const).flatMap((family) => setsNamed(currentRuleset(ns, family)))
    return readSetChange(change, sets, new Set(used), ns.machine.clock.now).ok
  }
  const family = familyOf(ruleset)
  const parsed = readRuleChange(change, currentRuleset(ns, family), sets)
  if (parsed.ok) attachIptables(ns, family, parsed.ruleset)
  return parsed.ok
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

/** What the texts of a host make together, by the last of them. */
const knownNft = new WeakMap<RulesetModel, NftRuleset>()

/** All texts of nft together: later ones add to the tables of earlier ones. */
function attachNftOf(ns: Namespace, models: readonly RulesetModel[]): void {
  const last = models.at(-1)
  if (last === undefined) return
  const ruleset = knownNft.get(last) ?? new NftRuleset()
  if (!knownNft.has(last))
    for (const { text } of models) assert(parseNft(text, ruleset).ok, 'a checked nft text can be parsed')
  knownNft.set(last, ruleset)
  attachNft(ns, ruleset)
}

/** `ipset restore`, `iptables-restore` and `ip6tables-restore` in the order of the file, then `nft -f`. */
export function attachRulesets(ns: Namespace, models: readonly RulesetModel[]): void {
  if (models.length === 0) return
  const { sets, mistakes } = readSets(models)
  assert(mistakes.size === 0, 'a checked ipset text can be parsed')
  if (sets.size > 0) ns.netfilter.sets = sets
  for (const model of models) {
    if (model.tool === 'ipvs') attachServicesOf(ns, model)
    else if (model.tool === 'xfrm') for (const command of xfrmCommands(model)) changeXfrm(ns, command)
    else if (model.tool === 'iptables' || model.tool === 'ip6tables')
      attachIptables(ns, familyOf(model), rulesetOf(model, sets))
  }
  attachNftOf(
    ns,
    models.filter(({ tool }) => tool === 'nft'),
  )
}

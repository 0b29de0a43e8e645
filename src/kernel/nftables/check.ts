// What a table must satisfy as a whole: chains that are jumped to exist and are no base chains, none reaches itself, statements
// stand where packets of the right hooks come (nft_chain_validate(), nft_chain_validate_dependency()).
import { didYouMean } from '../../base/closest.ts'
import type { Place, ReportProblem } from '../netfilter/words.ts'
import type { BaseChain, ChainSpec, Ruleset, TableSpec, Verdict } from './ruleset.ts'

/** NFT_JUMP_STACK_SIZE. */
const jumpsMax = 16

type Jump = Extract<Verdict, { chain: string }>

function jumpsOf(chain: ChainSpec): Jump[] {
  const verdicts = chain.rules.flatMap(({ statements }) =>
    statements.flatMap((statement) => statement.verdicts()),
  )
  return verdicts.filter((verdict): verdict is Jump => 'chain' in verdict)
}

/** Verdicts of the maps of a table, whether a rule uses them or not. */
function jumpsOfMaps(table: TableSpec): Jump[] {
  const elements = [...table.sets.values()].flatMap((set) => set.elements)
  return elements.flatMap(({ verdict }) => (verdict !== undefined && 'chain' in verdict ? [verdict] : []))
}

function checkTargets(table: TableSpec, report: ReportProblem): boolean {
  let sound = true
  const jumps = new Set([...[...table.chains.values()].flatMap(jumpsOf), ...jumpsOfMaps(table)])
  for (const { chain: name, place } of jumps) {
    const target = table.chains.get(name)
    if (target !== undefined && target.base === undefined) continue
    sound = false
    if (target === undefined)
      report(place, `table \`${table.name}\` has no chain \`${name}\``, didYouMean(name, table.chains.keys()))
    else report(place, `\`${name}\` is a base chain: nothing can jump to it`)
  }
  return sound
}

/** Depth-first over jumps; the jump that closes a circle, or goes too deep, is reported once. */
function checkLoops(table: TableSpec, report: ReportProblem): boolean {
  const reported = new Set<Place>()
  const depths = new Map<string, number>()
  const path: string[] = []
  const say = (place: Place, message: string): void => {
    if (!reported.has(place)) report(place, message)
    reported.add(place)
  }
  const visit = (chain: ChainSpec): void => {
    if ((depths.get(chain.name) ?? -1) >= path.length) return
    depths.set(chain.name, path.length)
    path.push(chain.name)
    for (const jump of jumpsOf(chain)) {
      const at = path.indexOf(jump.chain)
      const next = table.chains.get(jump.chain)
      if (at !== -1)
        say(jump.place, `this jump closes a loop: ${[...path.slice(at), jump.chain].join(' -> ')}`)
      else if (path.length > jumpsMax) say(jump.place, `more than ${jumpsMax} jumps lead here`)
      else if (next !== undefined) visit(next)
    }
    path.pop()
  }
  for (const chain of table.chains.values()) visit(chain)
  return reported.size === 0
}

/** For each chain, the base chains from which packets come into it. */
function basesInto(table: TableSpec): ReadonlyMap<string, ReadonlySet<BaseChain>> {
  const into = new Map<string, Set<BaseChain>>()
  const mark = (chain: ChainSpec, base: BaseChain): void => {
    const bases = into.get(chain.name) ?? new Set()
    if (bases.has(base)) return
    bases.add(base)
    into.set(chain.name, bases)
    for (const jump of jumpsOf(chain)) {
      const next = table.chains.get(jump.chain)
      if (next !== undefined) mark(next, base)
    }
  }
  for (const chain of table.chains.values()) if (chain.base !== undefined) mark(chain, chain.base)
  return into
}

function checkPlaces(table: TableSpec, report: ReportProblem): void {
  const into = basesInto(table)
  for (const chain of table.chains.values()) {
    const bases = [...(into.get(chain.name) ?? [])]
    for (const { requires } of chain.rules.flatMap((rule) => rule.statements)) {
      if (requires === undefined) continue
      const { type, hooks, place, name } = requires
      const wrong = bases.find(
        (base) => (type !== undefined && base.type !== type) || !hooks.includes(base.hook),
      )
      if (wrong === undefined) continue
      const where = hooks.map((hook) => hook.toLowerCase()).join(', ')
      const kind = type === undefined ? '' : `chains of type ${type} at `
      report(
        place,
        `\`${name}\` is only valid in ${kind}${where}, but packets come here from ${wrong.type} ${wrong.hook.toLowerCase()}`,
      )
    }
  }
}

/** Reports everything about tables that no single statement is to blame for. */
export function checkTables(ruleset: Ruleset, report: ReportProblem): void {
  for (const table of ruleset.values()) {
    if (!checkTargets(table, report) || !checkLoops(table, report)) continue
    checkPlaces(table, report)
  }
}

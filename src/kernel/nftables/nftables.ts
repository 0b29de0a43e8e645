// Rule sets of nft and a namespace: base chains become hook functions beside those of iptables (nft_chain_filter.c,
// nft_chain_nat.c, nft_chain_route.c), in the order of priorities.
import { enableConntrack, enableDefrag, releaseConntrack, releaseDefrag } from '../conntrack/hooks.ts'
import type { Namespace } from '../namespace.ts'
import { chainPacket, type HookDevices } from '../netfilter/chain-packet.ts'
import { factsWanted, noteAt } from '../netfilter/chain-trace.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import { hookVerdict, withReroute } from '../netfilter/filter-hook.ts'
import { type HookEntry, type HookVerdict, priority } from '../netfilter/hook.ts'
import { registerNatClient } from '../netfilter/nat-hook.ts'
import type { Skb } from '../skb.ts'
import { bindTable } from './bind.ts'
import type { BoundChain, BoundTable } from './bound.ts'
import { evaluateNft } from './evaluate.ts'
import { tableText } from './print.ts'
import { copyRuleset } from './remove.ts'
import { type BaseChain, Ruleset, type TableFamily, type TableSpec } from './ruleset.ts'

function familiesOf(family: TableFamily): readonly (4 | 6)[] {
  if (family === 'inet') return [4, 6]
  return [family === 'ip' ? 4 : 6]
}

/** Rules that need connection tracking switch it on; a chain of type nat alone does not (nft_nat_init(), facts: linux 4.8). */
function needsConntrack({ chains }: TableSpec, family: 4 | 6): boolean {
  return [...chains.values()].some(({ rules }) =>
    rules.some(({ statements }) => statements.some(({ conntrack }) => conntrack.includes(family))),
  )
}

function needsDefrag({ chains }: TableSpec, family: 4 | 6): boolean {
  return [...chains.values()].some(({ rules }) =>
    rules.some(({ statements }) => statements.some(({ defrag }) => defrag.includes(family))),
  )
}

/** Switches connection tracking on for the families whose tables need it, and off for the others. */
function serveNeeds(ns: Namespace, specs: readonly TableSpec[]): void {
  for (const family of [4, 6] as const) {
    const tables = specs.filter((spec) => familiesOf(spec.family).includes(family))
    if (tables.some((table) => needsDefrag(table, family))) enableDefrag(ns, family, 'nft')
    else releaseDefrag(ns, family, 'nft')
    if (tables.some((table) => needsConntrack(table, family))) enableConntrack(ns, family, 'nft')
    else releaseConntrack(ns, family, 'nft')
  }
}

/** The hook function of a base chain of type filter or route. */
function chainEntry(family: 4 | 6, table: TableSpec, chain: BoundChain, base: BaseChain): HookEntry {
  const at = { family, hook: base.hook }
  const place = { chain: `${table.name}/${chain.spec.name}`, early: base.priority <= priority.conntrack }
  const run = (packet: ChainPacket): HookVerdict => {
    const facts = factsWanted(packet)
    const verdict = hookVerdict(evaluateNft(chain, packet, facts))
    noteAt(packet, place, verdict, facts)
    return verdict
  }
  const reroutes = base.type === 'route'
  return {
    family,
    hook: base.hook,
    priority: base.priority,
    run: (ns: Namespace, skb: Skb, devices: HookDevices): HookVerdict => {
      const packet = chainPacket(ns, at, skb, devices)
      return reroutes ? withReroute(packet, place, run) : run(packet)
    },
  }
}

function registerChain(ns: Namespace, table: TableSpec, chain: BoundChain, base: BaseChain): void {
  for (const family of familiesOf(table.family)) {
    const remove =
      base.type === 'nat'
        ? registerNatClient(ns, family, base.hook, {
            priority: base.priority,
            run: (packet, facts) => evaluateNft(chain, packet, facts),
          })
        : ns.netfilter.register(chainEntry(family, table, chain, base))
    chain.unregister.push(remove)
  }
}

function detach({ chains }: BoundTable): void {
  for (const { unregister } of chains.values()) for (const each of unregister) each()
}

/**
 * What `nft -f` leaves in a namespace: tables that were there keep what the rule set still has. The rule set itself stays as
 * it is: many namespaces may have it.
 */
export function attachNft(ns: Namespace, ruleset: Ruleset): void {
  const before = new Map(ns.netfilter.nftables?.map((table) => [tableKey(table.spec), table]))
  const tables: BoundTable[] = []
  serveNeeds(ns, [...ruleset.values()])
  for (const spec of ruleset.values()) {
    const table = bindTable(ns, spec, before.get(tableKey(spec)))
    before.delete(tableKey(spec))
    tables.push(table)
    for (const chain of table.chains.values()) {
      const { base } = chain.spec
      if (base !== undefined && chain.unregister.length === 0) registerChain(ns, spec, chain, base)
    }
  }
  for (const gone of before.values()) detach(gone)
  ns.netfilter.nftables = tables
  ns.netfilter.nftHandles = ruleset.tableHandles
}

function tableKey({ family, name }: TableSpec): string {
  return `${family} ${name}`
}

/** The rule set that a namespace has, as a copy that can be changed: rules and elements keep their identity. */
export function currentNft(ns: Namespace): Ruleset {
  const current = new Ruleset((ns.netfilter.nftables ?? []).map(({ spec }) => [tableKey(spec), spec]))
  current.tableHandles = ns.netfilter.nftHandles
  return copyRuleset(current)
}

/** What `nft list ruleset` prints, or `nft -a list ruleset` with handles. */
export function nftText(ns: Namespace, handles = false): string {
  const { now } = ns.machine.clock
  return (ns.netfilter.nftables ?? []).map((table) => tableText(table, now, handles)).join('')
}

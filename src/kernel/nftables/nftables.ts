// Rule sets of nft and a namespace: base chains become hook functions beside those of iptables (nft_chain_filter.c,
// nft_chain_nat.c, nft_chain_route.c), in the order of priorities.
import { enableConntrack } from '../conntrack/hooks.ts'
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
import type { BaseChain, Ruleset, TableFamily, TableSpec } from './ruleset.ts'

function familiesOf(family: TableFamily): readonly (4 | 6)[] {
  if (family === 'inet') return [4, 6]
  return [family === 'ip' ? 4 : 6]
}

/** Rules that need connection tracking switch it on; a chain of type nat alone does not (nft_nat_init(), facts: linux 4.8). */
function needsConntrack({ chains }: TableSpec): boolean {
  return [...chains.values()].some(({ rules }) =>
    rules.some(({ statements }) => statements.some(({ conntrack }) => conntrack)),
  )
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
    if (base.type !== 'nat') {
      ns.netfilter.register(chainEntry(family, table, chain, base))
      continue
    }
    registerNatClient(ns, family, base.hook, {
      priority: base.priority,
      run: (packet, facts) => evaluateNft(chain, packet, facts),
    })
  }
}

/** Puts a checked rule set into a namespace that has none of nft yet, as `nft -f` does. */
export function attachNft(ns: Namespace, ruleset: Ruleset): void {
  const tables: BoundTable[] = []
  for (const spec of ruleset.values()) {
    if (needsConntrack(spec)) for (const family of familiesOf(spec.family)) enableConntrack(ns, family)
    const table = bindTable(ns, spec)
    tables.push(table)
    for (const chain of table.chains.values())
      if (chain.spec.base !== undefined) registerChain(ns, spec, chain, chain.spec.base)
  }
  ns.netfilter.nftables = tables
}

/** What `nft list ruleset` prints. */
export function nftText(ns: Namespace): string {
  const { now } = ns.machine.clock
  return (ns.netfilter.nftables ?? []).map((table) => tableText(table, now)).join('')
}

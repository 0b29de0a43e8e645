// Identities that no pod has any more: the operator's collector, which runs at full rounds of the scenario's time for as long as there
// are any. What it deletes leaves the policy maps of all nodes.
import type { ClusterState } from '../cilium/agent/agent.ts'
import { labelsKey } from '../cilium/agent/labels.ts'
import { second } from '../kernel/clock.ts'
import type { Machine } from '../kernel/machine.ts'
import type { RunningCilium } from './cilium.ts'
import { bringMaps, decideAgain } from './cilium-decide.ts'
import { toldCluster } from './cilium-told.ts'

/** The keys of identities that pods have. */
function usedOf({ registry }: ClusterState): ReadonlySet<string> {
  return new Set([...registry.podIdentities.values()].map(({ labels }) => labelsKey(labels)))
}

function hasUnused(state: ClusterState): boolean {
  const used = usedOf(state)
  return [...state.registry.allocated.keys()].some((key) => !used.has(key))
}

/** What the agents decided has changed from `before`; the collector runs where something is left to collect. */
export function watchIdentities(machine: Machine, running: RunningCilium, before: ClusterState): void {
  const { identityGc, state } = running
  identityGc.seen(machine.clock.now, state.registry.allocated.keys(), usedOf(before))
  if (!running.collecting && hasUnused(state)) schedule(machine, running)
}

function schedule(machine: Machine, running: RunningCilium): void {
  const { clock } = machine
  const next = running.identityGc.nextAfter(clock.now)
  if (next === undefined) return
  running.collecting = true
  clock.after(next - clock.now, () => {
    running.collecting = false
    collect(machine, running)
    if (hasUnused(running.state)) schedule(machine, running)
  })
}

function collect(machine: Machine, running: RunningCilium): void {
  const { clock, trace } = machine
  const { state, identityGc, installed } = running
  const { allocated } = state.registry
  const deleted = new Set(identityGc.collect(clock.now, allocated.keys(), usedOf(state)))
  if (deleted.size === 0) return
  for (const key of deleted) running.deletedIdentities.add(String(allocated.get(key)?.id ?? 0))
  const left = new Map([...allocated].filter(([key]) => !deleted.has(key)))
  running.state = { ...state, registry: { ...state.registry, allocated: left } }
  running.state = decideAgain(running, toldCluster(running.model).cluster)
  installed.past.push({ packets: trace?.packets.length ?? 0, nodes: new Map(installed.nodes) })
  const nodes = [...running.nodes].map(([node, each]) => ({ node, acts: bringMaps(running, each) }))
  running.onJob?.(
    `crd-identity-gc at ${clock.now / second}s`,
    nodes.filter(({ acts }) => acts.length > 0),
  )
}

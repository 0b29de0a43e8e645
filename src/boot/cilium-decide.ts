// What the agents of a running cluster decide, and how a node's maps are brought there where nothing but addresses and policies change.
import { type ClusterState, decide } from '../cilium/agent/agent.ts'
import type { AgentCluster } from '../cilium/agent/told.ts'
import type { AgentAct } from '../trace/event.ts'
import { installedNode, type RunningCilium, type RunningNode } from './cilium.ts'
import { syncTables } from './cilium-era.ts'
import { MapWriter } from './map-writer.ts'

/** What all agents decide now, each with the names that its own proxy has learnt; numbers that were given stay. */
export function decideAgain(
  { state: before, names, deletedIdentities }: RunningCilium,
  told: AgentCluster,
): ClusterState {
  const identities = told.identities.filter(({ name }) => !deletedIdentities.has(name))
  const cluster = { ...told, identities }
  const common = decide(cluster, before)
  const agents = common.agents.map((agent) => {
    const own = names.get(agent.node.name)?.answers ?? []
    if (own.length === 0) return agent
    const state = decide({ ...cluster, dnsAnswers: [...cluster.dnsAnswers, ...own] }, before)
    return state.agents.find(({ node }) => node.name === agent.node.name) ?? agent
  })
  return { ...common, agents }
}

/** Brings the maps of a node to what its agent decides now; answers what was written. */
export function bringMaps(running: RunningCilium, node: RunningNode): readonly AgentAct[] {
  const { agent: before, maps, policies, era } = node
  const { name } = before.node
  const after = running.state.agents.find((each) => each.node.name === name) ?? before
  node.agent = after
  const writer = new MapWriter()
  const addresses = (): void =>
    syncTables(writer, era.addressTables(maps, before), era.addressTables(maps, after))
  // 1.10: UpsertGeneratedIdentities() comes last
  const last = after.node.config.version === '1.10'
  if (!last) addresses()
  for (const [id, map] of policies) {
    const [old, now] = [before.policies.get(id), after.policies.get(id)]
    writer.sync(map, era.policyEntries(old?.entries ?? []), era.policyEntries(now?.entries ?? []))
  }
  if (last) addresses()
  running.installed.nodes.set(name, installedNode(node))
  return writer.acts
}

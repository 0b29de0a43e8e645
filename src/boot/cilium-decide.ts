// What the agents of a running cluster decide.
import { type ClusterState, decide } from '../cilium/agent/agent.ts'
import type { AgentCluster } from '../cilium/agent/told.ts'
import type { RunningCilium } from './cilium.ts'

/** What all agents decide now, each with the names that its own proxy has learnt; numbers that were given stay. */
export function decideAgain({ state: before, names }: RunningCilium, cluster: AgentCluster): ClusterState {
  const common = decide(cluster, before)
  const agents = common.agents.map((agent) => {
    const own = names.get(agent.node.name)?.answers ?? []
    if (own.length === 0) return agent
    const state = decide({ ...cluster, dnsAnswers: [...cluster.dnsAnswers, ...own] }, before)
    return state.agents.find(({ node }) => node.name === agent.node.name) ?? agent
  })
  return { ...common, agents }
}

// Names that a node's DNS proxy has learnt, while the machine runs: what an answer changes in maps, and what the agent's collector
// takes away again.
import { NameManager, nameCollectionInterval } from '../cilium/agent/fqdn/name-manager.ts'
import type { LearntAnswer } from '../cilium/proxy/proxy-node.ts'
import { second } from '../kernel/clock.ts'
import type { AgentAct, Fact } from '../trace/event.ts'
import type { RunningCilium, RunningNode } from './cilium.ts'
import { bringMaps, decideAgain } from './cilium-decide.ts'
import { toldCluster } from './cilium-told.ts'

/** The names of a node; their collector starts with the first. */
function namesOf(running: RunningCilium, node: RunningNode): NameManager {
  const { name, config } = node.agent.node
  const known = running.names.get(name)
  if (known !== undefined) return known
  const made = new NameManager(config.names, config.version === '1.10')
  running.names.set(name, made)
  return made
}

/** The agent of one node decides again, and brings its maps there. */
function decideNode(running: RunningCilium, node: RunningNode): readonly AgentAct[] {
  running.state = decideAgain(running, toldCluster(running.model).cluster)
  return bringMaps(running, node)
}

/** UpdateOnDNSMsg(): a node learns what a name stands for; answers what its agent wrote. */
export function learn(running: RunningCilium, node: RunningNode, answer: LearntAnswer): readonly Fact[] {
  const names = namesOf(running, node)
  const { clock } = node.ns.machine
  const wasIdle = names.idle
  const isNew = names.answered(answer.endpoint, clock.now, answer)
  if (wasIdle) startCollector(running, node, names)
  return isNew ? decideNode(running, node).filter((act) => act.kind === 'map') : []
}

/** The collector runs at full rounds of the scenario's time until nothing is left. */
function startCollector(running: RunningCilium, node: RunningNode, names: NameManager): void {
  const { clock } = node.ns.machine
  const next = (Math.floor(clock.now / nameCollectionInterval) + 1) * nameCollectionInterval
  clock.after(next - clock.now, () => {
    collectNames(running, node, names)
    if (!names.idle) startCollector(running, node, names)
  })
}

function collectNames(running: RunningCilium, node: RunningNode, names: NameManager): void {
  const { clock, trace } = node.ns.machine
  const { name } = node.agent.node
  if (!names.collect(clock.now, new Set(node.agent.endpoints.map(({ id }) => id)))) return
  const { installed } = running
  installed.past.push({ packets: trace?.packets.length ?? 0, nodes: new Map(installed.nodes) })
  const acts = decideNode(running, node)
  running.onJob?.(`dns-garbage-collector-job on ${name} at ${clock.now / second}s`, [{ node: name, acts }])
}

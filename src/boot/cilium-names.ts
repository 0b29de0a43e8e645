// Names that a node's DNS proxy has learnt, while the machine runs: what an answer changes in maps, and what the agent's collectors
// take away again. They run from the first answer on, at full rounds of the scenario's time, until nothing is left.
import { NameManager, nameCollectionInterval } from '../cilium/agent/fqdn/name-manager.ts'
import { addressBytes } from '../cilium/maps/address-bytes.ts'
import { connectionsFrom } from '../cilium/maps/connections.ts'
import type { LearntAnswer } from '../cilium/proxy/proxy-node.ts'
import { monotonic, second } from '../kernel/clock.ts'
import type { AgentAct, Fact } from '../trace/event.ts'
import type { RunningCilium, RunningNode } from './cilium.ts'
import { bringMaps, decideAgain } from './cilium-decide.ts'
import { toldCluster } from './cilium-told.ts'

/** The names of a node; its collectors start with the first. */
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
  if (wasIdle) startCollectors(running, node, names)
  return isNew ? decideNode(running, node).filter((act) => act.kind === 'map') : []
}

/** Conntrack's collector and that of names, each at its own rounds. */
function startCollectors(running: RunningCilium, node: RunningNode, names: NameManager): void {
  const { clock } = node.ns.machine
  const { conntrackInterval } = node.agent.node.config.names
  const every = (interval: number, work: () => void): void => {
    const next = (Math.floor(clock.now / interval) + 1) * interval
    clock.after(next - clock.now, () => {
      work()
      if (!names.idle) every(interval, work)
    })
  }
  every(conntrackInterval, () => collectConntrack(node, names))
  every(nameCollectionInterval, () => collectNames(running, node, names))
}

/** Only who is still connected is looked for; entries that are over stay until they are used again. */
function collectConntrack({ agent, maps, ns }: RunningNode, names: NameManager): void {
  const { clock } = ns.machine
  const own = new Map(agent.endpoints.map(({ id, addresses }) => [id, addresses.map(addressBytes)]))
  const seconds = Math.floor(monotonic(clock.now) / second)
  names.conntrackCollected(clock.now, (endpoint) => connectionsFrom(maps, own.get(endpoint) ?? [], seconds))
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

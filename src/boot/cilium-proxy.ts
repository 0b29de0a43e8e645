// The proxies of a cluster's nodes: Envoy's listeners for HTTP rules, the agent's DNS proxy. What name servers answer changes the
// decisions of the node's agent, and with them its maps; other nodes hear nothing of it.
import { type ClusterState, decide } from '../cilium/agent/agent.ts'
import type { AgentCluster, DnsAnswer } from '../cilium/agent/told.ts'
import { proxyDialects } from '../cilium/proxy/dialect.ts'
import { startDnsProxy } from '../cilium/proxy/dns-proxy.ts'
import { startEnvoy } from '../cilium/proxy/envoy.ts'
import type { ProxyNode } from '../cilium/proxy/proxy-node.ts'
import type { Fact } from '../trace/event.ts'
import { installedNode, type RunningCilium, type RunningNode } from './cilium.ts'
import { syncTables } from './cilium-era.ts'
import { toldCluster } from './cilium-told.ts'
import { MapWriter } from './map-writer.ts'

/** What all agents decide now, each with the names that its own proxy has learnt; numbers that were given stay. */
export function decideAgain({ state: before, learnt }: RunningCilium, cluster: AgentCluster): ClusterState {
  const common = decide(cluster, before)
  const agents = common.agents.map((agent) => {
    const own = learnt.get(agent.node.name)
    if (own === undefined) return agent
    const state = decide({ ...cluster, dnsAnswers: [...cluster.dnsAnswers, ...own] }, before)
    return state.agents.find(({ node }) => node.name === agent.node.name) ?? agent
  })
  return { ...common, agents }
}

/** A node learns what a name stands for (pkg/fqdn/namemanager, pkg/policy/selectorcache); answers what its agent wrote. */
function learn(running: RunningCilium, node: RunningNode, answer: DnsAnswer): readonly Fact[] {
  const { agent: before, maps, policies, era } = node
  const { name } = before.node
  running.learnt.set(name, [...(running.learnt.get(name) ?? []), answer])
  running.state = decideAgain(running, toldCluster(running.model).cluster)
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
  return writer.acts.filter((act) => act.kind === 'map')
}

/** Starts the proxies of all nodes. */
export function startAllProxies(running: RunningCilium): void {
  for (const node of running.nodes.values()) startProxies(running, node)
}

/** Starts the proxies that the redirects of a node lead to and that do not run yet. */
export function startProxies(running: RunningCilium, node: RunningNode): void {
  const { agent, maps, ns, proxyPorts } = node
  const { config } = agent.node
  if (!config.l7Proxy) return
  const proxy: ProxyNode = {
    ns,
    dialect: proxyDialects[config.version],
    maps,
    agent: () => node.agent,
    learn: (name, addresses) => learn(running, node, { name, addresses }),
  }
  const families = ([4, 6] as const).filter((family) => (family === 4 ? config.ipv4 : config.ipv6))
  const start = (port: number, run: () => void): void => {
    if (proxyPorts.has(port)) return
    proxyPorts.add(port)
    run()
  }
  for (const { redirects } of agent.policies.values()) {
    for (const { parser, proxyPort: port, ingress } of redirects)
      if (parser === 'http') start(port, () => startEnvoy(proxy, { port, ingress }, families))
  }
  const port = running.state.registry.proxyPort('dns', false, '')
  const options = { port, transparent: true, bpfTproxy: config.bpfTproxy }
  start(port, () => startDnsProxy(proxy, options, families))
}

// The proxies of a cluster's nodes: Envoy's listeners for HTTP rules, the agent's DNS proxy. What name servers answer changes the
// decisions of the node's agent, and with them its maps; other nodes hear nothing of it (cilium-names.ts).
import { proxyDialects } from '../cilium/proxy/dialect.ts'
import { startDnsProxy } from '../cilium/proxy/dns-proxy.ts'
import { startEnvoy } from '../cilium/proxy/envoy.ts'
import type { ProxyNode } from '../cilium/proxy/proxy-node.ts'
import type { RunningCilium, RunningNode } from './cilium.ts'
import { learn } from './cilium-names.ts'

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
    learn: (answer) => learn(running, node, answer),
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

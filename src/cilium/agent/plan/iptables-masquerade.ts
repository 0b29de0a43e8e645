// Masquerading by iptables (cilium pkg/datapath/iptables/iptables.go installMasqueradeRules()).
import { formatIp } from '../../../net/address.ts'
import { formatPrefix, isIpv4Prefix, networkOf } from '../../../net/prefix.ts'
import type { AgentConfig } from '../config.ts'
import { hostAddress, type NodeAddresses } from '../node-addresses.ts'
import { comment, deliveryDevice, mark, marked, proxyMask, type Rule } from './iptables-rule.ts'
import { hostDevice } from './routes.ts'

/** The set of the nodes' addresses, which native routing does not masquerade. */
export const nodeSet = { 4: 'cilium_node_set_v4', 6: 'cilium_node_set_v6' } as const

/** Whether the set of nodes is asked for; 1.10 masquerades to nodes, too. */
export function needsNodeSet(
  { routing, bpfMasquerade, version }: AgentConfig,
  masquerades: boolean,
): boolean {
  return version !== '1.10' && routing === 'native' && masquerades && !bpfMasquerade
}

/** What is masqueraded, and what of it is excepted; none where BPF does it. */
export function masqueradeRules(own: NodeAddresses, family: 4 | 6): readonly Rule[] {
  const { config, podCidrs } = own.node
  const on = family === 4 ? config.masquerade4 : config.masquerade6
  const range = podCidrs.find((prefix) => isIpv4Prefix(prefix) === (family === 4))
  const host = hostAddress(own, family)
  if (!on || config.bpfMasquerade || range === undefined || host === undefined) return []
  const alloc = formatPrefix(networkOf(range))
  const excluded = (family === 4 ? config.nativeRoutingCidr4 : config.nativeRoutingCidr6) ?? alloc
  const delivery = deliveryDevice(config)
  const source = formatIp(host)
  const loopback = family === 4 ? '127.0.0.1' : '::1'
  const nat = (text: string): Rule => ['nat', `-A CILIUM_POST_nat ${text}`]
  return [
    ...(needsNodeSet(config, on)
      ? [
          nat(
            `-s ${alloc} -m set --match-set ${nodeSet[family]} dst ${comment('exclude traffic to cluster nodes from masquerade')} -j ACCEPT`,
          ),
        ]
      : []),
    nat(
      `! -d ${excluded} -s ${alloc} ! -o cilium_+ ${comment('cilium masquerade non-cluster')} -j MASQUERADE`,
    ),
    nat(
      `-m mark --mark ${marked(mark.proxy, proxyMask)} ${comment('exclude proxy return traffic from masquerade')} -j ACCEPT`,
    ),
    ...(config.routing === 'tunnel'
      ? [
          nat(
            `! -s ${alloc} ! -d ${alloc} -o ${hostDevice} ${comment('cilium host->cluster masquerade')} -j SNAT --to-source ${source}`,
          ),
        ]
      : []),
    nat(
      `-s ${loopback} -o ${delivery} ${comment(`cilium host->cluster from ${loopback} masquerade`)} -j SNAT --to-source ${source}`,
    ),
    ...(config.endpointRoutes
      ? []
      : [
          nat(
            `-m mark --mark ${marked(mark.identity)} -o ${delivery} -m conntrack --ctstate DNAT ${comment('hairpin traffic that originated from a local pod')} -j SNAT --to-source ${source}`,
          ),
        ]),
  ]
}

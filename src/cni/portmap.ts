// The portmap plugin (containernetworking/plugins meta/portmap): host ports of pods as DNAT rules. Facts: services,
// "HostPort: CNI portmap vs Cilium".
import { formatIp } from '../net/address.ts'
import { chainHash } from './chain-hash.ts'
import { type CniHost, type CniHostPort, type CniPod, type CniTable, emptyHost } from './plan.ts'

const mark = '0x2000/0x2000'

/** Chains that all pods share, and the rules that lead to them. */
const shared: CniTable = {
  table: 'nat',
  chains: ['CNI-HOSTPORT-DNAT', 'CNI-HOSTPORT-MASQ', 'CNI-HOSTPORT-SETMARK'],
  rules: [
    '-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT',
    '-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT',
    '-I POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
    `-A CNI-HOSTPORT-MASQ -m mark --mark ${mark} -j MASQUERADE`,
    `-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${mark}`,
  ],
}

function portRules(pod: CniPod, port: CniHostPort, chain: string, range: string): readonly string[] {
  const on = port.address === undefined ? '' : ` -d ${formatIp(port.address)}/32`
  const match = `-p ${port.protocol} -m ${port.protocol} --dport ${port.port}`
  return [
    // a pod that reaches a port of its own node, perhaps its own: the answer must come back through the node
    `-A ${chain}${on} -s ${range} ${match} -j CNI-HOSTPORT-SETMARK`,
    `-A ${chain}${on} -s 127.0.0.1/32 ${match} -j CNI-HOSTPORT-SETMARK`,
    `-A ${chain}${on} ${match} -j DNAT --to-destination ${formatIp(pod.address)}:${port.target}`,
  ]
}

function podTable(pod: CniPod, range: string): CniTable {
  const chain = `CNI-DN-${chainHash(pod.name, 21)}`
  const protocols = [...new Set(pod.hostPorts.map(({ protocol }) => protocol))]
  const comment = `-m comment --comment "dnat name: \\"cni0\\" id: \\"${pod.name}\\""`
  return {
    table: 'nat',
    chains: [chain],
    rules: [
      ...protocols.map((protocol) => {
        const ports = pod.hostPorts.filter((each) => each.protocol === protocol).map(({ port }) => port)
        // in front: of two pods with one port the newer wins
        return `-I CNI-HOSTPORT-DNAT -p ${protocol} ${comment} -m multiport --dports ${ports.join(',')} -j ${chain}`
      }),
      ...pod.hostPorts.flatMap((port) => portRules(pod, port, chain, range)),
    ],
  }
}

/**
 * The host ports of a node's pods; undefined when there are none. `device` is the one towards the pods: connections to
 * 127.0.0.1 may leave by it (enableLocalnetRouting()). `range` gives the subnet that a pod's own address is in.
 */
export function portmapHost(
  node: string,
  pods: readonly CniPod[],
  options: { readonly device: (pod: CniPod) => string; readonly range: (pod: CniPod) => string },
): CniHost | undefined {
  const mapped = pods.filter(({ hostPorts }) => hostPorts.length > 0)
  if (mapped.length === 0) return undefined
  const devices = [...new Set(mapped.map((pod) => options.device(pod)))]
  return {
    ...emptyHost(node),
    sysctls: devices.map((device) => ({ key: `net.ipv4.conf.${device}.route_localnet`, value: 1 })),
    tables: [shared, ...mapped.map((pod) => podTable(pod, options.range(pod)))],
  }
}

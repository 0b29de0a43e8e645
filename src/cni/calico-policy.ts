// Felix's chains for workloads, as small as they get: dispatch by device, one chain for each direction of a pod, and one
// profile that allows everything. A verdict travels as a mark: 0x10000 means accepted.
import { type CniFamily, tableOf } from './family.ts'
import type { CniPod, CniTable } from './plan.ts'

const accepted = '0x10000/0x10000'
const profile = 'kns.default'

/** `cali-fw-`: from the workload, `cali-tw-`: to the workload. */
function podChain(pod: CniPod, direction: 'fw' | 'tw'): string {
  return `cali-${direction}-${pod.hostDevice}`
}

function podRules(pod: CniPod, direction: 'fw' | 'tw', family: 4 | 6): readonly string[] {
  const chain = podChain(pod, direction)
  const list = `cali-${direction === 'fw' ? 'pro' : 'pri'}-${profile}`
  return [
    `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A ${chain} -m conntrack --ctstate INVALID -j DROP`,
    `-A ${chain} -j MARK --set-xmark 0x0/0x10000`,
    // a pod may not reach other nodes' overlays by itself
    ...(direction === 'fw'
      ? [
          `-A ${chain} -p udp -m comment --comment "Drop VXLAN encapped packets originating in workloads" -m multiport --dports 4789 -j DROP`,
          ...(family === 4
            ? [
                `-A ${chain} -p 4 -m comment --comment "Drop IPinIP encapped packets originating in workloads" -j DROP`,
              ]
            : []),
        ]
      : []),
    `-A ${chain} -j ${list}`,
    `-A ${chain} -m comment --comment "Return if profile accepted" -m mark --mark ${accepted} -j RETURN`,
    `-A ${chain} -m comment --comment "Drop if no profiles matched" -j DROP`,
  ]
}

/** ICMPv6 that a pod needs of its router whatever its policies: listener messages, solicitations, advertisements. */
const routerTypes = [130, 131, 132, 133, 135, 136]

/** Where IPv4 has a sysctl: sources of pods are checked by their way back. */
function reversePathTable(): CniTable {
  return {
    table: 'raw',
    family: 6,
    chains: ['cali-PREROUTING'],
    rules: [
      '-A PREROUTING -j cali-PREROUTING',
      '-A cali-PREROUTING -j MARK --set-xmark 0x0/0xf0000',
      '-A cali-PREROUTING -i cali+ -j MARK --set-xmark 0x40000/0x40000',
      '-A cali-PREROUTING -m mark --mark 0x40000/0x40000 -m rpfilter --validmark --invert -j DROP',
    ],
  }
}

/** The tables of a node with these pods: filter, and for IPv6 raw. */
export function policyTables(pods: readonly CniPod[], family: CniFamily): readonly CniTable[] {
  const own = pods.filter((pod) => family.address(pod) !== undefined)
  const filter = tableOf(family, policyTable(own, family.family))
  return family.family === 4 ? [filter] : [reversePathTable(), filter]
}

/** The filter table of a node with these pods. */
function policyTable(pods: readonly CniPod[], family: 4 | 6): CniTable {
  const dispatch = (direction: 'fw' | 'tw'): readonly string[] => {
    const chain = direction === 'fw' ? 'cali-from-wl-dispatch' : 'cali-to-wl-dispatch'
    const device = direction === 'fw' ? '-i' : '-o'
    return [
      ...pods.map((pod) => `-A ${chain} ${device} ${pod.hostDevice} -g ${podChain(pod, direction)}`),
      `-A ${chain} -m comment --comment "Unknown interface" -j DROP`,
    ]
  }
  return {
    table: 'filter',
    chains: [
      'cali-FORWARD',
      'cali-INPUT',
      'cali-wl-to-host',
      'cali-from-wl-dispatch',
      'cali-to-wl-dispatch',
      `cali-pri-${profile}`,
      `cali-pro-${profile}`,
      ...pods.flatMap((pod) => [podChain(pod, 'fw'), podChain(pod, 'tw')]),
    ],
    rules: [
      '-A INPUT -j cali-INPUT',
      '-A FORWARD -j cali-FORWARD',
      `-A FORWARD -m comment --comment "Policy explicitly accepted packet." -m mark --mark ${accepted} -j ACCEPT`,
      '-A cali-INPUT -i cali+ -g cali-wl-to-host',
      ...(family === 4
        ? []
        : routerTypes.map(
            (type) => `-A cali-wl-to-host -p ipv6-icmp -m icmp6 --icmpv6-type ${type} -j ACCEPT`,
          )),
      '-A cali-wl-to-host -j cali-from-wl-dispatch',
      '-A cali-wl-to-host -m comment --comment "Configured DefaultEndpointToHostAction" -j ACCEPT',
      '-A cali-FORWARD -j MARK --set-xmark 0x0/0xe0000',
      '-A cali-FORWARD -i cali+ -j cali-from-wl-dispatch',
      '-A cali-FORWARD -o cali+ -j cali-to-wl-dispatch',
      ...dispatch('fw'),
      ...dispatch('tw'),
      `-A cali-pri-${profile} -j MARK --set-xmark ${accepted}`,
      `-A cali-pri-${profile} -m mark --mark ${accepted} -j RETURN`,
      `-A cali-pro-${profile} -j MARK --set-xmark ${accepted}`,
      `-A cali-pro-${profile} -m mark --mark ${accepted} -j RETURN`,
      ...pods.flatMap((pod) => [...podRules(pod, 'fw', family), ...podRules(pod, 'tw', family)]),
    ],
  }
}

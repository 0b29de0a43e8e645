// Lines of the language about policies (`policy NAME on LABELS { ... }`) as the CiliumNetworkPolicy that says the same.
import type { CiliumRule } from '../cluster/cilium-policy.ts'
import type { CiliumPolicyObject } from '../cluster/objects.ts'
import type { PolicyModel } from '../model/cluster.ts'
import { parseIp } from '../net/address.ts'
import { parsePrefix } from '../net/prefix.ts'

type Ports = readonly { readonly port: string; readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ANY' }[]

/** The manifest of a `policy`. */
export function policyObject({ name, selector, rules }: PolicyModel): CiliumPolicyObject {
  const sections: Record<'ingress' | 'ingressDeny' | 'egress' | 'egressDeny', object[]> = {
    ingress: [],
    ingressDeny: [],
    egress: [],
    egressDeny: [],
  }
  for (const rule of rules) {
    const side = rule.direction === 'ingress' ? 'from' : 'to'
    const section = sections[rule.decision === 'deny' ? (`${rule.direction}Deny` as const) : rule.direction]
    section.push(...peersOf(rule, side).map((peers) => ({ ...peers, ...portsOf(rule) })))
  }
  const filled = Object.fromEntries(Object.entries(sections).filter(([, list]) => list.length > 0))
  const spec: CiliumRule = { endpointSelector: { matchLabels: selector }, ...filled }
  return { kind: 'CiliumNetworkPolicy', name, namespace: 'default', rules: [spec] }
}

/** One rule of Cilium has one kind of peers. */
function peersOf(
  { labels, peers, decision, protocol, ports }: PolicyModel['rules'][number],
  side: 'from' | 'to',
): readonly object[] {
  if (Object.keys(labels).length > 0) return [{ [`${side}Endpoints`]: [{ matchLabels: labels }] }]
  const cidrs = peers.filter((text) => parsePrefix(text) !== undefined || parseIp(text) !== undefined)
  const entities = peers.filter((text) => !cidrs.includes(text))
  const lists = [
    ...(cidrs.length === 0 ? [] : [{ [`${side}CIDR`]: cidrs }]),
    ...(entities.length === 0 ? [] : [{ [`${side}Entities`]: entities }]),
  ]
  if (lists.length > 0) return lists
  // `ingress allow` without a peer and without ports is everybody; `ingress deny` as well
  const open = protocol === undefined && ports.length === 0
  return [open || decision === 'deny' ? { [`${side}Entities`]: ['all'] } : {}]
}

function portsOf({ protocol, ports }: PolicyModel['rules'][number]): object {
  if (protocol === 'icmp') {
    const types = ports.length === 0 ? ['8'] : ports
    return { icmps: [{ fields: types.map((type) => ({ type, family: 'IPv4' })) }] }
  }
  if (protocol === undefined) return {}
  const upper = protocol.toUpperCase() as Ports[number]['protocol']
  const list: Ports = (ports.length === 0 ? ['0'] : ports).map((port) => ({ port, protocol: upper }))
  return { toPorts: [{ ports: list }] }
}

// NetworkPolicy as Cilium understands it: each peer becomes a rule of its own, a policy without rules for a direction that
// it names becomes a rule that selects nothing (cilium pkg/k8s/network_policy.go).
import type { PortProtocol } from '../../../cluster/cilium-ports.ts'
import type { NetworkPolicyPeer, NetworkPolicyPort } from '../../../cluster/network-policy.ts'
import type { NetworkPolicyObject } from '../../../cluster/objects.ts'
import { namespaceKey } from '../labels.ts'
import type { PolicyEntry } from './entry.ts'
import {
  hasLabel,
  namespaceRequirements,
  type Requirement,
  requirementsOf,
  type Selector,
  selectCidr,
  selectLabels,
  wildcard,
} from './selector.ts'

function peerSelectors(peer: NetworkPolicyPeer, namespace: string): readonly Selector[] {
  const { podSelector, namespaceSelector, ipBlock } = peer
  if (ipBlock !== undefined) {
    const selector = selectCidr(ipBlock.cidr, ipBlock.except)
    return selector === undefined ? [] : [selector]
  }
  const pods = podSelector === undefined ? [] : requirementsOf(podSelector, 'k8s')
  const where: readonly Requirement[] =
    namespaceSelector === undefined
      ? [hasLabel('k8s', namespaceKey, namespace)]
      : namespaceRequirements(namespaceSelector)
  return [selectLabels([...where, ...pods])]
}

function portProtocol({ port, endPort, protocol }: NetworkPolicyPort): PortProtocol {
  return {
    port: String(port ?? 0),
    protocol: protocol ?? 'TCP',
    ...(endPort === undefined ? {} : { endPort }),
  }
}

interface Rule {
  readonly peers: readonly NetworkPolicyPeer[] | undefined
  readonly ports: readonly NetworkPolicyPort[] | undefined
}

/** The entries of a NetworkPolicy. `ranges`: whether the version knows `endPort`. */
export function networkPolicyEntries(policy: NetworkPolicyObject, ranges: boolean): readonly PolicyEntry[] {
  const { spec, namespace, name } = policy
  const subject = selectLabels([
    ...requirementsOf(spec.podSelector ?? {}, 'k8s'),
    hasLabel('k8s', namespaceKey, namespace),
  ])
  const common = { subject, node: false, deny: false, defaultDeny: true, origin: `${namespace}/${name}` }
  const entriesOf = (rules: readonly Rule[], ingress: boolean): readonly PolicyEntry[] =>
    rules.flatMap(({ peers, ports }) => {
      const all = peers === undefined || peers.length === 0 ? [undefined] : peers
      const rulePorts = (ports ?? []).map((port) => {
        const { endPort, ...plain } = portProtocol(port)
        return { ports: [ranges && endPort !== undefined ? { ...plain, endPort } : plain] }
      })
      return all.map((peer) => ({
        ...common,
        ingress,
        peers: peer === undefined ? [wildcard] : peerSelectors(peer, namespace),
        ports: rulePorts,
      }))
    })
  const types = spec.policyTypes ?? []
  const ingress = entriesOf(
    (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports })),
    true,
  )
  const egress = entriesOf(
    (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports })),
    false,
  )
  const nothing = (direction: boolean): PolicyEntry => ({
    ...common,
    ingress: direction,
    peers: [],
    ports: [],
  })
  const denies = ingress.length === 0 && (types.includes('Ingress') || !types.includes('Egress'))
  return [
    ...(denies ? [nothing(true)] : ingress),
    ...(egress.length === 0 && types.includes('Egress') ? [nothing(false)] : egress),
  ]
}

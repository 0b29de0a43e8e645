// The egress gateway manager of an agent: which connections of which pods leave through which node with which address. Every
// node has the entries of all pods; only the gateway knows the address (cilium pkg/egressgateway/{manager,policy}.go).
import { hash32 } from '../../base/hash.ts'
import type { EgressGateway } from '../../cluster/egress-gateway-policy.ts'
import type { EgressGatewayObject } from '../../cluster/objects.ts'
import { formatIp, type IpAddress, isIpv4, parseIp } from '../../net/address.ts'
import { formatPrefix, type Prefix, parsePrefix } from '../../net/prefix.ts'
import type { Label } from './labels.ts'
import type { NodeAddresses } from './node-addresses.ts'
import {
  namespaceRequirements,
  requirementsOf,
  type Selector,
  selectLabels,
  selects,
} from './policy/selector.ts'
import type { Registry } from './registry.ts'
import type { AgentNode, AgentPod } from './told.ts'

/** One entry of cilium_egress_gw_policy_v4 or _v6. */
export interface EgressRule {
  readonly source: IpAddress
  /** As it was written: bits behind the length may be set. */
  readonly destination: Prefix
  /** Undefined: this node is not the gateway, or has no such address. */
  readonly egressAddress: IpAddress | undefined
  /** The gateway's address of IPv4 in either family. */
  readonly gateway: IpAddress | 'not-found' | 'excluded'
  /** The device that it leaves by, in the map of IPv6 only; undefined: by the routing table. */
  readonly device: string | undefined
  readonly origin: string
}

/** What the agent of one node makes of the policies. */
export interface EgressState {
  readonly rules: readonly EgressRule[]
  /** Devices that connections leave by: their reverse path filter is relaxed. */
  readonly devices: readonly string[]
}

/** A gateway as one agent sees it. */
interface Gateway {
  readonly address: IpAddress | undefined
  readonly egress4: IpAddress | undefined
  readonly egress6: IpAddress | undefined
  readonly device: string | undefined
  readonly isHere: boolean
  /** Whether the device's number goes into the map. */
  readonly namesDevice: boolean
}

const noGateway: Gateway = {
  address: undefined,
  egress4: undefined,
  egress6: undefined,
  device: undefined,
  isHere: false,
  namesDevice: false,
}

/** A pod that takes part, with the labels that selectors see. */
interface Source {
  readonly name: string
  readonly addresses: readonly IpAddress[]
  readonly labels: readonly Label[]
  readonly node: AgentNode | undefined
}

function nodeLabels(node: AgentNode): readonly Label[] {
  return Object.entries(node.labels).map(([key, value]) => ({ source: 'k8s', key, value }))
}

function labelSelector(selector: Parameters<typeof requirementsOf>[0]): Selector {
  return selectLabels(requirementsOf(selector, 'k8s'))
}

type Rule = EgressGatewayObject['spec']['selectors'][number]

function selectsPod({ namespaceSelector, podSelector }: Rule, labels: readonly Label[]): boolean {
  return selects(
    selectLabels([
      ...(namespaceSelector === undefined ? [] : namespaceRequirements(namespaceSelector)),
      ...(podSelector === undefined ? [] : requirementsOf(podSelector, 'k8s')),
    ]),
    labels,
  )
}

/** matchesEndpointLabels() and matchesNodeLabels(): any rule for the pod, any rule with a node selector for its node. */
function isSelected({ selectors }: EgressGatewayObject['spec'], { labels, node }: Source): boolean {
  // a selector of Kubernetes objects sees labels of that source only (labels.K8sSet)
  const own = labels.filter(({ source }) => source === 'k8s')
  if (!selectors.some((rule) => selectsPod(rule, own))) return false
  const nodes = selectors.flatMap(({ nodeSelector }) => (nodeSelector === undefined ? [] : [nodeSelector]))
  const where = node === undefined ? [] : nodeLabels(node)
  return nodes.length === 0 || nodes.some((each) => selects(labelSelector(each), where))
}

interface Device {
  readonly name: string
  readonly four: IpAddress | undefined
  readonly six: IpAddress | undefined
}

function deviceNamed({ devices }: AgentNode, name: string | undefined): Device | undefined {
  const found = devices.find((each) => each.name === name)
  if (found === undefined) return undefined
  const all = found.addresses.map(({ address }) => address)
  return { name: found.name, four: all.find(isIpv4), six: all.find((each) => !isIpv4(each)) }
}

/** deriveFromPolicyGatewayConfig(): address and device of the gateway itself; nothing but its place where one is missing. */
function ownGateway(node: AgentNode, written: EgressGateway, needsSix: boolean): Partial<Gateway> {
  if (written.interface === undefined && written.egressIP !== undefined) {
    const egress4 = parseIp(written.egressIP)
    const holder = node.devices.find(({ addresses }) =>
      addresses.some(({ address }) => egress4 !== undefined && formatIp(address) === formatIp(egress4)),
    )
    return holder === undefined ? {} : { egress4, device: holder.name, isHere: true }
  }
  const { four, six } = node.defaultRoutes
  if (written.interface === undefined && needsSix && six !== four) return {}
  const device = deviceNamed(node, written.interface ?? four)
  if (device?.four === undefined || (needsSix && device.six === undefined)) return {}
  const egress6 = needsSix ? device.six : undefined
  return { egress4: device.four, egress6, device: device.name, isHere: true, namesDevice: true }
}

/** regenerateGatewayConfig(): the first node by name that a gateway's selector chooses, in the order of their addresses. */
function gatewaysOf(
  { spec }: EgressGatewayObject,
  own: NodeAddresses,
  all: readonly NodeAddresses[],
): readonly Gateway[] {
  const written = spec.egressGateways?.length ? spec.egressGateways : [spec.egressGateway]
  const needsSix = spec.destinationCIDRs.some((text) => text.includes(':'))
  const byName = [...all].sort((left, right) => (left.node.name < right.node.name ? -1 : 1))
  const found = written.flatMap((each): readonly Gateway[] => {
    const selector = labelSelector(each.nodeSelector)
    const node = byName.find((one) => one.ip4 !== undefined && selects(selector, nodeLabels(one.node)))
    if (node === undefined) return []
    const here = node === own ? ownGateway(own.node, each, needsSix) : {}
    return [{ ...noGateway, address: node.ip4, ...here }]
  })
  if (found.length === 0) return [noGateway]
  return found.sort((left, right) => Number(left.address) - Number(right.address))
}

/** Which of several gateways a pod takes. Real agents hash the UID of its CiliumEndpoint, which nobody writes. */
function gatewayOf(gateways: readonly Gateway[], { name }: Source): Gateway {
  return gateways[gateways.length > 1 ? hash32(name, 0) % gateways.length : 0] ?? noGateway
}

/** forEachEndpointAndCIDR(): the entries of one policy. */
function policyRules(
  policy: EgressGatewayObject,
  gateways: readonly Gateway[],
  sources: readonly Source[],
): readonly EgressRule[] {
  const { spec, name: origin } = policy
  const cidrs = [
    ...spec.destinationCIDRs.map((text) => ({ text, excluded: false })),
    ...(spec.excludedCIDRs ?? []).map((text) => ({ text, excluded: true })),
  ]
  return sources
    .filter((source) => isSelected(spec, source))
    .flatMap((source) => {
      const gateway = gatewayOf(gateways, source)
      return source.addresses.flatMap((address) =>
        cidrs.flatMap(({ text, excluded }): readonly EgressRule[] => {
          const destination = parsePrefix(text)
          if (destination === undefined || isIpv4(destination.address) !== isIpv4(address)) return []
          const four = isIpv4(address)
          return [
            {
              source: address,
              destination,
              egressAddress: four ? gateway.egress4 : gateway.egress6,
              gateway: excluded ? 'excluded' : (gateway.address ?? 'not-found'),
              device: !four && gateway.namesDevice ? gateway.device : undefined,
              origin,
            },
          ]
        }),
      )
    })
}

/** The entries of a node's maps. Where two policies give one, Cilium leaves it open which; here the last by name does. */
export function egressState(
  own: NodeAddresses,
  all: readonly NodeAddresses[],
  pods: readonly AgentPod[],
  { registry, policies }: { readonly registry: Registry; readonly policies: readonly EgressGatewayObject[] },
): EgressState {
  if (!own.node.config.egressGateway) return { rules: [], devices: [] }
  const nodes = new Map(all.map(({ node }) => [node.name, node]))
  const sources = pods
    .filter(({ object }) => !object.hostNetwork)
    .map(
      (pod): Source => ({
        name: `${pod.object.namespace}/${pod.object.name}`,
        addresses: pod.addresses,
        labels: registry.podIdentities.get(pod)?.labels ?? [],
        node: nodes.get(pod.node),
      }),
    )
  const rules = new Map<string, EgressRule>()
  const devices = new Set<string>()
  for (const policy of [...policies].sort((left, right) => (left.name < right.name ? -1 : 1))) {
    const gateways = gatewaysOf(policy, own, all)
    for (const { isHere, device } of gateways) if (isHere && device !== undefined) devices.add(device)
    for (const rule of policyRules(policy, gateways, sources)) {
      rules.set(`${formatIp(rule.source)} ${formatPrefix(rule.destination)}`, rule)
    }
  }
  return { rules: [...rules.values()], devices: [...devices] }
}

// Builders of the world before the first packet: clusters, nets, hosts, pods, services, policies.
import type * as ast from './ast.ts'
import { makeOption, type OptionValue } from './build-words.ts'

export function topology(span: ast.Span, items: readonly ast.TopologyItem[]): ast.Topology {
  return { kind: 'topology', span, items }
}

export function use(span: ast.Span, name: ast.Word): ast.Use {
  return { kind: 'use', span, name }
}

export function ciliumCluster(
  span: ast.Span,
  version: ast.Word | null,
  items: readonly ast.ClusterItem[] | null,
): ast.Cluster {
  return { kind: 'cluster', span, type: 'cilium', version, mode: null, items: items ?? [] }
}

export function kubeProxyCluster(
  span: ast.Span,
  mode: ast.Word,
  items: readonly ast.ClusterItem[] | null,
): ast.Cluster {
  return { kind: 'cluster', span, type: 'kube-proxy', version: null, mode, items: items ?? [] }
}

export function plainCluster(span: ast.Span, items: readonly ast.ClusterItem[] | null): ast.Cluster {
  return { kind: 'cluster', span, type: 'none', version: null, mode: null, items: items ?? [] }
}

export function helm(span: ast.Span, key: ast.Word, value: ast.Word): ast.Setting {
  return { kind: 'setting', span, form: 'helm', key, value }
}

/** `dns-answer www.example.com 192.0.2.1 192.0.2.2`: the name is the first value. */
export function dnsAnswer(
  span: ast.Span,
  name: string,
  domain: ast.Word,
  addresses: readonly ast.Word[],
): ast.Option {
  return { kind: 'option', span, name, values: [domain, ...addresses] }
}

export function flag(span: ast.Span, key: ast.Word, value: ast.Word): ast.Setting {
  return { kind: 'setting', span, form: 'flag', key, value }
}

export function net(span: ast.Span, name: ast.Word, prefixes: readonly ast.Word[]): ast.Net {
  return { kind: 'net', span, name, prefixes }
}

export function node(span: ast.Span, name: ast.Word, items: readonly ast.HostItem[] | null): ast.Host {
  return { kind: 'node', span, name, on: null, items: items ?? [] }
}

export function netns(
  span: ast.Span,
  name: ast.Word,
  on: ast.Word | null,
  items: readonly ast.HostItem[] | null,
): ast.Host {
  return { kind: 'netns', span, name, on, items: items ?? [] }
}

export function external(
  span: ast.Span,
  name: ast.Word,
  net: ast.Word,
  addresses: readonly ast.Word[],
  options: ast.External['options'],
  items: readonly ast.HostItem[] | null,
): ast.External {
  return { kind: 'external', span, name, net, addresses, options, items: items ?? [] }
}

export function pod(
  span: ast.Span,
  name: ast.Word,
  node: ast.Word,
  addresses: readonly ast.Word[],
  labels: readonly ast.Label[] | null,
  options: ast.Pod['options'],
  items: readonly ast.HostItem[] | null,
): ast.Pod {
  return { kind: 'pod', span, name, node, addresses, labels: labels ?? [], options, items: items ?? [] }
}

export function podOption(
  span: ast.Span,
  name: ast.PodOptionName,
  value: OptionValue,
): ast.Option<ast.PodOptionName> {
  return makeOption(span, name, value)
}

export function service(
  span: ast.Span,
  name: ast.Word,
  type: ast.ServiceType,
  head: readonly ast.ServicePort[] | null,
  block: readonly (ast.ServicePort | ast.Option)[] | null,
): ast.Service {
  const items = block ?? []
  const ports = [...(head ?? []), ...items.filter((item) => item.kind === 'service-port')]
  return { kind: 'service', span, name, type, ports, options: items.filter((item) => item.kind === 'option') }
}

export function selectingPort(
  span: ast.Span,
  protocol: ast.ServicePort['protocol'],
  address: ast.Word | null,
  port: ast.Word,
  nodePort: ast.Word | null,
  selector: readonly ast.Label[],
  targetPort: ast.Word | null,
): ast.ServicePort {
  return { kind: 'service-port', span, protocol, address, port, nodePort, selector, backends: [], targetPort }
}

export function backendPort(
  span: ast.Span,
  protocol: ast.ServicePort['protocol'],
  address: ast.Word | null,
  port: ast.Word,
  nodePort: ast.Word | null,
  backends: readonly ast.Word[],
  targetPort: ast.Word | null,
): ast.ServicePort {
  return { kind: 'service-port', span, protocol, address, port, nodePort, selector: [], backends, targetPort }
}

/** `session-affinity MODE [TIMEOUT]`. */
export function affinity(span: ast.Span, name: string, mode: ast.Word, timeout: ast.Word | null): ast.Option {
  return makeOption(span, name, timeout === null ? mode : [mode, timeout])
}

export function policy(
  span: ast.Span,
  name: ast.Word,
  selector: readonly ast.Label[],
  rules: readonly ast.PolicyRule[],
): ast.Policy {
  return { kind: 'policy', span, name, selector, rules }
}

/** The peer of a policy rule, before the rule is made. */
export type PolicyPeer = Pick<ast.PolicyRule, 'peer' | 'entities'>

export function labelPeer(_span: ast.Span, peer: readonly ast.Label[]): PolicyPeer {
  return { peer, entities: [] }
}

export function entityPeer(_span: ast.Span, entities: readonly ast.Word[]): PolicyPeer {
  return { peer: [], entities }
}

/** The ports of a policy rule, before the rule is made. */
export type PolicyPorts = Pick<ast.PolicyRule, 'protocol' | 'ports'>

export function policyPorts(
  _span: ast.Span,
  protocol: PolicyPorts['protocol'],
  ports: readonly ast.Word[] | null,
): PolicyPorts {
  return { protocol, ports: ports ?? [] }
}

export function policyRule(
  span: ast.Span,
  direction: ast.PolicyRule['direction'],
  decision: ast.PolicyRule['decision'],
  from: PolicyPeer | null,
  to: PolicyPorts | null,
): ast.PolicyRule {
  const { peer, entities } = from ?? { peer: [], entities: [] }
  const { protocol, ports } = to ?? { protocol: null, ports: [] }
  return { kind: 'policy-rule', span, direction, decision, peer, entities, protocol, ports }
}

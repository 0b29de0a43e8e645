// What the language is told of clusters: how manifests read, what agents refuse, what plugins and agents install.
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Span } from '../base/text.ts'
import type { AgentState } from '../cilium/agent/agent.ts'
import { bandwidthAnnotations, podRates } from '../cilium/agent/bandwidth.ts'
import type { AgentCluster } from '../cilium/agent/told.ts'
import { readManifest } from '../cluster/manifest.ts'
import type { NodeObject, PodObject } from '../cluster/objects.ts'
import type { CiliumModel, ClusterKnowledge, ManifestReading } from '../model/cluster.ts'
import { mistake, warning } from '../model/diagnose.ts'
import { notYet } from '../model/resolve/unavailable.ts'
import { isIpv4 } from '../net/address.ts'
import { decisionsOf } from './cilium-deploy.ts'
import { originOf, settledOptions, toldCluster } from './cilium-told.ts'
import { deployWorld } from './deploy.ts'

const readings = new Map<string, ManifestReading>()

/** The pods and mistakes of a manifest; a text that was read before is not read again. */
function reading(text: string): ManifestReading {
  const known = readings.get(text)
  if (known !== undefined) return known
  const { objects, mistakes } = readManifest(text)
  const pods = objects.flatMap(({ object, name }) =>
    object.kind === 'Pod' ? [{ ...podFacts(object), ...name }] : [],
  )
  const nodes = objects.flatMap(({ object }) => (object.kind === 'Node' ? [object] : []))
  const made = {
    pods,
    nodeLabels: new Map(nodes.map(({ name, labels }: NodeObject) => [name, labels])),
    mistakes,
    objects: objects.map(({ object }) => ({ kind: object.kind, name: originOf(object) })),
  }
  // a few texts at a time: files are checked one after the other
  if (readings.size > 64) readings.clear()
  readings.set(text, made)
  return made
}

function podFacts(pod: PodObject): Omit<ManifestReading['pods'][number], 'start' | 'end'> {
  const { name, namespace, node, nodeSelector, addresses, labels, serviceAccount, hostNetwork } = pod
  return { name, namespace, node, nodeSelector, addresses, labels, serviceAccount, hostNetwork }
}

/** Options that are none, refusals and fallbacks of the agents. */
function examineOptions(model: CiliumModel): readonly Diagnostic[] {
  const diagnostics: Diagnostic[] = []
  const { version, exact, problems, nodes } = settledOptions(model)
  if (!exact) {
    const hint = `it behaves as ${version} here`
    diagnostics.push(
      warning('S150', model.span, `Cilium ${model.version ?? ''} is not followed exactly`, { hint }),
    )
  }
  for (const { index, part, severity, message, hint } of problems) {
    const option = model.options[index]
    const span = (part === 'key' ? option?.keySpan : option?.valueSpan) ?? model.span
    const extra = hint === undefined ? {} : { hint }
    if (severity === 'later') notYet(span, message, (each) => diagnostics.push(each))
    else diagnostics.push((severity === 'error' ? mistake : warning)('S147', span, message, extra))
  }
  for (const { node, settled } of nodes) {
    for (const { kind, index, message, hint } of settled.notices) {
      const span = (index === undefined ? undefined : model.options[index]?.keySpan) ?? model.span
      const extra = {
        ...(hint === undefined ? {} : { hint }),
        ...(node.kernel === undefined
          ? {}
          : { notes: [{ message: `on \`${node.name}\`, Linux ${node.kernel}`, span: node.span }] }),
      }
      diagnostics.push(
        kind === 'refused' ? mistake('S148', span, message, extra) : warning('S149', span, message, extra),
      )
    }
  }
  return diagnostics
}

/** Pods without an address, annotations and policies without effect: of manifests and options without mistakes. */
function examineObjects(model: CiliumModel): readonly Diagnostic[] {
  return [...familyMistakes(model), ...bandwidthRemarks(model), ...policyRemarks(model)]
}

/** Agents give pods no address of a family that is off. */
function familyMistakes(model: CiliumModel): readonly Diagnostic[] {
  const { nodes } = toldCluster(model).cluster
  const configs = new Map(nodes.map(({ name, config }) => [name, config]))
  return model.pods.flatMap(({ name, node, addresses, span }): readonly Diagnostic[] => {
    const config = configs.get(node)
    if (config === undefined || addresses.length === 0) return []
    if (addresses.some((address) => (isIpv4(address) ? config.ipv4 : config.ipv6))) return []
    const off = config.ipv4 ? 'IPv6' : 'IPv4'
    const hint = `\`${off.toLowerCase()} on\`, or an address of the other family`
    return [mistake('S143', span, `pod \`${name}\` has only ${off} addresses, and ${off} is off`, { hint })]
  })
}

/** Annotations about bandwidth that the agent cannot read, or that nothing carries out. */
function bandwidthRemarks(model: CiliumModel): readonly Diagnostic[] {
  const { nodes, pods } = toldCluster(model).cluster
  const managing = new Set(nodes.flatMap(({ name, config }) => (config.bandwidthManager ? [name] : [])))
  const spans = new Map(model.pods.map(({ name, span }) => [name, span]))
  return pods.flatMap(({ object, name, node }): readonly Diagnostic[] => {
    const span = spans.get(name) ?? model.span
    if (!managing.has(node)) {
      return bandwidthAnnotations(object).map((annotation) =>
        warning(
          'S149',
          span,
          'Endpoint has bandwidth annotation, but BPF bandwidth manager is disabled. This annotation is ignored.',
          { hint: `\`bandwidth-manager on\` carries out \`${annotation}\`` },
        ),
      )
    }
    const { unread } = podRates(object)
    if (unread === undefined) return []
    const message = `the agent cannot read \`${unread.text}\` of \`${unread.annotation}\` and sets no limit`
    return [warning('S149', span, message, { hint: 'a quantity of bits a second: `10M`, `1Gi`' })]
  })
}

/** Policies that select nothing, and rules that exclude each other. */
function policyRemarks(model: CiliumModel): readonly Diagnostic[] {
  const { cluster, policies } = toldCluster(model)
  const { registry, agents } = decisionsOf(model)
  const idle = registry.idlePolicies(agents.flatMap(({ endpoints }) => endpoints))
  const places = new Map(policies.toReversed().map(({ origin, span }) => [origin, span]))
  const placeOf = (origin: string): Span => places.get(origin) ?? model.span
  const conflicts = new Map(
    agents.flatMap(({ policies: all }) =>
      [...all.values()].flatMap((each) =>
        each.conflicts.map((conflict) => [conflict.message, conflict] as const),
      ),
    ),
  )
  const proxied = redirecting(agents)
  const redirected = policies.filter(({ origin }) => proxied.has(origin))
  const proxies: Diagnostic[] = []
  for (const { span } of redirected) notYet(span, 'the proxy of this rule', (each) => proxies.push(each))
  return [
    ...proxies,
    ...egressRemarks(cluster, agents).map(({ origin, message, hint }) =>
      warning('S151', placeOf(origin), message, { hint }),
    ),
    ...idle.map((origin) =>
      warning('S151', placeOf(origin), `the policy \`${origin}\` selects nothing`, {
        hint: 'no pod has these labels',
      }),
    ),
    ...[...conflicts.values()].map(({ message, origins }) =>
      warning('S151', placeOf(origins.at(-1) ?? ''), message, {
        hint: `the rules of ${origins.join(' and ')}`,
      }),
    ),
  ]
}

/** Egress gateway policies that do nothing, choose nobody, or have no gateway. */
function egressRemarks(
  { egressPolicies, nodes }: AgentCluster,
  agents: readonly AgentState[],
): readonly { readonly origin: string; readonly message: string; readonly hint: string }[] {
  return egressPolicies.flatMap(({ name: origin }) => {
    if (nodes.every(({ config }) => !config.egressGateway)) {
      const message = `the policy \`${origin}\` does nothing: the egress gateway is off`
      return [{ origin, message, hint: '`egress-gateway on`, with `bpf-masquerade on`' }]
    }
    const rules = agents.flatMap(({ egress }) => egress.rules.filter((rule) => rule.origin === origin))
    if (rules.length === 0) {
      const hint = 'no pod has these labels, or none an address of the family of the destinations'
      return [{ origin, message: `the policy \`${origin}\` selects nothing`, hint }]
    }
    if (rules.some(({ gateway }) => gateway === 'not-found')) {
      const message = `the policy \`${origin}\` has no gateway: what it selects is dropped`
      return [{ origin, message, hint: 'no node has the labels of its `nodeSelector`' }]
    }
    if (rules.every(({ egressAddress }) => egressAddress === undefined)) {
      const message = `the gateway of the policy \`${origin}\` has no such address or device: what it selects is dropped`
      return [{ origin, message, hint: 'an `egressIP` is an address of one of its devices' }]
    }
    return []
  })
}

/** The policies with an entry that sends packets to a proxy that does not run: for server names, or of a CiliumEnvoyConfig. */
function redirecting(agents: readonly AgentState[]): ReadonlySet<string> {
  // endpoints share policies
  const policies = new Set(agents.flatMap((agent) => [...agent.policies.values()]))
  const origins = [...policies].flatMap(({ redirects, entries }) => {
    const missing = redirects.filter(({ parser }) => parser !== 'http' && parser !== 'dns')
    const ports = new Set(missing.map(({ proxyPort }) => proxyPort))
    return entries.filter(({ proxyPort }) => ports.has(proxyPort)).flatMap((entry) => entry.origins)
  })
  return new Set(origins)
}

/** For `check`. */
export const clusterKnowledge: ClusterKnowledge = {
  readManifest: reading,
  examineOptions,
  examineObjects,
  plan: deployWorld,
}

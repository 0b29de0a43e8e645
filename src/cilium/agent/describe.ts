// What an agent decided, as lines of text for `scn expand`: nothing that it writes anywhere is hidden.
import { formatIp } from '../../net/address.ts'
import { formatPrefix } from '../../net/prefix.ts'
import type { AgentState, ClusterState } from './agent.ts'
import type { Throttle } from './bandwidth.ts'
import { endpointDefines, nodeDefines } from './defines.ts'
import { describeIdentity } from './identity.ts'
import { describeIpcache } from './ipcache.ts'
import { lpmLength, type PolicyMapEntry } from './policy/map-entry.ts'

/** Identities of the cluster: `4521 k8s:app=client ...`. */
export function describeIdentities({ registry }: ClusterState): readonly string[] {
  const lines = registry.identities.map((each) => `identity ${each.id} ${describeIdentity(each)}`)
  return [...new Set(lines)]
}

const protocolNames: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
}

function portText(entry: PolicyMapEntry): string {
  const { protocol, port, portLength } = entry
  if (protocol === 0) return 'any'
  const name = protocolNames[protocol] ?? String(protocol)
  if (portLength === 0) return name
  return portLength === 16 ? `${name}/${port}` : `${name}/${port}-${port + 2 ** (16 - portLength) - 1}`
}

/** `ingress 4521 tcp/80 allow proxy 14233 precedence 0xffffff9a lpm 24`. */
export function describeEntry(entry: PolicyMapEntry): string {
  const { egress, identity, deny, proxyPort, precedence, authType, hasExplicitAuth, cookie } = entry
  return [
    egress ? 'egress' : 'ingress',
    identity === 0 ? 'any' : String(identity),
    portText(entry),
    deny ? 'deny' : 'allow',
    ...(proxyPort === 0 ? [] : [`proxy ${proxyPort}`]),
    ...(authType === 0 && !hasExplicitAuth ? [] : [`auth ${authType}${hasExplicitAuth ? '' : ' (derived)'}`]),
    ...(precedence === 0
      ? []
      : [`precedence 0x${precedence.toString(16).padStart(8, '0')} lpm ${lpmLength(entry)}`]),
    ...(cookie === 0 ? [] : [`cookie ${cookie}`]),
    `by ${entry.origins.join(', ')}`,
  ].join(' ')
}

/** `throttle 101 egress 1250000 bytes/s priority 5`. */
function describeThrottle({ endpoint, direction, bytesPerSecond, priority }: Throttle): string {
  const rate = bytesPerSecond === 0 ? 'unlimited' : `${bytesPerSecond} bytes/s`
  return `throttle ${endpoint} ${direction} ${rate}${priority === 0 ? '' : ` priority ${priority - 1}`}`
}

/** Programs' features, endpoints with their policies, ipcache of a node. */
export function describeAgent(agent: AgentState): readonly string[] {
  const { node, endpoints, policies, ipcache, tunnelMap, throttles } = agent
  return [
    `defines ${nodeDefines(node.config).join(' ')}`,
    ...endpoints.flatMap((endpoint) => {
      const policy = policies.get(endpoint.id)
      const where = endpoint.device === undefined ? '' : ` on ${endpoint.device.name}`
      const addresses = endpoint.addresses.map(formatIp).join(' ')
      const enforced = [
        ...(policy?.ingressEnforced === true ? ['ingress'] : []),
        ...(policy?.egressEnforced === true ? ['egress'] : []),
      ]
      return [
        `endpoint ${endpoint.id} ${endpoint.name}${where} identity ${endpoint.identity.id} ${addresses} enforces ${enforced.join(' ') || 'nothing'}`,
        `  defines ${endpointDefines(node.config, endpoint).join(' ')}`,
        ...(policy?.entries ?? []).map((entry) => `  policy ${describeEntry(entry)}`),
      ]
    }),
    ...ipcache.map((entry) => `ipcache ${formatPrefix(entry.prefix)} ${describeIpcache(entry)}`),
    ...throttles.map(describeThrottle),
    ...tunnelMap.map(({ prefix, endpoint }) => `tunnel ${formatPrefix(prefix)} ${formatIp(endpoint)}`),
  ]
}

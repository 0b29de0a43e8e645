// What `cilium endpoint list` and `cilium identity list` print of an agent's decisions.
import { formatIp, isIpv4 } from '../../net/address.ts'
import type { AgentState } from '../agent/agent.ts'
import type { Endpoint } from '../agent/endpoint.ts'
import { formatLabel, type Label } from '../agent/labels.ts'
import { tabTable } from './tab-table.ts'

/** Labels as Cilium's tools print them: sorted as text. */
export function printedLabels(labels: readonly Label[]): readonly string[] {
  return labels.map(formatLabel).sort()
}

function endpointRows(agent: AgentState, endpoint: Endpoint): readonly (readonly string[])[] {
  const policy = agent.policies.get(endpoint.id)
  const enforced = (is: boolean | undefined): string => (is === true ? 'Enabled' : 'Disabled')
  // the host endpoint has no address of its own
  const own = endpoint.kind === 'host' ? [] : endpoint.addresses
  const six = own.find((address) => !isIpv4(address))
  const four = own.find(isIpv4)
  const [label = 'no labels', ...others] = printedLabels(endpoint.identity.labels)
  const first = [
    String(endpoint.id),
    enforced(policy?.ingressEnforced),
    enforced(policy?.egressEnforced),
    String(endpoint.identity.id),
    label,
    six === undefined ? '' : formatIp(six),
    four === undefined ? '' : formatIp(four),
    'ready',
    '',
  ]
  return [first, ...others.map((each) => ['', '', '', '', each, '', '', '', ''])]
}

/** `cilium endpoint list` */
export function agentEndpoints(agent: AgentState): string {
  const titles = [
    'ENDPOINT',
    'POLICY (ingress)',
    'POLICY (egress)',
    'IDENTITY',
    'LABELS (source:key[=value])',
    'IPv6',
    'IPv4',
    'STATUS',
    '',
  ]
  const second = ['', 'ENFORCEMENT', 'ENFORCEMENT', '', '', '', '', '']
  const sorted = [...agent.endpoints].sort((left, right) => left.id - right.id)
  return tabTable([titles, second, ...sorted.flatMap((endpoint) => endpointRows(agent, endpoint))])
}

const narrow = 2

/** `cilium identity list` */
export function agentIdentities(agent: AgentState): string {
  const sorted = [...agent.identities].sort((left, right) => left.id - right.id)
  const rows = sorted.flatMap(({ id, labels }) => {
    const [first = '', ...others] = printedLabels(labels)
    return [[String(id), first], ...others.map((label) => ['', label])]
  })
  return tabTable([['ID', 'LABELS'], ...rows], narrow)
}

// Which endpoint an address of a flow is, as the agent of a node resolves it: its own endpoints with their number, pods of
// other nodes by what the ipcache says of them, everything else by its identity. pkg/hubble/parser/common/endpoint.go
import { formatIp, type IpAddress } from '../../net/address.ts'
import { covers } from '../../net/prefix.ts'
import type { AgentState } from '../agent/agent.ts'
import type { Endpoint } from '../agent/endpoint.ts'
import { clusterKey } from '../agent/labels.ts'
import type { FlowEndpoint } from '../decode/hubble.ts'
import type { InstalledCilium } from '../installed.ts'
import { printedLabels } from './agent-lists.ts'

/** Endpoints of a node by address; the host's addresses are nobody's. */
function byAddress({ endpoints }: AgentState): ReadonlyMap<string, Endpoint> {
  return new Map(
    endpoints
      .filter(({ kind }) => kind !== 'host')
      .flatMap((endpoint) => endpoint.addresses.map((address) => [formatIp(address), endpoint] as const)),
  )
}

function ipcacheIdentity({ ipcache }: AgentState, address: IpAddress): number {
  const found = ipcache
    .filter(({ prefix }) => covers(prefix, address))
    .sort((left, right) => right.prefix.length - left.prefix.length)
  return found[0]?.identity ?? 0
}

function podFields(endpoint: Endpoint | undefined): FlowEndpoint {
  if (endpoint?.pod === undefined) return {}
  const { namespace, name } = endpoint.pod.object
  return { namespace, pod_name: name }
}

/** The endpoints of all nodes at one time, by address. */
type Known = ReadonlyMap<string, { readonly agent: AgentState; readonly own: ReadonlyMap<string, Endpoint> }>

function knownBy(nodes: InstalledCilium['nodes']): Known {
  return new Map([...nodes].map(([name, { agent }]) => [name, { agent, own: byAddress(agent) }]))
}

function endpointFields(known: Known, node: string, address: IpAddress, identity: number): FlowEndpoint {
  const here = known.get(node)
  if (here === undefined) return {}
  const { agent, own } = here
  const text = formatIp(address)
  const local = own.get(text)
  const anywhere =
    local ?? [...known.values()].map((each) => each.own.get(text)).find((each) => each !== undefined)
  const told = identity !== 0 ? identity : (local?.identity.id ?? ipcacheIdentity(agent, address))
  const labels = (local?.identity ?? agent.identities.find(({ id }) => id === told))?.labels ?? []
  const cluster = labels.find(({ key }) => key === clusterKey)?.value
  return {
    ...(local === undefined ? {} : { ID: local.id }),
    ...(told === 0 ? {} : { identity: told }),
    ...(cluster === undefined ? {} : { cluster_name: cluster }),
    ...podFields(anywhere),
    ...(labels.length === 0 ? {} : { labels: printedLabels(labels) }),
  }
}

/**
 * ResolveEndpoint() of every node, as the agents knew them when a packet was born (its number in the run). What the datapath
 * says of an identity goes before what the agent knows.
 */
export function flowEndpoints(
  cilium: InstalledCilium,
): (node: string, address: IpAddress, identity: number, born: number) => FlowEndpoint {
  const past = cilium.past.map(({ packets, nodes }) => ({ packets, known: knownBy(nodes) }))
  const now = knownBy(cilium.nodes)
  return (node, address, identity, born) => {
    const known = past.find(({ packets }) => born < packets)?.known ?? now
    return endpointFields(known, node, address, identity)
  }
}

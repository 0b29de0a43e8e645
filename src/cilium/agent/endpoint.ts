// Endpoints of a node: its pods, the host and the health endpoint, with the numbers that programs and maps know them by.
import { numbersFor } from '../../base/hash.ts'
import type { IpAddress } from '../../net/address.ts'
import { type Mac, zeroMac } from '../../net/mac.ts'
import { type Identity, reservedIdentity } from './identity.ts'
import { type Label, reservedLabel, sortLabels } from './labels.ts'
import type { NodeAddresses } from './node-addresses.ts'
import type { Registry } from './registry.ts'
import type { AgentNode, AgentPod } from './told.ts'

export interface Endpoint {
  readonly kind: 'pod' | 'host' | 'health'
  /** `default/web`, `host`, `health`. */
  readonly name: string
  /** 1 to 4095. */
  readonly id: number
  readonly identity: Identity
  readonly addresses: readonly IpAddress[]
  /** The host's end of its pair; undefined for the host. */
  readonly device: { readonly name: string; readonly mac: Mac } | undefined
  /** The address of the device inside. */
  readonly mac: Mac | undefined
  readonly pod: AgentPod | undefined
  /** cil_to_container is attached: per-endpoint routes. */
  readonly requiresEgressProgram: boolean
  /** A route of its own to the device. */
  readonly installsRoute: boolean
}

const firstId = 1
const lastId = 4095

/** `default/web`. */
export function endpointName({ object }: AgentPod): string {
  return `${object.namespace}/${object.name}`
}

/** What an endpoint's number is made of: a pod that comes back is another endpoint. */
function numberedName(name: string, pod: AgentPod | undefined): string {
  return pod === undefined || pod.returned === 0 ? name : `${name} ${pod.returned}`
}

/** The device of the health endpoint, and its other end. */
export const healthDevice = 'lxc_health'
export const healthPeer = 'cilium'

/** The labels of the host endpoint: those of the node with `reserved:host`. */
export function hostLabels(node: AgentNode, isApiServer: boolean): readonly Label[] {
  const own = Object.entries(node.labels).map(([key, value]): Label => ({ source: 'k8s', key, value }))
  return sortLabels([
    ...own,
    reservedLabel('host'),
    ...(isApiServer ? [reservedLabel('kube-apiserver')] : []),
  ])
}

/** All endpoints of a node: the host first, then pods by name, then health. Those that were there before keep their ids. */
export function endpointsOf(
  node: AgentNode,
  addresses: NodeAddresses,
  pods: readonly AgentPod[],
  registry: Registry,
  previous: readonly Endpoint[] = [],
): readonly Endpoint[] {
  const { endpointRoutes, healthChecking, datapathMode } = node.config
  // a netkit pair of mode l3 has no MAC addresses
  const hasMac = datapathMode !== 'netkit'
  const local = pods.filter(({ object }) => !object.hostNetwork)
  const known = new Map(previous.map(({ name, id, pod }) => [numberedName(name, pod), id]))
  const names = ['host', 'health', ...local.map((pod) => numberedName(endpointName(pod), pod))]
  const numbers = numbersFor(names, firstId, lastId, undefined, known)
  const idOf = (name: string): number => numbers.get(name) ?? 0
  const host: Endpoint = {
    kind: 'host',
    name: 'host',
    id: idOf('host'),
    identity: { id: reservedIdentity.host, labels: hostLabels(node, addresses.isApiServer) },
    addresses: addresses.host,
    device: undefined,
    mac: undefined,
    pod: undefined,
    requiresEgressProgram: false,
    installsRoute: false,
  }
  const unknown: Identity = { id: 0, labels: [] }
  const own = local.map((pod): Endpoint => {
    const name = endpointName(pod)
    return {
      kind: 'pod',
      name,
      id: idOf(numberedName(name, pod)),
      identity: registry.podIdentities.get(pod) ?? unknown,
      addresses: pod.addresses,
      device: { name: pod.hostDevice, mac: hasMac ? pod.hostMac : zeroMac },
      mac: hasMac ? pod.mac : zeroMac,
      pod,
      requiresEgressProgram: endpointRoutes,
      installsRoute: endpointRoutes,
    }
  })
  const health: Endpoint = {
    ...host,
    kind: 'health',
    name: 'health',
    id: idOf('health'),
    identity: { id: reservedIdentity.health, labels: [reservedLabel('health')] },
    addresses: addresses.health,
    device: { name: healthDevice, mac: hasMac ? node.macOf(healthDevice) : zeroMac },
    mac: hasMac ? node.macOf(`${healthDevice}/${healthPeer}`) : zeroMac,
    // pkg/health LaunchAsEndpoint(): a route and a program of its own under per-endpoint routes only, as pods have them
    requiresEgressProgram: endpointRoutes,
    installsRoute: endpointRoutes,
  }
  const ordered = [...own].sort((left, right) => (left.name < right.name ? -1 : 1))
  return [host, ...ordered, ...(healthChecking ? [health] : [])]
}

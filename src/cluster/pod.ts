// Pods and what makes pods: the parts of their specification that reach the network.
import { parseIp } from '../net/address.ts'
import { labelSelector, metadata, objectName, templateMetadata } from './meta.ts'
import {
  anything,
  asWritten,
  boolean,
  type Infer,
  integer,
  list,
  map,
  object,
  oneOf,
  type Schema,
  string,
} from './schema.ts'

/** An IP address of either family. */
export const address = string((text, wrong) => {
  if (parseIp(text) === undefined) wrong(`\`${text}\` is no IP address`)
})

const portName = string((name, wrong) => {
  if (!/^(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) || name.length > 15) {
    wrong(`\`${name}\` is no name of a port`, 'up to 15 lower-case letters, digits and `-`')
  }
})

const containerPort = object(
  { containerPort: integer(1, 65535) },
  {
    name: portName,
    protocol: oneOf(['TCP', 'UDP', 'SCTP']),
    hostPort: integer(1, 65535),
    hostIP: address,
  },
)

function notRead<const Name extends string>(
  ...names: readonly Name[]
): Readonly<Record<Name, Schema<string>>> {
  return Object.fromEntries(names.map((name) => [name, asWritten])) as Record<Name, Schema<string>>
}

const container = object(
  { name: objectName },
  {
    ports: list(containerPort),
    ...notRead(
      ...([
        'image',
        'imagePullPolicy',
        'command',
        'args',
        'workingDir',
        'env',
        'envFrom',
        'resources',
      ] as const),
      ...(['resizePolicy', 'restartPolicy', 'volumeMounts', 'volumeDevices', 'livenessProbe'] as const),
      ...(['readinessProbe', 'startupProbe', 'lifecycle', 'terminationMessagePath', 'stdin'] as const),
      ...(['terminationMessagePolicy', 'securityContext', 'stdinOnce', 'tty'] as const),
    ),
  },
)

const podSpec = object(
  {},
  {
    nodeName: objectName,
    nodeSelector: map(string()),
    hostNetwork: boolean,
    serviceAccountName: objectName,
    serviceAccount: objectName,
    containers: list(container),
    initContainers: list(container),
    ...notRead(
      ...(['volumes', 'ephemeralContainers', 'restartPolicy', 'terminationGracePeriodSeconds'] as const),
      ...(['activeDeadlineSeconds', 'dnsPolicy', 'dnsConfig', 'automountServiceAccountToken'] as const),
      ...(['hostPID', 'hostIPC', 'hostUsers', 'shareProcessNamespace', 'securityContext'] as const),
      ...(['imagePullSecrets', 'hostname', 'subdomain', 'affinity', 'schedulerName', 'tolerations'] as const),
      ...(['hostAliases', 'priorityClassName', 'priority', 'readinessGates', 'runtimeClassName'] as const),
      ...(['enableServiceLinks', 'preemptionPolicy', 'overhead', 'topologySpreadConstraints'] as const),
      ...(['setHostnameAsFQDN', 'os', 'schedulingGates', 'resourceClaims', 'resources'] as const),
    ),
  },
)
export type PodSpec = Infer<typeof podSpec>

const podStatus = object(
  {},
  {
    podIP: address,
    podIPs: list(object({ ip: address }, {})),
    ...notRead('phase', 'conditions', 'hostIP', 'hostIPs', 'startTime', 'containerStatuses', 'qosClass'),
    ...notRead('initContainerStatuses', 'message', 'reason', 'nominatedNodeName'),
  },
)

/** kind: Pod. */
export const pod = object({ metadata, spec: podSpec }, { status: podStatus })
export type PodManifest = Infer<typeof pod>

const template = object({ spec: podSpec }, { metadata: templateMetadata })

const deploymentSpec = object(
  { selector: labelSelector, template },
  {
    replicas: integer(0, 100_000),
    ...notRead('strategy', 'minReadySeconds', 'revisionHistoryLimit', 'paused', 'progressDeadlineSeconds'),
  },
  ({ selector, template: made }, wrong) => {
    const own = made.metadata?.labels ?? {}
    const wanted = Object.entries(selector.matchLabels ?? {})
    if (wanted.some(([key, value]) => own[key] !== value)) {
      wrong('the selector does not match the labels of the template', undefined, 'selector')
    }
  },
)

/** kind: Deployment. */
export const deployment = object({ metadata, spec: deploymentSpec }, { status: anything })
export type DeploymentManifest = Infer<typeof deployment>

/** kind: Namespace. */
export const namespace = object({ metadata }, { spec: anything, status: anything })
export type NamespaceManifest = Infer<typeof namespace>

/** kind: Node. Its addresses are those of the topology. */
export const node = object(
  { metadata },
  {
    spec: object(
      {},
      { podCIDR: string(), podCIDRs: list(string()), ...notRead('taints', 'unschedulable', 'providerID') },
    ),
    status: anything,
  },
)
export type NodeManifest = Infer<typeof node>

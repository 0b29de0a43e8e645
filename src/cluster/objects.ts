// Kubernetes objects as plain values, however they were written: as manifests or as lines of the language. They are what
// agents and proxies are told.
import type { CiliumRule } from './cilium-policy.ts'
import type { EgressGatewayManifest } from './egress-gateway-policy.ts'
import type { NetworkPolicyManifest } from './network-policy.ts'

type Labels = Readonly<Record<string, string>>

export interface NamespaceObject {
  readonly kind: 'Namespace'
  readonly name: string
  readonly labels: Labels
}

export interface NodeObject {
  readonly kind: 'Node'
  readonly name: string
  readonly labels: Labels
}

export interface ContainerPort {
  readonly name?: string
  readonly port: number
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
  readonly hostPort?: number
  readonly hostIP?: string
}

export interface PodObject {
  readonly kind: 'Pod'
  readonly name: string
  readonly namespace: string
  readonly labels: Labels
  readonly annotations: Labels
  readonly serviceAccount: string
  /** The node that it runs on, where that is said. */
  readonly node?: string
  readonly nodeSelector: Labels
  readonly hostNetwork: boolean
  /** status.podIPs, where they are said. */
  readonly addresses: readonly string[]
  readonly ports: readonly ContainerPort[]
}

export interface NetworkPolicyObject {
  readonly kind: 'NetworkPolicy'
  readonly name: string
  readonly namespace: string
  readonly spec: NetworkPolicyManifest['spec']
}

export interface CiliumPolicyObject {
  readonly kind: 'CiliumNetworkPolicy' | 'CiliumClusterwideNetworkPolicy'
  readonly name: string
  /** Empty for a clusterwide policy. */
  readonly namespace: string
  readonly rules: readonly CiliumRule[]
}

export interface EgressGatewayObject {
  readonly kind: 'CiliumEgressGatewayPolicy'
  readonly name: string
  readonly spec: EgressGatewayManifest['spec']
}

/** An identity that exists already. */
export interface IdentityObject {
  readonly kind: 'CiliumIdentity'
  /** Its number. */
  readonly name: string
  /** Keys have their source in front: `k8s:app`. */
  readonly securityLabels: Labels
}

/** Service and EndpointSlice join here with Kubernetes Services. */
export type ClusterObject =
  | NamespaceObject
  | NodeObject
  | PodObject
  | NetworkPolicyObject
  | CiliumPolicyObject
  | EgressGatewayObject
  | IdentityObject

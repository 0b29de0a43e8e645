// What the agents of a cluster are told: Kubernetes objects, the nodes they run on, and how they are configured. Plain
// values; whoever knows the scenario makes them.
import type {
  CiliumPolicyObject,
  EgressGatewayObject,
  IdentityObject,
  NamespaceObject,
  NetworkPolicyObject,
  PodObject,
} from '../../cluster/objects.ts'
import type { IpAddress } from '../../net/address.ts'
import type { Mac } from '../../net/mac.ts'
import type { Prefix } from '../../net/prefix.ts'
import type { AgentConfig } from './config.ts'

export interface AgentNode {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** What the agent on this node settled on, after it looked at the kernel. */
  readonly config: AgentConfig
  /** What the agent logs about features that it does in another way here. */
  readonly log: readonly string[]
  /** Devices of the machine that have addresses, in order; the first is what other nodes reach it by. */
  readonly devices: readonly {
    readonly name: string
    readonly mac: Mac
    readonly mtu: number
    readonly addresses: readonly Prefix[]
  }[]
  /** The devices of its default routes. */
  readonly defaultRoutes: { readonly four: string | undefined; readonly six: string | undefined }
  /** Ranges of its pods: one for each family that is on. */
  readonly podCidrs: readonly Prefix[]
  /** How often the key of IPsec has been rotated. */
  readonly rotations: number
  /** Addresses of its range that are kept for pods to come. */
  readonly reserved: readonly IpAddress[]
  /** The MAC address of a device that the agent makes. */
  readonly macOf: (device: string) => Mac
}

export interface AgentPod {
  readonly object: PodObject
  /** Its name in the world: namespace of the kernel, and in the names of devices. */
  readonly name: string
  readonly node: string
  readonly addresses: readonly IpAddress[]
  readonly mac: Mac
  /** The host's end of its pair of devices. */
  readonly hostDevice: string
  readonly hostMac: Mac
  /** How often it has come back under its name. */
  readonly returned: number
}

/** An answer of the DNS, as if the proxy had seen it. */
export interface DnsAnswer {
  readonly name: string
  readonly addresses: readonly IpAddress[]
}

export interface AgentCluster {
  readonly name: string
  readonly nodes: readonly AgentNode[]
  readonly pods: readonly AgentPod[]
  readonly namespaces: readonly NamespaceObject[]
  readonly policies: readonly (NetworkPolicyObject | CiliumPolicyObject)[]
  readonly egressPolicies: readonly EgressGatewayObject[]
  readonly dnsAnswers: readonly DnsAnswer[]
  /** Identities that exist before any endpoint asks for one, the oldest first. */
  readonly identities: readonly IdentityObject[]
}

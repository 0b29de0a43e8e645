// A cluster whose pods a CNI plugin connects, as far as the language knows it: who is in it, what the options say, and the
// identity (names, MAC addresses) of what the plugin will make. What the plugin installs is not known here: whoever checks
// a file hands in a planner that completes the world.
import type { Diagnostic } from '../base/diagnostic.ts'
import type { Source, Span } from '../base/text.ts'
import type { IpAddress, Ipv4, Ipv6 } from '../net/address.ts'
import type { Mac } from '../net/mac.ts'
import type { Prefix } from '../net/prefix.ts'
import type { NamespaceModel, World } from './model.ts'
import type { RulesetModel } from './ruleset.ts'

/** Plugins that `cluster none` can have. */
export const clusterCnis = ['flannel', 'calico', 'bridge'] as const
export type ClusterCni = (typeof clusterCnis)[number]

export interface ClusterModel {
  readonly cni: ClusterCni
  readonly routing: 'vxlan' | 'ipip' | 'native'
  readonly masquerade: boolean
  /** The range of all pods. */
  readonly podCidr: Prefix
  /** Absent when no pod has an IPv6 address. */
  readonly podCidr6?: Prefix
  readonly nodes: readonly ClusterNodeModel[]
  readonly pods: readonly ClusterPodModel[]
  /** Pods that steps add, with what the file says of them. */
  readonly late: readonly { readonly pod: ClusterPodModel; readonly host: NamespaceModel }[]
  readonly span: Span
}

export interface ClusterNodeModel {
  readonly name: string
  /** What other nodes reach it by; undefined for a node without a device on a net. */
  readonly underlay:
    | {
        readonly device: string
        readonly address: Ipv4
        readonly address6?: Ipv6
        readonly mtu: number
      }
    | undefined
  /** Ranges of its pods: one /24, or the /26 blocks of Calico; of IPv6 one /64, or blocks of /122. */
  readonly blocks: readonly Prefix[]
  readonly blocks6: readonly Prefix[]
  /** MAC addresses of the devices that the plugin makes. */
  readonly macs: ReadonlyMap<string, Mac>
  /** The node as the file says it, without what the plugin installs. */
  readonly bare: NamespaceModel
}

export interface ClusterPodModel {
  readonly name: string
  readonly node: string
  readonly address: Ipv4
  /** Pods have IPv4, or both. */
  readonly address6?: Ipv6
  readonly mac: Mac
  /** The host's end of its veth pair. */
  readonly hostDevice: string
  readonly hostPorts: readonly {
    readonly protocol: 'tcp' | 'udp' | 'sctp'
    readonly port: number
    readonly target: number
    readonly address: Ipv4 | undefined
  }[]
  readonly span: Span
}

/** `cluster cilium 1.19 { ... }` as the file says it, without anything that an agent decides. */
export interface CiliumModel {
  /** `1.19`, or undefined where none stands there. */
  readonly version: string | undefined
  /** The head of the statement. */
  readonly span: Span
  readonly options: readonly CiliumOption[]
  readonly nodes: readonly CiliumNodeModel[]
  readonly pods: readonly CiliumPodModel[]
  readonly policies: readonly PolicyModel[]
  readonly manifests: readonly ManifestText[]
  /** Pods that steps bring, with what the file says of them. */
  readonly late: readonly { readonly pod: CiliumPodModel; readonly host: NamespaceModel }[]
  /** What the file says of every pod's inside, by its name; nothing of what agents give it. */
  readonly insides: ReadonlyMap<string, NamespaceModel>
  /** What steps have changed so far, in their order; empty at the start. */
  readonly changes: readonly CiliumChange[]
}

/** What a step tells the cluster. Pods are named as in the world, policies as `namespace/name`, or `name` without one. */
export type CiliumChange =
  | { readonly kind: 'add-pod' | 'delete-pod' | 'return-pod'; readonly pod: string }
  /** A pod of a Deployment comes back from another template. */
  | {
      readonly kind: 'roll-pod'
      readonly pod: string
      readonly labels: Readonly<Record<string, string>>
    }
  | { readonly kind: 'set-labels'; readonly pod: string; readonly labels: Readonly<Record<string, string>> }
  /** The secret of IPsec gets its next key. */
  | { readonly kind: 'rotate-key' }
  | { readonly kind: 'add-policy'; readonly policy: PolicyModel }
  | { readonly kind: 'delete-policy'; readonly origin: string }
  /** `kubectl apply`: objects are made, or take the place of those that have their name. */
  | { readonly kind: 'apply'; readonly text: ManifestText }

/** One setting: a word of the language, a Helm value or a flag of the agent. */
export interface CiliumOption {
  readonly form: 'word' | 'helm' | 'flag'
  readonly key: string
  readonly values: readonly string[]
  readonly keySpan: Span
  readonly valueSpan: Span
}

export interface CiliumNodeModel {
  readonly name: string
  readonly kernel: string | undefined
  /** Devices with addresses, in the order of the file. */
  readonly devices: readonly {
    readonly name: string
    readonly mac: Mac
    readonly mtu: number
    readonly addresses: readonly Prefix[]
  }[]
  /** Devices of its default routes. */
  readonly defaultRoutes: { readonly four: string | undefined; readonly six: string | undefined }
  /** One range for each family that its pods have. */
  readonly podCidrs: readonly Prefix[]
  /** Rules of the file, without the agent's. */
  readonly rulesets: readonly RulesetModel[]
  /** MAC addresses of the devices that the agent makes. */
  readonly macs: ReadonlyMap<string, Mac>
  readonly span: Span
}

export interface CiliumPodModel {
  readonly name: string
  readonly namespace: string
  readonly node: string
  readonly labels: Readonly<Record<string, string>>
  readonly serviceAccount: string
  readonly annotations: Readonly<Record<string, string>>
  readonly addresses: readonly IpAddress[]
  readonly mac: Mac
  /** The file gives it: it stays when the pod comes back. */
  readonly keepsMac: boolean
  readonly hostDevice: string
  readonly hostMac: Mac
  readonly span: Span
}

/** `policy NAME on LABELS { ... }`. */
export interface PolicyModel {
  readonly name: string
  readonly selector: Readonly<Record<string, string>>
  readonly rules: readonly {
    readonly direction: 'ingress' | 'egress'
    readonly decision: 'allow' | 'deny'
    readonly labels: Readonly<Record<string, string>>
    /** Entities and CIDRs. */
    readonly peers: readonly string[]
    readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | undefined
    readonly ports: readonly string[]
  }[]
  readonly span: Span
}

/** The text of a manifest, and where its first character stands. */
export interface ManifestText {
  readonly text: string
  readonly source: Source
  readonly start: number
}

/** A pod of a manifest: what the language has to know to name it. Offsets are in the manifest's text. */
export interface ManifestPod {
  readonly name: string
  readonly namespace: string
  readonly node: string | undefined
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly addresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly serviceAccount: string
  readonly hostNetwork: boolean
  readonly start: number
  readonly end: number
}

/** What is wrong with a manifest, at offsets in its text. */
export interface ManifestMistake {
  readonly severity: 'error' | 'warning' | 'later'
  readonly start: number
  readonly end: number
  readonly message: string
  readonly hint?: string
}

export interface ManifestReading {
  readonly pods: readonly ManifestPod[]
  readonly nodeLabels: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly mistakes: readonly ManifestMistake[]
  /** Every object: `CiliumNetworkPolicy`, `default/api`. */
  readonly objects: readonly { readonly kind: string; readonly name: string }[]
}

/** What is known of clusters outside of the language: handed in by who checks a file. */
export interface ClusterKnowledge {
  readonly readManifest: (text: string) => ManifestReading
  /** What the agents of a world's cluster refuse, or do in another way. */
  readonly examineOptions: (cluster: CiliumModel) => readonly Diagnostic[]
  /** What they remark on pods and policies; asked only where manifests and options have no mistake. */
  readonly examineObjects: (cluster: CiliumModel) => readonly Diagnostic[]
  /** Completes a world with everything that its cluster's plugin or agents install; asked only for worlds without mistakes. */
  readonly plan: ClusterPlanner
}

/** Completes a world with everything that its cluster's plugin installs. */
export type ClusterPlanner = (world: World) => World

/** Nothing is known: manifests are not read, the world stays as it is. */
export const knowNothing: ClusterKnowledge = {
  readManifest: () => ({ pods: [], nodeLabels: new Map(), mistakes: [], objects: [] }),
  examineOptions: () => [],
  examineObjects: () => [],
  plan: (world) => world,
}

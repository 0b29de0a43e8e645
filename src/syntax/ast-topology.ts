// The world before the first packet, as written: clusters, nets, hosts, pods, services.
import type { DeviceOptionName } from './ast-device.ts'
import type { HostItem, Kernel, Neighbours, Sysctl } from './ast-host.ts'
import type { Label, Option, Span, Word } from './ast-words.ts'

/** `topology { ... }`. `uses` of other files stand among the items. */
export interface Topology {
  readonly kind: 'topology'
  readonly span: Span
  readonly items: readonly TopologyItem[]
}

export type TopologyItem =
  | Use
  | Cluster
  | Net
  | Host
  | External
  | Pod
  | Service
  | Policy
  | Manifest
  | Kernel
  | Neighbours
  | Sysctl

/** `use base`: everything of the imported file's topology. */
export interface Use {
  readonly kind: 'use'
  readonly span: Span
  readonly name: Word
}

/** `cluster cilium 1.19 { ... }`, `cluster kube-proxy iptables { ... }`, `cluster none { ... }`. */
export interface Cluster {
  readonly kind: 'cluster'
  readonly span: Span
  readonly type: 'cilium' | 'kube-proxy' | 'none'
  /** The version of `cilium`. */
  readonly version: Word | null
  /** The mode of `kube-proxy`: iptables, ipvs, nftables (or a variable). */
  readonly mode: Word | null
  readonly items: readonly ClusterItem[]
}

export type ClusterItem = Option | Setting | Kernel | Sysctl | Neighbours

/** `set bpf.masquerade = true`, `bpf.masquerade = true` (a Helm value) or `--enable-ipv6=true` (`form: 'flag'`, an agent flag). */
export interface Setting {
  readonly kind: 'setting'
  readonly span: Span
  readonly form: 'helm' | 'flag'
  readonly key: Word
  readonly value: Word
}

/** `net lan 10.1.0.0/24 [fd00::/64]`. */
export interface Net {
  readonly kind: 'net'
  readonly span: Span
  readonly name: Word
  readonly prefixes: readonly Word[]
}

/** `node n1 { ... }` (a machine with its own kernel) or `netns app on n1 { ... }` (a namespace of a node; alone without `on`). */
export interface Host {
  readonly kind: 'node' | 'netns'
  readonly span: Span
  readonly name: Word
  readonly on: Word | null
  readonly items: readonly HostItem[]
}

/** `external client on lan 10.1.0.50 [mac M] { listen ... }`: a machine outside, with one device on the net. */
export interface External {
  readonly kind: 'external'
  readonly span: Span
  readonly name: Word
  readonly net: Word
  readonly addresses: readonly Word[]
  readonly options: readonly Option<DeviceOptionName>[]
  readonly items: readonly HostItem[]
}

export type PodOptionName = 'namespace' | 'mac' | 'mtu' | 'hostnetwork' | 'service-account' | 'annotation'

/** `pod web on n2 10.0.2.20 labels app=web,tier=front { listen tcp 8080 }`. */
export interface Pod {
  readonly kind: 'pod'
  readonly span: Span
  readonly name: Word
  readonly node: Word
  readonly addresses: readonly Word[]
  readonly labels: readonly Label[]
  readonly options: readonly Option<PodOptionName>[]
  readonly items: readonly HostItem[]
}

export type ServiceType =
  | 'ClusterIP'
  | 'NodePort'
  | 'LoadBalancer'
  | 'ExternalIP'
  | 'Headless'
  | 'ExternalName'

/** `service web NodePort 80:30080 -> app=web:8080 { ... }`; more ports are `port` lines of the block, in the same list. */
export interface Service {
  readonly kind: 'service'
  readonly span: Span
  readonly name: Word
  readonly type: ServiceType
  readonly ports: readonly ServicePort[]
  readonly options: readonly Option[]
}

/** `[tcp|udp|sctp] [ADDRESS:]PORT[:NODEPORT] -> SELECTOR|ENDPOINT,...:PORT`. */
export interface ServicePort {
  readonly kind: 'service-port'
  readonly span: Span
  readonly protocol: 'tcp' | 'udp' | 'sctp' | null
  /** The address of `10.96.0.10:80`; null where one is derived. */
  readonly address: Word | null
  readonly port: Word
  readonly nodePort: Word | null
  /** The labels that select backends; empty when they are named. */
  readonly selector: readonly Label[]
  /** Backends named one by one (`web-1`, `10.0.2.21`); empty when selected by label. */
  readonly backends: readonly Word[]
  readonly targetPort: Word | null
}

/** `policy allow-web on app=web { ingress allow from app=client tcp 80 }`. */
export interface Policy {
  readonly kind: 'policy'
  readonly span: Span
  readonly name: Word
  readonly selector: readonly Label[]
  readonly rules: readonly PolicyRule[]
}

export interface PolicyRule {
  readonly kind: 'policy-rule'
  readonly span: Span
  readonly direction: 'ingress' | 'egress'
  readonly decision: 'allow' | 'deny'
  readonly peer: readonly Label[]
  /** Prefixes and entity words (`world`, `host`, `cluster`, `all` ...). */
  readonly entities: readonly Word[]
  readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | null
  readonly ports: readonly Word[]
}

/** `manifest """YAML"""` or `manifest "deploy/*.yaml"` (`text.form` tells which). Also a top-level item. */
export interface Manifest {
  readonly kind: 'manifest'
  readonly span: Span
  readonly text: Word
}

// How one agent works: its options after Helm's defaults, the file's words and the kernel's abilities have been settled.

import type { ConntrackGcOptions } from './conntrack-gc.ts'
import type { NameOptions } from './fqdn/name-manager.ts'
import type { IdentityGcOptions } from './identity-gc.ts'

/** Versions whose behaviour is followed exactly. */
export const ciliumVersions = ['1.10', '1.19'] as const
export type CiliumVersion = (typeof ciliumVersions)[number]

export interface AgentConfig {
  readonly version: CiliumVersion
  /** `5.10`: the kernel of the node. */
  readonly kernel: string
  readonly routing: 'tunnel' | 'native'
  readonly tunnelProtocol: 'vxlan' | 'geneve'
  readonly tunnelPort: number
  readonly ipv4: boolean
  readonly ipv6: boolean
  readonly kubeProxyReplacement: boolean
  /** 1.10 with `probe`: what the kernel cannot do is left out, instead of a refusal. */
  readonly kubeProxyProbe: boolean
  readonly masquerade4: boolean
  readonly masquerade6: boolean
  readonly bpfMasquerade: boolean
  readonly ipMasqAgent: boolean
  /** Destinations that are not masqueraded; undefined: the node's range of pods. */
  readonly nativeRoutingCidr4: string | undefined
  readonly nativeRoutingCidr6: string | undefined
  /** enable-host-legacy-routing off. */
  readonly bpfHostRouting: boolean
  readonly autoDirectNodeRoutes: boolean
  readonly endpointRoutes: boolean
  readonly lbMode: 'snat' | 'dsr' | 'hybrid'
  readonly dsrDispatch: 'opt' | 'ipip' | 'geneve'
  readonly lbAlgorithm: 'random' | 'maglev'
  readonly maglevTableSize: number
  readonly lbAcceleration: 'native' | 'best-effort' | 'disabled'
  readonly socketLb: 'on' | 'host-only' | 'off'
  readonly sessionAffinity: boolean
  readonly l7Proxy: boolean
  readonly bpfTproxy: boolean
  readonly hostFirewall: boolean
  readonly egressGateway: boolean
  readonly bandwidthManager: boolean
  readonly bbr: boolean
  readonly encryption: 'off' | 'wireguard' | 'ipsec'
  readonly nodeEncryption: boolean
  /** Both ways of encryption are asked for, which no agent does. */
  readonly bothEncryptions: boolean
  /** Strict mode for egress: what lies between addresses of this range does not leave unencrypted. */
  readonly strictEgress: { readonly cidr: string; readonly allowRemoteNodes: boolean } | undefined
  /** Strict mode for ingress: what comes through the tunnel must have been encrypted. */
  readonly strictIngress: boolean
  readonly monitorAggregation: 'none' | 'low' | 'medium' | 'maximum'
  readonly policyEnforcement: 'default' | 'always' | 'never'
  readonly policyAuditMode: boolean
  readonly policyDenyResponse: 'none' | 'icmp'
  readonly allowLocalhost: 'auto' | 'always' | 'policy'
  readonly datapathMode: 'veth' | 'netkit' | 'netkit-l2'
  readonly tcx: boolean
  /** What times of conntrack and NAT entries count: seconds, or ticks of the kernel. */
  readonly clockSource: 'ktime' | 'jiffies'
  readonly installIptablesRules: boolean
  readonly installNoConntrackRules: boolean
  readonly remoteNodeMasquerade: boolean
  readonly masqueradeToRouteSource: boolean
  readonly sctp: boolean
  readonly fragmentTracking: boolean
  readonly sourceIpVerification: boolean
  readonly bigTcp4: boolean
  readonly bigTcp6: boolean
  readonly healthChecking: boolean
  readonly allowIcmpFragNeeded: boolean
  /** How long names are believed. */
  readonly names: NameOptions
  /** ipsec-key-rotation-duration: how long a key that was replaced still opens packets (nanoseconds). */
  readonly keyRotationDuration: number
  /** When the agent collects conntrack. */
  readonly conntrackGc: ConntrackGcOptions
  /** When the operator collects identities. */
  readonly identityGc: IdentityGcOptions
  /** Identities of names exist before anything was asked. */
  readonly preallocatesNames: boolean
  /** Undefined: the base MTU of the devices. */
  readonly mtu: number | undefined
  /** Undefined: found by the agent. */
  readonly devices: readonly string[] | undefined
}

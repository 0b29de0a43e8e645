// The defines of node_config.h: features that are compiled in or not, for all objects of a node. All names are Cilium's own, so
// that a test or a recording can name them.

/** Features that are compiled in or not. */
export const defineNames = [
  'ENABLE_IPV4',
  'ENABLE_IPV6',
  'TUNNEL_MODE',
  'HAVE_ENCAP',
  'ENABLE_ROUTING',
  'ENABLE_HOST_ROUTING',
  'ENABLE_ENDPOINT_ROUTES',
  'USE_BPF_PROG_FOR_INGRESS_POLICY',
  'ENABLE_NODEPORT',
  'ENABLE_NODEPORT_ACCELERATION',
  'ENABLE_MASQUERADE_IPV4',
  'ENABLE_MASQUERADE_IPV6',
  'ENABLE_IP_MASQ_AGENT_IPV4',
  'ENABLE_IP_MASQ_AGENT_IPV6',
  'ENABLE_SOCKET_LB_FULL',
  'ENABLE_SOCKET_LB_HOST_ONLY',
  'ENABLE_L7_LB',
  'ENABLE_SCTP',
  'ENABLE_DSR',
  'ENABLE_DSR_BYUSER',
  'ENABLE_DSR_HYBRID',
  'ENABLE_DSR_ICMP_ERRORS',
  'ENABLE_HOST_FIREWALL',
  'ENABLE_EGRESS_GATEWAY',
  'ENABLE_EGRESS_GATEWAY_COMMON',
  'ENABLE_BANDWIDTH_MANAGER',
  'ENABLE_WIREGUARD',
  'ENABLE_IPSEC',
  'ENABLE_NODE_ENCRYPTION',
  'ENCRYPTION_STRICT_MODE_EGRESS',
  'STRICT_IPV4_OVERLAPPING_CIDR',
  'ENABLE_TPROXY',
  'ENABLE_SIP_VERIFICATION',
  'ENABLE_IDENTITY_MARK',
  'ENABLE_ARP_RESPONDER',
  'ENABLE_ARP_PASSTHROUGH',
  'ENABLE_IPV4_FRAGMENTS',
  'ENABLE_IPV6_FRAGMENTS',
  'ENABLE_VTEP',
  'ENABLE_SRV6',
  'ENABLE_MULTICAST',
  'ENABLE_NAT_46X64',
  'ENABLE_NAT_46X64_GATEWAY',
  'ENABLE_CLUSTER_AWARE_ADDRESSING',
  'ENABLE_INTER_CLUSTER_SNAT',
  'ENABLE_HEALTH_CHECK',
  'ENABLE_PREFILTER',
  'ENABLE_MKE',
  'SERVICE_NO_BACKEND_RESPONSE',
  'LB_SELECTION_PER_SERVICE',
  'POLICY_AUDIT_MODE',
  'DROP_NOTIFY',
  'TRACE_NOTIFY',
  'POLICY_VERDICT_NOTIFY',
  'LOCAL_DELIVERY_METRICS',
  'CONNTRACK_ACCOUNTING',
] as const

export type Define = (typeof defineNames)[number]

/** Every define as a boolean, those not named being off. */
export type Defines = Readonly<Record<Define, boolean>>

/** What a define switches on besides itself. lib/common.h; the agent gives objects a tunnel device in tunnel mode. */
const implied: Readonly<Partial<Record<Define, Define>>> = {
  ENABLE_EGRESS_GATEWAY: 'ENABLE_EGRESS_GATEWAY_COMMON',
  ENABLE_EGRESS_GATEWAY_COMMON: 'HAVE_ENCAP',
  TUNNEL_MODE: 'HAVE_ENCAP',
}

/** The defines that are on: these and what they imply. */
export function definesOf(on: readonly Define[]): Defines {
  const chosen = new Set<Define>()
  for (const name of on)
    for (let next: Define | undefined = name; next; next = implied[next]) chosen.add(next)
  // every name of the list is set, which the compiler cannot see through fromEntries
  return Object.fromEntries(defineNames.map((name) => [name, chosen.has(name)])) as Record<Define, boolean>
}

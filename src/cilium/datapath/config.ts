// What a Cilium object is compiled and loaded with, in two kinds of settings as in Cilium 1.19: those of the node, which all its
// objects share, defines (defines.ts) and numbers; and the constants of one object (include/bpf/config/*.h). All names are
// Cilium's own, so that a test or a recording can name them.
import { present } from '../../base/assert.ts'
import type { Defines } from './defines.ts'

/** How direct server return tells the backend's node about the service. */
export const dsrEncapMode = { NONE: 1, IPIP: 2, GENEVE: 3 } as const

export const tunnelProtocol = { none: 0, vxlan: 1, geneve: 2 } as const

/** A prefix: address bytes (4 or 16) and length in bits. */
export interface Cidr {
  readonly address: Uint8Array
  readonly length: number
}

/** Numbers of node_config.h and NODE_CONFIG constants: the same for every object of a node. */
export interface NodeValues {
  readonly TUNNEL_PROTOCOL: (typeof tunnelProtocol)[keyof typeof tunnelProtocol]
  readonly TUNNEL_PORT: number
  readonly ENCAP_IFINDEX: number
  readonly CILIUM_HOST_IFINDEX: number
  readonly CILIUM_NET_IFINDEX: number
  /** 48-bit numbers, first byte highest. */
  readonly CILIUM_HOST_MAC: number
  readonly CILIUM_NET_MAC: number
  /** The MAC of each native device (NATIVE_DEV_MAC_BY_IFINDEX). */
  readonly nativeDeviceMacs: ReadonlyMap<number, number>
  /** Devices without Ethernet header (IS_L3_DEV). */
  readonly l3Devices: ReadonlySet<number>
  /** Router address (IPV4_GATEWAY), 4 bytes; undefined without IPv4. */
  readonly IPV4_GATEWAY: Uint8Array | undefined
  readonly router_ipv6: Uint8Array | undefined
  /** Mask of the node's pod CIDR, 4 bytes: Cilium 1.10 finds tunnels by it. */
  readonly IPV4_MASK: Uint8Array
  /** Cilium 1.10: the node's own IPv6 address. */
  readonly HOST_IP: Uint8Array | undefined
  /** Cilium 1.10: the device that IPsec packets leave by without a tunnel; 0: the stack decides. */
  readonly ENCRYPT_IFACE: number
  /** Cilium 1.10: replies of services, and in XDP requests, take their neighbour from the map of neighbours. */
  readonly ENABLE_FIB_LOOKUP_BYPASS: boolean
  readonly ENABLE_NODEPORT_HAIRPIN: boolean
  /** Cilium 1.10: one native device, redirects to it ask for no route. */
  readonly ENABLE_SKIP_FIB: boolean
  readonly IPV4_DIRECT_ROUTING: Uint8Array | undefined
  readonly IPV6_DIRECT_ROUTING: Uint8Array | undefined
  readonly direct_routing_dev_ifindex: number
  readonly IPV4_SNAT_EXCLUSION_DST_CIDR: Cidr | undefined
  readonly IPV6_SNAT_EXCLUSION_DST_CIDR: Cidr | undefined
  readonly service_loopback_ipv4: Uint8Array
  readonly service_loopback_ipv6: Uint8Array
  readonly NODEPORT_PORT_MIN: number
  readonly NODEPORT_PORT_MAX: number
  readonly NODEPORT_PORT_MIN_NAT: number
  readonly NODEPORT_PORT_MAX_NAT: number
  readonly SNAT_COLLISION_RETRIES: number
  readonly DSR_ENCAP_MODE: (typeof dsrEncapMode)[keyof typeof dsrEncapMode]
  /** Devices of DSR over IPIP. */
  readonly ENCAP4_IFINDEX: number
  readonly ENCAP6_IFINDEX: number
  /** Outer sources of DSR over IPIP in XDP; undefined: the address of the direct routing device. */
  readonly IPV4_RSS_PREFIX: Cidr | undefined
  readonly IPV6_RSS_PREFIX: Cidr | undefined
  /** The clock of entries counts ticks; how many make a second. */
  readonly enable_jiffies: boolean
  readonly kernel_hz: number
  /** Seconds. */
  readonly CT_CONNECTION_LIFETIME_TCP: number
  readonly CT_CONNECTION_LIFETIME_NONTCP: number
  readonly CT_SERVICE_LIFETIME_TCP: number
  readonly CT_SERVICE_LIFETIME_NONTCP: number
  readonly CT_SERVICE_CLOSE_REBALANCE: number
  readonly CT_SYN_TIMEOUT: number
  readonly CT_CLOSE_TIMEOUT: number
  readonly CT_REPORT_INTERVAL: number
  readonly CT_REPORT_FLAGS: number
  /** 0 none, 1 hide from-*, 3 only when conntrack reports (facts 7.3). */
  readonly MONITOR_AGGREGATION: number
  readonly trace_payload_len: number
  readonly trace_payload_len_overlay: number
  readonly MTU: number
  /** 1 random, 2 Maglev. */
  readonly LB_SELECTION: number
  readonly LB_MAGLEV_LUT_SIZE: number
  readonly HASH_INIT4_SEED: number
  readonly HASH_INIT6_SEED: number
  readonly cluster_id: number
  readonly cluster_id_max: number
  readonly policy_deny_response_enabled: boolean
  readonly supports_fib_lookup_skip_neigh: boolean
  readonly enable_netkit: boolean
  readonly enable_lrp: boolean
  readonly enable_extended_ip_protocols: boolean
  readonly enable_remote_node_masquerade: boolean
  readonly enable_no_service_endpoints_routable: boolean
  readonly enable_l2_announcements: boolean
  /** Nanoseconds. */
  readonly l2_announcements_max_liveness: number
  readonly allow_icmp_frag_needed: boolean
  readonly enable_icmp_rule: boolean
  readonly hybrid_routing_enabled: boolean
  /** Mask of the networks behind foreign tunnel endpoints, 4 bytes. */
  readonly vtep_mask: Uint8Array
  readonly tracing_ip_option_type: number
  readonly STRICT_IPV4_NET: Cidr | undefined
  readonly IPV4_ENCRYPT_IFACE: Uint8Array | undefined
  readonly wg_ifindex: number
  readonly wg_port: number
  /** Allowed VLAN ids of each native device; undefined: no filter was rendered, tagged traffic is dropped. */
  readonly vlanFilter: ReadonlyMap<number, 'all' | ReadonlySet<number>>
}

/** The defaults of Cilium 1.19 (`facts` 3.5, 4.1, 8.3), without anything that depends on the node. */
export const defaultValues: NodeValues = {
  TUNNEL_PROTOCOL: tunnelProtocol.vxlan,
  TUNNEL_PORT: 8472,
  ENCAP_IFINDEX: 0,
  CILIUM_HOST_IFINDEX: 0,
  CILIUM_NET_IFINDEX: 0,
  CILIUM_HOST_MAC: 0,
  CILIUM_NET_MAC: 0,
  nativeDeviceMacs: new Map(),
  l3Devices: new Set(),
  IPV4_GATEWAY: undefined,
  router_ipv6: undefined,
  IPV4_MASK: Uint8Array.of(255, 255, 255, 0),
  HOST_IP: undefined,
  ENCRYPT_IFACE: 0,
  ENABLE_FIB_LOOKUP_BYPASS: true,
  ENABLE_NODEPORT_HAIRPIN: false,
  ENABLE_SKIP_FIB: false,
  IPV4_DIRECT_ROUTING: undefined,
  IPV6_DIRECT_ROUTING: undefined,
  direct_routing_dev_ifindex: 0,
  IPV4_SNAT_EXCLUSION_DST_CIDR: undefined,
  IPV6_SNAT_EXCLUSION_DST_CIDR: undefined,
  service_loopback_ipv4: Uint8Array.of(169, 254, 42, 1),
  service_loopback_ipv6: Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  NODEPORT_PORT_MIN: 30000,
  NODEPORT_PORT_MAX: 32767,
  NODEPORT_PORT_MIN_NAT: 32768,
  NODEPORT_PORT_MAX_NAT: 65535,
  SNAT_COLLISION_RETRIES: 32,
  DSR_ENCAP_MODE: dsrEncapMode.NONE,
  ENCAP4_IFINDEX: 0,
  ENCAP6_IFINDEX: 0,
  IPV4_RSS_PREFIX: undefined,
  IPV6_RSS_PREFIX: undefined,
  enable_jiffies: false,
  kernel_hz: 250,
  CT_CONNECTION_LIFETIME_TCP: 8000,
  CT_CONNECTION_LIFETIME_NONTCP: 60,
  CT_SERVICE_LIFETIME_TCP: 8000,
  CT_SERVICE_LIFETIME_NONTCP: 60,
  CT_SERVICE_CLOSE_REBALANCE: 30,
  CT_SYN_TIMEOUT: 60,
  CT_CLOSE_TIMEOUT: 10,
  CT_REPORT_INTERVAL: 5,
  CT_REPORT_FLAGS: 0x07,
  MONITOR_AGGREGATION: 0,
  trace_payload_len: 128,
  trace_payload_len_overlay: 192,
  MTU: 1500,
  LB_SELECTION: 1,
  LB_MAGLEV_LUT_SIZE: 16381,
  HASH_INIT4_SEED: 0x71dc_da46,
  HASH_INIT6_SEED: 0x9250_5688,
  cluster_id: 0,
  cluster_id_max: 255,
  policy_deny_response_enabled: false,
  supports_fib_lookup_skip_neigh: true,
  enable_netkit: false,
  enable_lrp: false,
  enable_extended_ip_protocols: false,
  enable_remote_node_masquerade: false,
  enable_no_service_endpoints_routable: true,
  enable_l2_announcements: false,
  l2_announcements_max_liveness: 15e9,
  allow_icmp_frag_needed: true,
  enable_icmp_rule: true,
  hybrid_routing_enabled: false,
  vtep_mask: Uint8Array.of(255, 255, 255, 0),
  tracing_ip_option_type: 0,
  STRICT_IPV4_NET: undefined,
  IPV4_ENCRYPT_IFACE: undefined,
  wg_ifindex: 0,
  wg_port: 51871,
  vlanFilter: new Map(),
}

/** All that a node's objects share. */
export type NodeConfig = Defines & NodeValues

/** Which of Cilium's C files an object corresponds to. */
export type ObjectKind = 'bpf_lxc' | 'bpf_host' | 'bpf_overlay' | 'bpf_xdp' | 'bpf_wireguard' | 'bpf_network'

/** Constants set at load time of one object. */
export interface ObjectConfig {
  readonly kind: ObjectKind
  readonly interface_ifindex: number
  /** 48-bit number. */
  readonly interface_mac: number
  /** SECLABEL: for bpf_lxc the endpoint's identity, for bpf_host HOST_ID. */
  readonly security_label: number
  /** LXC_ID; 0 elsewhere. */
  readonly endpoint_id: number
  readonly endpoint_ipv4: Uint8Array | undefined
  readonly endpoint_ipv6: Uint8Array | undefined
  readonly endpoint_netns_cookie: number
  readonly host_ep_id: number
  /** 1 ingress, 2 egress: which directions have policy enforcement on (verdict events). */
  readonly policy_verdict_log_filter: number
  readonly nat_ipv4_masquerade: Uint8Array | undefined
  readonly nat_ipv6_masquerade: Uint8Array | undefined
  readonly device_mtu: number
  readonly eth_header_length: number
  readonly proxy_redirect_via_cilium_net: boolean
  readonly encryption_strict_ingress: boolean
}

/** What an object has for which nothing else is said: no endpoint, all verdicts reported, an Ethernet device. */
export const defaultObject: Omit<ObjectConfig, 'kind'> = {
  interface_ifindex: 0,
  interface_mac: 0,
  security_label: 0,
  endpoint_id: 0,
  endpoint_ipv4: undefined,
  endpoint_ipv6: undefined,
  endpoint_netns_cookie: 0,
  host_ep_id: 0,
  policy_verdict_log_filter: 3,
  nat_ipv4_masquerade: undefined,
  nat_ipv6_masquerade: undefined,
  device_mtu: 1500,
  eth_header_length: 14,
  proxy_redirect_via_cilium_net: false,
  encryption_strict_ingress: false,
}

/** The EVENT_SOURCE of an object: the endpoint id of a pod, the host endpoint's id of bpf_host, else 0. */
export function eventSourceOf(object: ObjectConfig): number {
  if (object.kind === 'bpf_lxc') return object.endpoint_id
  return object.kind === 'bpf_host' ? object.host_ep_id : 0
}

/** The router's address of a family. An assertion where the node has none. */
export function routerAddress(node: NodeConfig, version: 4 | 6): Uint8Array {
  return present(
    version === 4 ? node.IPV4_GATEWAY : node.router_ipv6,
    `the node has an IPv${version} router address`,
  )
}

// Return values of the datapath's functions: a tc or XDP code, or one of these negative numbers. lib/drop_reasons.h

export const drop = {
  INVALID_SIP: -132,
  POLICY: -133,
  INVALID: -134,
  CT_INVALID_HDR: -135,
  FRAG_NEEDED: -136,
  CT_UNKNOWN_PROTO: -137,
  UNKNOWN_L3: -139,
  MISSED_TAIL_CALL: -140,
  WRITE_ERROR: -141,
  UNKNOWN_L4: -142,
  UNKNOWN_ICMP4_CODE: -143,
  UNKNOWN_ICMP4_TYPE: -144,
  UNKNOWN_ICMP6_CODE: -145,
  UNKNOWN_ICMP6_TYPE: -146,
  NO_TUNNEL_KEY: -147,
  UNKNOWN_TARGET: -150,
  UNROUTABLE: -151,
  CSUM_L3: -153,
  CSUM_L4: -154,
  CT_CREATE_FAILED: -155,
  INVALID_EXTHDR: -156,
  FRAG_NOSUPPORT: -157,
  NO_SERVICE: -158,
  UNSUPP_SERVICE_PROTO: -159,
  NO_TUNNEL_ENDPOINT: -160,
  NAT_46X64_DISABLED: -161,
  EDT_HORIZON: -162,
  UNKNOWN_CT: -163,
  HOST_UNREACHABLE: -164,
  NO_CONFIG: -165,
  UNSUPPORTED_L2: -166,
  NAT_NO_MAPPING: -167,
  NAT_UNSUPP_PROTO: -168,
  NO_FIB: -169,
  ENCAP_PROHIBITED: -170,
  INVALID_IDENTITY: -171,
  UNKNOWN_SENDER: -172,
  /** Not a drop: the packet is not for NAT (NAT_PUNT_TO_STACK). */
  NAT_NOT_NEEDED: -173,
  IS_CLUSTER_IP: -174,
  FRAG_NOT_FOUND: -175,
  FORBIDDEN_ICMP6: -176,
  NOT_IN_SRC_RANGE: -177,
  PROXY_LOOKUP_FAILED: -178,
  PROXY_SET_FAILED: -179,
  PROXY_UNKNOWN_PROTO: -180,
  POLICY_DENY: -181,
  VLAN_FILTERED: -182,
  INVALID_VNI: -183,
  INVALID_TC_BUFFER: -184,
  NO_SID: -185,
  NAT46: -187,
  NAT64: -188,
  POLICY_AUTH_REQUIRED: -189,
  CT_NO_MAP_FOUND: -190,
  SNAT_NO_MAP_FOUND: -191,
  INVALID_CLUSTER_ID: -192,
  DSR_ENCAP_UNSUPP_PROTO: -193,
  NO_EGRESS_GATEWAY: -194,
  UNENCRYPTED_TRAFFIC: -195,
  TTL_EXCEEDED: -196,
  NO_NODE_ID: -197,
  RATE_LIMITED: -198,
  IGMP_HANDLED: -199,
  IGMP_SUBSCRIBED: -200,
  MULTICAST_HANDLED: -201,
  HOST_NOT_READY: -202,
  EP_NOT_READY: -203,
  NO_EGRESS_IP: -204,
  PUNT_PROXY: -205,
} as const

/**
 * Where Cilium 1.19.4's C calls a notification or a metric: `bpf_lxc.c:1721`. Drop events and metrics carry both numbers,
 * so they are part of what an observer sees. `file` is the id of lib/source_info.h; `line` is that of the call's closing parenthesis,
 * which is what __LINE__ in the argument of such a macro becomes.
 */
export interface Where {
  readonly file: number
  readonly line: number
}

/** File ids of lib/source_info.h. */
export const sourceFiles = {
  'bpf_host.c': 1,
  'bpf_lxc.c': 2,
  'bpf_overlay.c': 3,
  'bpf_xdp.c': 4,
  'bpf_sock.c': 5,
  'bpf_network.c': 6,
  'bpf_wireguard.c': 7,
  'drop.h': 101,
  'srv6.h': 102,
  'icmp6.h': 103,
  'nodeport.h': 104,
  'lb.h': 105,
  'mcast.h': 106,
  'ipv4.h': 107,
  'conntrack.h': 108,
  'local_delivery.h': 109,
  'trace.h': 110,
  'encap.h': 111,
  'host_firewall.h': 112,
  'nodeport_egress.h': 113,
  'ipv6.h': 114,
  'classifiers.h': 115,
} as const

export type SourceFile = keyof typeof sourceFiles

/** A place in Cilium's source. Make it once, at the top of a file: it is a constant. */
export function where(file: SourceFile, line: number): Where {
  return { file: sourceFiles[file], line }
}

/** `bpf_lxc.c` for 2; undefined for a number that no file has. */
export function sourceFileName(id: number): SourceFile | undefined {
  for (const [name, number] of Object.entries(sourceFiles)) if (number === id) return name as SourceFile
  return undefined
}

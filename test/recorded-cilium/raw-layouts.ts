// The fields of Cilium's map entries by the names of its own structs: where they stand in keys and values. bpf/lib/*.h; those
// of 1.10 where they are others.

/** Offset and bytes; of a bit field also the first bit and the number of bits. */
export type Where = readonly [offset: number, bytes: number, shift?: number, bits?: number]
export type Fields = Readonly<Record<string, Where>>

export interface Layout {
  readonly key: Fields
  readonly value: Fields
}

const lpmKey: Fields = { lpm_key: [0, 4], lpm: [0, 4], prefixlen: [0, 4] }

function service(addressLength: 4 | 16): Layout {
  const port = addressLength
  return {
    key: {
      address: [0, addressLength],
      dport: [port, 2],
      backend_slot: [port + 2, 2],
      proto: [port + 4, 1],
      scope: [port + 5, 1],
    },
    value: {
      backend_id: [0, 4],
      affinity_timeout: [0, 4],
      l7_lb_proxy_port: [0, 4],
      count: [4, 2],
      rev_nat_index: [6, 2],
      flags: [8, 1],
      flags2: [9, 1],
      qcount: [10, 2],
    },
  }
}

function backend(addressLength: 4 | 16): Layout {
  const port = addressLength
  return {
    key: { backend_id: [0, 4] },
    value: {
      address: [0, addressLength],
      port: [port, 2],
      proto: [port + 2, 1],
      flags: [port + 3, 1],
      cluster_id: [port + 4, 2],
      zone: [port + 6, 1],
    },
  }
}

function addressPrefix(addressLength: 4 | 16): Layout {
  return { key: { ...lpmKey, addr: [4, addressLength] }, value: { flags: [0, 1] } }
}

function tuple(addressLength: 4 | 16): Fields {
  const port = 2 * addressLength
  return {
    daddr: [0, addressLength],
    saddr: [addressLength, addressLength],
    dport: [port, 2],
    sport: [port + 2, 2],
    nexthdr: [port + 4, 1],
    flags: [port + 5, 1],
  }
}

function bits(offset: number, names: readonly string[]): Fields {
  return Object.fromEntries(names.map((name, at) => [name, [offset, 2, at, 1]] as const))
}

const ctEntry: Fields = {
  nat_addr: [0, 16],
  reserved0: [0, 8],
  backend_id: [8, 8],
  packets: [16, 8],
  bytes: [24, 8],
  lifetime: [32, 4],
  ...bits(36, ['rx_closing', 'tx_closing', 'reserved1', 'lb_loopback', 'seen_non_syn', 'node_port']),
  proxy_redirect: [36, 2, 6, 1],
  dsr_internal: [36, 2, 7, 1],
  from_l7lb: [36, 2, 8, 1],
  from_tunnel: [36, 2, 10, 1],
  rev_nat_index: [38, 2],
  nat_port: [40, 2],
  tx_flags_seen: [42, 1],
  rx_flags_seen: [43, 1],
  src_sec_id: [44, 4],
  last_tx_report: [48, 4],
  last_rx_report: [52, 4],
}

function natEntry(addressLength: 4 | 16): Fields {
  const port = 32 + addressLength
  return {
    created: [0, 8],
    needs_ct: [8, 8],
    to_saddr: [32, addressLength],
    to_daddr: [32, addressLength],
    to_sport: [port, 2],
    to_dport: [port, 2],
  }
}

function affinity(addressLength: 8 | 16): Layout {
  return {
    key: {
      client_id: [0, addressLength],
      rev_nat_id: [addressLength, 2],
      netns_cookie: [addressLength + 2, 1, 0, 1],
    },
    value: { last_used: [0, 8], backend_id: [8, 4] },
  }
}

const ct4: Layout = { key: tuple(4), value: ctEntry }
const ct6: Layout = { key: tuple(16), value: ctEntry }

const family: Fields = { ip4: [0, 4], ip6: [0, 16] }

/** The fields of a union with an address, moved. */
function at(offset: number, fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, [from, size]]) => [name, [from + offset, size]]),
  )
}

const layouts: Readonly<Record<string, Layout>> = {
  cilium_lxc: {
    key: { ...family, family: [16, 1], key: [17, 1], cluster_id: [18, 2] },
    value: {
      ifindex: [0, 4],
      lxc_id: [6, 2],
      flags: [8, 4],
      mac: [16, 8],
      node_mac: [24, 8],
      sec_id: [32, 4],
      parent_ifindex: [36, 4],
    },
  },
  cilium_ipcache_v2: {
    key: { ...lpmKey, cluster_id: [4, 2], family: [7, 1], ...at(8, family) },
    value: {
      sec_identity: [0, 4],
      tunnel_endpoint: [4, 16],
      key: [22, 1],
      flags: [23, 1],
      flag_skip_tunnel: [23, 1, 0, 1],
      flag_has_tunnel_ep: [23, 1, 1, 1],
      flag_ipv6_tunnel_ep: [23, 1, 2, 1],
      flag_remote_cluster: [23, 1, 3, 1],
    },
  },
  cilium_egress_gw_policy_v4: {
    key: { ...lpmKey, saddr: [4, 4], daddr: [8, 4] },
    value: { egress_ip: [0, 4], gateway_ip: [4, 4] },
  },
  cilium_egress_gw_policy_v6: {
    key: { ...lpmKey, saddr: [4, 16], daddr: [20, 16] },
    value: { egress_ip: [0, 16], gateway_ip: [16, 4], egress_ifindex: [32, 4] },
  },
  cilium_lb4_source_range: { key: { ...lpmKey, rev_nat_id: [4, 2], addr: [8, 4] }, value: {} },
  cilium_lb6_source_range: { key: { ...lpmKey, rev_nat_id: [4, 2], addr: [8, 16] }, value: {} },
  cilium_lb4_services_v2: service(4),
  cilium_lb6_services_v2: service(16),
  cilium_lb4_backends_v3: backend(4),
  cilium_lb6_backends_v3: backend(16),
  cilium_lb4_reverse_nat: { key: { rev_nat_index: [0, 2] }, value: { address: [0, 4], port: [4, 2] } },
  cilium_lb6_reverse_nat: { key: { rev_nat_index: [0, 2] }, value: { address: [0, 16], port: [16, 2] } },
  cilium_lb_affinity_match: { key: { backend_id: [0, 4], rev_nat_id: [4, 2] }, value: {} },
  cilium_ct4_global: ct4,
  cilium_ct_any4_global: ct4,
  cilium_ct6_global: ct6,
  cilium_ct_any6_global: ct6,
  cilium_snat_v4_external: { key: tuple(4), value: natEntry(4) },
  cilium_snat_v6_external: { key: tuple(16), value: natEntry(16) },
  cilium_lb4_affinity: affinity(8),
  cilium_lb6_affinity: affinity(16),
  cilium_nodeport_neigh4: { key: {}, value: { addr: [0, 6] } },
  cilium_nodeport_neigh6: { key: { addr: [0, 16] }, value: { addr: [0, 6] } },
  cilium_ipmasq_v4: addressPrefix(4),
  cilium_ipmasq_v6: addressPrefix(16),
  cilium_cidr_v4_fix: addressPrefix(4),
  cilium_cidr_v4_dyn: addressPrefix(4),
  cilium_cidr_v6_fix: addressPrefix(16),
  cilium_cidr_v6_dyn: addressPrefix(16),
  cilium_throttle: {
    key: { id: [0, 4], direction: [4, 1] },
    value: { bps: [0, 8], t_last: [8, 8], t_horizon_drop: [16, 8], tokens: [16, 8], prio: [24, 4] },
  },
  cilium_node_map_v2: { key: { family: [3, 1], ...at(4, family) }, value: { id: [0, 2], spi: [2, 1] } },
  cilium_auth_map: {
    key: {
      local_sec_label: [0, 4],
      remote_sec_label: [4, 4],
      remote_node_id: [8, 2],
      auth_type: [10, 1],
    },
    value: { expiration: [0, 8] },
  },
  cilium_subnet_map: { key: { ...lpmKey, family: [7, 1], ...at(8, family) }, value: { identity: [0, 4] } },
  cilium_vtep_map: { key: { vtep_ip: [0, 4] }, value: { vtep_mac: [0, 8], tunnel_endpoint: [8, 4] } },
  cilium_l2_responder_v4: { key: { ip4: [0, 4], ifindex: [4, 4] }, value: { responses_sent: [0, 8] } },
  cilium_l2_responder_v6: { key: { ip6: [0, 16], ifindex: [16, 4] }, value: { responses_sent: [0, 8] } },
}

/** An endpoint's policy. */
const policy: Layout = {
  key: { ...lpmKey, sec_label: [4, 4], egress: [8, 1, 0, 1], protocol: [9, 1], dport: [10, 2] },
  value: {
    proxy_port: [0, 2],
    deny: [2, 1, 0, 1],
    lpm_prefix_length: [2, 1, 3, 5],
    auth_type: [3, 1, 0, 7],
    has_explicit_auth_type: [3, 1, 7, 1],
    precedence: [4, 4],
    cookie: [8, 4],
  },
}

const legacyPolicy: Layout = {
  key: { sec_label: [0, 4], dport: [4, 2], protocol: [6, 1], egress: [7, 1, 0, 1] },
  value: { proxy_port: [0, 2], deny: [2, 1, 0, 1], packets: [8, 8], bytes: [16, 8] },
}

const endpointKey: Fields = { ...family, family: [16, 1], key: [17, 1] }

/** What 1.10 has otherwise, or alone. */
const legacyLayouts: Readonly<Record<string, Layout>> = {
  cilium_ipcache: {
    key: { ...lpmKey, family: [7, 1], ...at(8, family) },
    value: { sec_label: [0, 4], tunnel_endpoint: [4, 4], key: [8, 1] },
  },
  cilium_tunnel_map: { key: endpointKey, value: endpointKey },
  cilium_egress_v4: {
    key: { ...lpmKey, sip: [4, 4], dip: [8, 4] },
    value: { egress_ip: [0, 4], tunnel_endpoint: [4, 4] },
  },
  cilium_lb4_backends: backend(4),
  cilium_lb6_backends: backend(16),
}

/** The fields of a map of a version. */
export function layoutOf(map: string, version: 'v1.10' | 'v1.19'): Layout {
  if (policyEndpoint(map) !== undefined) return version === 'v1.10' ? legacyPolicy : policy
  return (version === 'v1.10' ? legacyLayouts[map] : undefined) ?? layouts[map] ?? { key: {}, value: {} }
}

/** The endpoint whose policy map has this name: `cilium_policy_01001`, in 1.19 also `cilium_policy_v2_01001`. */
export function policyEndpoint(map: string): number | undefined {
  const found = /^cilium_policy_(?:v2_)?(\d+)$/.exec(map)
  return found === null ? undefined : Number(found[1])
}

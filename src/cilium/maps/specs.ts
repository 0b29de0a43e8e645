// The maps of Cilium 1.19: pinned names, types, sizes of keys and values, numbers of entries. `facts` 1.7,
// lib/*_map.h, lib/eps.h, lib/policy.h, lib/nat.h. Layouts for people stand in layouts.ts, reading and writing of the
// bytes in one file per map.
import { type MapSpec, mapFlag } from '../../bpf/maps/map.ts'
import {
  ct4KeyLayout,
  ct6KeyLayout,
  ctValueLayout,
  endpointKeyLayout,
  endpointValueLayout,
  ipcacheKeyLayout,
  ipcacheValueLayout,
  metricsKeyLayout,
  metricsValueLayout,
  nat4ValueLayout,
  nat6ValueLayout,
  policyKeyLayout,
  policyValueLayout,
} from './layouts.ts'

const { BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG } = mapFlag

export const ct4KeyBytes = 14
export const ct6KeyBytes = 38
export const ctValueBytes = 56
export const nat4ValueBytes = 40
export const nat6ValueBytes = 56
/** LB_MAGLEV_LUT_SIZE words at most: the default table of 16381 backends. */
export const maglevTableBytes = 16_381 * 4

function ct<const Name extends string>(name: Name, version: 4 | 6, maxEntries: number) {
  return {
    name,
    type: 'lru_hash',
    keySize: version === 4 ? ct4KeyBytes : ct6KeyBytes,
    valueSize: ctValueBytes,
    maxEntries,
    keyLayout: version === 4 ? ct4KeyLayout : ct6KeyLayout,
    valueLayout: ctValueLayout,
  } as const satisfies MapSpec
}

function progArray<const Name extends string>(name: Name, maxEntries: number) {
  return { name, type: 'prog_array', keySize: 4, valueSize: 4, maxEntries } as const satisfies MapSpec
}

function lpm<const Name extends string>(name: Name, keySize: number, valueSize: number, maxEntries: number) {
  return {
    name,
    type: 'lpm_trie',
    keySize,
    valueSize,
    maxEntries,
    flags: BPF_F_NO_PREALLOC,
  } as const satisfies MapSpec
}

function hash<const Name extends string>(name: Name, keySize: number, valueSize: number, maxEntries: number) {
  return {
    name,
    type: 'hash',
    keySize,
    valueSize,
    maxEntries,
    flags: BPF_F_NO_PREALLOC,
  } as const satisfies MapSpec
}

function lru<const Name extends string>(name: Name, keySize: number, valueSize: number, maxEntries: number) {
  return { name, type: 'lru_hash', keySize, valueSize, maxEntries } as const satisfies MapSpec
}

/** The lookup tables of Maglev by reverse NAT index; the agent makes the inner maps with as many words as the table has. */
function maglev<const Name extends string>(name: Name) {
  const inner = {
    name: `${name}_inner`,
    type: 'array',
    keySize: 4,
    valueSize: maglevTableBytes,
    maxEntries: 1,
  }
  return {
    name,
    type: 'hash_of_maps',
    keySize: 2,
    valueSize: 4,
    maxEntries: 65_536,
    flags: BPF_F_NO_PREALLOC,
    inner: inner as MapSpec,
  } as const satisfies MapSpec
}

/** Maps that all objects of a node share by their pinned names. */
export const nodeMapSpecs = {
  cilium_lxc: {
    ...hash('cilium_lxc', 20, 48, 65536),
    keyLayout: endpointKeyLayout,
    valueLayout: endpointValueLayout,
  },
  cilium_ipcache_v2: {
    ...lpm('cilium_ipcache_v2', 24, 24, 512_000),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
    keyLayout: ipcacheKeyLayout,
    valueLayout: ipcacheValueLayout,
  },
  cilium_ct4_global: ct('cilium_ct4_global', 4, 524_288),
  cilium_ct_any4_global: ct('cilium_ct_any4_global', 4, 262_144),
  cilium_ct6_global: ct('cilium_ct6_global', 6, 524_288),
  cilium_ct_any6_global: ct('cilium_ct_any6_global', 6, 262_144),
  cilium_snat_v4_external: {
    ...lru('cilium_snat_v4_external', ct4KeyBytes, nat4ValueBytes, 524_288),
    keyLayout: ct4KeyLayout,
    valueLayout: nat4ValueLayout,
  },
  cilium_snat_v6_external: {
    ...lru('cilium_snat_v6_external', ct6KeyBytes, nat6ValueBytes, 524_288),
    keyLayout: ct6KeyLayout,
    valueLayout: nat6ValueLayout,
  },
  cilium_snat_v4_alloc_retries: {
    name: 'cilium_snat_v4_alloc_retries',
    type: 'percpu_array',
    keySize: 4,
    valueSize: 4,
    maxEntries: 33,
  },
  cilium_ipv4_frag_datagrams: lru('cilium_ipv4_frag_datagrams', 12, 4, 8192),
  cilium_ipv6_frag_datagrams: lru('cilium_ipv6_frag_datagrams', 40, 4, 8192),
  cilium_ipmasq_v4: {
    ...lpm('cilium_ipmasq_v4', 8, 1, 16_384),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_ipmasq_v6: {
    ...lpm('cilium_ipmasq_v6', 20, 1, 16_384),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_egress_gw_policy_v4: lpm('cilium_egress_gw_policy_v4', 12, 8, 16_384),
  cilium_egress_gw_policy_v6: lpm('cilium_egress_gw_policy_v6', 36, 40, 16_384),
  cilium_throttle: hash('cilium_throttle', 8, 56, 65_536),
  cilium_node_map_v2: hash('cilium_node_map_v2', 20, 4, 16_384),
  cilium_encrypt_state: {
    name: 'cilium_encrypt_state',
    type: 'array',
    keySize: 4,
    valueSize: 1,
    maxEntries: 1,
    flags: BPF_F_RDONLY_PROG,
  },
  cilium_cidr_v4_fix: {
    ...hash('cilium_cidr_v4_fix', 8, 1, 16_384),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_cidr_v4_dyn: {
    ...lpm('cilium_cidr_v4_dyn', 8, 1, 1024),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_cidr_v6_fix: {
    ...hash('cilium_cidr_v6_fix', 20, 1, 16_384),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_cidr_v6_dyn: {
    ...lpm('cilium_cidr_v6_dyn', 20, 1, 1024),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_l2_responder_v4: hash('cilium_l2_responder_v4', 8, 8, 4096),
  cilium_l2_responder_v6: hash('cilium_l2_responder_v6', 24, 8, 4096),
  cilium_auth_map: hash('cilium_auth_map', 12, 8, 512_000),
  cilium_runtime_config: {
    name: 'cilium_runtime_config',
    type: 'array',
    keySize: 4,
    valueSize: 8,
    maxEntries: 256,
  },
  cilium_subnet_map: {
    ...lpm('cilium_subnet_map', 24, 4, 1024),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_vtep_map: {
    ...hash('cilium_vtep_map', 4, 16, 8),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
  },
  cilium_metrics: {
    name: 'cilium_metrics',
    type: 'percpu_hash',
    keySize: 8,
    valueSize: 16,
    maxEntries: 65_536,
    flags: BPF_F_NO_PREALLOC,
    keyLayout: metricsKeyLayout,
    valueLayout: metricsValueLayout,
  },
  cilium_events: { name: 'cilium_events', type: 'perf_event_array', keySize: 4, valueSize: 4, maxEntries: 0 },
  cilium_signals: {
    name: 'cilium_signals',
    type: 'perf_event_array',
    keySize: 4,
    valueSize: 4,
    maxEntries: 0,
  },
  cilium_call_policy: progArray('cilium_call_policy', 65_536),
  cilium_egresscall_policy: progArray('cilium_egresscall_policy', 65_536),
  cilium_nodeport_neigh4: lru('cilium_nodeport_neigh4', 4, 8, 524_288),
  cilium_nodeport_neigh6: lru('cilium_nodeport_neigh6', 16, 8, 524_288),
  cilium_lb4_services_v2: hash('cilium_lb4_services_v2', 12, 12, 65_536),
  cilium_lb6_services_v2: hash('cilium_lb6_services_v2', 24, 12, 65_536),
  cilium_lb4_backends_v3: hash('cilium_lb4_backends_v3', 4, 12, 65_536),
  cilium_lb6_backends_v3: hash('cilium_lb6_backends_v3', 4, 24, 65_536),
  cilium_lb4_affinity: lru('cilium_lb4_affinity', 16, 16, 65_536),
  cilium_lb6_affinity: lru('cilium_lb6_affinity', 24, 16, 65_536),
  cilium_lb_affinity_match: hash('cilium_lb_affinity_match', 8, 1, 65_536),
  cilium_lb4_source_range: lpm('cilium_lb4_source_range', 12, 1, 1000),
  cilium_lb6_source_range: lpm('cilium_lb6_source_range', 24, 1, 1000),
  cilium_lb4_maglev: maglev('cilium_lb4_maglev'),
  cilium_lb6_maglev: maglev('cilium_lb6_maglev'),
  cilium_lb4_reverse_nat: hash('cilium_lb4_reverse_nat', 2, 6, 65_536),
  cilium_lb6_reverse_nat: hash('cilium_lb6_reverse_nat', 2, 18, 65_536),
} as const satisfies Readonly<Record<string, MapSpec>>

export type NodeMapName = keyof typeof nodeMapSpecs

/** CILIUM_CALL_SIZE */
const callsMax = 49

/** `cilium_calls_01001`: where one object's tail calls go. */
export function callsSpec(suffix: string, slots: number = callsMax) {
  return progArray(`cilium_calls_${suffix}`, slots)
}

/** `cilium_policy_v2_01001`: one endpoint's policy. */
export function policySpec(endpointId: number) {
  return {
    ...lpm(`cilium_policy_v2_${String(endpointId).padStart(5, '0')}`, 12, 12, 16_384),
    flags: BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
    keyLayout: policyKeyLayout,
    valueLayout: policyValueLayout,
  } as const satisfies MapSpec
}

// Cilium 1.10: the datapath of the era that Cilium's early design documents describe, kept apart from that of 1.19 because it
// differs everywhere (recorded/v1.10/differences.md). What is the same, byte for byte, is shared: tuples, endpoints,
// fragments, header walks, checksums. Here: the maps that only 1.10 has, or that look different there. bpf/lib/maps.h,
// bpf/lib/common.h
import type { MapOf } from '../../bpf/maps/create.ts'
import type { Layout } from '../../bpf/maps/layout.ts'
import { type MapSpec, mapFlag } from '../../bpf/maps/map.ts'

const { BPF_F_NO_PREALLOC } = mapFlag

const policyKeyLayout: Layout = [
  { name: 'identity', type: 'u32', offset: 0 },
  { name: 'dport', type: 'be16', offset: 4 },
  { name: 'proto', type: 'u8', offset: 6 },
  { name: 'egress', type: 'u8', offset: 7 },
]

const policyValueLayout: Layout = [
  { name: 'proxy_port', type: 'be16', offset: 0 },
  { name: 'deny', type: 'u8', offset: 2 },
  { name: 'packets', type: 'u64', offset: 8 },
  { name: 'bytes', type: 'u64', offset: 16 },
]

const ipcacheValueLayout: Layout = [
  { name: 'identity', type: 'u32', offset: 0 },
  { name: 'tunnel_endpoint', type: 'ip4', offset: 4 },
  { name: 'key', type: 'u8', offset: 8 },
]

/** Pinned maps of a node. */
export const legacyMapSpecs = {
  cilium_ipcache: {
    name: 'cilium_ipcache',
    type: 'lpm_trie',
    keySize: 24,
    valueSize: 12,
    maxEntries: 512_000,
    flags: BPF_F_NO_PREALLOC,
    valueLayout: ipcacheValueLayout,
  },
  cilium_tunnel_map: {
    name: 'cilium_tunnel_map',
    type: 'hash',
    keySize: 20,
    valueSize: 20,
    maxEntries: 65_536,
    flags: BPF_F_NO_PREALLOC,
  },
  cilium_lb4_backends: {
    name: 'cilium_lb4_backends',
    type: 'hash',
    keySize: 2,
    valueSize: 8,
    maxEntries: 65_536,
    flags: BPF_F_NO_PREALLOC,
  },
  cilium_lb6_backends: {
    name: 'cilium_lb6_backends',
    type: 'hash',
    keySize: 2,
    valueSize: 20,
    maxEntries: 65_536,
    flags: BPF_F_NO_PREALLOC,
  },
  cilium_egress_v4: {
    name: 'cilium_egress_v4',
    type: 'lpm_trie',
    keySize: 12,
    valueSize: 8,
    maxEntries: 16_384,
    flags: BPF_F_NO_PREALLOC,
  },
} as const satisfies Readonly<Record<string, MapSpec>>

/** The maps of a node that only 1.10 has, alive. */
export type LegacyNodeMaps = {
  readonly [Name in keyof typeof legacyMapSpecs]: MapOf<(typeof legacyMapSpecs)[Name]['type']>
}

/** `cilium_policy_01001`: one endpoint's policy. */
export function legacyPolicySpec(endpointId: number) {
  return {
    name: `cilium_policy_${String(endpointId).padStart(5, '0')}`,
    type: 'hash',
    keySize: 8,
    valueSize: 24,
    maxEntries: 16_384,
    flags: BPF_F_NO_PREALLOC,
    keyLayout: policyKeyLayout,
    valueLayout: policyValueLayout,
  } as const satisfies MapSpec
}

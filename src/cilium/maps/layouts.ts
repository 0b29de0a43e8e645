// How keys and values of Cilium's maps are shown where nothing knows better: the fields people look for.
import type { Layout } from '../../bpf/maps/layout.ts'

const protocols = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp' } as const
const tupleFlags = {
  0: 'OUT',
  1: 'IN',
  2: 'OUT|RELATED',
  3: 'IN|RELATED',
  4: 'SERVICE',
} as const

function tupleLayout(addressType: 'ip4' | 'ip6', addressBytes: number): Layout {
  const ports = addressBytes * 2
  return [
    { name: 'daddr', type: addressType, offset: 0 },
    { name: 'saddr', type: addressType, offset: addressBytes },
    { name: 'dport', type: 'be16', offset: ports },
    { name: 'sport', type: 'be16', offset: ports + 2 },
    { name: 'proto', type: 'u8', offset: ports + 4, words: protocols },
    { name: 'flags', type: 'u8', offset: ports + 5, words: tupleFlags },
  ]
}

export const ct4KeyLayout: Layout = tupleLayout('ip4', 4)
export const ct6KeyLayout: Layout = tupleLayout('ip6', 16)

export const ctValueLayout: Layout = [
  { name: 'packets', type: 'u64', offset: 16 },
  { name: 'bytes', type: 'u64', offset: 24 },
  { name: 'lifetime', type: 'u32', offset: 32 },
  { name: 'flags', type: 'u16', offset: 36 },
  { name: 'rev_nat_index', type: 'u16', offset: 38 },
  { name: 'tx_flags_seen', type: 'u8', offset: 42 },
  { name: 'rx_flags_seen', type: 'u8', offset: 43 },
  { name: 'src_sec_id', type: 'u32', offset: 44 },
]

export const nat4ValueLayout: Layout = [
  { name: 'to_addr', type: 'ip4', offset: 32 },
  { name: 'to_port', type: 'be16', offset: 36 },
]

export const nat6ValueLayout: Layout = [
  { name: 'to_addr', type: 'ip6', offset: 32 },
  { name: 'to_port', type: 'be16', offset: 48 },
]

export const endpointKeyLayout: Layout = [
  { name: 'ip', type: 'bytes', offset: 0, length: 16 },
  { name: 'family', type: 'u8', offset: 16 },
]

export const endpointValueLayout: Layout = [
  { name: 'ifindex', type: 'u32', offset: 0 },
  { name: 'lxc_id', type: 'u16', offset: 6 },
  { name: 'flags', type: 'u32', offset: 8 },
  { name: 'mac', type: 'mac', offset: 16 },
  { name: 'node_mac', type: 'mac', offset: 24 },
  { name: 'sec_id', type: 'u32', offset: 32 },
]

export const ipcacheKeyLayout: Layout = [
  { name: 'prefixlen', type: 'u32', offset: 0 },
  { name: 'family', type: 'u8', offset: 7 },
  { name: 'ip', type: 'bytes', offset: 8, length: 16 },
]

export const ipcacheValueLayout: Layout = [
  { name: 'identity', type: 'u32', offset: 0 },
  { name: 'tunnel_endpoint', type: 'ip4', offset: 4 },
  { name: 'key', type: 'u8', offset: 22 },
  { name: 'flags', type: 'u8', offset: 23 },
]

export const policyKeyLayout: Layout = [
  { name: 'prefixlen', type: 'u32', offset: 0 },
  { name: 'identity', type: 'u32', offset: 4 },
  { name: 'egress', type: 'u8', offset: 8 },
  { name: 'proto', type: 'u8', offset: 9, words: protocols },
  { name: 'dport', type: 'be16', offset: 10 },
]

export const policyValueLayout: Layout = [
  { name: 'proxy_port', type: 'be16', offset: 0 },
  { name: 'deny', type: 'u8', offset: 2 },
  { name: 'precedence', type: 'u32', offset: 4 },
]

export const metricsKeyLayout: Layout = [
  { name: 'reason', type: 'u8', offset: 0 },
  { name: 'dir', type: 'u8', offset: 1 },
  { name: 'line', type: 'u16', offset: 2 },
  { name: 'file', type: 'u8', offset: 4 },
]

export const metricsValueLayout: Layout = [
  { name: 'count', type: 'u64', offset: 0 },
  { name: 'bytes', type: 'u64', offset: 8 },
]

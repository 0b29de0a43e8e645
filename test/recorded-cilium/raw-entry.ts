// Map entries that a scenario sets by the fields of Cilium's own structs. Numbers are the machine's (little endian); what stands
// in network order is given as `ip:` or `hex:`. A map, a field or a form that is not known here is an error.
import { writeLe32 } from '../../src/bpf/context/byte-order.ts'
import type { BpfMap } from '../../src/bpf/maps/map.ts'
import type { NodeMaps } from '../../src/cilium/datapath/ctx.ts'
import type { ScenarioMap } from './case.ts'
import { addressBytes, type FilledNode } from './fill.ts'
import { must } from './topology.ts'

type Where = readonly [offset: number, bytes: number]
type Fields = Readonly<Record<string, Where>>

interface Layout {
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
  return { key: { ...lpmKey, addr: [4, addressLength] }, value: {} }
}

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
    value: { sec_identity: [0, 4], tunnel_endpoint: [4, 16], key: [22, 1], flags: [23, 1] },
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

/** Fields in network order: a bare number says not in which order its bytes are. */
const networkOrder = new Set(['dport', 'port'])

function fieldBytes(name: string, size: number, value: string | number): Uint8Array {
  if (typeof value === 'number') {
    if (networkOrder.has(name) && value !== 0)
      throw new Error(`the order of the bytes of ${name} is not said`)
    const whole = new Uint8Array(Math.max(8, size))
    writeLe32(whole, 0, value)
    writeLe32(whole, 4, Math.floor(value / 0x1_0000_0000))
    return whole.subarray(0, size)
  }
  const [form, ...rest] = value.split(':')
  const text = rest.join(':')
  const bytes = form === 'ip' ? addressBytes(text) : form === 'hex' ? Buffer.from(text, 'hex') : undefined
  const known = must(bytes, `form of ${name}: ${value}`)
  return must(known.length <= size ? known : undefined, `${name} has ${size} bytes: ${value}`)
}

function rawBytes(
  where: string,
  size: number,
  layout: Fields,
  fields: ScenarioMap['key'] | number | string,
): Uint8Array {
  const bytes = new Uint8Array(size)
  if (typeof fields !== 'object') {
    bytes.set(fieldBytes(where, size, fields))
    return bytes
  }
  for (const [name, value] of Object.entries(fields)) {
    const [offset, length] = must(layout[name], `${where}.${name}`)
    bytes.set(fieldBytes(name, length, value), offset)
  }
  return bytes
}

/** One raw map entry of a scenario. */
export function applyMap(nodes: readonly FilledNode[], entry: ScenarioMap): void {
  const node = must(
    nodes.find(({ number }) => number === entry.node),
    `node ${entry.node}`,
  )
  const map = must(node.maps[entry.map as keyof NodeMaps] as BpfMap | undefined, `map ${entry.map}`)
  const layout = layouts[entry.map] ?? { key: {}, value: {} }
  const { keySize, valueSize } = map.spec
  const key = rawBytes(`${entry.map} key`, keySize, layout.key, entry.key)
  const value = rawBytes(`${entry.map} value`, valueSize, layout.value, entry.value)
  const result = map.update(key, value, 0, 0)
  if (result !== 0) throw new Error(`map ${entry.map}: ${result}`)
}

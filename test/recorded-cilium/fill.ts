// The maps of a node as the agent would fill them for the recorded topology: endpoints, ipcache, policy, and what a scenario
// asks for besides.
import { writeLe16, writeLe32 } from '../../src/bpf/context/byte-order.ts'
import type { AnyMap } from '../../src/bpf/maps/create.ts'
import type { BpfMap } from '../../src/bpf/maps/map.ts'
import type { NodeMaps } from '../../src/cilium/datapath/ctx.ts'
import { isIpv4, writeIpv4, writeIpv6 } from '../../src/net/address.ts'
import { writeU16, writeU48 } from '../../src/net/bytes.ts'
import type { RecordedConfig, ScenarioPolicy } from './case.ts'
import { ip, mac, must, pods } from './topology.ts'

/** Address bytes: 4 or 16. */
export function addressBytes(text: string): Uint8Array {
  const address = ip(text)
  const bytes = new Uint8Array(isIpv4(address) ? 4 : 16)
  if (isIpv4(address)) writeIpv4(bytes, 0, address)
  else writeIpv6(bytes, 0, address)
  return bytes
}

function put(map: AnyMap, key: Uint8Array, value: Uint8Array): void {
  const result = (map as BpfMap).update(key, value, 0, 0)
  if (result !== 0) throw new Error(`map ${map.spec.name}: ${result}`)
}

interface EndpointValue {
  readonly ifindex?: number
  readonly id?: number
  readonly flags?: number
  readonly mac?: string
  readonly nodeMac?: string
  readonly identity?: number
}

function putEndpoint(maps: NodeMaps, address: string, value: EndpointValue): void {
  const key = new Uint8Array(20)
  const bytes = addressBytes(address)
  key.set(bytes, 0)
  key[16] = bytes.length === 4 ? 1 : 2
  const entry = new Uint8Array(48)
  writeLe32(entry, 0, value.ifindex ?? 0)
  writeLe16(entry, 6, value.id ?? 0)
  writeLe32(entry, 8, value.flags ?? 0)
  if (value.mac !== undefined) writeU48(entry, 16, mac(value.mac))
  if (value.nodeMac !== undefined) writeU48(entry, 24, mac(value.nodeMac))
  writeLe32(entry, 32, value.identity ?? 0)
  put(maps.cilium_lxc, key, entry)
}

const hasTunnelEndpoint = 2
const ipcacheStaticBits = 32
const legacyIpcacheBytes = 12

function putIpcache(
  maps: NodeMaps,
  address: string,
  length: number,
  identity: number,
  tunnel?: string,
): void {
  const bytes = addressBytes(address)
  const key = new Uint8Array(24)
  writeLe32(key, 0, ipcacheStaticBits + length)
  key[7] = bytes.length === 4 ? 1 : 2
  key.set(bytes, 8)
  const entry = new Uint8Array(24)
  writeLe32(entry, 0, identity)
  if (tunnel !== undefined) {
    entry.set(addressBytes(tunnel), 4)
    entry[23] = hasTunnelEndpoint
  }
  if (maps.cilium_ipcache === undefined) put(maps.cilium_ipcache_v2, key, entry)
  else put(maps.cilium_ipcache, key, entry.slice(0, legacyIpcacheBytes))
}

/** cilium_tunnel_map of 1.10: the node behind a prefix of pods. */
function putTunnel(maps: NodeMaps, prefix: string, node: string): void {
  const map = maps.cilium_tunnel_map
  if (map === undefined) return
  const key = new Uint8Array(20)
  key.set(addressBytes(prefix), 0)
  key[16] = 1
  const value = new Uint8Array(20)
  value.set(addressBytes(node), 0)
  value[16] = 1
  put(map, key, value)
}

/** The reserved identities of what is outside; a dual-stack cluster tells the families apart. */
const world = { any: 2, ipv4: 9, ipv6: 10 }

export function fillNode(maps: NodeMaps, number: 1 | 2, config: RecordedConfig): void {
  const other = number === 1 ? 2 : 1
  const six = config.v6 === true
  putIpcache(maps, '0.0.0.0', 0, six ? world.ipv4 : world.any)
  if (six) putIpcache(maps, '::', 0, world.ipv6)
  const tunnel = config.tunnel === true ? `192.168.0.${other}` : undefined
  if (tunnel !== undefined) putTunnel(maps, `10.0.${other}.0`, tunnel)
  for (const each of pods) {
    const addresses = six ? [each.address4, each.address6] : [each.address4]
    for (const address of addresses) {
      const length = address.includes(':') ? 128 : 32
      putIpcache(maps, address, length, each.identity, each.node === number ? undefined : tunnel)
      if (each.node !== number) continue
      const { endpointId: id, mac: podMac, nodeMac, identity } = each
      putEndpoint(maps, address, { ifindex: each.ifindex, id, mac: podMac, nodeMac, identity })
    }
  }
  for (const [node, router, length] of six
    ? ([
        [(n: number) => `192.168.0.${n}`, (n: number) => `10.0.${n}.1`, 32],
        [(n: number) => `fd01::${n}`, (n: number) => `fd00:${n}::1`, 128],
      ] as const)
    : ([[(n: number) => `192.168.0.${n}`, (n: number) => `10.0.${n}.1`, 32]] as const)) {
    for (const own of [node(number), router(number)]) {
      putIpcache(maps, own, length, 1)
      putEndpoint(maps, own, { flags: 1 })
    }
    putIpcache(maps, node(other), length, 6)
    putIpcache(maps, router(other), length, 6, tunnel)
  }
}

const egressBit = 1
const denyBit = 1

const legacyPolicyKeyBytes = 8

interface PolicyRule {
  readonly egress: boolean
  readonly identity?: number
  readonly protocol?: number
  readonly port?: number
  readonly deny?: boolean
  readonly proxyPort?: number
}

/** An entry as 1.10 has it: all fields are exact, 0 is a wildcard. */
function putLegacyPolicy(map: BpfMap, rule: PolicyRule): void {
  const key = new Uint8Array(legacyPolicyKeyBytes)
  writeLe32(key, 0, rule.identity ?? 0)
  writeU16(key, 4, rule.port ?? 0)
  key[6] = rule.protocol ?? 0
  key[7] = rule.egress ? egressBit : 0
  const entry = new Uint8Array(24)
  writeU16(entry, 0, rule.proxyPort ?? 0)
  entry[2] = rule.deny === true ? denyBit : 0
  put(map, key, entry)
}

/** One entry of a policy map: absent fields are wildcards. */
export function putPolicy(map: BpfMap, rule: PolicyRule): void {
  const exact = rule.port !== undefined ? 24 : rule.protocol !== undefined ? 8 : 0
  if (map.spec.keySize === legacyPolicyKeyBytes) {
    putLegacyPolicy(map, rule)
    return
  }
  const key = new Uint8Array(12)
  writeLe32(key, 0, 40 + exact)
  writeLe32(key, 4, rule.identity ?? 0)
  key[8] = rule.egress ? egressBit : 0
  key[9] = rule.protocol ?? 0
  writeU16(key, 10, rule.port ?? 0)
  const entry = new Uint8Array(12)
  writeU16(entry, 0, rule.proxyPort ?? 0)
  entry[2] = (rule.deny === true ? denyBit : 0) | (exact << 3)
  const kind = rule.deny === true ? 0xff : rule.proxyPort === undefined ? 1 : 2
  writeLe32(entry, 4, (0xffff_ff00 | kind) >>> 0)
  put(map, key, entry)
}

/** Removes every entry of one direction. */
export function clearPolicy(map: BpfMap, egress: boolean): void {
  const keys: Uint8Array[] = []
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) keys.push(key)
  const at = map.spec.keySize === legacyPolicyKeyBytes ? 7 : 8
  for (const key of keys) if ((key[at] === egressBit) === egress) map.delete(key)
}

/** What a scenario may change: the maps of one node. */
export interface FilledNode {
  readonly number: 1 | 2
  readonly maps: NodeMaps
  /** Policy maps by endpoint id. */
  readonly policies: ReadonlyMap<number, BpfMap>
}

/** One policy entry of a scenario. */
export function applyPolicy(nodes: readonly FilledNode[], rule: ScenarioPolicy): void {
  const endpoint =
    rule.host === undefined
      ? must(
          pods.find(({ name }) => name === rule.pod),
          String(rule.pod),
        ).endpointId
      : 100 + rule.host
  const map = must(
    nodes.map(({ policies }) => policies.get(endpoint)).find((found) => found !== undefined),
    'policy map',
  )
  if (rule.clear !== undefined) {
    clearPolicy(map, rule.clear === 'egress')
    return
  }
  putPolicy(map, {
    egress: rule.dir === 'egress',
    ...(rule.identity === undefined ? {} : { identity: rule.identity }),
    ...(rule.proto === undefined ? {} : { protocol: rule.proto }),
    ...(rule.dport === undefined ? {} : { port: rule.dport }),
    ...(rule.proxy_port === undefined ? {} : { proxyPort: rule.proxy_port }),
    deny: rule.deny === true || rule.deny === 1,
  })
}

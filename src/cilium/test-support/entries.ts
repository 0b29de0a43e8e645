// For the tests: entries of a node's maps as the agent writes them.
import { writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { type AnyMap, createMap, type MapOf } from '../../bpf/maps/create.ts'
import { writeU16 } from '../../net/bytes.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import { ipv4, ipv6 } from '../datapath/family.ts'
import { NatEntry } from '../maps/nat-entry.ts'
import { ServiceKey } from '../maps/service.ts'
import { Tuple } from '../maps/tuple.ts'
import { addressBytes, hex } from './lab.ts'

function put(map: MapOf<'hash'>, key: Uint8Array, value: Uint8Array): void {
  if (map.update(key, value, 0, 0) !== 0) throw new Error(map.spec.name)
}

/** An endpoint of this node, or with flag 1 an address of the host. */
export function putEndpoint(
  maps: NodeMaps,
  address: string,
  endpoint: {
    readonly id?: number
    readonly flags?: number
    readonly identity?: number
    readonly ifindex?: number
    /** MAC addresses of the endpoint and of the host's end, as digits. */
    readonly macs?: readonly [own: string, host: string]
  },
): void {
  const bytes = addressBytes(address)
  const key = new Uint8Array(20)
  key.set(bytes)
  key[16] = bytes.length === 4 ? 1 : 2
  const value = new Uint8Array(48)
  writeLe32(value, 0, endpoint.ifindex ?? 0)
  writeLe16(value, 6, endpoint.id ?? 0)
  writeLe32(value, 8, endpoint.flags ?? 0)
  const { macs = ['', ''] } = endpoint
  value.set(hex(macs[0]), 16)
  value.set(hex(macs[1]), 24)
  writeLe32(value, 32, endpoint.identity ?? 0)
  put(maps.cilium_lxc, key, value)
}

/** struct ipcache_key of `address/length`. */
function ipcacheKey(prefix: string): Uint8Array {
  const [address = '', length] = prefix.split('/')
  const bytes = addressBytes(address)
  const key = new Uint8Array(24)
  writeLe32(key, 0, 32 + Number(length ?? bytes.length * 8))
  key[7] = bytes.length === 4 ? 1 : 2
  key.set(bytes, 8)
  return key
}

/** `address/length` has an identity, and perhaps a tunnel endpoint and a key, in 1.10's cilium_ipcache. */
export function putLegacyIpcache(
  maps: NodeMaps,
  prefix: string,
  entry: { readonly identity: number; readonly tunnel?: string; readonly key?: number },
): void {
  const key = ipcacheKey(prefix)
  const value = new Uint8Array(12)
  writeLe32(value, 0, entry.identity)
  if (entry.tunnel !== undefined) value.set(addressBytes(entry.tunnel), 4)
  value[8] = entry.key ?? 0
  if (maps.cilium_ipcache?.update(key, value, 0, 0) !== 0) throw new Error('cilium_ipcache')
}

/** `address/length` has an identity, and perhaps a tunnel endpoint or the flag skip_tunnel. */
export function putIpcache(
  maps: NodeMaps,
  prefix: string,
  entry: {
    readonly identity: number
    readonly tunnel?: string
    readonly skipTunnel?: boolean
    readonly key?: number
  },
): void {
  const key = ipcacheKey(prefix)
  const value = new Uint8Array(24)
  writeLe32(value, 0, entry.identity)
  if (entry.tunnel !== undefined) value.set(addressBytes(entry.tunnel), 4)
  value[22] = entry.key ?? 0
  value[23] = (entry.skipTunnel === true ? 1 : 0) | (entry.tunnel === undefined ? 0 : 2)
  put(maps.cilium_ipcache_v2, key, value)
}

/** An egress gateway policy for IPv4: source, destination prefix, addresses of gateway and egress. */
export function putEgressPolicy(
  maps: NodeMaps,
  policy: {
    readonly source: string
    readonly destination: string
    readonly gateway: string
    readonly egress: string
  },
): void {
  const [destination = '', length] = policy.destination.split('/')
  const key = new Uint8Array(12)
  writeLe32(key, 0, 32 + Number(length ?? 32))
  key.set(addressBytes(policy.source), 4)
  key.set(addressBytes(destination), 8)
  const value = new Uint8Array(8)
  value.set(addressBytes(policy.egress), 0)
  value.set(addressBytes(policy.gateway), 4)
  put(maps.cilium_egress_gw_policy_v4, key, value)
}

/** A service for the tests. */
export interface TestService {
  readonly address: string
  readonly port: number
  /** 6 where it is not said. */
  readonly protocol?: number
  readonly scope?: 0 | 1
  readonly revNatIndex: number
  readonly flags?: number
  readonly flags2?: number
  /** Seconds, with the algorithm in the uppermost byte. */
  readonly affinity?: number
  readonly backends: readonly { readonly id: number; readonly address: string; readonly port: number }[]
  /** Backends of the first slots that take new connections; all where it is not said. */
  readonly count?: number
}

function numberKey(value: number, size: 2 | 4): Uint8Array {
  const key = new Uint8Array(size)
  if (size === 2) writeLe16(key, 0, value)
  else writeLe32(key, 0, value)
  return key
}

/** A backend; state 0: active, 1: terminating. */
export function putBackend(
  maps: NodeMaps,
  { id, address, port }: TestService['backends'][number],
  state = 0,
): void {
  const bytes = addressBytes(address)
  const four = bytes.length === 4
  const value = new Uint8Array(four ? 12 : 24)
  value.set(bytes)
  writeU16(value, bytes.length, port)
  value[bytes.length + 3] = state
  put(four ? maps.cilium_lb4_backends_v3 : maps.cilium_lb6_backends_v3, numberKey(id, 4), value)
}

/** A service with its slots, backends and reverse entry. */
export function putService(maps: NodeMaps, service: TestService): void {
  const { backends, revNatIndex } = service
  const address = addressBytes(service.address)
  const four = address.length === 4
  const key = new ServiceKey(four ? ipv4 : ipv6)
  key.address = address
  key.dport = service.port
  key.protocol = service.protocol ?? 6
  key.scope = service.scope ?? 0
  for (const [slot, id] of [service.affinity ?? 0, ...backends.map((backend) => backend.id)].entries()) {
    key.backendSlot = slot
    const value = new Uint8Array(12)
    writeLe32(value, 0, id)
    writeLe16(value, 4, slot === 0 ? (service.count ?? backends.length) : 0)
    writeLe16(value, 6, revNatIndex)
    value[8] = service.flags ?? 0
    value[9] = service.flags2 ?? 0
    put(four ? maps.cilium_lb4_services_v2 : maps.cilium_lb6_services_v2, key.bytes, value)
  }
  for (const backend of backends) putBackend(maps, backend)
  const reverse = new Uint8Array(address.length + 2)
  reverse.set(address)
  writeU16(reverse, address.length, service.port)
  put(four ? maps.cilium_lb4_reverse_nat : maps.cilium_lb6_reverse_nat, numberKey(revNatIndex, 2), reverse)
}

/** A service with its slots, backends and reverse entry as 1.10 has them: without a protocol, backend ids of 16 bits. */
export function putLegacyService(maps: NodeMaps, service: TestService): void {
  putService(maps, { ...service, protocol: 0 })
  for (const { id, address, port } of service.backends) {
    const bytes = addressBytes(address)
    const four = bytes.length === 4
    const value = new Uint8Array(four ? 8 : 20)
    value.set(bytes)
    writeU16(value, bytes.length, port)
    const map = four ? maps.cilium_lb4_backends : maps.cilium_lb6_backends
    if (map?.update(numberKey(id, 2), value, 0, 0) !== 0) throw new Error('backends')
  }
}

/** One rule in an endpoint's policy map of 1.10. */
export interface LegacyPolicyRule {
  readonly egress?: boolean
  readonly identity?: number
  readonly protocol?: number
  readonly port?: number
  readonly deny?: boolean
  readonly proxyPort?: number
}

/** Writes a rule as the agent of 1.10 does. */
export function addLegacyPolicy(map: AnyMap, rule: LegacyPolicyRule): void {
  const key = new Uint8Array(8)
  writeLe32(key, 0, rule.identity ?? 0)
  writeU16(key, 4, rule.port ?? 0)
  key[6] = rule.protocol ?? 0
  key[7] = rule.egress === true ? 1 : 0
  const value = new Uint8Array(24)
  writeU16(value, 0, rule.proxyPort ?? 0)
  value[2] = rule.deny === true ? 1 : 0
  put(map as MapOf<'hash'>, key, value)
}

/** A Maglev table of a service over IPv4. */
export function putMaglev(maps: NodeMaps, revNatIndex: number, ids: readonly number[]): void {
  const map = maps.cilium_lb4_maglev
  if (map.spec.inner === undefined) throw new Error('maglev')
  const made = createMap(map.spec.inner, { cpus: 1 })
  if (made.kind !== 'made') throw new Error('maglev')
  const inner = made.map as MapOf<'array'>
  const table = new Uint8Array(ids.length * 4)
  for (const [slot, id] of ids.entries()) writeLe32(table, slot * 4, id)
  if (inner.update(new Uint8Array(4), table, 0, 0) !== 0) throw new Error('maglev table')
  map.update(numberKey(revNatIndex, 2), inner, 0)
}

/** That a backend belongs to a service whose clients keep theirs. */
export function putAffinityMatch(maps: NodeMaps, revNatIndex: number, id: number): void {
  const key = new Uint8Array(8)
  writeLe32(key, 0, id)
  writeLe16(key, 4, revNatIndex)
  put(maps.cilium_lb_affinity_match, key, new Uint8Array(1))
}

/** Every translation of a map, as `cilium bpf nat list` has them, sorted. */
export function natTexts(map: AnyMap): string[] {
  const texts: string[] = []
  if (!('nextKey' in map) || !('lookup' in map)) return texts
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
    const value = map.lookup(key, 0)
    if (!(value instanceof Uint8Array)) continue
    const tuple = Tuple.of(key)
    const entry = new NatEntry(tuple.family, value)
    const side = tuple.flags === 0 ? 'OUT' : 'IN'
    const address = (bytes: Uint8Array): string =>
      bytes.length === 4 ? [...bytes].join('.') : Buffer.from(bytes).toString('hex')
    const from = `${address(tuple.saddr)}:${tuple.sport}`
    const to = `${address(tuple.daddr)}:${tuple.dport}`
    texts.push(
      `${side} ${from} -> ${to} = ${address(entry.toAddress)}:${entry.toPort} ct ${entry.needsCt ? 1 : 0}`,
    )
  }
  return texts.sort()
}

// For the tests: entries of a node's maps as the agent writes them.
import { writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import type { AnyMap, MapOf } from '../../bpf/maps/create.ts'
import type { NodeMaps } from '../datapath/ctx.ts'
import { NatEntry } from '../maps/nat-entry.ts'
import { Tuple } from '../maps/tuple.ts'
import { addressBytes } from './lab.ts'

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
  writeLe32(value, 32, endpoint.identity ?? 0)
  put(maps.cilium_lxc, key, value)
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
  const [address = '', length] = prefix.split('/')
  const bytes = addressBytes(address)
  const key = new Uint8Array(24)
  writeLe32(key, 0, 32 + Number(length ?? bytes.length * 8))
  key[7] = bytes.length === 4 ? 1 : 2
  key.set(bytes, 8)
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

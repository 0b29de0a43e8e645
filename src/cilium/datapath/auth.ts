// Policies that demand authentication: whether the agent has seen both sides authenticate. lib/auth.h
import { readLe16, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { readLe64 } from '../maps/ct-entry.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { ipv4 } from './family.ts'
import { signalAuthRequired } from './signal.ts'

/** struct auth_key */
const keyBytes = 12
const at = { local: 0, remote: 4, nodeId: 8, type: 10 } as const
const nodeKeyBytes = 20
/** UTIME_SHIFT: times in units of 512 ns. */
const utimeUnit = 512

/** lookup_ip4_node_id(): 0 for a node that is not known. */
function nodeIdOf(ctx: Ctx, address: Uint8Array): number {
  const key = new Uint8Array(nodeKeyBytes)
  key[3] = ipv4.endpointKey
  key.set(address, 4)
  const value = ctx.lookup(ctx.maps.cilium_node_map_v2, key)
  return value === undefined ? 0 : readLe16(value, 0)
}

/** utime_get_time(): Unix time in units of 512 ns; the agent tells the offset from the monotonic clock. */
function utimeNow(ctx: Ctx): number {
  const offset = ctx.lookup(ctx.maps.cilium_runtime_config, new Uint8Array(4))
  return Math.floor(ctx.nowNs() / utimeUnit) + (offset === undefined ? 0 : readLe64(offset, 0))
}

/**
 * auth_lookup(): CTX_ACT_OK while the authentication of both identities lasts, DROP_POLICY_AUTH_REQUIRED (and a signal to the
 * agent) without, DROP_NO_NODE_ID for an unknown node. `tunnelEndpoint`: the other node's IPv4 address, zeros for this node.
 */
export function authLookup(
  ctx: Ctx,
  local: number,
  remote: number,
  tunnelEndpoint: Uint8Array | undefined,
  authType: number,
): number {
  const key = new Uint8Array(keyBytes)
  writeLe32(key, at.local, local)
  writeLe32(key, at.remote, remote)
  key[at.type] = authType
  const node = tunnelEndpoint?.subarray(0, 4)
  if (node?.some((byte) => byte !== 0)) {
    const nodeId = nodeIdOf(ctx, node)
    if (nodeId === 0) return drop.NO_NODE_ID
    writeLe16(key, at.nodeId, nodeId)
  }
  const value = ctx.lookup(ctx.maps.cilium_auth_map, key)
  if (value !== undefined && utimeNow(ctx) < readLe64(value, 0)) return ctx.act.OK
  signalAuthRequired(ctx, key)
  return drop.POLICY_AUTH_REQUIRED
}

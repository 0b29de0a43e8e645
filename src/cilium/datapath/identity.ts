// Security identities as the datapath sees them: reserved numbers, scopes, and how an identity travels in a packet's mark
// and in a tunnel id. lib/identity.h, lib/common.h get_tunnel_id(), node_config.h

import type { Defines } from './defines.ts'
import type { Family } from './family.ts'

export const identity = {
  UNKNOWN_ID: 0,
  HOST_ID: 1,
  WORLD_ID: 2,
  UNMANAGED_ID: 3,
  HEALTH_ID: 4,
  INIT_ID: 5,
  REMOTE_NODE_ID: 6,
  LOCAL_NODE_ID: 6,
  KUBE_APISERVER_NODE_ID: 7,
  INGRESS_ID: 8,
  WORLD_IPV4_ID: 9,
  WORLD_IPV6_ID: 10,
} as const

const scopeMask = 0xff00_0000
const scopeCidr = 0x0100_0000
const scopeRemoteNode = 0x0200_0000

/** WORLD_IPV4_ID, WORLD_IPV6_ID in dual stack; WORLD_ID where only one family is compiled in. */
export function worldId(config: Defines, family: Family): number {
  if (!config.ENABLE_IPV4 || !config.ENABLE_IPV6) return identity.WORLD_ID
  return family.version === 4 ? identity.WORLD_IPV4_ID : identity.WORLD_IPV6_ID
}

/** identity_is_local(): CIDR and FQDN identities, known to one node only. */
export function isCidrIdentity(id: number): boolean {
  return (id & scopeMask) >>> 0 === scopeCidr
}

/** identity_is_remote_node() */
export function isRemoteNode(id: number): boolean {
  return (
    id === identity.REMOTE_NODE_ID ||
    id === identity.KUBE_APISERVER_NODE_ID ||
    (id & scopeMask) >>> 0 === scopeRemoteNode
  )
}

/** Any world: those of one family are identities like others where only one is compiled in. */
function isWorld(config: Defines, id: number): boolean {
  if (id === identity.WORLD_ID) return true
  const dual = config.ENABLE_IPV4 && config.ENABLE_IPV6
  return dual && (id === identity.WORLD_IPV4_ID || id === identity.WORLD_IPV6_ID)
}

/** identity_is_world_ipv4(), identity_is_world_ipv6(): of one family; a single-stack node has one world. */
export function isWorldOf(config: Defines, family: Family, id: number): boolean {
  return id === identity.WORLD_ID || id === worldId(config, family)
}

/** identity_is_cluster(): neither the world nor a CIDR. */
export function isClusterIdentity(config: Defines, id: number): boolean {
  return !isWorld(config, id) && !isCidrIdentity(id)
}

/** identity_is_reserved(): what the ipcache may refine for a source address. */
export function isReserved(config: Defines, id: number): boolean {
  return id < identity.UNMANAGED_ID || isRemoteNode(id) || isWorld(config, id)
}

/** get_tunnel_id(): both worlds of dual stack are one on the wire. */
export function tunnelIdOf(config: Defines, id: number): number {
  if (!config.ENABLE_IPV4 || !config.ENABLE_IPV6) return id
  return id === identity.WORLD_IPV4_ID || id === identity.WORLD_IPV6_ID ? identity.WORLD_ID : id
}

/** get_id_from_tunnel_id() */
export function identityOfTunnelId(config: Defines, tunnelId: number, etherType: number): number {
  if (!config.ENABLE_IPV4 || !config.ENABLE_IPV6 || tunnelId !== identity.WORLD_ID) return tunnelId
  if (etherType === 0x0800) return identity.WORLD_IPV4_ID
  return etherType === 0x86dd ? identity.WORLD_IPV6_ID : tunnelId
}

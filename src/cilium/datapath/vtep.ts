// Tunnel endpoints that are no Cilium nodes: networks behind a VXLAN switch. lib/vtep.h
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { encapAndRedirect } from './encap.ts'
import { storeDestinationMac } from './ethernet.ts'
import { type Address, type Family, ipv4 } from './family.ts'
import { ethernetLength } from './headers.ts'
import { worldId } from './identity.ts'
import type { RemoteEndpoint } from './ipcache.ts'
import type { TraceContext } from './notify.ts'

const macBytes = 6
const tunnelEndpointAt = 8

/** struct vtep_value */
export interface Vtep {
  /** Six bytes. */
  readonly mac: Uint8Array
  /** IPv4. */
  readonly tunnelEndpoint: Address
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

/** The tunnel endpoint behind which an IPv4 address lies; undefined for all others. */
export function lookupVtep(ctx: Ctx, address: Address): Vtep | undefined {
  const key = address.map((byte, at) => byte & (ctx.node.vtep_mask[at] as number))
  const value = ctx.lookup(ctx.maps.cilium_vtep_map, key)
  if (value === undefined) return undefined
  return {
    mac: value.subarray(0, macBytes),
    tunnelEndpoint: value.subarray(tunnelEndpointAt, tunnelEndpointAt + 4),
  }
}

/** Whether the entry names a tunnel endpoint. */
export function hasTunnelEndpoint(vtep: Vtep): boolean {
  return !isZero(vtep.tunnelEndpoint)
}

/** A remote endpoint that exists in no ipcache: only its tunnel endpoint counts. */
export function remoteOf(vtep: Vtep): RemoteEndpoint {
  const tunnelEndpoint = new Uint8Array(16)
  tunnelEndpoint.set(vtep.tunnelEndpoint)
  return {
    secIdentity: 0,
    tunnelEndpoint,
    key: 0,
    skipTunnel: false,
    hasTunnelEndpoint: true,
    ipv6TunnelEndpoint: false,
    remoteCluster: false,
  }
}

/** Sends a packet for such a network there, as from the world: a code or a drop reason; undefined for other packets. */
export function encapToVtep(
  ctx: Ctx,
  family: Family,
  source: number,
  trace: TraceContext,
): number | undefined {
  if (!ctx.node.ENABLE_VTEP || family !== ipv4) return undefined
  const address = ctx.packet.copy(ethernetLength(ctx) + ipv4.destinationAt, ipv4.addressBytes)
  const vtep = lookupVtep(ctx, address)
  if (vtep === undefined || isZero(vtep.mac) || !hasTunnelEndpoint(vtep)) return undefined
  if (storeDestinationMac(ctx, vtep.mac) < 0) return drop.WRITE_ERROR
  const world = worldId(ctx.node, ipv4)
  return encapAndRedirect(ctx, {
    remote: remoteOf(vtep),
    source,
    destination: world,
    trace,
    etherType: ipv4.etherType,
    vni: world,
  })
}

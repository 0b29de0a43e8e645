// How a packet of a NodePort leaves in Cilium 1.10: through the tunnel, or out of a native device with the neighbour that the
// routing table or the map of neighbours knows. bpf/lib/nodeport.h tail_nodeport_nat_ipv4(), tail_nodeport_ipv4_dsr(),
// rev_nodeport_lb4() and their IPv6 siblings
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import { errno } from '../../bpf/errno.ts'
import { fibResult } from '../../bpf/fib-result.ts'
import { fibFlag } from '../../bpf/helpers/lookup.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ethernetBytes, macBytesOf, storeMacs } from '../datapath/ethernet.ts'
import type { Family } from '../datapath/family.ts'
import { fibAt, fibDevice, fibParams, maybeAddL2Header, needsL2Header } from '../datapath/fib.ts'
import { identity } from '../datapath/identity.ts'
import { neighLookup, neighStore } from '../datapath/neigh.ts'
import { encapWithNode } from './encap.ts'
import { isSet, lookupRemoteEndpoint } from './ipcache.ts'

const macBytes = 6
const noMac = new Uint8Array(macBytes)

/** SECLABEL: the identity that an object speaks with. Of a device it is the host's, of the tunnel and in XDP the world's. */
export function ownLabel({ object }: Ctx): number {
  if (object.kind === 'bpf_lxc') return object.security_label
  return object.kind === 'bpf_host' ? identity.HOST_ID : identity.WORLD_ID
}

/**
 * Encapsulates a packet whose destination, at `l3Offset`, is behind a tunnel: its inner MACs are zeros. False: it is not; or a
 * drop reason.
 */
export function encapNodeport(ctx: Ctx, family: Family, l3Offset: number): boolean | number {
  if (!ctx.node.HAVE_ENCAP) return false
  const destination = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  if (remote === undefined || !isSet(remote.tunnelEndpoint)) return false
  const { trace_payload_len } = ctx.node
  const encapsulated = encapWithNode(ctx, remote.tunnelEndpoint, ownLabel(ctx), trace_payload_len)
  if (encapsulated !== 0) return encapsulated
  return storeMacs(ctx, noMac, noMac) < 0 ? drop.WRITE_ERROR : true
}

/** Where the MACs of a packet come from besides the routing table. */
export interface NeighbourUse {
  /** The map of neighbours is asked first. */
  readonly ask: boolean
  /** What the routing table says is noted there. */
  readonly learn: boolean
}

/**
 * Gives a packet the MACs for its way out of `oif`, adding an Ethernet header where it has none. The device to redirect to, which
 * the routing table may change, or a drop reason.
 */
export function resolveNodeport(ctx: Ctx, family: Family, oif: number, use: NeighbourUse): number {
  if (!needsL2Header(ctx, oif)) return oif
  const added = maybeAddL2Header(ctx)
  if (added !== 0) return added
  if (!ctx.packet.has(ethernetBytes, family.headerBytes)) return drop.INVALID
  const { packet } = ctx
  const destination = packet.copy(ethernetBytes + family.destinationAt, family.addressBytes)
  const known = use.ask ? neighLookup(ctx, family, destination) : undefined
  if (known !== undefined) {
    const source = macBytesOf(ctx.node.nativeDeviceMacs.get(oif) ?? 0)
    return storeMacs(ctx, source, known) < 0 ? drop.WRITE_ERROR : oif
  }
  const source = packet.copy(ethernetBytes + family.sourceAt, family.addressBytes)
  const params = fibParams(ctx, family, source, destination)
  writeLe32(params, fibAt.ifindex, oif)
  const { BPF_FIB_LOOKUP_DIRECT, BPF_FIB_LOOKUP_OUTPUT } = fibFlag
  const found = ctx.fibLookup(params, BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_OUTPUT)
  if (found !== fibResult.success) return drop.NO_FIB
  const dmac = params.slice(fibAt.dmac, fibAt.dmac + macBytes)
  if (use.learn) neighStore(ctx, family, destination, dmac)
  const smac = params.slice(fibAt.smac, fibAt.smac + macBytes)
  return storeMacs(ctx, smac, dmac) < 0 ? drop.WRITE_ERROR : fibDevice(params)
}

/**
 * ctx_redirect(): in XDP a packet only goes back out of the device it came from; -ENOTSUPP, which no hook knows, for another one.
 */
export function redirectNodeport(ctx: Ctx, oif: number): number {
  return ctx.isXdp && oif !== ctx.ifindex ? -errno.ENOTSUPP : ctx.redirect(oif, 0)
}

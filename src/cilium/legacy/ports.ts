// The ports of a packet in Cilium 1.10. Fragments are known of IPv4 only: a later fragment of IPv6, or of IPv4 where they are
// not tracked, is read as if an L4 header followed. bpf/lib/ipv4.h ipv4_handle_fragmentation(), bpf/lib/conntrack.h
import { errno } from '../../bpf/errno.ts'
import { type CtDirection, metricDirectionOf } from '../datapath/ct-state.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4 } from '../datapath/family.ts'
import { fragmentInfo4, fragmentKey } from '../datapath/fragments.ts'
import { ethernetLength, hasHeader } from '../datapath/headers.ts'
import { metricReason } from '../datapath/metrics.ts'
import type { Tuple } from '../maps/tuple.ts'
import { count } from './notify.ts'

/** What ctx_load_bytes() says of bytes outside of the packet, which reaches the drop event as it is: bpf_skb_load_bytes() says
 * -EFAULT, Cilium's own function of XDP -EINVAL. */
export function unreadable(ctx: Ctx): number {
  return ctx.isXdp ? -errno.EINVAL : -errno.EFAULT
}

/** What loading ports found out. */
export interface LoadedPorts {
  /** 0, or a drop reason. */
  readonly result: number
  /** False for all fragments but the first. */
  readonly hasL4Header: boolean
}

const loaded: LoadedPorts = { result: 0, hasL4Header: true }

function setPorts(tuple: Tuple, ports: Uint8Array): void {
  tuple.bytes.set(ports, tuple.family.addressBytes * 2)
}

/** ipv4_handle_fragmentation() */
function loadTracked(ctx: Ctx, tuple: Tuple, l4Offset: number, direction: CtDirection): LoadedPorts {
  const l3Offset = ethernetLength(ctx)
  const fragment = fragmentInfo4(ctx, l3Offset)
  const map = ctx.maps.cilium_ipv4_frag_datagrams
  if (fragment.isFragment) count(ctx, metricDirectionOf(direction), metricReason.FRAG_PACKET)
  if (!fragment.hasL4Header) {
    const known = ctx.lookup(map, fragmentKey(ctx, ipv4, fragment, l3Offset))
    if (known === undefined) return { result: drop.FRAG_NOT_FOUND, hasL4Header: false }
    setPorts(tuple, known)
    return { result: 0, hasL4Header: false }
  }
  const ports = ctx.load(l4Offset, 4)
  if (ports === undefined) return { result: unreadable(ctx), hasL4Header: true }
  setPorts(tuple, ports)
  if (fragment.isFragment && ctx.update(map, fragmentKey(ctx, ipv4, fragment, l3Offset), ports) !== 0) {
    count(ctx, metricDirectionOf(direction), metricReason.FRAG_PACKET_UPDATE)
  }
  return loaded
}

/**
 * ipv4_ct_extract_l4_ports(), and what ct_lookup6() does: puts the ports into the tuple as they stand in the packet, the source
 * port where the tuple says dport.
 */
export function loadPorts(ctx: Ctx, tuple: Tuple, l4Offset: number, direction: CtDirection): LoadedPorts {
  if (tuple.family === ipv4 && ctx.node.ENABLE_IPV4_FRAGMENTS) {
    if (!hasHeader(ctx, ipv4, ethernetLength(ctx))) return { result: drop.CT_INVALID_HDR, hasL4Header: true }
    return loadTracked(ctx, tuple, l4Offset, direction)
  }
  const ports = ctx.load(l4Offset, 4)
  if (ports === undefined) return { result: drop.CT_INVALID_HDR, hasL4Header: true }
  setPorts(tuple, ports)
  return loaded
}

// struct xdp_md as a program sees it, bound to the real frame. include/uapi/linux/bpf.h; net/core/filter.c
// xdp_is_valid_access(): everything is read-only.
import type { RunContext, XdpBuff } from '../contract.ts'
import { fault } from '../fault.ts'
import { Packet } from './packet.ts'

/** Offsets in struct xdp_md. */
export const xdpAt = {
  data: 0,
  data_end: 4,
  data_meta: 8,
  ingress_ifindex: 12,
  rx_queue_index: 16,
  egress_ifindex: 20,
} as const

function xdpOf(context: RunContext): XdpBuff {
  return context.xdp ?? fault(`a program of type ${context.type} has no xdp_md here`)
}

/** The word at an offset; pointers are offsets from `data`. */
export function loadXdp(context: RunContext, offset: number, size: number): number {
  const xdp = xdpOf(context)
  if (size !== 4) fault(`invalid bpf_context access off=${offset} size=${size}`)
  switch (offset) {
    case xdpAt.data:
      return 0
    case xdpAt.data_end:
      return xdp.dataEnd - xdp.data
    case xdpAt.data_meta:
      return xdp.meta - xdp.data
    case xdpAt.ingress_ifindex:
      return xdp.ifindex
    case xdpAt.rx_queue_index:
      return xdp.rxQueueIndex
    default:
      // egress_ifindex is for programs in a devmap only (BPF_XDP_DEVMAP)
      return fault(`invalid bpf_context access off=${offset} size=${size}`)
  }
}

/** Nothing in struct xdp_md may be written: always a fault. */
export function storeXdp(_context: RunContext, offset: number, size: number): never {
  return fault(`invalid bpf_context access off=${offset} size=${size}: xdp_md is read-only`)
}

/** struct xdp_md for TypeScript programs. */
export class XdpContext {
  /** Direct access to the frame's bytes and its metadata. */
  readonly packet: Packet
  private readonly context: RunContext

  constructor(context: RunContext) {
    this.context = context
    this.packet = new Packet(context)
  }

  get ingress_ifindex(): number {
    return loadXdp(this.context, xdpAt.ingress_ifindex, 4)
  }

  get rx_queue_index(): number {
    return loadXdp(this.context, xdpAt.rx_queue_index, 4)
  }
}

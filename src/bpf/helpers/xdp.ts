// Helpers on an XDP frame. net/core/filter.c bpf_xdp_adjust_head(), bpf_xdp_adjust_meta(), bpf_xdp_adjust_tail(),
// bpf_xdp_load_bytes(), bpf_xdp_store_bytes()
//
//   hardStart      meta       data              dataEnd      frameEnd
//       | xdp_frame |  meta..  | packet             | tail room  |
//       0          40
import type { RunContext } from '../contract.ts'
import { errno } from '../errno.ts'
import { xdpOf } from './subject.ts'

/** sizeof(struct xdp_frame): kept free at the start of the headroom, for a redirect. */
const xdpFrameBytes = 40
const ethernetBytes = 14
const metaBytesMax = 255

/** bpf_xdp_adjust_head: moves `data` by `offset` (negative: more room), its metadata with it. 0 or -EINVAL. */
export function xdpAdjustHead(context: RunContext, offset: number): number {
  const xdp = xdpOf(context)
  const metaBytes = xdp.data - xdp.meta
  const data = xdp.data + offset
  if (data < xdp.hardStart + xdpFrameBytes + metaBytes || data > xdp.dataEnd - ethernetBytes) {
    return -errno.EINVAL
  }
  if (metaBytes > 0) xdp.bytes.copyWithin(xdp.meta + offset, xdp.meta, xdp.data)
  xdp.meta += offset
  xdp.data = data
  return 0
}

/** bpf_xdp_adjust_meta: moves `data_meta`; -EINVAL outside of the headroom, -EACCES for a length not a multiple of 4 or above 252. */
export function xdpAdjustMeta(context: RunContext, offset: number): number {
  const xdp = xdpOf(context)
  const meta = xdp.meta + offset
  if (meta < xdp.hardStart + xdpFrameBytes || meta > xdp.data) return -errno.EINVAL
  const length = xdp.data - meta
  if (length > metaBytesMax || (length & 3) !== 0) return -errno.EACCES
  xdp.meta = meta
  return 0
}

/** bpf_xdp_adjust_tail: moves `data_end`; new bytes are zero. -EINVAL past the frame's end or below 14 bytes. */
export function xdpAdjustTail(context: RunContext, offset: number): number {
  const xdp = xdpOf(context)
  const end = xdp.dataEnd + offset
  if (end > xdp.frameEnd || end < xdp.data + ethernetBytes) return -errno.EINVAL
  if (offset > 0) xdp.bytes.fill(0, xdp.dataEnd, end)
  xdp.dataEnd = end
  return 0
}

/** bpf_xdp_get_buff_len. */
export function xdpGetBuffLen(context: RunContext): number {
  const xdp = xdpOf(context)
  return xdp.dataEnd - xdp.data
}

function outside(context: RunContext, offset: number, length: number): number {
  if (offset < 0 || offset > 0xffff || length > 0xffff) return -errno.EFAULT
  return offset + length > xdpGetBuffLen(context) ? -errno.EINVAL : 0
}

/** bpf_xdp_load_bytes: 0, -EFAULT for an absurd offset, -EINVAL past the end. */
export function xdpLoadBytes(context: RunContext, offset: number, to: Uint8Array): number {
  const problem = outside(context, offset, to.length)
  if (problem !== 0) return problem
  const xdp = xdpOf(context)
  to.set(xdp.bytes.subarray(xdp.data + offset, xdp.data + offset + to.length))
  return 0
}

/** bpf_xdp_store_bytes: the same in the other direction. */
export function xdpStoreBytes(context: RunContext, offset: number, from: Uint8Array): number {
  const problem = outside(context, offset, from.length)
  if (problem !== 0) return problem
  const xdp = xdpOf(context)
  xdp.bytes.set(from, xdp.data + offset)
  return 0
}

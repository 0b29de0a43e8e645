// Helpers that copy bytes out of and into an skb. net/core/filter.c bpf_skb_store_bytes(), bpf_skb_load_bytes(),
// bpf_skb_load_bytes_relative(), bpf_skb_pull_data()
import type { RunContext } from '../contract.ts'
import { errno } from '../errno.ts'
import { networkOffset, skbLength, skbOf } from './subject.ts'

const storeFlag = { BPF_F_RECOMPUTE_CSUM: 1, BPF_F_INVALIDATE_HASH: 2 } as const

/** BPF_HDR_START_MAC, BPF_HDR_START_NET. */
const headerStart = { mac: 0, net: 1 } as const

/** bpf_skb_store_bytes: 0, -EINVAL for unknown flags, -EFAULT outside of the packet. */
export function skbStoreBytes(context: RunContext, offset: number, from: Uint8Array, flags = 0): number {
  const skb = skbOf(context)
  if ((flags & ~(storeFlag.BPF_F_RECOMPUTE_CSUM | storeFlag.BPF_F_INVALIDATE_HASH)) !== 0) {
    return -errno.EINVAL
  }
  if (offset < 0 || offset + from.length > skbLength(skb)) return -errno.EFAULT
  skb.bytes.set(from, skb.start + offset)
  if ((flags & storeFlag.BPF_F_INVALIDATE_HASH) !== 0) skb.hash = 0
  return 0
}

/** bpf_skb_load_bytes: fills `to`; -EFAULT and zeros outside of the packet. */
export function skbLoadBytes(context: RunContext, offset: number, to: Uint8Array): number {
  const skb = skbOf(context)
  if (offset < 0 || offset + to.length > skbLength(skb)) {
    to.fill(0)
    return -errno.EFAULT
  }
  const at = skb.start + offset
  to.set(skb.bytes.subarray(at, at + to.length))
  return 0
}

/** bpf_skb_load_bytes_relative: the same from the MAC (0) or network (1) header. */
export function skbLoadBytesRelative(
  context: RunContext,
  offset: number,
  to: Uint8Array,
  start: number,
): number {
  const known = start === headerStart.net || (start === headerStart.mac && context.type === 'sched_cls')
  if (!known || offset > 0xffff || offset < 0) {
    to.fill(0)
    return -errno.EFAULT
  }
  return skbLoadBytes(context, offset + (start === headerStart.net ? networkOffset(context) : 0), to)
}

/** bpf_skb_pull_data: every packet here is linear, so only a length past the end fails: -ENOMEM. */
export function skbPullData(context: RunContext, length: number): number {
  return length > skbLength(skbOf(context)) ? -errno.ENOMEM : 0
}

// Helpers that change an skb's length or type. net/core/filter.c bpf_skb_change_head(), bpf_skb_change_tail(),
// bpf_skb_change_proto(), bpf_skb_change_type(). They take the packet's bytes apart, so direct positions found before
// are stale, as in the kernel.
import { swap16 } from '../context/byte-order.ts'
import type { RunContext } from '../contract.ts'
import { errno } from '../errno.ts'
import { etherType, networkOffset, skbBytesMax, skbLength, skbOf } from './subject.ts'

/** PACKET_OTHERHOST: types up to here may be changed, and changed into. */
const packetTypeMax = 3
const ipv6ExtraBytes = 20

/** bpf_skb_change_head: room in front of the packet, zeroed. 0 or -EINVAL. */
export function skbChangeHead(context: RunContext, bytes: number, flags = 0): number {
  const skb = skbOf(context)
  if (flags !== 0 || bytes < 0 || skbLength(skb) + bytes > skbBytesMax) return -errno.EINVAL
  skb.pushHead(bytes)
  return 0
}

/** bpf_skb_change_tail: a new length; what is added is zero. Not below the network header: -EINVAL. */
export function skbChangeTail(context: RunContext, length: number, flags = 0): number {
  if (flags !== 0 || length > skbBytesMax || length < networkOffset(context)) return -errno.EINVAL
  skbOf(context).resizeTail(length)
  return 0
}

/** enum: BPF_SKB_CLOCK_REALTIME, BPF_SKB_CLOCK_MONOTONIC, BPF_SKB_CLOCK_TAI. */
const clocks = { realtime: 0, tai: 2 } as const

/**
 * bpf_skb_set_tstamp: a departure time on a clock, which then survives forwarding; clock 0 with time 0 takes it away. IP
 * only: -EOPNOTSUPP; -EINVAL for a time without a clock, a clock without a time, or an unknown clock.
 */
export function skbSetTstamp(context: RunContext, tstamp: number, clock: number): number {
  const skb = skbOf(context)
  if (skb.protocol !== etherType.ipv4 && skb.protocol !== etherType.ipv6) return -errno.EOPNOTSUPP
  if (clock < clocks.realtime || clock > clocks.tai) return -errno.EINVAL
  if ((clock === clocks.realtime) !== (tstamp === 0)) return -errno.EINVAL
  skb.tstamp = tstamp
  skb.tstampType = clock
  return 0
}

/** bpf_skb_change_type: among HOST, BROADCAST, MULTICAST, OTHERHOST; otherwise -EINVAL. */
export function skbChangeType(context: RunContext, type: number): number {
  const skb = skbOf(context)
  if (skb.pktType > packetTypeMax || type > packetTypeMax || type < 0) return -errno.EINVAL
  skb.pktType = type
  return 0
}

/**
 * bpf_skb_change_proto: from IPv4 to IPv6 or back: makes room for or removes 20 bytes at the network header and sets
 * skb->protocol; the headers are for the program to write. `protocol` is big endian, as in C. -EINVAL, -ENOTSUPP.
 */
export function skbChangeProto(context: RunContext, protocol: number, flags = 0): number {
  const skb = skbOf(context)
  const wanted = swap16(protocol)
  if (flags !== 0) return -errno.EINVAL
  const grows = skb.protocol === etherType.ipv4 && wanted === etherType.ipv6
  const shrinks = skb.protocol === etherType.ipv6 && wanted === etherType.ipv4
  if (!grows && !shrinks) return -errno.ENOTSUPP
  skb.resizeAt(networkOffset(context), grows ? ipv6ExtraBytes : -ipv6ExtraBytes)
  skb.protocol = wanted
  skb.hash = 0
  return 0
}

// bpf_skb_adjust_room: room for an outer header, or its removal. net/core/filter.c bpf_skb_adjust_room(),
// bpf_skb_net_grow(), bpf_skb_net_shrink()
import type { RunContext, SkbView } from '../contract.ts'
import { errno } from '../errno.ts'
import { etherType, networkOffset, skbBytesMax, skbLength, skbOf } from './subject.ts'

/** enum bpf_adj_room_mode: room behind the network header, or behind the MAC header. */
export const roomMode = { net: 0, mac: 1 } as const

const roomFlag = {
  BPF_F_ADJ_ROOM_FIXED_GSO: 1,
  BPF_F_ADJ_ROOM_ENCAP_L3_IPV4: 2,
  BPF_F_ADJ_ROOM_ENCAP_L3_IPV6: 4,
  BPF_F_ADJ_ROOM_ENCAP_L4_GRE: 8,
  BPF_F_ADJ_ROOM_ENCAP_L4_UDP: 16,
  BPF_F_ADJ_ROOM_NO_CSUM_RESET: 32,
  BPF_F_ADJ_ROOM_ENCAP_L2_ETH: 64,
  BPF_F_ADJ_ROOM_DECAP_L3_IPV4: 128,
  BPF_F_ADJ_ROOM_DECAP_L3_IPV6: 256,
} as const

const knownFlags = 0x1ff
const encapL3 = roomFlag.BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | roomFlag.BPF_F_ADJ_ROOM_ENCAP_L3_IPV6
const encapL4 = roomFlag.BPF_F_ADJ_ROOM_ENCAP_L4_GRE | roomFlag.BPF_F_ADJ_ROOM_ENCAP_L4_UDP
const decapL3 = roomFlag.BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | roomFlag.BPF_F_ADJ_ROOM_DECAP_L3_IPV6
const differenceMax = 0xfff
const ipv4Bytes = 20
const ipv6Bytes = 40

/** BPF_F_ADJ_ROOM_ENCAP_L2(len) stands in the top byte of the 64 bits of the flags. */
function lowFlags(flags: number): number {
  return flags % 2 ** 56
}

function baseBytes(skb: SkbView): number {
  return skb.protocol === etherType.ipv6 ? ipv6Bytes : ipv4Bytes
}

/** How much must stay of the network packet, or undefined for both families at once. */
function remainderMin(skb: SkbView, flags: number): number | undefined {
  switch (flags & decapL3) {
    case 0:
      return baseBytes(skb)
    case roomFlag.BPF_F_ADJ_ROOM_DECAP_L3_IPV4:
      return ipv4Bytes
    case roomFlag.BPF_F_ADJ_ROOM_DECAP_L3_IPV6:
      return ipv6Bytes
    default:
      return undefined
  }
}

function refused(context: RunContext, difference: number, mode: number, flags: number): number {
  const skb = skbOf(context)
  if (flags > knownFlags || flags < 0) return -errno.EINVAL
  if (Math.abs(difference) > differenceMax) return -errno.EFAULT
  if (skb.protocol !== etherType.ipv4 && skb.protocol !== etherType.ipv6) return -errno.ENOTSUPP
  if (mode !== roomMode.net && mode !== roomMode.mac) return -errno.ENOTSUPP
  if ((flags & decapL3) !== 0 && difference >= 0) return -errno.EINVAL
  const keep = remainderMin(skb, flags)
  if (keep === undefined) return -errno.EINVAL
  const network = skbLength(skb) - networkOffset(context)
  if (difference < 0 && network + difference < keep) return -errno.ENOTSUPP
  return difference > 0 && skbLength(skb) + difference > skbBytesMax ? -errno.ENOTSUPP : 0
}

/** What the flags say of the packet behind the change, in skb->protocol. */
function protocolAfter(skb: SkbView, difference: number, flags: number): number {
  const to4 = difference > 0 ? roomFlag.BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : roomFlag.BPF_F_ADJ_ROOM_DECAP_L3_IPV4
  const to6 = difference > 0 ? roomFlag.BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : roomFlag.BPF_F_ADJ_ROOM_DECAP_L3_IPV6
  if ((flags & to6) !== 0) return etherType.ipv6
  return (flags & to4) !== 0 ? etherType.ipv4 : skb.protocol
}

/**
 * Adds (positive) or removes bytes behind the network header (mode 0) or behind the MAC header (mode 1); new bytes are
 * zero. 0, -EINVAL, -EFAULT beyond 4095 bytes, -ENOTSUPP for packets that are not IP or would be too short or too long.
 */
export function skbAdjustRoom(context: RunContext, difference: number, mode: number, flags = 0): number {
  const skb = skbOf(context)
  const low = lowFlags(flags)
  const problem = refused(context, difference, mode, low)
  if (problem !== 0) return problem
  if (difference > 0 && ((low & encapL3) === encapL3 || (low & encapL4) === encapL4)) return -errno.EINVAL
  const offset = networkOffset(context) + (mode === roomMode.net ? baseBytes(skb) : 0)
  const protocol = protocolAfter(skb, difference, low)
  if (difference !== 0) skb.resizeAt(offset, difference)
  skb.protocol = protocol
  return 0
}

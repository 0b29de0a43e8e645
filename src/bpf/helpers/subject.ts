// Which packet a helper works on. A helper that the type may call but whose packet is not there is a fault.
import type { RunContext, SkbView, XdpBuff } from '../contract.ts'
import { fault } from '../fault.ts'

/** The skb of the run. */
export function skbOf(context: RunContext): SkbView {
  return context.skb ?? fault(`no skb in a program of type ${context.type}`)
}

/** The frame of the run. */
export function xdpOf(context: RunContext): XdpBuff {
  return context.xdp ?? fault(`no xdp_buff in a program of type ${context.type}`)
}

/** skb->len at this hook. */
export function skbLength(skb: SkbView): number {
  return skb.end - skb.start
}

const macBytes = 14

/** skb_network_offset(): at tc the packet starts at the MAC header, elsewhere at the IP header. */
export function networkOffset(context: RunContext): number {
  return context.type === 'sched_cls' ? macBytes : 0
}

/** ETH_P_*: ethertypes that helpers tell apart, host byte order. */
export const etherType = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, vlanAd: 0x88a8 } as const

/** Longest packet that a helper may make: SKB_MAX_ALLOC on x86, BPF_SKB_MAX_LEN in net/core/filter.c. */
export const skbBytesMax = 16_064

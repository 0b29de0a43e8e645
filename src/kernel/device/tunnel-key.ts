// A packet's tunnel key as addresses and flags: what bpf_skb_set_tunnel_key wrote (struct ip_tunnel_info).
import type { TunnelKey } from '../../bpf/contract.ts'
import { type IpAddress, ipv4From, isUnspecified } from '../../net/address.ts'

/** BPF_F_ZERO_CSUM_TX, BPF_F_DONT_FRAGMENT. */
export const keyFlag = { zeroChecksum: 2, dontFragment: 4 } as const

/** An address of a tunnel key; undefined when it names none. */
export function keyAddress(words: TunnelKey['local']): IpAddress | undefined {
  if (words === undefined) return undefined
  const address: IpAddress = typeof words === 'number' ? ipv4From(words) : words
  return isUnspecified(address) ? undefined : address
}

// What is left of CHECKSUM_COMPLETE where software has summed a packet: who changes its IPv6 header afterwards without
// correcting the sum makes it wrong (include/linux/skbuff.h __skb_checksum_complete(), include/net/udp.h udp6_csum_init()).
import { sumWords } from '../net/checksum.ts'
import { ipv6At } from '../net/ipv6.ts'

/**
 * The sum of an IPv6 header and its extensions, `[l3, l4)`, without the addresses: what NAT changes there it takes back in the
 * checksum of the transport header. Of an IPv4 header it means nothing: its own checksum makes every header sum to the same.
 */
export function headerSum(bytes: Uint8Array, l3: number, l4: number): number {
  return sumWords(bytes, l3 + ipv6At.payload, l4, sumWords(bytes, l3, l3 + ipv6At.source))
}

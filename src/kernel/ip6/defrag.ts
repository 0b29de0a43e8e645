// Whole packets for who wants them before routing, conntrack above all: net/ipv6/netfilter/nf_conntrack_reasm.c
// nf_ct_frag6_gather(), nf_defrag_ipv6_hooks.c ipv6_defrag(). Nothing is counted in Ip6Reasm* but what times out, and a
// piece that breaks the rules goes on alone or is dropped without a word.
import { readU16 } from '../../net/bytes.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { findExtension } from '../../net/ipv6-extensions.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { fragmentUser } from '../ip/fragment-queue.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { lacksHeaders } from './fragment-receive.ts'
import { abandon6, dropPiece6, placePiece6 } from './reassembly.ts'

/** What becomes of a packet: it goes on as it is, as the whole that it completed, it waits, or it is dropped. */
export type Gathered6 = Skb | 'waits' | 'drop'

/**
 * nf_ct_frag6_gather(): `skb.networkHeader` stands at an IPv6 header. An atomic fragment is a whole packet at once and
 * loses its fragment header.
 */
export function gather6(ns: Namespace, skb: Skb): Gathered6 {
  const { bytes, networkHeader: l3 } = skb
  if (readU16(bytes, l3 + ipv6At.payloadLength) === 0) return skb
  const at = findExtension(bytes, l3, skb.tail, ipProtocol.fragment)
  if (at < 0 || lacksHeaders(skb, at)) return skb
  const user = fragmentUser.conntrackIn
  const placing = placePiece6(ns, skb, at, user)
  switch (placing.kind) {
    case 'waits':
      return 'waits'
    case 'complete':
      placing.whole.data = placing.whole.networkHeader
      return placing.whole
    case 'duplicate':
      dropPiece6(skb, 'SKB_DROP_REASON_DUP_FRAG')
      return 'waits'
    case 'uneven':
      abandon6(ns, skb, at, user)
      return skb
    case 'overlap':
      abandon6(ns, skb, at, user)
      return 'drop'
    case 'tooFar':
    case 'contradiction':
      return 'drop'
  }
}

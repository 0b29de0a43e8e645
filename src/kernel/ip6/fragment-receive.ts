// A fragment for this host: net/ipv6/reassembly.c ipv6_frag_rcv(). Overlaps end the datagram (RFC 5722), exact copies are
// ignored, what breaks the rules of RFC 8200 section 4.5 is told to the sender.
import { readU16 } from '../../net/bytes.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { extensionAt } from '../../net/ipv6-extensions.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import { fragmentUser } from '../ip/fragment-queue.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { transportBehind } from './extension.ts'
import { icmp6Send } from './icmp-send.ts'
import { abandon6, dropPiece6, placePiece6 } from './reassembly.ts'

/** Codes of an ICMPv6 parameter problem: a wrong field, and a first fragment without all headers (RFC 7112). */
const problem = { headerField: 0, incompleteHeaders: 3 } as const

/** What must be there of a transport header (ipv6frag_thdr_truncated). */
function neededBytes(protocol: number): number {
  if (protocol === ipProtocol.tcp) return 20
  return protocol === ipProtocol.udp || protocol === ipProtocol.icmp6 ? 8 : 1
}

/** ipv6frag_thdr_truncated(): whether a first fragment, its fragment header at `at`, lacks a part of the headers. */
export function lacksHeaders(skb: Skb, at: number): boolean {
  const transport = transportBehind(skb.bytes, { at, protocol: ipProtocol.fragment, end: skb.tail })
  if (transport === undefined || transport.laterFragment) return false
  return transport.offset + neededBytes(transport.protocol) > skb.tail
}

function refuse(ns: Namespace, skb: Skb, code: number, info: number): undefined {
  count(ns, 'Ip6InHdrErrors')
  icmp6Send(skb, { type: icmpv6Type.parameterProblem, code, info })
  dropPiece6(skb, 'SKB_DROP_REASON_IP_INHDR')
  return undefined
}

/** Whether a fragment header says "all of it": no offset and nothing more (an atomic fragment, RFC 6946). */
export function isAtomicFragment(skb: Skb, at: number): boolean {
  return (readU16(skb.bytes, at + extensionAt.fragmentOffset) & 0xfff9) === 0
}

/**
 * Takes a fragment whose fragment header is at `at`. Answers the whole packet, its `data` at the header behind the
 * removed one, once all pieces are here; otherwise the piece waits or has been dropped.
 */
export function reassemble6(ns: Namespace, skb: Skb, at: number): Skb | undefined {
  if (lacksHeaders(skb, at)) return refuse(ns, skb, problem.incompleteHeaders, 0)
  const user = fragmentUser.localDeliver
  const placing = placePiece6(ns, skb, at, user)
  switch (placing.kind) {
    case 'waits':
      return undefined
    case 'complete':
      count(ns, 'Ip6ReasmOKs')
      return placing.whole
    case 'uneven':
      return refuse(ns, skb, problem.headerField, ipv6At.payloadLength)
    case 'tooFar':
      return refuse(ns, skb, problem.headerField, at + extensionAt.fragmentOffset - skb.networkHeader)
    case 'duplicate':
      dropPiece6(skb, 'SKB_DROP_REASON_DUP_FRAG')
      return undefined
    case 'overlap':
    case 'contradiction':
      abandon6(ns, skb, at, user)
      count(ns, 'Ip6ReasmFails')
      dropPiece6(skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
      return undefined
  }
}

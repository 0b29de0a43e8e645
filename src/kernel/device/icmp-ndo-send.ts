// What a driver tells the sender of a packet that it does not send: net/ipv4/icmp.c icmp_ndo_send(), net/ipv6/ip6_icmp.c
// icmpv6_ndo_send().
import { isIpv4, writeIpv4, writeIpv6 } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType } from '../../net/protocol.ts'
import { connStatus, directionOf, tupleOf } from '../conntrack/connection.ts'
import { icmp6Send } from '../ip6/icmp-send.ts'
import type { Skb } from '../skb.ts'

/** An ICMP error: type, code, and the second word. */
interface Told {
  readonly type: number
  readonly code: number
  readonly info: number
}

function writeSource(skb: Skb, connection: NonNullable<Skb['nfct']>): void {
  const { source } = tupleOf(connection, directionOf(skb.nfctInfo))
  if (isIpv4(source)) writeIpv4(skb.bytes, skb.networkHeader + ipv4At.source, source)
  else writeIpv6(skb.bytes, skb.networkHeader + ipv6At.source, source)
}

/**
 * Sends the error of the packet's family; nothing for other protocols. A packet that NAT has rewritten is quoted, and
 * answered, with the source that it had before (its checksum stays as it is).
 */
export function icmpNdoSend(skb: Skb, told: { readonly four: Told; readonly six: Told }): void {
  const four = skb.protocol === etherType.ipv4
  if (!four && skb.protocol !== etherType.ipv6) return
  const { nfct, networkHeader: l3 } = skb
  const natted = nfct !== undefined && (nfct.status & connStatus.natMask) !== 0
  const at = l3 + (four ? ipv4At.source : ipv6At.source)
  const kept = natted ? skb.bytes.slice(at, at + (four ? 4 : 16)) : undefined
  if (natted) writeSource(skb, nfct)
  if (four) skb.dev.ns.ip.stack.sendError(skb, told.four)
  else icmp6Send(skb, told.six)
  if (kept !== undefined) skb.bytes.set(kept, at)
}

// The packet that an ICMP error quotes, as the one who sent it sees it.
import { readIpv4, readIpv6 } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { IcmpError } from '../ip/state.ts'
import type { Skb } from '../skb.ts'
import { sourceOf } from './arrival.ts'
import type { BaseSocket } from './base.ts'
import type { Errno } from './errno.ts'
import type { Tuple } from './lookup.ts'

/** The ends of the quoted packet: what was its source is local. */
export function icmpQuoteTuple(skb: Skb, error: IcmpError): Tuple {
  const { bytes } = skb
  const four = error.family === 4
  const source = error.quote + (four ? ipv4At.source : ipv6At.source)
  const destination = error.quote + (four ? ipv4At.destination : ipv6At.destination)
  return {
    local: four ? readIpv4(bytes, source) : readIpv6(bytes, source),
    localPort: readU16(bytes, error.quoteTransport),
    remote: four ? readIpv4(bytes, destination) : readIpv6(bytes, destination),
    remotePort: readU16(bytes, error.quoteTransport + 2),
    ifindex: skb.dev.ifindex,
  }
}

/** ip_icmp_error, ipv6_icmp_error: an entry of the error queue with the offender's address. */
export function queueIcmpError(socket: BaseSocket, skb: Skb, error: IcmpError, errno: Errno): void {
  socket.errorQueue.push({
    errno,
    origin: error.family === 4 ? 'icmp' : 'icmp6',
    type: error.type,
    code: error.code,
    info: error.info,
    offender: sourceOf(skb, error.family),
  })
}

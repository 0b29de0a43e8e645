// A raw socket of UDP (SOCK_RAW, IPPROTO_UDP) with IP_TRANSPARENT: a program writes the UDP header itself and says in
// IP_PKTINFO which source address the packet shall have. Linux: net/ipv4/raw.c raw_sendmsg(), net/ipv6/raw.c.
import { type IpAddress, isIpv4 } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { udpSegment } from '../../net/udp.ts'
import { born } from '../birth.ts'
import { selectIdent } from '../ip/ident.ts'
import type { Namespace } from '../namespace.ts'
import { buildPacket, routeFor, userOut } from './departure.ts'
import { type Errno, errnoOf } from './errno.ts'
import type { SocketAddress } from './hooks.ts'
import { hopsFor } from './names.ts'

/** A datagram as the program wants it. */
export interface RawDatagram {
  readonly from: SocketAddress
  readonly to: SocketAddress
  /** SO_MARK. */
  readonly mark: number
  /** Whether the program has computed the checksum of the header that it writes; else the field is 0. */
  readonly checksum: boolean
  readonly data: Uint8Array
  readonly name: string
  readonly cause: string
  /** The label of its connection. */
  readonly flow: string
}

function identificationOf(ns: Namespace, source: IpAddress, destination: IpAddress): number {
  if (!isIpv4(source) || !isIpv4(destination)) return 0
  return selectIdent(ns, {
    source,
    destination,
    protocol: ipProtocol.udp,
    dontFragment: true,
    ignoreDontFragment: true,
  })
}

/** sendmsg(2) of such a socket. The route's errno, or what OUTPUT says (EPERM). */
export function sendRawUdp(ns: Namespace, datagram: RawDatagram): Errno | undefined {
  const { from, to, mark, checksum, data, name, cause, flow } = datagram
  const answer = routeFor(ns, {
    destination: to.address,
    source: from.address,
    protocol: ipProtocol.udp,
    sport: 0,
    dport: 0,
    oif: 0,
    mark,
    tos: 0,
    anySource: true,
  })
  if (answer.kind === 'error') return answer.errno
  const { route } = answer
  const skb = buildPacket({
    socket: undefined,
    route,
    source: from.address,
    destination: to.address,
    protocol: ipProtocol.udp,
    ttl: hopsFor(ns, route, { destination: to.address, asked: undefined }),
    tos: 0,
    mark,
    dontFragment: isIpv4(to.address),
    identification: identificationOf(ns, from.address, to.address),
    segment: udpSegment(from.port, to.port, data),
    ...(checksum ? {} : { checksum: 'given' as const }),
  })
  born(skb, name, cause, flow)
  const status = userOut(ns, skb, { ignoreDontFragment: true })
  return status < 0 ? errnoOf(status) : undefined
}

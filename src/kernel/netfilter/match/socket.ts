// Whether a packet belongs to a socket of this host: xt_socket.c, as used with TPROXY and policy routing.
import { isUnspecified, readIpv4, readIpv6 } from '../../../net/address.ts'
import { readU16 } from '../../../net/bytes.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { connInfo, connStatus } from '../../conntrack/connection.ts'
import { lookupTcp, lookupUdp, type Tuple } from '../../socket/lookup.ts'
import { type Socket, socketState } from '../../socket/socket.ts'
import type { ChainPacket, MatchKind, MatchSpec } from '../extension.ts'
import { find, flag } from './given.ts'

/** The ends of a packet as a socket of this host would see them. */
export function socketTuple({ skb, l3, l4, family, in: input }: ChainPacket): Tuple {
  const { bytes } = skb
  const address = family === 4 ? readIpv4 : readIpv6
  const at = family === 4 ? ipv4At : ipv6At
  return {
    local: address(bytes, l3 + at.destination),
    localPort: readU16(bytes, l4 + 2),
    remote: address(bytes, l3 + at.source),
    remotePort: readU16(bytes, l4),
    ifindex: input?.ifindex ?? 0,
  }
}

/** nf_sk_lookup_slow_v4(): a reply to what was SNATed is for the socket that sent it, before NAT has said so (IPv4 only). */
function soughtTuple(packet: ChainPacket): Tuple {
  const tuple = socketTuple(packet)
  const { nfct, nfctInfo } = packet.skb
  if (packet.family === 6 || nfct === undefined || nfctInfo !== connInfo.establishedReply) return tuple
  if ((nfct.status & connStatus.sourceNatDone) === 0) return tuple
  return { ...tuple, local: nfct.original.source, localPort: nfct.original.sport }
}

function socketOf(packet: ChainPacket): Socket | undefined {
  if (packet.skb.sk !== undefined) return packet.skb.sk
  if (packet.fragmentOffset !== 0 || packet.l4 + 4 > packet.skb.tail) return undefined
  if (packet.protocol === ipProtocol.tcp) return lookupTcp(packet.ns, soughtTuple(packet))
  return packet.protocol === ipProtocol.udp ? lookupUdp(packet.ns, soughtTuple(packet)) : undefined
}

/** Bound to any address, not connected: counts only with --nowildcard (xt_socket_sk_is_wildcard). */
function isWildcard(socket: Socket): boolean {
  return socket.state !== socketState.timeWait && isUnspecified(socket.localAddress)
}

const socket: MatchKind = {
  name: 'socket',
  hooks: ['PREROUTING', 'INPUT'],
  options: [flag('--transparent'), flag('--nowildcard'), flag('--restore-skmark')],
  read: (given): MatchSpec => {
    const transparent = find(given, '--transparent') !== undefined
    const nowildcard = find(given, '--nowildcard') !== undefined
    const restore = find(given, '--restore-skmark') !== undefined
    const names = ['--transparent', '--nowildcard', '--restore-skmark'].filter(
      (name) => find(given, name) !== undefined,
    )
    return {
      text: names.join(' '),
      need: 'defrag',
      bind: () => (packet) => {
        const found = socketOf(packet)
        if (found === undefined || (!nowildcard && isWildcard(found))) return false
        if (transparent && !found.transparent) return false
        if (restore) packet.skb.mark = found.options.mark
        return true
      },
    }
  },
}

/** The match on sockets. */
export const socketMatches: readonly MatchKind[] = [socket]

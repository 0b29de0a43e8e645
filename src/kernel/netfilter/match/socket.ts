// Whether a packet belongs to a socket of this host: xt_socket.c, as used with TPROXY and policy routing.
import { isUnspecified, readIpv4, readIpv6 } from '../../../net/address.ts'
import { readU16 } from '../../../net/bytes.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { ipProtocol } from '../../../net/protocol.ts'
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

function socketOf(packet: ChainPacket): Socket | undefined {
  if (packet.skb.sk !== undefined) return packet.skb.sk
  if (packet.fragmentOffset !== 0 || packet.l4 + 4 > packet.skb.tail) return undefined
  if (packet.protocol === ipProtocol.tcp) return lookupTcp(packet.ns, socketTuple(packet))
  return packet.protocol === ipProtocol.udp ? lookupUdp(packet.ns, socketTuple(packet)) : undefined
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

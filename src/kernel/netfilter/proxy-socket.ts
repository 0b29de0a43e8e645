// The socket that a transparent proxy gets a packet by: nf_tproxy_ipv4.c nf_tproxy_get_sock_v4(), nf_tproxy_laddr4() and those of
// IPv6. TPROXY of iptables and `tproxy` of nft share them.
import { type IpAddress, isUnspecified, type parseIp } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { addressesOf } from '../ip/source.ts'
import { lookupFlow, lookupListener, lookupUdp } from '../socket/lookup.ts'
import type { Socket } from '../socket/socket.ts'
import type { ChainPacket } from './extension.ts'
import { socketTuple } from './match/socket.ts'

/** Where the proxy listens: no address or the unspecified one is the device's own, port 0 the packet's. */
export interface ProxyAddress {
  readonly address: ReturnType<typeof parseIp>
  readonly port: number
}

/** nf_tproxy_laddr4(): the address asked for, else the first one of the device it came by, else where the packet goes. */
function localAddress(packet: ChainPacket, { address }: ProxyAddress, destination: IpAddress): IpAddress {
  if (address !== undefined && !isUnspecified(address)) return address
  const { in: dev, family } = packet
  const own = dev === undefined ? undefined : addressesOf(dev, family)[0]?.address
  return own ?? destination
}

/** A connection that is there already, else the listener at the proxy's address and port. */
export function proxySocket(packet: ChainPacket, proxy: ProxyAddress): Socket | undefined {
  const tuple = socketTuple(packet)
  const towards = {
    ...tuple,
    local: localAddress(packet, proxy, tuple.local),
    localPort: proxy.port === 0 ? tuple.localPort : proxy.port,
  }
  if (packet.protocol === ipProtocol.tcp)
    return lookupFlow(packet.ns, tuple) ?? lookupListener(packet.ns, towards)
  const connected = lookupUdp(packet.ns, tuple)
  if (connected !== undefined && connected.remotePort !== 0) return connected
  return lookupUdp(packet.ns, towards)
}

// Tunnels over UDP: the kernel's own sockets that receive them, the source port of what is sent, and the UDP header.
// net/ipv4/udp_tunnel_core.c, include/net/udp.h udp_flow_src_port(). Facts: linux 7.3, 7.5.
import { type IpAddress, isIpv4 } from '../../net/address.ts'
import { readU48, writeU16 } from '../../net/bytes.ts'
import { writeSegmentChecksum } from '../../net/checksum.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { udpAt } from '../../net/udp.ts'
import { flowHash } from '../flow-hash.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { insertSocket, removeSocket } from '../socket/lookup.ts'
import { portConflict } from '../socket/ports.ts'
import { createUdp, type UdpEncapsulation, type UdpSocket } from '../socket/udp-socket.ts'
import { type AdminResult, adminDone, refused } from './change.ts'
import type { NetDevice } from './device.ts'
import { pushBytes } from './tunnel.ts'

/** A range of source ports; `first >= last` stands for the range of local ports. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/**
 * udp_flow_src_port(): a pure function of the seed and the inner flow, scaled into the range (its last port is never
 * chosen). Frames without a flow hash by their MAC addresses.
 */
export function flowSourcePort(dev: NetDevice, skb: Skb, range: PortRange): number {
  const { sysctls, machine } = dev.ns
  const given = range.first < range.last
  const first = given ? range.first : sysctls.get('net.ipv4.ip_local_port_range.first')
  const last = given ? range.last : sysctls.get('net.ipv4.ip_local_port_range.last')
  const flow = flowHash(skb)
  const hash = flow === 0 ? frameHash(machine.random, skb) : flow
  const mixed = (hash ^ (hash << 16)) >>> 0
  return first + Math.floor((mixed * (last - first)) / 0x1_0000_0000)
}

function frameHash(random: (purpose: string, key: number) => number, skb: Skb): number {
  const source = readU48(skb.bytes, skb.macHeader + 6)
  return random('frame hash', readU48(skb.bytes, skb.macHeader) * 31 + (source % 0x1_0000_0000))
}

/** Puts a UDP header in front of `data`; the checksum is written by `finishUdp`. */
export function pushUdp(skb: Skb, ports: { readonly source: number; readonly destination: number }): void {
  const length = skb.length + udpAt.payload
  const at = pushBytes(skb, udpAt.payload)
  writeU16(skb.bytes, at + udpAt.source, ports.source)
  writeU16(skb.bytes, at + udpAt.destination, ports.destination)
  writeU16(skb.bytes, at + udpAt.length, length)
  writeU16(skb.bytes, at + udpAt.checksum, 0)
}

/** udp_set_csum(): once the outer IP header stands at `data`. Left zero when not wanted (`noudpcsum`). */
export function finishUdp(skb: Skb, source: IpAddress, wanted: boolean): void {
  if (!wanted) return
  const l4 = skb.data + (isIpv4(source) ? 20 : 40)
  writeSegmentChecksum(skb.bytes, { l3: skb.data, l4, end: skb.tail, protocol: ipProtocol.udp })
  const at = l4 + udpAt.checksum
  if (skb.bytes[at] === 0 && skb.bytes[at + 1] === 0) writeU16(skb.bytes, at, 0xffff)
}

/** A kernel socket and the devices that share it (struct vxlan_sock, geneve_sock). */
interface TunnelSocket {
  readonly socket: UdpSocket
  users: number
}

const tunnelSockets = new WeakMap<Namespace, Map<number, TunnelSocket>>()

function socketKey(port: number, family: 4 | 6): number {
  return port * 8 + family
}

/** Opens (or shares) the kernel's socket on a port; EADDRINUSE when somebody else has it. */
export function openTunnelPort(
  ns: Namespace,
  at: { readonly port: number; readonly family: 4 | 6 },
  receive: UdpEncapsulation,
): AdminResult {
  const known = tunnelSockets.get(ns) ?? new Map<number, TunnelSocket>()
  tunnelSockets.set(ns, known)
  const key = socketKey(at.port, at.family)
  const found = known.get(key)
  if (found !== undefined) {
    if (found.socket.encapsulation !== receive) return refused('EADDRINUSE')
    found.users += 1
    return adminDone
  }
  // a socket of the kernel: no cgroup program is asked, no device or address is named
  const socket = createUdp({ ns, family: at.family, label: '', options: { v6only: at.family === 6 } })
  if (portConflict(ns.sockets.udp, socket, at.port)) return refused('EADDRINUSE')
  socket.encapsulation = receive
  socket.localPort = at.port
  ns.sockets.udp ??= new Map()
  insertSocket(ns.sockets.udp, at.port, socket)
  known.set(key, { socket, users: 1 })
  return adminDone
}

/** Closes the port when its last device goes down. */
export function closeTunnelPort(ns: Namespace, at: { readonly port: number; readonly family: 4 | 6 }): void {
  const key = socketKey(at.port, at.family)
  const found = tunnelSockets.get(ns)?.get(key)
  if (found === undefined) return
  found.users -= 1
  if (found.users > 0) return
  tunnelSockets.get(ns)?.delete(key)
  removeSocket(ns.sockets.udp, at.port, found.socket)
  found.socket.closed = true
}

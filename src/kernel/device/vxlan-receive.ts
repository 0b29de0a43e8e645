// From a datagram on the VXLAN port to a frame on a VXLAN device: vxlan_rcv(), vxlan_set_mac(). The outer packet has passed
// PREROUTING and INPUT. Facts: linux 7.2, 7.7, 7.8.

import { readU8, readU16, readU24 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { readMac } from '../../net/mac.ts'
import { udpAt } from '../../net/udp.ts'
import { vxlanAt, vxlanFlag } from '../../net/vxlan.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { countReceived } from '../counters.ts'
import { drop } from '../drop.ts'
import { ethTypeTrans } from '../eth-type.ts'
import type { Namespace } from '../namespace.ts'
import { arriveFromTunnel } from '../napi.ts'
import type { Skb } from '../skb.ts'
import type { UdpEncapsulation } from '../socket/udp-socket.ts'
import type { NetDevice } from './device.ts'
import { ecnDecap } from './tunnel-ecn.ts'
import { noteDecap, pullOuter, readOuter, receivedKey } from './tunnel-outer.ts'
import { learnVxlan } from './vxlan-fdb.ts'
import { vxlanState } from './vxlan-state.ts'

/** Devices that are up, by port, family and VNI (vni_list of a vxlan_sock). */
const devices = new WeakMap<Namespace, Map<number, NetDevice>>()

function key(port: number, family: 4 | 6, vni: number): number {
  return (port * 16 + family) * 0x100_0000 + vni
}

/** Makes a device that came up known to its socket. An `external` one takes every VNI. */
export function listenVxlan(dev: NetDevice): void {
  const { dstport, families, external, vni } = vxlanState(dev)
  const known = devices.get(dev.ns) ?? new Map<number, NetDevice>()
  devices.set(dev.ns, known)
  for (const family of families) known.set(key(dstport, family, external ? 0 : vni), dev)
}

/** Forgets a device that went down. */
export function unlistenVxlan(dev: NetDevice): void {
  const { dstport, families, external, vni } = vxlanState(dev)
  for (const family of families) devices.get(dev.ns)?.delete(key(dstport, family, external ? 0 : vni))
}

/** vxlan_vs_find_vni(): an `external` device on the socket hides all others. */
export function vxlanOn(ns: Namespace, port: number, family: 4 | 6, vni: number): NetDevice | undefined {
  const known = devices.get(ns)
  const any = known?.get(key(port, family, 0))
  if (any !== undefined && vxlanState(any).external) return any
  return known?.get(key(port, family, vni))
}

function refuse(skb: Skb, reason: KernelDropReason): void {
  const { dev } = skb
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'decap', reason })
}

/** vxlan_err_lookup(): whether a device of this namespace uses the VNI of a quoted packet. */
function vxlanSent(
  skb: Skb,
  at: { readonly family: 4 | 6; readonly quoted: number; readonly end: number; readonly port: number },
): boolean {
  const header = at.quoted + udpAt.payload
  if (header + vxlanAt.payload > at.end) return false
  if ((readU8(skb.bytes, header + vxlanAt.flags) & vxlanFlag.vniPresent) === 0) return false
  return vxlanOn(skb.dev.ns, at.port, at.family, readU24(skb.bytes, header + vxlanAt.vni)) !== undefined
}

/** Whether bits are set that the device was not made for (reserved_bits): all but the flag and the number of the VNI. */
function hasReservedBits(bytes: Uint8Array, header: number): boolean {
  const flags = readU8(bytes, header + vxlanAt.flags) & ~vxlanFlag.vniPresent
  return (flags | readU24(bytes, header + 1) | readU8(bytes, header + vxlanAt.vni + 3)) !== 0
}

/** vxlan_rcv(), the encap_rcv function of the kernel's socket. Owns the packet. */
function vxlanReceive(skb: Skb, at: { readonly family: 4 | 6; readonly end: number }): void {
  const { bytes } = skb
  const header = skb.data + udpAt.payload
  const inner = header + vxlanAt.payload
  if (inner > at.end) return refuse(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL')
  if ((readU8(bytes, header + vxlanAt.flags) & vxlanFlag.vniPresent) === 0) {
    return refuse(skb, 'SKB_DROP_REASON_VXLAN_INVALID_HDR')
  }
  const vni = readU24(bytes, header + vxlanAt.vni)
  const dev = vxlanOn(skb.dev.ns, readU16(bytes, skb.data + udpAt.destination), at.family, vni)
  if (dev === undefined) return refuse(skb, 'SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND')
  if (hasReservedBits(bytes, header)) {
    dev.counters.rx_errors += 1
    return refuse(skb, 'SKB_DROP_REASON_VXLAN_INVALID_HDR')
  }
  if (inner + ethernetAt.payload > at.end) return refuse(skb, 'SKB_DROP_REASON_PKT_TOO_SMALL')
  receiveFrame(dev, skb, { inner, end: at.end, family: at.family, vni })
}

function receiveFrame(
  dev: NetDevice,
  skb: Skb,
  at: { readonly inner: number; readonly end: number; readonly family: 4 | 6; readonly vni: number },
): void {
  const { external, learning, fdb } = vxlanState(dev)
  const outer = readOuter(skb, at.family)
  const source = readMac(skb.bytes, at.inner + ethernetAt.source)
  if (source === dev.mac) return refuse(skb, 'SKB_DROP_REASON_LOCAL_MAC')
  if (learning) {
    const reason = learnVxlan(fdb, source, outer.source, dev.ns.machine.clock.now)
    if (reason !== undefined) return refuse(skb, reason)
  }
  pullOuter(skb, at.inner, at.end)
  ethTypeTrans(skb, dev)
  if (external) skb.tunnelKey = receivedKey(outer, at.vni)
  noteDecap(dev, skb)
  if (!ecnDecap(skb, outer.tos)) return refuse(skb, 'SKB_DROP_REASON_IP_TUNNEL_ECN')
  countReceived(dev, at.end - skb.networkHeader)
  arriveFromTunnel(dev, skb)
}

/** What the kernel's socket of a VXLAN port does. */
export const vxlanEncapsulation: UdpEncapsulation = { receive: vxlanReceive, sent: vxlanSent }

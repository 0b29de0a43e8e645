// A veth pair (drivers/net/veth.c): what one end sends the other end receives, through the backlog of the CPU.
import { countDriver, countSent } from '../counters.ts'
import { drop } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import { arrive } from '../napi.ts'
import type { Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { leaveNamespace, scrub } from './crossing.ts'
import { type DeviceOps, type NetDevice, transmitDropped, transmitted } from './device.ts'
import { pairChanged } from './pair.ts'

/** is_skb_forwardable(): MTU, Ethernet header and room for one VLAN tag. */
const frameSlack = 14 + 4

/** Queues a frame for the far end. */
function cross(peer: NetDevice, skb: Skb): void {
  if (skb.dev.ns === peer.ns) scrub(skb)
  else leaveNamespace(skb)
  skb.priority = 0 // ____dev_forward_skb()
  // A far end with native XDP or GRO has a poll function, and GRO uses cb for itself.
  if (peer.xdp?.mode === 'native' || peer.offloads.gro) skb.cb.fill(0)
  arrive(peer, skb)
}

/** veth_xmit(): a frame that the far end cannot take is a drop of this end; too long ones count there as well. */
function transmit(dev: NetDevice, skb: Skb): number {
  const { peer } = dev
  if (peer === undefined || !peer.up) {
    dev.counters.tx_dropped += 1
    if (peer !== undefined) peer.counters.rx_dropped += 1
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'tx', reason: 'SKB_DROP_REASON_DEV_READY' })
    return transmitDropped
  }
  if (skb.length > peer.mtu + frameSlack && skb.gsoSize === 0) {
    dev.counters.tx_dropped += 1
    peer.counters.rx_dropped += 1
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'tx', reason: 'SKB_DROP_REASON_PKT_TOO_BIG' })
    return transmitDropped
  }
  countSent(dev, skb.length)
  cross(peer, skb)
  return transmitted
}

/** The far end has a ring and a poll function only while it runs native XDP (facts: linux 2.3). */
function xdpTarget(dev: NetDevice): boolean {
  const { peer } = dev
  return peer?.xdp?.mode === 'native' && peer.up
}

function xdpTransmit(dev: NetDevice, skb: Skb): boolean {
  const { peer } = dev
  if (peer === undefined) return false
  if (!xdpTarget(dev)) {
    dev.counters.tx_dropped += 1
    peer.counters.rx_dropped += 1
    return false
  }
  countDriver(dev, 'tx_queue_0_xdp_xmit')
  countSent(dev, skb.length)
  skb.fromXdp = true
  cross(peer, skb)
  return true
}

const ops: DeviceOps = { transmit, xdpTarget, xdpTransmit, changed: pairChanged }

function createEnd({ ns, name, mac, mtu }: DeviceOptions & { readonly ns: Namespace }): NetDevice {
  return createDevice(ns, { name, mac, mtu, kind: 'veth', ops, carrier: false })
}

/** Both ends of a new pair, down. */
export function addVethPair(
  end: DeviceOptions & { readonly ns: Namespace },
  farEnd: DeviceOptions & { readonly ns: Namespace },
): readonly [NetDevice, NetDevice] {
  const dev = createEnd(end)
  const peer = createEnd(farEnd)
  dev.peer = peer
  peer.peer = dev
  return [dev, peer]
}

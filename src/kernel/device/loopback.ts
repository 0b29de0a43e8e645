// lo: what is sent comes back as received (drivers/net/loopback.c). Every namespace has one, up from the start.
import { countSent } from '../counters.ts'
import type { Namespace } from '../namespace.ts'
import { receive } from '../receive.ts'
import type { Skb } from '../skb.ts'
import { setUp } from './change.ts'
import { createDevice } from './create.ts'
import { type DeviceOps, type NetDevice, transmitted } from './device.ts'

const loopbackMtu = 65_536

function transmit(dev: NetDevice, skb: Skb): number {
  countSent(dev, skb.length)
  // loopback_xmit(): skb_orphan() is left out; IP orphans the packet a moment later without anybody looking.
  dev.ns.machine.clock.soon(() => receive(dev, skb))
  return transmitted
}

const ops: DeviceOps = { transmit }

/** The loopback device of a new namespace, ifindex 1. */
export function addLoopback(ns: Namespace): NetDevice {
  const dev = createDevice(ns, { name: 'lo', kind: 'loopback', mtu: loopbackMtu, arp: false, ops })
  setUp(dev)
  return dev
}

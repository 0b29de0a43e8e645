// dummy: a device that swallows what is sent (drivers/net/dummy.c), for addresses that no wire needs.
import { countSent } from '../counters.ts'
import { endPacket } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { type DeviceOps, type NetDevice, transmitted } from './device.ts'

function transmit(dev: NetDevice, skb: Skb): number {
  countSent(dev, skb.length)
  endPacket(skb, { node: dev.ns.name, device: dev.name, stage: 'tx', kind: 'consumed' })
  return transmitted
}

const ops: DeviceOps = { transmit, xdpTarget: () => false }

/** A dummy device, down; it never resolves neighbours (IFF_NOARP). */
export function addDummy(ns: Namespace, options: DeviceOptions): NetDevice {
  return createDevice(ns, { ...options, kind: 'dummy', arp: false, ops })
}

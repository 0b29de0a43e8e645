// A VLAN on top of a device (net/8021q): tags what it sends, receives what carries its tag.

import { etherType } from '../../net/protocol.ts'
import { countSent } from '../counters.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import type { DeviceOps, NetDevice } from './device.ts'

/** vlan_dev_hard_start_xmit(): the tag stays beside the frame until a wire needs it inside. */
function transmit(dev: NetDevice, skb: Skb): number {
  countSent(dev, skb.length)
  skb.vlanTci = dev.private as number
  skb.vlanProtocol = etherType.vlan
  skb.dev = dev.lower as NetDevice
  return dev.ns.machine.wiring.transmit(skb)
}

const ops: DeviceOps = { transmit }

/** A VLAN device with the lower device's MAC address and MTU unless given, down. `id` is 1 to 4094. */
export function addVlan(
  ns: Namespace,
  options: DeviceOptions & { readonly lower: NetDevice; readonly id: number },
): NetDevice {
  const { lower } = options
  const dev = createDevice(ns, {
    name: options.name,
    mac: options.mac ?? lower.mac,
    mtu: options.mtu ?? lower.mtu,
    kind: 'vlan',
    lower,
    ops,
    private: options.id,
  })
  lower.vlans ??= new Map()
  lower.vlans.set(options.id, dev)
  return dev
}

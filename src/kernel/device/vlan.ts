// A VLAN on top of a device (net/8021q): tags what it sends, receives what carries its tag.

import { etherType } from '../../net/protocol.ts'
import { countSent } from '../counters.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import type { DeviceOps, NetDevice } from './device.ts'

/** Under which number a device with this tag is known to the one below: the id itself for 802.1Q. */
export function vlanKey(protocol: number, id: number): number {
  return protocol === etherType.vlan ? id : (protocol << 16) | id
}

/** The ethertype of a key's tag. */
export function protocolOf(key: number): number {
  return key > 0xfff ? key >>> 16 : etherType.vlan
}

/** vlan_dev_hard_start_xmit(): the tag stays beside the frame until a wire needs it inside. */
function transmit(dev: NetDevice, skb: Skb): number {
  countSent(dev, skb.length)
  const key = dev.private as number
  skb.vlanTci = key & 0xfff
  skb.vlanProtocol = protocolOf(key)
  skb.dev = dev.lower as NetDevice
  return dev.ns.machine.wiring.transmit(skb)
}

const ops: DeviceOps = { transmit }

/**
 * A VLAN device with the lower device's MAC address and MTU unless given, down. `id` is 0 to 4094; `protocol` is the
 * ethertype of its tag, 802.1Q unless given.
 */
export function addVlan(
  ns: Namespace,
  options: DeviceOptions & { readonly lower: NetDevice; readonly id: number; readonly protocol?: number },
): NetDevice {
  const { lower } = options
  const key = vlanKey(options.protocol ?? etherType.vlan, options.id)
  const dev = createDevice(ns, {
    name: options.name,
    mac: options.mac ?? lower.mac,
    mtu: options.mtu ?? lower.mtu,
    kind: 'vlan',
    lower,
    ops,
    private: key,
  })
  lower.vlans ??= new Map()
  lower.vlans.set(key, dev)
  return dev
}

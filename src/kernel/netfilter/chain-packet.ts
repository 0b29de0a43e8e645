// Making the record in which a packet goes through the chains of one table.
import { transportOf } from '../conntrack/tuple.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import type { ChainPacket } from './extension.ts'
import type { HookName } from './hook.ts'

/** Devices as hook functions get them. */
export interface HookDevices {
  readonly in: NetDevice | undefined
  readonly out: NetDevice | undefined
}

/** Reads the headers of a packet that stands at a hook. */
export function chainPacket(
  ns: Namespace,
  at: { readonly family: 4 | 6; readonly hook: HookName },
  skb: Skb,
  devices: HookDevices,
): ChainPacket {
  const l3 = skb.networkHeader
  const { l4, protocol, fragmentOffset } = transportOf(skb.bytes, l3, skb.tail, at.family)
  return {
    ns,
    family: at.family,
    hook: at.hook,
    skb,
    in: devices.in,
    out: devices.out,
    l3,
    l4,
    protocol,
    fragmentOffset,
    broken: false,
    changed: false,
    rejectedWith: undefined,
  }
}

/** Reads the headers again after a target has moved them. */
export function refreshHeaders(packet: ChainPacket): void {
  packet.l3 = packet.skb.networkHeader
  const { l4, protocol, fragmentOffset } = transportOf(
    packet.skb.bytes,
    packet.l3,
    packet.skb.tail,
    packet.family,
  )
  packet.l4 = l4
  packet.protocol = protocol
  packet.fragmentOffset = fragmentOffset
}

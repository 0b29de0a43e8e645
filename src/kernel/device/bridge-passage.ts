// What bridge netfilter remembers of a packet between its hooks: struct nf_bridge_info (include/linux/skbuff.h). It lies
// beside the packet from the port's PREROUTING until the packet leaves the host.
import type { IpAddress } from '../../net/address.ts'
import type { Route } from '../ip/route.ts'
import type { Skb } from '../skb.ts'
import type { NetDevice } from './device.ts'

export interface BridgePassage {
  /** The port it came in by (physdev-in). */
  readonly physIn: NetDevice
  /** The port it is about to leave by (physdev-out); undefined while it is not being bridged. */
  physOut: NetDevice | undefined
  /** PREROUTING of the bridge is running. */
  inPrerouting: boolean
  /** The frame was for another host: rules see it as HOST, the device as what it was. */
  otherHost: boolean
  /** ip_sabotage_in() has skipped PREROUTING of the bridge device once. */
  sabotaged: boolean
  /** The neighbour layer of the bridge device is writing the new destination ("bridged DNAT"). */
  bridgedDnat: boolean
  /** Source MAC address of the frame, kept while the neighbour layer overwrites the header. */
  source: number
  /**
   * The route that a bridged packet is given for the hooks that ask for one (bridge_parent_rtable): it leads nowhere, and the
   * host itself never sees it.
   */
  parentRoute: Route | undefined
  /** The destination before PREROUTING: a different one afterwards means DNAT. */
  readonly destination: IpAddress
}

/** A copy of its own for a copy of a packet (nf_bridge_unshare). */
export function copyPassage(passage: BridgePassage | undefined): BridgePassage | undefined {
  return passage === undefined ? undefined : { ...passage }
}

/** br_netfilter_rtable_init(): it has the bridge as its device, which also says what fits. */
export function parentRoute(bridge: NetDevice, family: 4 | 6): Route {
  return {
    family,
    type: 'unicast',
    error: undefined,
    device: bridge,
    input: bridge,
    gateway: undefined,
    local: false,
    redirect: false,
    mtu: bridge.mtu,
    table: 0,
    metric: 0,
    prefixLength: 0,
    preferredSource: undefined,
    entry: undefined,
  }
}

/** br_drop_fake_rtable(): on its way up a packet asks for a route of its own. */
export function dropParentRoute(skb: Skb): void {
  if (skb.route !== undefined && skb.route === skb.bridged?.parentRoute) skb.route = undefined
}

/**
 * ip_sabotage_in(): true when PREROUTING has run at the bridge port already, so that the IP receive function of the
 * bridge device must not run it again (facts: linux 5.4).
 */
export function preroutingIsDone(skb: Skb): boolean {
  const { bridged } = skb
  if (bridged === undefined || bridged.sabotaged || bridged.inPrerouting) return false
  bridged.sabotaged = true
  return true
}

// Out of a bridge (net/bridge/br_forward.c): to one port, or a copy to each.
import { drop } from '../drop.ts'
import type { Skb } from '../skb.ts'
import { bridgeForwardHook, bridgePostroutingHook } from './bridge-netfilter.ts'
import type { BridgePort, BridgeState } from './bridge-state.ts'
import { clearTstamp } from './crossing.ts'
import type { NetDevice } from './device.ts'

/** Where a frame came from (undefined: the bridge device itself) and whether the caller still needs it. */
interface Source {
  readonly from: BridgePort | undefined
  readonly keep: boolean
}

/** Room that is_skb_forwardable() allows above the MTU: Ethernet header and one VLAN tag. */
const frameSlack = 14 + 4

/** should_deliver(): not back to where it came from unless hairpin is on, and not between isolated ports. */
function shouldDeliver(port: BridgePort, from: BridgePort | undefined): boolean {
  if (!port.dev.up || !port.dev.carrier) return false
  if (port === from && !port.hairpin) return false
  return !(port.isolated && from?.isolated)
}

function noTarget(bridge: NetDevice, skb: Skb): void {
  drop(skb, {
    node: bridge.ns.name,
    device: bridge.name,
    stage: 'bridge',
    reason: 'SKB_DROP_REASON_NO_TX_TARGET',
  })
}

/**
 * __br_forward(), br_forward_finish(), br_dev_queue_push_xmit(): bridge netfilter, then the port's own transmit path with
 * tc egress and taps. The host's own frames (`from` undefined) pass no FORWARD.
 */
function push(port: BridgePort, skb: Skb, from: BridgePort | undefined): void {
  skb.dev = port.dev
  if (skb.bridged !== undefined) {
    skb.pushMac()
    if (from !== undefined && !bridgeForwardHook(port, skb)) return
    if (!bridgePostroutingHook(port, skb)) return
  }
  skb.pushMac()
  if (skb.length > port.dev.mtu + frameSlack && skb.gsoSize === 0) {
    drop(skb, {
      node: port.dev.ns.name,
      device: port.dev.name,
      stage: 'bridge',
      reason: 'SKB_DROP_REASON_PKT_TOO_BIG',
    })
    return
  }
  clearTstamp(skb)
  port.dev.ns.machine.wiring.transmit(skb)
}

/** br_forward(): to one port. */
export function forward(port: BridgePort, skb: Skb, source: Source): void {
  if (!shouldDeliver(port, source.from)) {
    if (!source.keep) noTarget(port.bridge, skb)
    return
  }
  push(port, source.keep ? skb.clone() : skb, source.from)
}

/** br_flood(): a copy to every port that should have one (the flood flag is about unknown unicast only), newest port first; the last one gets the frame itself. */
export function flood(
  state: BridgeState,
  skb: Skb,
  source: Source & { readonly bridge: NetDevice; readonly group: boolean },
): void {
  const targets = state.ports.filter(
    (port) => (port.flood || source.group) && shouldDeliver(port, source.from),
  )
  const last = source.keep ? undefined : targets.pop()
  for (const port of targets) push(port, skb.clone(), source.from)
  if (last !== undefined) push(last, skb, source.from)
  else if (!source.keep) noTarget(source.bridge, skb)
}

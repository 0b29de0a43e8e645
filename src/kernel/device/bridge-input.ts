// Into a bridge (net/bridge/br_input.c): what becomes of a frame that a port received, after its tc ingress.
import { isMulticastMac, readMac } from '../../net/mac.ts'
import { countReceived } from '../counters.ts'
import { drop } from '../drop.ts'
import { pktType, type Skb } from '../skb.ts'
import { type FdbEntry, fdbLearn, fdbLookup } from './bridge-fdb.ts'
import { flood, forward } from './bridge-forward.ts'
import { bridgeLocalIn, bridgePrerouting } from './bridge-netfilter.ts'
import { takeBackDnat } from './bridge-netfilter-dnat.ts'
import { dropParentRoute } from './bridge-passage.ts'
import { type BridgePort, type BridgeState, bridgeState } from './bridge-state.ts'
import type { NetDevice } from './device.ts'

/** 01:80:c2:00:00:00 to 0f: addresses that a bridge does not forward (IEEE 802.1D table 7-10). */
const linkLocalFirst = 0x0180_c200_0000

/**
 * br_handle_frame(), the rx_handler of a port: PREROUTING of bridge netfilter, then the forwarding decision.
 */
export function handleFrame(dev: NetDevice, skb: Skb): 'passed' | 'consumed' {
  const bridge = dev.master as NetDevice
  const state = bridgeState(bridge)
  const port = state.byDevice.get(dev) as BridgePort
  const destination = readMac(skb.bytes, skb.macHeader)
  const source = readMac(skb.bytes, skb.macHeader + 6)
  if (source === 0 || isMulticastMac(source)) {
    const reason = 'SKB_DROP_REASON_MAC_INVALID_SOURCE'
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'bridge', reason })
    return 'consumed'
  }
  const low = destination - linkLocalFirst
  // Pause frames end here; the others of the range stay on this device, except 00, which nobody runs STP to hear.
  if (low > 0 && low < 16) return low === 1 ? pauseFrame(dev, skb) : 'passed'
  if (!bridge.up) {
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'bridge', reason: 'SKB_DROP_REASON_DEV_READY' })
    return 'consumed'
  }
  if (destination === bridge.mac) skb.pktType = pktType.host
  if (bridgePrerouting(port, skb) === 'continue') decide(state, port, skb)
  return 'consumed'
}

function pauseFrame(dev: NetDevice, skb: Skb): 'consumed' {
  const reason = 'SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL'
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'bridge', reason })
  return 'consumed'
}

/** A frame that bridged DNAT has turned round, on its way out of the bridge device: back to the port's decision. */
export function resumeAfterDnat(bridge: NetDevice, skb: Skb): boolean {
  const dev = takeBackDnat(skb)
  if (dev === undefined) return false
  const state = bridgeState(bridge)
  const port = state.byDevice.get(dev)
  if (port !== undefined) decide(state, port, skb)
  else
    drop(skb, {
      node: bridge.ns.name,
      device: bridge.name,
      stage: 'bridge',
      reason: 'SKB_DROP_REASON_DEV_READY',
    })
  return true
}

/** br_handle_frame_finish(): learn the source, then up, to one port, or to all of them with the host last. */
function decide(state: BridgeState, port: BridgePort, skb: Skb): void {
  const destination = readMac(skb.bytes, skb.macHeader)
  const { now } = port.dev.ns.machine.clock
  const news = port.learning && fdbLearn(state, readMac(skb.bytes, skb.macHeader + 6), port, now)
  const group = isMulticastMac(destination)
  const entry = group ? undefined : fdbLookup(state, destination, now)
  note(port, skb, { group, entry, news })
  if (entry?.local) return passUp(port.bridge, skb, false)
  const { promiscuous } = port.bridge
  const keep = group || promiscuous
  if (entry?.port !== undefined) forward(entry.port, skb, { from: port, keep })
  else flood(state, skb, { bridge: port.bridge, from: port, keep, group })
  if (keep) passUp(port.bridge, skb, promiscuous)
}

function note(
  port: BridgePort,
  skb: Skb,
  what: { readonly group: boolean; readonly entry: FdbEntry | undefined; readonly news: boolean },
): void {
  const { trace } = port.dev.ns.machine
  if (!trace?.full) return
  const { entry } = what
  const site = { node: port.bridge.ns.name, device: port.bridge.name, stage: 'bridge' } as const
  const code = entry === undefined ? 'FLOOD' : entry.local ? 'LOCAL' : 'FORWARD'
  const target = entry === undefined || entry.local ? undefined : entry.port?.dev.name
  trace.note(skb, site, {
    actor: 'kernel',
    decision: target === undefined ? { code } : { code, target },
    facts: what.news ? [{ kind: 'kernel', word: 'fdb', text: `learn ${port.dev.name}` }] : [],
  })
}

/** br_pass_frame_up(): received by the bridge device, with its own tap, tc ingress and counters. */
function passUp(bridge: NetDevice, skb: Skb, promiscuous: boolean): void {
  countReceived(bridge, skb.tail - skb.macHeader)
  skb.pushMac()
  skb.dev = bridge
  if (!bridgeLocalIn(bridge, skb, promiscuous)) return
  dropParentRoute(skb)
  bridge.ns.machine.wiring.netifReceive(skb)
}

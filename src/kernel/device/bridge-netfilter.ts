// br_netfilter: frames that a bridge forwards pass the hooks of IP when `bridge-nf-call-iptables` (or -ip6tables) is 1.
// net/bridge/br_netfilter_hooks.c, br_netfilter_ipv6.c; facts: linux 5.4, 5.5. What enters is a frame on a port; what
// leaves goes on through the bridge, up to the bridge device, or ends at a hook. PREROUTING lies between the port's tc
// ingress and the forwarding decision, FORWARD and POSTROUTING between that and the out-port's tc egress. ARP has none.
//
// Not modelled: nf_call_iptables of a single bridge, VLAN and PPPoE frames (both are off by default).
import { type IpAddress, readIpv4, readIpv6, sameIp } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType } from '../../net/protocol.ts'
import { confirm } from '../conntrack/track.ts'
import { drop } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import type { HookName } from '../netfilter/hook.ts'
import { pktType, type Skb } from '../skb.ts'
import { bridgedFrameIsSound } from './bridge-netfilter-check.ts'
import { type AfterDnat, routeChanged } from './bridge-netfilter-dnat.ts'
import { readFrameHeader, writeFrameHeader } from './bridge-netfilter-header.ts'
import { sendBridgedPieces } from './bridge-netfilter-split.ts'
import { type BridgePassage, parentRoute } from './bridge-passage.ts'
import type { BridgePort } from './bridge-state.ts'
import type { NetDevice } from './device.ts'

const sysctl4 = 'net.bridge.bridge-nf-call-iptables'
const sysctl6 = 'net.bridge.bridge-nf-call-ip6tables'

/** 4 or 6 when IP rules apply to bridged frames of this kind here, else 0. */
function familyWanted(ns: Namespace, skb: Skb): 0 | 4 | 6 {
  if (skb.vlanTci >= 0) return 0
  if (skb.protocol === etherType.ipv4) return ns.sysctls.get(sysctl4) === 0 ? 0 : 4
  if (skb.protocol === etherType.ipv6) return ns.sysctls.get(sysctl6) === 0 ? 0 : 6
  return 0
}

function familyOf(skb: Skb): 0 | 4 | 6 {
  if (skb.protocol === etherType.ipv4) return 4
  return skb.protocol === etherType.ipv6 ? 6 : 0
}

function destinationOf(skb: Skb, family: 4 | 6): IpAddress {
  const l3 = skb.networkHeader
  return family === 4
    ? readIpv4(skb.bytes, l3 + ipv4At.destination)
    : readIpv6(skb.bytes, l3 + ipv6At.destination)
}

/** Rules see a frame for another host as one for this host; the mark of it is kept for afterwards. */
function pretendHost(skb: Skb, passage: BridgePassage): void {
  if (skb.pktType !== pktType.otherHost) return
  skb.pktType = pktType.host
  passage.otherHost = true
}

function endPretence(skb: Skb, passage: BridgePassage): void {
  if (!passage.otherHost) return
  skb.pktType = pktType.otherHost
  passage.otherHost = false
}

/** Runs one hook of IP on a frame: `data` stands at the IP header meanwhile, the Ethernet header survives it. */
function runHook(
  port: BridgePort,
  skb: Skb,
  at: { readonly family: 4 | 6; readonly hook: HookName },
  inputIsBridge: boolean,
): boolean {
  const { bridge } = port
  const { ns } = bridge
  const header = readFrameHeader(skb)
  skb.pullMac()
  const devices = inputIsBridge
    ? { in: bridge, out: at.hook === 'FORWARD' ? bridge : undefined }
    : { in: undefined, out: bridge }
  if (ns.netfilter.run(ns, at, skb, devices) !== 'accept') return false
  writeFrameHeader(skb, header)
  return true
}

/**
 * br_nf_pre_routing() with its finish: `continue` with the bridge's decision on `skb.dev` (the port), or the packet is
 * `gone`: dropped, waiting for its other fragments, or on its way to another neighbour of the bridge.
 */
export function bridgePrerouting(port: BridgePort, skb: Skb): AfterDnat {
  const { dev, bridge } = port
  const family = familyWanted(dev.ns, skb)
  if (family === 0) return 'continue'
  if (!bridgedFrameIsSound(port, skb, family)) return 'gone'
  const passage: BridgePassage = {
    physIn: dev,
    physOut: undefined,
    inPrerouting: true,
    otherHost: false,
    sabotaged: false,
    bridgedDnat: false,
    source: 0,
    parentRoute: undefined,
    destination: destinationOf(skb, family),
  }
  skb.bridged = passage
  pretendHost(skb, passage)
  skb.dev = bridge
  skb.sk = undefined
  skb.skAssigned = false
  skb.fragmentMax = 0
  if (!runHook(port, skb, { family, hook: 'PREROUTING' }, true)) return 'gone'
  endPretence(skb, passage)
  passage.inPrerouting = false
  if (!sameIp(destinationOf(skb, family), passage.destination)) return routeChanged(port, skb, family)
  passage.parentRoute = parentRoute(bridge, family)
  skb.route = passage.parentRoute
  skb.dev = dev
  return 'continue'
}

/** br_nf_forward(): FORWARD of a frame that came in by a port; false when the packet is gone. */
export function bridgeForwardHook(port: BridgePort, skb: Skb): boolean {
  const { bridged: passage } = skb
  const family = familyOf(skb)
  if (passage === undefined || family === 0) return true
  pretendHost(skb, passage)
  if (!bridgedFrameIsSound(port, skb, family)) return false
  passage.physOut = port.dev
  if (!runHook(port, skb, { family, hook: 'FORWARD' }, true)) return false
  endPretence(skb, passage)
  return true
}

/**
 * br_nf_post_routing() and br_nf_dev_queue_xmit(): POSTROUTING of a bridged frame. A packet of the host's own, or one
 * that was routed, has passed it already. False when the packet is gone or has been sent in pieces.
 */
export function bridgePostroutingHook(port: BridgePort, skb: Skb): boolean {
  const { bridged: passage } = skb
  const family = familyOf(skb)
  if (passage?.physOut === undefined || family === 0) return true
  pretendHost(skb, passage)
  if (!runHook(port, skb, { family, hook: 'POSTROUTING' }, false)) return false
  endPretence(skb, passage)
  skb.bridged = undefined
  return !sendBridgedPieces(port, skb, family)
}

/**
 * br_nf_local_in(): a frame for a group reaches the bridge device too. What the rules of FORWARD refused for every port is a
 * flow all the same from here on; a promiscuous bridge's copies belong to none. False when the packet is gone.
 */
export function bridgeLocalIn(bridge: NetDevice, skb: Skb, promiscuous: boolean): boolean {
  const { conntrack } = bridge.ns.netfilter
  if (promiscuous) {
    skb.nfct = undefined
    skb.nfctInfo = 0
    return true
  }
  if (conntrack === undefined || skb.pktType === pktType.host) return true
  if (confirm(conntrack, skb) === 'accept') return true
  const reason = 'SKB_DROP_REASON_NETFILTER_DROP'
  drop(skb, { node: bridge.ns.name, device: bridge.name, stage: 'bridge', reason })
  return false
}

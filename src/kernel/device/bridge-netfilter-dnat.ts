// A bridged frame whose destination PREROUTING has changed: br_nf_pre_routing_finish() and
// br_nf_pre_routing_finish_bridge(). A new destination behind the same bridge gets the neighbour's MAC address and stays
// bridged ("bridged DNAT", facts: linux 5.5); any other one goes up to the host to be routed.
import { type IpAddress, isIpv4, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU48, writeU48 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { drop } from '../drop.ts'
import { routeInput } from '../ip/input-route.ts'
import { neighbourOutput } from '../ip/neighbour-output.ts'
import { packetOf } from '../ip/receive.ts'
import type { Route } from '../ip/route.ts'
import { route6Input } from '../ip6/input-route.ts'
import { packetOf as packetOf6 } from '../ip6/receive.ts'
import { findNeighbour, isConnected } from '../neighbour-entry.ts'
import { pktType, type Skb } from '../skb.ts'
import type { BridgePort } from './bridge-state.ts'
import type { NetDevice } from './device.ts'

/** The frame goes on through the bridge, or somebody else has it. */
export type AfterDnat = 'continue' | 'gone'

function routeOf(bridge: NetDevice, skb: Skb, family: 4 | 6): Route | undefined {
  if (family === 4) {
    const answer = routeInput(bridge, packetOf(skb))
    if (answer.kind === 'route') return answer.route
    drop(skb, { device: bridge.name, stage: 'bridge', reason: answer.reason })
    return undefined
  }
  const answer = route6Input(bridge, packetOf6(skb))
  if (answer.kind === 'route') return answer.route
  drop(skb, { device: bridge.name, stage: 'bridge', reason: 'SKB_DROP_REASON_IP_INNOROUTES' })
  return undefined
}

function nextHopOf(skb: Skb, route: Route, family: 4 | 6): IpAddress {
  const { gateway } = route
  if (gateway !== undefined && isIpv4(gateway) === (family === 4)) return gateway
  const l3 = skb.networkHeader
  return family === 4
    ? readIpv4(skb.bytes, l3 + ipv4At.destination)
    : readIpv6(skb.bytes, l3 + ipv6At.destination)
}

/** After DNAT: decides between bridging on and going up. `skb.dev` is the bridge; `data` stands at the Ethernet header. */
export function routeChanged(port: BridgePort, skb: Skb, family: 4 | 6): AfterDnat {
  const { dev, bridge } = port
  const route = routeOf(bridge, skb, family)
  if (route === undefined) return 'gone'
  if (route.device === bridge && route.error === undefined) return bridgeOn(port, skb, route, family)
  writeU48(skb.bytes, skb.macHeader + ethernetAt.destination, bridge.mac)
  skb.pktType = pktType.host
  skb.route = route
  skb.dev = dev
  return 'continue'
}

/**
 * A neighbour that packets have been sent to already only lends its MAC address. Otherwise the packet takes the
 * neighbour's whole way: it leaves by the bridge device (tc egress, taps), whose transmit function takes it back here.
 */
function bridgeOn(port: BridgePort, skb: Skb, route: Route, family: 4 | 6): AfterDnat {
  const { dev, bridge } = port
  const { bridged: passage } = skb
  const nextHop = nextHopOf(skb, route, family)
  const neighbour = findNeighbour(bridge, nextHop)
  if (neighbour?.cached && isConnected(neighbour.state)) {
    writeU48(skb.bytes, skb.macHeader + ethernetAt.destination, neighbour.mac)
    skb.dev = dev
    return 'continue'
  }
  if (passage !== undefined) {
    passage.source = readU48(skb.bytes, skb.macHeader + ethernetAt.source)
    passage.bridgedDnat = true
  }
  skb.route = route
  skb.pullMac()
  neighbourOutput(skb, bridge, nextHop)
  return 'gone'
}

/**
 * br_nf_pre_routing_finish_bridge_slow(): the bridge device is asked to send a frame that DNAT has turned round. Puts the
 * sender's MAC address back and answers the port it came in by; undefined for any other packet.
 */
export function takeBackDnat(skb: Skb): NetDevice | undefined {
  const { bridged: passage } = skb
  if (passage === undefined || !passage.bridgedDnat) return undefined
  passage.bridgedDnat = false
  passage.physOut = undefined
  skb.macHeader = skb.data
  skb.networkHeader = skb.data + ethernetAt.payload
  writeU48(skb.bytes, skb.macHeader + ethernetAt.source, passage.source)
  skb.dev = passage.physIn
  return passage.physIn
}

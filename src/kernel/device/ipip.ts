// ipip, sit and ip6tnl: an IP packet in an IP packet, without Ethernet and without ports. net/ipv4/ipip.c, net/ipv6/sit.c,
// net/ipv6/ip6_tunnel.c, net/ipv4/ip_tunnel.c ip_tunnel_xmit(). One device kind with two families: what it carries and
// what carries it. [D]: the kernel of the facts has none of these modules; order of hooks as VXLAN's (facts: linux 7.2).

import { type IpAddress, isIpv4, isUnspecified, readIpv4, readIpv6, sameIp } from '../../net/address.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { countReceived } from '../counters.ts'
import { drop } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import { arriveFromTunnel } from '../napi.ts'
import { pktType, type Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { type DeviceOps, type NetDevice, transmitted } from './device.ts'
import { icmpNdoSend } from './icmp-ndo-send.ts'
import { defaultTtl, pushOuterIp, refuseOuter, routeOuter, sendOuter } from './tunnel.ts'
import { ecnDecap, ecnEncap, innerDontFragment, innerTos, innerTtl } from './tunnel-ecn.ts'
import { keyAddress, keyFlag } from './tunnel-key.ts'
import { noteDecap, pullOuter, readOuter, receivedKey } from './tunnel-outer.ts'

/** What `ip -d link` says of an ipip device. */
export interface IpipConfig {
  /** Absent: each packet goes to its next hop (Calico's tunl0). */
  readonly remote?: IpAddress
  readonly local?: IpAddress
  readonly external?: boolean
  /** `inherit` (and 0) is the default: the TTL of the packet inside. */
  readonly ttl?: number | 'inherit'
  readonly tos?: number | 'inherit'
  /** Off with `nopmtudisc`: then only the packet inside decides about DF. */
  readonly pathMtu?: boolean
  /** The family of the packets inside, 4 without. ipip is 4 in 4, sit 6 in 4, ip6tnl 4 or 6 in 6. */
  readonly inner?: 4 | 6
}

interface IpipState {
  readonly remote: IpAddress | undefined
  readonly local: IpAddress | undefined
  readonly external: boolean
  readonly ttl: number
  readonly tos: number | 'inherit'
  readonly pathMtu: boolean
  readonly inner: 4 | 6
  readonly outer: 4 | 6
}

function stateOf(dev: NetDevice): IpipState {
  return dev.private as IpipState
}

function protocolOf(inner: 4 | 6): number {
  return inner === 4 ? ipProtocol.ipip : ipProtocol.ipv6
}

function outerBytes(family: 4 | 6): number {
  return family === 4 ? 20 : 40
}

interface Way {
  readonly remote: IpAddress
  readonly local: IpAddress | undefined
  readonly ttl: number
  readonly tos: number
  readonly dontFragment: boolean
}

function nextHopOf(skb: Skb, outer: 4 | 6): IpAddress | undefined {
  const gateway = skb.route?.gateway
  if (gateway !== undefined) return isIpv4(gateway) === (outer === 4) ? gateway : undefined
  const l3 = skb.networkHeader
  if (skb.protocol === etherType.ipv4 && outer === 4) return readIpv4(skb.bytes, l3 + ipv4At.destination)
  if (skb.protocol === etherType.ipv6 && outer === 6) return readIpv6(skb.bytes, l3 + ipv6At.destination)
  return undefined
}

function wayOf(dev: NetDevice, skb: Skb): Way | undefined {
  const state = stateOf(dev)
  const { tunnelKey: key } = skb
  if (state.external) {
    const remote = key === undefined || key.received ? undefined : keyAddress(key.remote)
    if (key === undefined || remote === undefined) return undefined
    const dontFragment = (key.flags & keyFlag.dontFragment) !== 0
    return { remote, local: keyAddress(key.local), ttl: key.ttl, tos: key.tos, dontFragment }
  }
  const remote = state.remote ?? nextHopOf(skb, state.outer)
  if (remote === undefined) return undefined
  return {
    remote,
    local: state.local,
    ttl: state.ttl,
    tos: state.tos === 'inherit' ? innerTos(skb) : state.tos,
    dontFragment: state.pathMtu || (skb.protocol === etherType.ipv4 && innerDontFragment(skb)),
  }
}

/** tnl_update_pmtu(): a packet that must not be cut and does not fit is answered; true when it is gone. */
function tooBig(dev: NetDevice, skb: Skb, mtu: number): boolean {
  if (skb.gsoSize > 0 || skb.length <= mtu || !innerDontFragment(skb)) return false
  icmpNdoSend(skb, {
    four: { type: icmpType.unreachable, code: icmpUnreachable.fragmentationNeeded, info: mtu },
    six: { type: icmpv6Type.packetTooBig, code: 0, info: mtu },
  })
  refuseOuter(dev, skb, 'SKB_DROP_REASON_PKT_TOO_BIG')
  return true
}

/** ip_tunnel_xmit(), ip_md_tunnel_xmit(), ip6_tnl_xmit(). `skb.data` stands at the IP header: there is no other. */
function transmit(dev: NetDevice, skb: Skb): number {
  const state = stateOf(dev)
  skb.networkHeader = skb.data
  const inner = skb.protocol === etherType.ipv4 ? 4 : skb.protocol === etherType.ipv6 ? 6 : 0
  const way = inner === state.inner || state.external ? wayOf(dev, skb) : undefined
  if (way === undefined || inner === 0) {
    refuseOuter(dev, skb, state.external ? 'SKB_DROP_REASON_TUNNEL_TXINFO' : 'SKB_DROP_REASON_NOT_SPECIFIED')
    return transmitted
  }
  const outer = isIpv4(way.remote) ? 4 : 6
  const protocol = protocolOf(inner)
  const answer = routeOuter(dev, skb, { ...way, protocol, sport: 0, dport: 0, oif: dev.lower?.ifindex ?? 0 })
  if (answer.kind === 'error' || answer.route.device === dev) {
    refuseOuter(dev, skb, 'SKB_DROP_REASON_IP_OUTNOROUTES')
    return transmitted
  }
  const room = way.dontFragment ? answer.route.mtu - outerBytes(outer) : (skb.route?.mtu ?? dev.mtu)
  if (tooBig(dev, skb, room)) return transmitted
  const tos = ecnEncap(way.tos, skb)
  const inherited = way.ttl === 0 ? innerTtl(skb) : way.ttl
  const innerBytes = skb.length
  pushOuterIp(dev, skb, {
    source: answer.source,
    destination: way.remote,
    protocol,
    tos,
    ttl: inherited === 0 ? defaultTtl(answer.route.device, outer) : inherited,
    dontFragment: way.dontFragment,
  })
  sendOuter(dev, skb, answer.route, innerBytes)
  return transmitted
}

const ops: DeviceOps = { transmit }

const devices = new WeakMap<Namespace, NetDevice[]>()

/** How well a device fits an outer packet (ip_tunnel_lookup): both ends, the remote, the own one, anything; 0 for not. */
function score(dev: NetDevice, source: IpAddress, destination: IpAddress): number {
  const { remote, local, external } = stateOf(dev)
  if (!dev.up) return 0
  if (external) return 5
  if (remote !== undefined && !sameIp(remote, source)) return 0
  if (local !== undefined && !sameIp(local, destination)) return 0
  return 1 + (remote === undefined ? 0 : 2) + (local === undefined ? 0 : 1)
}

function unwanted(skb: Skb, family: 4 | 6, known: boolean): void {
  const { ns } = skb.dev
  const code = known ? icmpUnreachable.port : icmpUnreachable.protocol
  if (family === 4) ns.ip.stack.sendError(skb, { type: icmpType.unreachable, code, info: 0 })
  drop(skb, {
    device: skb.dev.name,
    stage: 'rx',
    reason: known ? 'SKB_DROP_REASON_NO_SOCKET' : 'SKB_DROP_REASON_IP_NOPROTO',
  })
}

/** tunnel4_rcv(), tunnel64_rcv(), ip_tunnel_rcv(). `skb.data` stands at the packet inside. */
function receive(skb: Skb, family: 4 | 6, inner: 4 | 6): void {
  const outer = readOuter(skb, family)
  const mine = devices.get(skb.dev.ns) ?? []
  let best: NetDevice | undefined
  let points = 0
  for (const dev of mine) {
    const state = stateOf(dev)
    if (!state.external && (state.inner !== inner || state.outer !== family)) continue
    const own = score(dev, outer.source, outer.destination)
    if (own <= points) continue
    best = dev
    points = own
  }
  if (best === undefined) return unwanted(skb, family, mine.length > 0)
  const end = skb.tail
  const tos = outer.tos
  pullOuter(skb, skb.data, end)
  skb.networkHeader = skb.data
  skb.protocol = inner === 4 ? etherType.ipv4 : etherType.ipv6
  skb.pktType = pktType.host
  skb.dev = best
  if (stateOf(best).external) skb.tunnelKey = receivedKey(outer, 0)
  noteDecap(best, skb)
  if (!ecnDecap(skb, tos)) {
    drop(skb, {
      node: best.ns.name,
      device: best.name,
      stage: 'decap',
      reason: 'SKB_DROP_REASON_IP_TUNNEL_ECN',
    })
    return
  }
  countReceived(best, skb.length)
  arriveFromTunnel(best, skb)
}

/** Registers the protocols of tunnels once a machine has one (loading the modules). */
function listen(ns: Namespace): void {
  const { transports } = ns.ip
  for (const inner of [4, 6] as const) {
    const protocol = protocolOf(inner)
    if (transports.has(protocol)) continue
    transports.set(protocol, { receive: (skb, family) => receive(skb, family, inner), error: () => true })
  }
}

/** An ipip device, down: without MAC addresses and neighbours; MTU 1480 unless its remote's device allows less. */
export function addIpip(
  ns: Namespace,
  options: DeviceOptions & IpipConfig & { readonly lower?: NetDevice },
): NetDevice {
  const given = (address: IpAddress | undefined): IpAddress | undefined =>
    address === undefined || isUnspecified(address) ? undefined : address
  const [remote, local] = [given(options.remote), given(options.local)]
  const named = remote ?? local
  const outer = named === undefined || isIpv4(named) ? 4 : 6
  const state: IpipState = {
    remote,
    local,
    external: options.external ?? false,
    ttl: options.ttl === 'inherit' ? 0 : (options.ttl ?? 0),
    tos: options.tos ?? 0,
    pathMtu: options.pathMtu ?? true,
    inner: options.inner ?? 4,
    outer,
  }
  const below = options.lower?.mtu ?? 1500
  const dev = createDevice(ns, {
    name: options.name,
    mac: 0,
    mtu: options.mtu ?? below - outerBytes(outer),
    ...(options.lower === undefined ? {} : { lower: options.lower }),
    kind: 'ipip',
    arp: false,
    headerBytes: 0,
    ops,
    private: state,
    tunnel: true,
  })
  const known = devices.get(ns)
  if (known === undefined) devices.set(ns, [dev])
  else known.push(dev)
  listen(ns)
  return dev
}

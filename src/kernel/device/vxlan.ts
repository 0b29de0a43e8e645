// VXLAN (drivers/net/vxlan/vxlan_core.c): a device whose frames travel in UDP packets between hosts. What enters is a frame
// behind tc egress and the taps; what leaves is one outer packet for each remote, through OUTPUT and POSTROUTING of the
// namespace. Facts: linux 7, 8.18. Not modelled: multicast groups, rsc, l2miss, l3miss, GBP, GPE, MDB, next-hop groups.
import type { TunnelKey } from '../../bpf/contract.ts'
import { type IpAddress, isIpv4 } from '../../net/address.ts'
import { readU16, writeU8, writeU24, writeU32 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { readMac } from '../../net/mac.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { vxlanAt, vxlanFlag } from '../../net/vxlan.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitted } from './device.ts'
import { defaultTtl, pushBytes, pushOuterIp, refuseOuter, routeOuter, sendOuter } from './tunnel.ts'
import { ecnEncap, innerDontFragment, innerTos, innerTtl } from './tunnel-ecn.ts'
import { keyAddress, keyFlag } from './tunnel-key.ts'
import { stopsTooBig } from './tunnel-too-big.ts'
import { closeTunnelPort, finishUdp, flowSourcePort, openTunnelPort, pushUdp } from './tunnel-udp.ts'
import { addVxlanRemote, type VxlanRemote, vxlanRemotes } from './vxlan-fdb.ts'
import { answerArp } from './vxlan-proxy.ts'
import { listenVxlan, unlistenVxlan, vxlanEncapsulation } from './vxlan-receive.ts'
import { type VxlanConfig, type VxlanState, vxlanState } from './vxlan-state.ts'

/** Linux's own default; iproute2 warns that IANA's is 4789. */
const defaultPort = 8472
/** vxlan_headroom(): outer IP, UDP, VXLAN, inner Ethernet. */
const headroom = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 } as const

/** Where one outer packet goes and how it looks: from an FDB remote, or from the packet's tunnel key. */
interface Way {
  readonly remote: IpAddress
  readonly local: IpAddress | undefined
  readonly port: number
  readonly vni: number
  readonly oif: number
  readonly ttl: number
  readonly tos: number
  readonly dontFragment: boolean
  readonly checksum: boolean
}

function wayTo(dev: NetDevice, skb: Skb, remote: VxlanRemote): Way {
  const state = vxlanState(dev)
  const { df } = state
  return {
    remote: remote.address,
    local: state.local,
    port: remote.port ?? state.dstport,
    vni: remote.vni ?? state.vni,
    oif: remote.via === 0 ? (dev.lower?.ifindex ?? 0) : remote.via,
    ttl: state.ttl === 'inherit' ? innerTtl(skb) : state.ttl,
    tos: state.tos === 'inherit' ? innerTos(skb) : state.tos,
    dontFragment: df === 'set' || (df === 'inherit' && innerDontFragment(skb)),
    // VXLAN_F_UDP_ZERO_CSUM_TX is for IPv4; over IPv6 only udp6zerocsumtx would leave it out
    checksum: state.udpcsum || !isIpv4(remote.address),
  }
}

function wayByKey(dev: NetDevice, key: TunnelKey): Way | undefined {
  const remote = keyAddress(key.remote)
  if (remote === undefined) return undefined
  return {
    remote,
    local: keyAddress(key.local),
    port: vxlanState(dev).dstport,
    vni: key.id & 0xff_ffff,
    oif: 0,
    ttl: key.ttl,
    tos: key.tos,
    dontFragment: (key.flags & keyFlag.dontFragment) !== 0,
    checksum: (key.flags & keyFlag.zeroChecksum) === 0,
  }
}

/** vxlan_build_skb(): the eight bytes in front of the frame. */
function pushVxlan(skb: Skb, vni: number): void {
  const at = pushBytes(skb, vxlanAt.payload)
  writeU32(skb.bytes, at, 0)
  writeU8(skb.bytes, at + vxlanAt.flags, vxlanFlag.vniPresent)
  writeU24(skb.bytes, at + vxlanAt.vni, vni)
  writeU8(skb.bytes, at + vxlanAt.vni + 3, 0)
}

/** vxlan_xmit_one(). Owns the packet. */
function transmitOne(dev: NetDevice, skb: Skb, way: Way): void {
  const family = isIpv4(way.remote) ? 4 : 6
  const sport = flowSourcePort(dev, skb, vxlanState(dev).srcport)
  const protocol = ipProtocol.udp
  const flow = { ...way, protocol, sport, dport: way.port }
  const answer = routeOuter(dev, skb, flow)
  if (answer.kind === 'error' || answer.route.device === dev) {
    return refuseOuter(dev, skb, 'SKB_DROP_REASON_IP_OUTNOROUTES')
  }
  if (stopsTooBig(dev, skb, answer.route.mtu - headroom[family])) return
  const tos = ecnEncap(way.tos, skb)
  const innerBytes = skb.tail - skb.networkHeader
  pushVxlan(skb, way.vni)
  pushUdp(skb, { source: sport, destination: way.port })
  pushOuterIp(dev, skb, {
    source: answer.source,
    destination: way.remote,
    protocol,
    tos,
    ttl: way.ttl === 0 ? defaultTtl(answer.route.device, family) : way.ttl,
    dontFragment: way.dontFragment,
  })
  finishUdp(skb, answer.source, way.checksum)
  sendOuter(dev, skb, answer.route, innerBytes)
}

function transmitByKey(dev: NetDevice, skb: Skb): number {
  const key = skb.tunnelKey
  const way = key === undefined || key.received ? undefined : wayByKey(dev, key)
  if (way === undefined) refuseOuter(dev, skb, 'SKB_DROP_REASON_TUNNEL_TXINFO')
  else transmitOne(dev, skb, way)
  return transmitted
}

/** vxlan_xmit(): a copy to every remote but the first, which gets the frame itself, last. */
function transmit(dev: NetDevice, skb: Skb): number {
  const { external, proxy, fdb } = vxlanState(dev)
  skb.networkHeader = skb.data + ethernetAt.payload
  skb.protocol = readU16(skb.bytes, skb.data + ethernetAt.type)
  if (external) return transmitByKey(dev, skb)
  if (proxy && answerArp(dev, skb)) return transmitted
  const entry = vxlanRemotes(fdb, readMac(skb.bytes, skb.data), dev.ns.machine.clock.now)
  const first = entry?.remotes[0]
  if (entry === undefined || first === undefined) {
    dev.counters.tx_dropped += 1
    refuseOuter(dev, skb, 'SKB_DROP_REASON_VXLAN_NO_REMOTE')
    return transmitted
  }
  for (let at = 1; at < entry.remotes.length; at += 1) {
    const remote = entry.remotes[at]
    const copy = skb.clone()
    if (remote !== undefined) transmitOne(dev, copy, wayTo(dev, copy, remote))
  }
  transmitOne(dev, skb, wayTo(dev, skb, first))
  return transmitted
}

/** vxlan_open(), vxlan_stop(): the socket of the port lives while one of its devices is up. */
function changed(dev: NetDevice, what: DeviceChange): void {
  if (what !== 'up' && what !== 'down') return
  const { dstport: port, families } = vxlanState(dev)
  if (what === 'up') {
    for (const family of families) openTunnelPort(dev.ns, { port, family }, vxlanEncapsulation)
    listenVxlan(dev)
  } else {
    unlistenVxlan(dev)
    for (const family of families) closeTunnelPort(dev.ns, { port, family })
  }
}

const ops: DeviceOps = { transmit, changed }

function familiesOf(config: VxlanConfig): readonly (4 | 6)[] {
  if (config.external) return [4, 6]
  const named = config.local ?? config.remote
  return [named === undefined || isIpv4(named) ? 4 : 6]
}

function stateOf(config: VxlanConfig): VxlanState {
  const external = config.external ?? false
  return {
    vni: external ? 0 : config.vni,
    remote: config.remote,
    local: config.local,
    dstport: config.dstport ?? defaultPort,
    srcport: config.srcport ?? { first: 0, last: 0 },
    external,
    learning: (config.learning ?? true) && !external,
    ttl: config.ttl ?? 0,
    tos: config.tos ?? 0,
    df: config.df ?? 'unset',
    udpcsum: config.udpcsum ?? true,
    proxy: config.proxy ?? false,
    families: familiesOf(config),
    fdb: new Map(),
  }
}

/**
 * A VXLAN device, down. With `lower` (`dev`) its MTU is at most that of the lower device minus 50 bytes (70 over IPv6),
 * for ever (facts: linux 7.6); without, 1500.
 */
export function addVxlan(
  ns: Namespace,
  options: DeviceOptions & VxlanConfig & { readonly lower?: NetDevice },
): NetDevice {
  const { lower } = options
  const state = stateOf(options)
  const outer = headroom[state.families[0] ?? 4]
  const most = lower === undefined ? undefined : Math.max(lower.mtu - outer, 68)
  const mtu = options.mtu === undefined ? most : Math.min(options.mtu, most ?? options.mtu)
  const dev = createDevice(ns, {
    name: options.name,
    ...(options.mac === undefined ? {} : { mac: options.mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(most === undefined ? {} : { mtuMax: most }),
    ...(lower === undefined ? {} : { lower }),
    kind: 'vxlan',
    ops,
    private: state,
    tunnel: true,
  })
  if (state.remote !== undefined) {
    const remote = { address: state.remote, port: undefined, vni: undefined, via: 0 }
    addVxlanRemote(state.fdb, 0, remote, { fixed: true, now: 0 })
  }
  return dev
}

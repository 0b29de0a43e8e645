// Geneve (drivers/net/geneve.c): like VXLAN, but with options behind the header and one remote instead of a forwarding
// database. RFC 8926. [D]: the kernel of the facts has no Geneve device; the order of hooks is VXLAN's (facts: linux 7.2).
// Not modelled: the IP payload of `inner_proto_inherit`, GSO hints.

import { type IpAddress, isIpv4, readIpv4, readIpv6, sameIp } from '../../net/address.ts'
import { readU8, readU16, readU24, writeU8, writeU16, writeU24 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { geneveAt, geneveFlag, geneveHeaderLength } from '../../net/geneve.ts'
import { readMac } from '../../net/mac.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { udpAt } from '../../net/udp.ts'
import { countReceived } from '../counters.ts'
import { drop } from '../drop.ts'
import { ethTypeTrans } from '../eth-type.ts'
import type { Namespace } from '../namespace.ts'
import { arriveFromTunnel } from '../napi.ts'
import type { Skb } from '../skb.ts'
import type { UdpEncapsulation } from '../socket/udp-socket.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitted } from './device.ts'
import { defaultTtl, pushBytes, pushOuterIp, refuseOuter, routeOuter, sendOuter } from './tunnel.ts'
import { ecnDecap, ecnEncap, innerDontFragment, innerTos, innerTtl } from './tunnel-ecn.ts'
import { keyAddress, keyFlag } from './tunnel-key.ts'
import { noteDecap, pullOuter, readOuter, receivedKey } from './tunnel-outer.ts'
import { stopsTooBig } from './tunnel-too-big.ts'
import { closeTunnelPort, finishUdp, flowSourcePort, openTunnelPort, pushUdp } from './tunnel-udp.ts'

/** What `ip -d link` says of a Geneve device. */
export interface GeneveConfig {
  /** 0 with `external`. */
  readonly vni: number
  readonly remote?: IpAddress
  /** UDP port, 6081 without one. */
  readonly dstport?: number
  readonly external?: boolean
  readonly ttl?: number | 'inherit'
  readonly tos?: number | 'inherit'
  readonly df?: 'unset' | 'set' | 'inherit'
  readonly udpcsum?: boolean
}

interface GeneveState {
  readonly vni: number
  readonly remote: IpAddress | undefined
  readonly dstport: number
  readonly external: boolean
  readonly ttl: number | 'inherit'
  readonly tos: number | 'inherit'
  readonly df: 'unset' | 'set' | 'inherit'
  readonly udpcsum: boolean
  readonly families: readonly (4 | 6)[]
}

const defaultPort = 6081
/** ETH_P_TEB: an Ethernet frame inside. */
const ethernetFrame = 0x6558
/** GENEVE_IPV4_HLEN, GENEVE_IPV6_HLEN: what the outer packet adds to the inner IP packet (bytes). */
export const geneveOverhead = { 4: 14 + 20 + 8 + 8, 6: 14 + 40 + 8 + 8 } as const
/** Source ports are taken from the whole range, unlike VXLAN's. */
const sourcePorts = { first: 1, last: 65_535 }

function stateOf(dev: NetDevice): GeneveState {
  return dev.private as GeneveState
}

interface Way {
  readonly remote: IpAddress
  readonly local: IpAddress | undefined
  readonly vni: number
  /** undefined: the default of the host. */
  readonly ttl: number | undefined
  readonly tos: number
  readonly dontFragment: boolean
  readonly checksum: boolean
  readonly options: Uint8Array
}

const noOptions = new Uint8Array(0)

/** The way that the device says, or in external mode the packet's own key. Undefined: nobody says. */
function wayOf(dev: NetDevice, skb: Skb): Way | undefined {
  const state = stateOf(dev)
  const { tunnelKey: key } = skb
  if (state.external) {
    const remote = key === undefined || key.received ? undefined : keyAddress(key.remote)
    if (key === undefined || remote === undefined) return undefined
    return {
      remote,
      local: keyAddress(key.local),
      vni: key.id & 0xff_ffff,
      // unlike VXLAN, a TTL of 0 in the key is not replaced by the default
      ttl: key.ttl,
      tos: key.tos,
      dontFragment: (key.flags & keyFlag.dontFragment) !== 0,
      checksum: (key.flags & keyFlag.zeroChecksum) === 0,
      options: key.options ?? noOptions,
    }
  }
  if (state.remote === undefined) return undefined
  const ttl = state.ttl === 'inherit' ? innerTtl(skb) : state.ttl
  return {
    remote: state.remote,
    local: undefined,
    vni: state.vni,
    ttl: ttl === 0 ? undefined : ttl,
    tos: state.tos === 'inherit' ? innerTos(skb) : state.tos,
    dontFragment: state.df === 'set' || (state.df === 'inherit' && innerDontFragment(skb)),
    // geneve_nl2info(): a remote of IPv6 has checksums
    checksum: state.udpcsum || !isIpv4(state.remote),
    options: noOptions,
  }
}

/** geneve_build_header(): eight bytes and the options; a critical option (high bit of its type) sets the flag. */
function pushGeneve(skb: Skb, way: Way): void {
  const { options, vni } = way
  const at = pushBytes(skb, geneveAt.options + options.length)
  const { bytes } = skb
  writeU8(bytes, at + geneveAt.versionAndLength, options.length >>> 2)
  writeU8(bytes, at + geneveAt.flags, isCritical(options) ? geneveFlag.critical : 0)
  writeU16(bytes, at + geneveAt.protocol, ethernetFrame)
  writeU24(bytes, at + geneveAt.vni, vni)
  writeU8(bytes, at + geneveAt.vni + 3, 0)
  bytes.set(options, at + geneveAt.options)
}

function isCritical(options: Uint8Array): boolean {
  for (let at = 0; at + 4 <= options.length; at += 4 + ((readU8(options, at + 3) & 0x1f) << 2)) {
    if ((readU8(options, at + 2) & 0x80) !== 0) return true
  }
  return false
}

/** geneve_xmit(). */
function transmit(dev: NetDevice, skb: Skb): number {
  skb.networkHeader = skb.data + ethernetAt.payload
  skb.protocol = readU16(skb.bytes, skb.data + ethernetAt.type)
  const way = wayOf(dev, skb)
  if (way === undefined) {
    dev.counters.tx_dropped += 1
    refuseOuter(dev, skb, 'SKB_DROP_REASON_TUNNEL_TXINFO')
    return transmitted
  }
  const family = isIpv4(way.remote) ? 4 : 6
  const { dstport } = stateOf(dev)
  const sport = flowSourcePort(dev, skb, sourcePorts)
  const protocol = ipProtocol.udp
  const answer = routeOuter(dev, skb, { ...way, protocol, sport, dport: dstport, oif: 0 })
  if (answer.kind === 'error' || answer.route.device === dev) {
    refuseOuter(dev, skb, 'SKB_DROP_REASON_IP_OUTNOROUTES')
    return transmitted
  }
  if (stopsTooBig(dev, skb, answer.route.mtu - geneveOverhead[family] - way.options.length))
    return transmitted
  const tos = ecnEncap(way.tos, skb)
  const innerBytes = skb.tail - skb.networkHeader
  pushGeneve(skb, way)
  pushUdp(skb, { source: sport, destination: dstport })
  pushOuterIp(dev, skb, {
    source: answer.source,
    destination: way.remote,
    protocol,
    tos,
    ttl: way.ttl ?? defaultTtl(answer.route.device, family),
    dontFragment: way.dontFragment,
  })
  finishUdp(skb, answer.source, way.checksum)
  sendOuter(dev, skb, answer.route, innerBytes)
  return transmitted
}

/** Devices that are up, by namespace. */
const devices = new WeakMap<Namespace, Set<NetDevice>>()

/** geneve_lookup(): an external device takes everything, another one its VNI from its remote. */
function deviceFor(ns: Namespace, port: number, vni: number, source: IpAddress): NetDevice | undefined {
  for (const dev of devices.get(ns) ?? []) {
    const { dstport, external, remote, vni: own } = stateOf(dev)
    if (dstport !== port) continue
    if (external || (own === vni && remote !== undefined && sameIp(remote, source))) return dev
  }
  return undefined
}

function lose(skb: Skb): void {
  const { dev } = skb
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'decap', reason: 'SKB_DROP_REASON_NOT_SPECIFIED' })
}

/** geneve_udp_encap_recv(), geneve_rx(): what it cannot use it drops without a counter. Owns the packet. */
function receive(skb: Skb, at: { readonly family: 4 | 6; readonly end: number }): void {
  const { bytes } = skb
  const header = skb.data + udpAt.payload
  if (header + geneveAt.options > at.end || readU8(bytes, header) >>> 6 !== 0) return lose(skb)
  const inner = header + geneveHeaderLength(bytes, header)
  if (readU16(bytes, header + geneveAt.protocol) !== ethernetFrame) return lose(skb)
  if ((readU8(bytes, header + geneveAt.flags) & geneveFlag.control) !== 0) return lose(skb)
  if (inner + ethernetAt.payload > at.end) return lose(skb)
  const outer = readOuter(skb, at.family)
  const vni = readU24(bytes, header + geneveAt.vni)
  const dev = deviceFor(skb.dev.ns, readU16(bytes, skb.data + udpAt.destination), vni, outer.source)
  if (dev === undefined || readMac(bytes, inner + ethernetAt.source) === dev.mac) return lose(skb)
  const options = bytes.slice(header + geneveAt.options, inner)
  pullOuter(skb, inner, at.end)
  ethTypeTrans(skb, dev)
  if (stateOf(dev).external) {
    skb.tunnelKey = receivedKey(outer, vni, options.length === 0 ? undefined : options)
  }
  noteDecap(dev, skb)
  if (!ecnDecap(skb, outer.tos)) return lose(skb)
  countReceived(dev, at.end - skb.networkHeader)
  arriveFromTunnel(dev, skb)
}

/** geneve_udp_encap_err_lookup(): whether a device of this namespace sends to the quoted destination with the quoted VNI. */
function sent(
  skb: Skb,
  at: { readonly family: 4 | 6; readonly quoted: number; readonly end: number; readonly port: number },
): boolean {
  const { bytes } = skb
  const header = at.quoted + udpAt.payload
  if (header + geneveAt.options > at.end || readU8(bytes, header) >>> 6 !== 0) return false
  const destination = at.family === 4 ? readIpv4(bytes, at.quoted - 4) : readIpv6(bytes, at.quoted - 16)
  return deviceFor(skb.dev.ns, at.port, readU24(bytes, header + geneveAt.vni), destination) !== undefined
}

const encapsulation: UdpEncapsulation = { receive, sent }

/** geneve_open(), geneve_stop(). */
function changed(dev: NetDevice, what: DeviceChange): void {
  const { dstport: port, families } = stateOf(dev)
  const known = devices.get(dev.ns) ?? new Set<NetDevice>()
  devices.set(dev.ns, known)
  if (what === 'up') {
    for (const family of families) openTunnelPort(dev.ns, { port, family }, encapsulation)
    known.add(dev)
  } else if (what === 'down') {
    known.delete(dev)
    for (const family of families) closeTunnelPort(dev.ns, { port, family })
  }
}

const ops: DeviceOps = { transmit, changed }

/** A Geneve device, down. Its MTU is the caller's business: iproute2 derives it from the route to the remote. */
export function addGeneve(ns: Namespace, options: DeviceOptions & GeneveConfig): NetDevice {
  const external = options.external ?? false
  const { remote } = options
  const state: GeneveState = {
    vni: external ? 0 : options.vni,
    remote,
    dstport: options.dstport ?? defaultPort,
    external,
    ttl: options.ttl ?? 0,
    tos: options.tos ?? 0,
    df: options.df ?? 'unset',
    udpcsum: options.udpcsum ?? true,
    families: external ? [4, 6] : [remote === undefined || isIpv4(remote) ? 4 : 6],
  }
  const { name, mac, mtu } = options
  return createDevice(ns, {
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    kind: 'geneve',
    ops,
    private: state,
    tunnel: true,
  })
}

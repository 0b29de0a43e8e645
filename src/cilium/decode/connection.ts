// Who talks to whom in the bytes that a notification captured, in the words of `cilium monitor`: `10.0.1.10:40000 ->
// 10.0.2.10:8080 tcp SYN`. What a tunnel carries stands first, the tunnel behind it. pkg/monitor/dissect.go
import { formatIp, type IpAddress, isIpv4, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { dissect } from '../../net/dissect.ts'
import { formatMac, readMac } from '../../net/mac.ts'
import { tcpAt, tcpFlag } from '../../net/tcp.ts'
import { type Layers, layersIn } from '../../trace/effects/layers.ts'
import { classFlag } from '../datapath/classifiers.ts'
import { protocolNumber } from '../datapath/family.ts'
import { decodedLayers } from './gopacket.ts'
import { icmpText } from './icmp-text.ts'
import type { Era, Notification } from './notification.ts'

/** The headers of captured bytes: the packet, and for a tunnel's packet what it carries. */
export interface Captured {
  readonly outer: Layers
  /** Where the event says that this is the agent's tunnel, and it can be read. */
  readonly inner: Layers | undefined
}

/** Says how to read what was captured, as drops and traces do by their flags. */
export function captureFlags(event: Notification): number {
  if (event.kind !== 'verdict') return event.flags
  return (event.isIpv6 ? classFlag.IPV6 : 0) | (event.isL3 ? classFlag.L3_DEV : 0)
}

/** What was captured of a packet: its first bytes, and how long it was (bytes). */
export interface Capture {
  readonly captured: Uint8Array
  readonly length: number
}

/** The bytes as long as the packet was: headers speak of all of it, and what is behind them is not looked at. */
function whole({ captured, length }: Capture): Uint8Array {
  if (length <= captured.length) return captured
  const bytes = new Uint8Array(length)
  bytes.set(captured)
  return bytes
}

/** Reads what a notification captured; undefined where nothing was. A packet that was cut has its headers all the same (gopacket). */
export function readCaptured(capture: Capture, flags: number, era: Era): Captured | undefined {
  if (capture.captured.length === 0) return undefined
  const layers = layersIn(dissect(whole(capture), (flags & classFlag.L3_DEV) !== 0 ? 'ip' : 'ethernet'))
  const outer = decodedLayers(layers, era)
  const isTunnel = (flags & (classFlag.VXLAN | classFlag.GENEVE)) !== 0 && outer.l4 >= 0
  const inner = isTunnel ? outer.tunnel?.inner : undefined
  return { outer, inner: inner === undefined ? undefined : decodedLayers(inner, era) }
}

/** One end: an address and a port, -1 where the protocol has none. */
export interface End {
  readonly address: IpAddress
  readonly port: number
}

function withPorts(protocol: number): boolean {
  return (
    protocol === protocolNumber.TCP || protocol === protocolNumber.UDP || protocol === protocolNumber.SCTP
  )
}

/** Source and destination of an IP packet; undefined for anything else. */
export function endsIn(layers: Layers): { readonly source: End; readonly destination: End } | undefined {
  const { bytes, family, l3, l4, protocol } = layers
  if (family === 0) return undefined
  const hasPorts = l4 >= 0 && withPorts(protocol)
  const address = (at: number): IpAddress =>
    family === 4 ? readIpv4(bytes, l3 + 12 + at * 4) : readIpv6(bytes, l3 + 8 + at * 16)
  const end = (at: number): End => ({
    address: address(at),
    port: hasPorts ? readU16(bytes, l4 + at * 2) : -1,
  })
  return { source: end(0), destination: end(1) }
}

function endText({ address, port }: End): string {
  if (port < 0) return formatIp(address)
  return isIpv4(address) ? `${formatIp(address)}:${port}` : `[${formatIp(address)}]:${port}`
}

const tcpFlags = ['syn', 'ack', 'rst', 'fin'] as const

function tcpText({ bytes, l4 }: Layers): string {
  const seen = readU8(bytes, l4 + tcpAt.flags)
  const set = tcpFlags.filter((name) => (seen & tcpFlag[name]) !== 0)
  return set.map((name) => name.toUpperCase()).join(', ')
}

const names: Readonly<Record<number, string>> = {
  [protocolNumber.TCP]: 'tcp',
  [protocolNumber.UDP]: 'udp',
  [protocolNumber.SCTP]: 'sctp',
}

function etherTypeText(type: number): string {
  return type === 0x0806 ? 'ARP' : `UnknownEthernetType`
}

function packetText(layers: Layers, era: Era): string {
  const { bytes, l4, protocol, family, ethernet, etherType } = layers
  const ends = endsIn(layers)
  if (ends === undefined) {
    if (ethernet < 0) return '[unknown]'
    const mac = (at: number): string => formatMac(readMac(bytes, ethernet + at))
    return `${mac(6)} -> ${mac(0)} ${etherTypeText(etherType)}`
  }
  const pair = `${endText(ends.source)} -> ${endText(ends.destination)}`
  if (l4 < 0) return pair
  if (protocol === protocolNumber.ICMP || protocol === protocolNumber.ICMPV6) {
    const text = icmpText(family === 4 ? 4 : 6, readU8(bytes, l4), readU8(bytes, l4 + 1))
    return era === '1.10' ? `${pair} ${text}` : `${pair} icmp ${text}`
  }
  const name = names[protocol]
  if (name === undefined) return pair
  return protocol === protocolNumber.TCP ? `${pair} tcp ${tcpText(layers)}` : `${pair} ${name}`
}

/** GetConnectionSummary() */
export function connectionText(capture: Capture, flags: number, era: Era): string {
  const captured = readCaptured(capture, flags, era)
  if (captured === undefined) return '[unknown]'
  const { outer, inner } = captured
  if (outer.malformed && outer.family === 0 && outer.ethernet < 0) return '[error]'
  const ends = endsIn(outer)
  if (inner === undefined || ends === undefined) return packetText(outer, era)
  const kind = (flags & classFlag.VXLAN) === 0 ? 'geneve' : 'vxlan'
  return `${packetText(inner, era)} [tunnel ${endText(ends.source)} -> ${endText(ends.destination)} ${kind}]`
}

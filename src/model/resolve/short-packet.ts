// `packet tcp client:4000 > 10.2.0.2:80 ttl 64`: the layers that the short form stands for.

import { didYouMean } from '../../base/closest.ts'
import { allNodes, type IpAddress, type Ipv4, type Ipv6, isIpv4, solicitedNode } from '../../net/address.ts'
import { arpOperation } from '../../net/arp.ts'
import { echoRest, icmpNames, isIcmpEcho } from '../../net/icmp.ts'
import { icmpv6Names, isIcmpv6Echo } from '../../net/icmpv6.ts'
import type { IcmpSpec, LayerSpec, NdSpec } from '../../net/layer-spec.ts'
import { broadcastMac, type Mac, multicastMacOf6, parseMac, zeroMac } from '../../net/mac.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { sctpChunkType } from '../../net/sctp.ts'
import { parseTcpFlags } from '../../net/tcp.ts'
import type { PacketOptionName, ShortPacket, Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'
import { defined } from '../words/defined.ts'
import { isNothing } from '../words/fill.ts'
import { bytesIn, integerOf, numberIn, type Range, ranges } from '../words/numbers.ts'
import { isSet, optionValue } from '../words/options.ts'
import type { DeviceDraft } from '../world/entities.ts'
import { destinationMacOf, type End, pairOf, readEnd, sourceMacOf } from './ends.ts'
import { hexIn } from './hex-bytes.ts'
import { checkPacketOptions } from './packet-options.ts'
import type { Scope } from './scope.ts'

const protocols = ['tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'arp', 'ip', 'ip6', 'esp', 'gre', 'igmp'] as const
type Protocol = (typeof protocols)[number]

/** What the layers of a short packet need: the ends, the device it arrives at, and a reader of its options. */
interface Draft {
  readonly packet: ShortPacket
  readonly protocol: Protocol
  readonly from: End
  readonly to: End
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly device: DeviceDraft | undefined
  readonly scope: Scope
}

export interface PacketDraft {
  readonly layers: readonly LayerSpec[]
  /** The host that the packet claims to come from. */
  readonly sender: string | undefined
}

/** The layers of a short packet, or undefined after a message. */
export function readShort(
  packet: ShortPacket,
  device: DeviceDraft | undefined,
  scope: Scope,
): PacketDraft | undefined {
  const protocol = protocols.find((each) => each === packet.protocol.text)
  if (protocol === undefined) {
    const hint = didYouMean(packet.protocol.text, protocols) ?? `one of ${protocols.join(', ')}`
    scope.report(
      mistakeIn('S136', packet.protocol, `no protocol is called \`${packet.protocol.text}\``, { hint }),
    )
    return undefined
  }
  const from = readEnd(packet.from, scope)
  const to = readEnd(packet.to, scope)
  if (from === undefined || to === undefined) return undefined
  const family =
    protocol === 'arp' || protocol === 'icmp' || protocol === 'igmp' || protocol === 'ip' ? 4 : undefined
  const pair = pairOf(from, to, protocol === 'icmp6' || protocol === 'ip6' ? 6 : family, scope)
  if (pair === undefined) return undefined
  checkPacketOptions(packet, isIpv4(pair.source) ? 4 : 6, scope)
  const draft: Draft = { packet, protocol, from, to, ...pair, device, scope }
  const upper = protocol === 'arp' ? arpLayers(draft) : ipLayers(draft)
  return upper && { layers: [...frameLayers(draft), ...upper], sender: from.host?.name }
}

function option(draft: Draft, name: PacketOptionName): Word | undefined {
  return optionValue(draft.packet.options, name)
}

function number(draft: Draft, name: PacketOptionName, range: Range): number | undefined {
  const word = option(draft, name)
  return word === undefined ? undefined : numberIn(word, range, draft.scope.report)
}

function frameLayers(draft: Draft): readonly LayerSpec[] {
  const { from, source, destination, device } = draft
  const vlan = number(draft, 'vlan', ranges.vlan)
  const eth: LayerSpec = {
    kind: 'eth',
    source: macOption(draft, 'eth.src') ?? sourceMacOf(from, source, device),
    destination: macOption(draft, 'eth.dst') ?? frameTarget(draft, destination),
  }
  return vlan === undefined ? [eth] : [eth, { kind: 'vlan', vid: vlan }]
}

/** ARP requests go to everybody, solicitations to the group of their target, the rest to the device itself. */
function frameTarget(draft: Draft, destination: IpAddress): Mac {
  const { packet, protocol, device } = draft
  if (protocol === 'arp') return packet.type?.text === 'reply' ? (device?.mac ?? broadcastMac) : broadcastMac
  if (isSolicitation(packet.type) && !isIpv4(destination)) return multicastMacOf6(solicitedNode(destination))
  return destinationMacOf(destination, device)
}

function isSolicitation(type: Word | null): boolean {
  return type?.text === 'ns' || type?.text === 'neighbour-solicitation'
}

/** `eth.dst 02:...`, `eth.dst host` or `eth.dst broadcast`. */
function macOption(draft: Draft, name: 'eth.src' | 'eth.dst'): Mac | undefined {
  const word = option(draft, name)
  if (word === undefined) return undefined
  return macNamed(word, draft.device, draft.scope)
}

/** A MAC address, or the one of a host's device. */
export function macNamed(word: Word, device: DeviceDraft | undefined, scope: Scope): Mac | undefined {
  if (word.text === 'broadcast') return broadcastMac
  const mac = parseMac(word.text)
  if (mac !== undefined) return mac
  const host = scope.entities.hosts.get(word.text)
  if (host !== undefined)
    return sourceMacOf({ addresses: [], host, port: undefined, word }, undefined, device)
  const hint = didYouMean(word.text, scope.entities.hosts.keys())
  scope.report(mistakeIn('S109', word, `\`${word.text}\` is neither a MAC address nor a host`, { hint }))
  return undefined
}

function arpLayers(draft: Draft): readonly LayerSpec[] {
  const { packet, from, source, destination, device } = draft
  const type = packet.type?.text ?? 'request'
  const senderMac = macOption(draft, 'eth.src') ?? sourceMacOf(from, source, device)
  const reply = type === 'reply'
  return [
    {
      kind: 'arp',
      operation: reply ? arpOperation.reply : arpOperation.request,
      senderMac,
      senderIp: source as Ipv4,
      targetMac: reply ? (device?.mac ?? zeroMac) : zeroMac,
      targetIp: (type === 'gratuitous' ? source : destination) as Ipv4,
    },
  ]
}

const bare: Partial<Record<Protocol, number>> = {
  esp: ipProtocol.esp,
  gre: ipProtocol.gre,
  igmp: ipProtocol.igmp,
}

function ipLayers(draft: Draft): readonly LayerSpec[] | undefined {
  const upper = transport(draft)
  if (upper === undefined) return undefined
  const payload = payloadOf(draft)
  return [ipLayer(draft), ...upper, ...(payload === undefined ? [] : [payload])]
}

function ipLayer(draft: Draft): LayerSpec {
  const { source, destination, protocol } = draft
  const ttl = number(draft, 'ttl', ranges.ttl) ?? number(draft, 'hoplimit', ranges.ttl)
  const dscp = number(draft, 'dscp', ranges.dscp)
  const ecn = number(draft, 'ecn', ranges.ecn)
  const parts = dscp === undefined && ecn === undefined ? undefined : ((dscp ?? 0) << 2) | (ecn ?? 0)
  const tos = number(draft, 'tos', ranges.u8) ?? parts
  if (!isIpv4(source) || !isIpv4(destination)) {
    // One hop limit is fixed: neighbour discovery is ignored unless it is 255 (RFC 4861 section 7.1).
    const hopLimit = ttl ?? (isDiscovery(draft) ? 255 : undefined)
    const target = isSolicitation(draft.packet.type) ? solicitedNode(destination as Ipv6) : destination
    const ends = { source: source as Ipv6, destination: target as Ipv6 }
    return defined({ kind: 'ip6' as const, ...ends, hopLimit, trafficClass: tos, nextHeader: bare[protocol] })
  }
  const fragment = number(draft, 'frag', ranges.u16)
  return defined({
    kind: 'ip' as const,
    source,
    destination,
    ttl,
    tos,
    identification: number(draft, 'ip-id', ranges.u16),
    dontFragment: isSet(draft.packet.options, 'df') || undefined,
    moreFragments: isSet(draft.packet.options, 'mf') || undefined,
    fragmentOffset: fragment === undefined ? undefined : fragment & ~7,
    protocol: bare[protocol],
  })
}

const discovery: readonly string[] = [
  'ns',
  'na',
  'rs',
  'ra',
  'neighbour-solicitation',
  'neighbour-advertisement',
]

function isDiscovery({ protocol, packet }: Draft): boolean {
  const type = packet.type?.text ?? ''
  return protocol === 'icmp6' && (discovery.includes(type) || type.startsWith('router-'))
}

function transport(draft: Draft): readonly LayerSpec[] | undefined {
  const { protocol } = draft
  if (protocol === 'icmp' || protocol === 'icmp6') return mapOne(icmpLayer(draft))
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') return []
  const ports = portsOf(draft)
  if (ports === undefined) return undefined
  if (protocol === 'udp') return [{ kind: 'udp', ...ports }]
  if (protocol === 'tcp') return mapOne(tcpLayer(draft, ports))
  const type = draft.packet.type?.text ?? 'init'
  const chunk =
    type === 'abort' ? sctpChunkType.abort : type === 'data' ? sctpChunkType.data : sctpChunkType.init
  return [{ kind: 'sctp', ...ports, chunks: [{ type: chunk, flags: 0, value: new Uint8Array(16) }] }]
}

function mapOne<T>(value: T | undefined): readonly T[] | undefined {
  return value === undefined ? undefined : [value]
}

function portsOf(draft: Draft): { readonly source: number; readonly destination: number } | undefined {
  const { from, to, scope } = draft
  for (const end of [from, to]) {
    if (end.port !== undefined) continue
    scope.report(
      mistakeIn('S144', end.word, `\`${end.word.text}\` needs a port`, {
        hint: `write \`${end.word.text}:PORT\``,
      }),
    )
    return undefined
  }
  return { source: from.port ?? 0, destination: to.port ?? 0 }
}

function tcpLayer(
  draft: Draft,
  ports: { readonly source: number; readonly destination: number },
): LayerSpec | undefined {
  const word = option(draft, 'flags')
  const flags = word === undefined ? undefined : (parseTcpFlags(word.text) ?? integerOf(word.text))
  if (word !== undefined && flags === undefined) {
    const hint = 'join names with `+`: `syn+ack`; `none` for no flag'
    draft.scope.report(mistakeIn('S121', word, `\`${word.text}\` are no TCP flags`, { hint }))
    return undefined
  }
  const mss = number(draft, 'mss', ranges.u16)
  return defined({
    kind: 'tcp' as const,
    ...ports,
    flags,
    sequence: number(draft, 'seq', ranges.u32),
    acknowledgement: number(draft, 'ack', ranges.u32),
    window: number(draft, 'window', ranges.u16),
    urgent: number(draft, 'urgent', ranges.u16),
    options: mss === undefined ? undefined : [{ kind: 'mss' as const, value: mss }],
  })
}

const shortNames: Readonly<Record<string, string>> = {
  ns: 'neighbour-solicitation',
  na: 'neighbour-advertisement',
  rs: 'router-solicitation',
  ra: 'router-advertisement',
  'too-big': 'packet-too-big',
  'fragmentation-needed': 'frag-needed',
}

function icmpLayer(draft: Draft): IcmpSpec | NdSpec | undefined {
  const { packet, protocol, scope } = draft
  const written = packet.type ?? option(draft, 'type')
  const text = written === undefined || isNothing(written) ? 'echo-request' : written.text
  const name = shortNames[text] ?? text
  const neighbour = protocol === 'icmp6' ? neighbourLayer(draft, name) : undefined
  if (neighbour !== undefined) return neighbour
  const names: Readonly<Record<string, { readonly type: number; readonly code?: number }>> =
    protocol === 'icmp' ? icmpNames : icmpv6Names
  const known = Object.hasOwn(names, name) ? names[name] : undefined
  const type = known?.type ?? integerOf(text)
  if (type === undefined || type < 0 || type > 255) {
    const hint =
      didYouMean(text, Object.keys(names)) ?? 'a name such as `echo-request`, or a number up to 255'
    if (written !== undefined)
      scope.report(mistakeIn('S136', written, `no ${protocol} message is called \`${text}\``, { hint }))
    return undefined
  }
  const code = number(draft, 'code', ranges.u8) ?? known?.code
  const echo = protocol === 'icmp' ? isIcmpEcho(type) : isIcmpv6Echo(type)
  const mtu = number(draft, 'mtu', ranges.u32)
  const rest = echo
    ? echoRest(number(draft, 'id', ranges.u16) ?? 1, number(draft, 'seq', ranges.u16) ?? 1)
    : mtu
  return defined({ kind: protocol === 'icmp' ? ('icmp' as const) : ('icmp6' as const), type, code, rest })
}

function neighbourLayer(draft: Draft, name: string): NdSpec | undefined {
  const { from, source, destination, device } = draft
  const mac = macOption(draft, 'eth.src') ?? sourceMacOf(from, source, device)
  if (name === 'neighbour-solicitation') {
    const options = [{ kind: 'source-link', mac } as const]
    return { kind: 'nd', message: { kind: name, target: destination as Ipv6, options } }
  }
  if (name === 'neighbour-advertisement') {
    const solicited = String(destination) !== String(allNodes)
    const options = [{ kind: 'target-link', mac } as const]
    return {
      kind: 'nd',
      message: { kind: name, router: false, solicited, override: true, target: source as Ipv6, options },
    }
  }
  if (name !== 'router-solicitation') return undefined
  return { kind: 'nd', message: { kind: name, options: [{ kind: 'source-link', mac }] } }
}

/** `payload "text"`, `hex "0a0b"` or `len 100` zero bytes. */
function payloadOf(draft: Draft): LayerSpec | undefined {
  const text = option(draft, 'payload')
  if (text !== undefined) return { kind: 'payload', bytes: new TextEncoder().encode(text.text) }
  const hex = option(draft, 'hex')
  if (hex !== undefined) {
    const bytes = hexIn(hex, draft.scope)
    return bytes && { kind: 'payload', bytes }
  }
  const word = option(draft, 'len')
  const length = word === undefined ? undefined : bytesIn(word, draft.scope.report)
  if (word === undefined || length === undefined || length === 0) return undefined
  if (length <= ranges.length.max) return { kind: 'payload', bytes: new Uint8Array(length) }
  const hint = `${ranges.length.what} lies between 0 and ${ranges.length.max}`
  draft.scope.report(mistakeIn('S108', word, `\`${word.text}\` is out of range`, { hint }))
  return undefined
}

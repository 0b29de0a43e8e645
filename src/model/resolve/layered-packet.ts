// `packet eth { ... } ip { ... } udp { ... }`: layers one by one, with every field that the person gives and nothing
// corrected, so that wrong lengths and checksums can be made on purpose.

import { didYouMean } from '../../base/closest.ts'
import { type Ipv4, type Ipv6, isIpv4 } from '../../net/address.ts'
import { echoRest, icmpNames } from '../../net/icmp.ts'
import { icmpv6Names } from '../../net/icmpv6.ts'
import type { LayerSpec } from '../../net/layer-spec.ts'
import type { parseMac } from '../../net/mac.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { sctpChunkType } from '../../net/sctp.ts'
import { parseTcpFlags } from '../../net/tcp.ts'
import type { Layer, LayeredPacket, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { macIn } from '../words/addresses.ts'
import { defined } from '../words/defined.ts'
import { integerOf, numberIn, type Range, ranges } from '../words/numbers.ts'
import { isSet, optionValue } from '../words/options.ts'
import type { DeviceDraft } from '../world/entities.ts'
import { destinationMacOf, type End, readHostWord, sourceMacOf } from './ends.ts'
import type { Scope } from './scope.ts'
import { hexIn, macNamed, type PacketDraft } from './short-packet.ts'

interface Reader {
  readonly layer: Layer
  readonly next: Layer | undefined
  readonly device: DeviceDraft | undefined
  readonly scope: Scope
}

/** The layers of a packet that names them, or undefined after a message. An Ethernet header is put in front if missing. */
export function readLayers(
  packet: LayeredPacket,
  device: DeviceDraft | undefined,
  scope: Scope,
): PacketDraft | undefined {
  const inner = packet.layers.find(
    (layer) => layer.name === 'ip' || layer.name === 'ip6' || layer.name === 'arp',
  )
  const name = inner?.name === 'arp' ? 'spa' : 'src'
  const sourceWord = inner && optionValue(inner.fields, name)
  const target = inner && optionValue(inner.fields, inner.name === 'arp' ? 'tpa' : 'dst')
  const from = sourceWord && readHostWord(sourceWord, undefined, scope)
  const to = target && readHostWord(target, undefined, scope)
  const layers = packet.layers.map((layer, index) =>
    readLayer({ layer, next: packet.layers[index + 1], device, scope }),
  )
  const good = layers.filter((layer) => layer !== undefined)
  if (good.length !== layers.length) return undefined
  const frame = frameOf(packet.layers[0], good[0], { from, to, arp: inner?.name === 'arp' }, device)
  return { layers: frame, sender: from?.host?.name }

  function frameOf(
    first: Layer | undefined,
    spec: LayerSpec | undefined,
    ends: { readonly from: End | undefined; readonly to: End | undefined; readonly arp: boolean },
    at: DeviceDraft | undefined,
  ): readonly LayerSpec[] {
    const source = ends.from && sourceMacOf(ends.from, ends.from.addresses[0], at)
    const destination = destinationMacOf(
      ends.arp ? undefined : ends.to?.addresses[0],
      ends.arp ? undefined : at,
    )
    const guess = defined({ kind: 'eth' as const, source, destination })
    if (first?.name === 'hex') return good
    if (spec?.kind !== 'eth') return [guess, ...good]
    return [{ ...guess, ...spec }, ...good.slice(1)]
  }
}

function readLayer(reader: Reader): LayerSpec | undefined {
  const { layer, scope } = reader
  switch (layer.name) {
    case 'eth':
      return defined({
        kind: 'eth' as const,
        source: mac(reader, 'src'),
        destination: mac(reader, 'dst'),
        type: number(reader, 'type', ranges.u16),
      })
    case 'vlan':
      return vlanLayer(reader)
    case 'arp':
      return arpLayer(reader)
    case 'ip':
      return ipLayer(reader)
    case 'ip6':
      return ip6Layer(reader)
    case 'tcp':
      return tcpLayer(reader)
    case 'udp':
      return defined({
        kind: 'udp' as const,
        ...ports(reader),
        length: number(reader, 'len', ranges.u16),
        checksum: number(reader, 'checksum', ranges.u16),
      })
    case 'sctp':
      return sctpLayer(reader)
    case 'icmp':
    case 'icmp6':
      return icmpLayer(reader)
    case 'vxlan':
      return defined({
        kind: 'vxlan' as const,
        vni: number(reader, 'vni', ranges.vni) ?? 0,
        flags: number(reader, 'flags', ranges.u8),
        group: number(reader, 'gbp', ranges.u16),
      })
    case 'geneve':
      return defined({
        kind: 'geneve' as const,
        vni: number(reader, 'vni', ranges.vni) ?? 0,
        protocol: number(reader, 'proto', ranges.u16),
      })
    case 'gre':
      return { kind: 'payload', bytes: greBytes(reader) }
    case 'hop':
      return {
        kind: 'ext',
        protocol: ipProtocol.hopByHop,
        extension: { kind: 'options', options: [{ kind: 'option', type: 1, data: new Uint8Array(4) }] },
      }
    case 'frag':
      return fragmentLayer(reader)
    case 'payload':
      return { kind: 'payload', bytes: new TextEncoder().encode(layer.data?.text ?? '') }
    case 'hex': {
      const bytes = layer.data === null ? undefined : hexIn(layer.data, scope)
      return bytes && { kind: 'payload', bytes }
    }
  }
}

function value({ layer }: Reader, name: string): Word | undefined {
  return optionValue(layer.fields, name)
}

function number(reader: Reader, name: string, range: Range): number | undefined {
  const word = value(reader, name)
  return word === undefined ? undefined : numberIn(word, range, reader.scope.report)
}

function flag({ layer }: Reader, name: string): true | undefined {
  return isSet(layer.fields, name) || undefined
}

function mac(reader: Reader, name: string): ReturnType<typeof parseMac> {
  const word = value(reader, name)
  return word === undefined ? undefined : macNamed(word, reader.device, reader.scope)
}

function ports(reader: Reader): { readonly source: number; readonly destination: number } {
  return {
    source: number(reader, 'sport', ranges.port) ?? 0,
    destination: number(reader, 'dport', ranges.port) ?? 0,
  }
}

function raw(reader: Reader, name: string): readonly [{ kind: 'invalid'; data: Uint8Array }] | undefined {
  const word = value(reader, name)
  const data = word === undefined ? undefined : hexIn(word, reader.scope)
  return data && [{ kind: 'invalid', data }]
}

function address4(reader: Reader, name: string): Ipv4 | undefined {
  const word = value(reader, name)
  const end = word && readHostWord(word, undefined, reader.scope)
  const found = end?.addresses.find(isIpv4)
  if (word !== undefined && end !== undefined && found === undefined) noAddress(word, 4, reader)
  return found
}

function address6(reader: Reader, name: string): Ipv6 | undefined {
  const word = value(reader, name)
  const end = word && readHostWord(word, undefined, reader.scope)
  const found = end?.addresses.find((each): each is Ipv6 => !isIpv4(each))
  if (word !== undefined && end !== undefined && found === undefined) noAddress(word, 6, reader)
  return found
}

function noAddress(word: Word, family: 4 | 6, { scope }: Reader): void {
  scope.report(mistakeIn('S143', word, `\`${word.text}\` has no IPv${family} address`))
}

function vlanLayer(reader: Reader): LayerSpec {
  return defined({
    kind: 'vlan' as const,
    vid: number(reader, 'id', ranges.vlan) ?? 0,
    priority: number(reader, 'pcp', { what: 'a priority', min: 0, max: 7 }),
    dropEligible: number(reader, 'dei', { what: 'a flag', min: 0, max: 1 }) === 1 || undefined,
    type: number(reader, 'type', ranges.u16),
  })
}

function arpLayer(reader: Reader): LayerSpec {
  const op = value(reader, 'op')
  const operation =
    op?.text === 'reply'
      ? 2
      : op === undefined || op.text === 'request'
        ? 1
        : number(reader, 'op', ranges.u16)
  const macOf = (name: string): ReturnType<typeof parseMac> => {
    const word = value(reader, name)
    return word === undefined ? undefined : macIn(word, reader.scope.report)
  }
  return defined({
    kind: 'arp' as const,
    operation: operation ?? 1,
    senderMac:
      macOf('sha') ?? mac({ ...reader, layer: { ...reader.layer, fields: senderName(reader) } }, 'src'),
    senderIp: address4(reader, 'spa'),
    targetMac: macOf('tha'),
    targetIp: address4(reader, 'tpa'),
  })
}

/** A sender that is named by `spa` brings its own MAC address along. */
function senderName({ layer, scope }: Reader): Layer['fields'] {
  const spa = layer.fields.find((field) => field.name === 'spa')
  const known = spa?.values[0] !== undefined && scope.entities.hosts.has(spa.values[0].text)
  return known ? [{ ...spa, name: 'src' }] : []
}

function tosOf(reader: Reader): number | undefined {
  const dscp = number(reader, 'dscp', ranges.dscp)
  const ecn = number(reader, 'ecn', ranges.ecn)
  const parts = dscp === undefined && ecn === undefined ? undefined : ((dscp ?? 0) << 2) | (ecn ?? 0)
  return number(reader, 'tos', ranges.u8) ?? parts
}

function ipLayer(reader: Reader): LayerSpec {
  const fragment = number(reader, 'frag', ranges.u16)
  return defined({
    kind: 'ip' as const,
    source: address4(reader, 'src'),
    destination: address4(reader, 'dst'),
    ttl: number(reader, 'ttl', ranges.ttl),
    tos: tosOf(reader),
    identification: number(reader, 'id', ranges.u16),
    dontFragment: flag(reader, 'df'),
    moreFragments: flag(reader, 'mf'),
    fragmentOffset: fragment === undefined ? undefined : fragment & ~7,
    protocol:
      number(reader, 'proto', ranges.u8) ?? (reader.next?.name === 'gre' ? ipProtocol.gre : undefined),
    totalLength: number(reader, 'len', ranges.u16),
    checksum: number(reader, 'checksum', ranges.u16),
    options: raw(reader, 'options'),
  })
}

function ip6Layer(reader: Reader): LayerSpec {
  return defined({
    kind: 'ip6' as const,
    source: address6(reader, 'src'),
    destination: address6(reader, 'dst'),
    hopLimit: number(reader, 'hoplimit', ranges.ttl),
    trafficClass: number(reader, 'tc', ranges.u8),
    flowLabel: number(reader, 'flow', { what: 'a flow label', min: 0, max: 0xf_ffff }),
    nextHeader: number(reader, 'nexthdr', ranges.u8),
    payloadLength: number(reader, 'len', ranges.u16),
  })
}

function tcpLayer(reader: Reader): LayerSpec | undefined {
  const word = value(reader, 'flags')
  const flags = word === undefined ? undefined : (parseTcpFlags(word.text) ?? integerOf(word.text))
  if (word !== undefined && flags === undefined) {
    reader.scope.report(
      mistakeIn('S121', word, `\`${word.text}\` are no TCP flags`, {
        hint: 'join names with `+`: `syn+ack`',
      }),
    )
    return undefined
  }
  const mss = number(reader, 'mss', ranges.u16)
  const scale = number(reader, 'wscale', { what: 'a window scale', min: 0, max: 255 })
  const options = [
    ...(mss === undefined ? [] : [{ kind: 'mss', value: mss } as const]),
    ...(flag(reader, 'sack') ? [{ kind: 'sack-permitted' } as const] : []),
    ...(scale === undefined ? [] : [{ kind: 'window-scale', shift: scale } as const]),
    ...(raw(reader, 'options') ?? []),
  ]
  return defined({
    kind: 'tcp' as const,
    ...ports(reader),
    flags,
    sequence: number(reader, 'seq', ranges.u32),
    acknowledgement: number(reader, 'ack', ranges.u32),
    window: number(reader, 'window', ranges.u16),
    urgent: number(reader, 'urgent', ranges.u16),
    checksum: number(reader, 'checksum', ranges.u16),
    options: options.length === 0 ? undefined : options,
  })
}

const chunkTypes: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(sctpChunkType).map(([name, type]) => [
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    type,
  ]),
)

function sctpLayer(reader: Reader): LayerSpec {
  const word = value(reader, 'chunk')
  const type = word === undefined ? undefined : chunkTypes[word.text]
  if (word !== undefined && type === undefined) {
    const hint = didYouMean(word.text, Object.keys(chunkTypes))
    reader.scope.report(mistakeIn('S136', word, `no SCTP chunk is called \`${word.text}\``, { hint }))
  }
  return defined({
    kind: 'sctp' as const,
    ...ports(reader),
    verificationTag: number(reader, 'vtag', ranges.u32),
    checksum: number(reader, 'checksum', ranges.u32),
    chunks: type === undefined ? undefined : [{ type, flags: 0, value: new Uint8Array(16) }],
  })
}

function icmpLayer(reader: Reader): LayerSpec {
  const { layer, scope } = reader
  const names: Readonly<Record<string, { readonly type: number; readonly code?: number }>> =
    layer.name === 'icmp' ? icmpNames : icmpv6Names
  const word = value(reader, 'type')
  const named = word !== undefined && Object.hasOwn(names, word.text) ? names[word.text] : undefined
  const type =
    named?.type ??
    (word === undefined ? (names['echo-request']?.type ?? 0) : numberIn(word, ranges.u8, scope.report))
  const echo = value(reader, 'id') !== undefined || value(reader, 'seq') !== undefined
  const gateway = address4(reader, 'gateway')
  const rest = echo
    ? echoRest(number(reader, 'id', ranges.u16) ?? 0, number(reader, 'seq', ranges.u16) ?? 0)
    : (number(reader, 'mtu', ranges.u32) ?? gateway)
  if (value(reader, 'target') !== undefined) {
    scope.report(
      mistake('S142', layer.span, 'a target belongs to neighbour discovery', {
        hint: 'use `packet icmp6 ns A > B`',
      }),
    )
  }
  return defined({
    kind: layer.name === 'icmp' ? ('icmp' as const) : ('icmp6' as const),
    type: type ?? 0,
    code: number(reader, 'code', ranges.u8) ?? named?.code,
    rest,
    checksum: number(reader, 'checksum', ranges.u16),
  })
}

/** RFC 2784 and, with a key, RFC 2890. */
function greBytes(reader: Reader): Uint8Array {
  const key = number(reader, 'key', ranges.u32)
  const bytes = new Uint8Array(key === undefined ? 4 : 8)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, number(reader, 'flags', ranges.u16) ?? (key === undefined ? 0 : 0x2000))
  view.setUint16(2, number(reader, 'proto', ranges.u16) ?? 0x0800)
  if (key !== undefined) view.setUint32(4, key)
  return bytes
}

function fragmentLayer(reader: Reader): LayerSpec {
  const nextHeader = number(reader, 'nexthdr', ranges.u8)
  const extension = {
    kind: 'fragment' as const,
    fragmentOffset: (number(reader, 'offset', ranges.u16) ?? 0) & ~7,
    moreFragments: flag(reader, 'mf') ?? false,
    identification: number(reader, 'id', ranges.u32) ?? 0,
  }
  return defined({ kind: 'ext' as const, protocol: ipProtocol.fragment, extension, nextHeader })
}

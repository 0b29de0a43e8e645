// `packet eth { ... } ip { ... } udp { ... }`: layers one by one, with every field that the person gives and nothing
// corrected, so that wrong lengths and checksums can be made on purpose.
import type { LayerSpec } from '../../net/layer-spec.ts'
import type { parseMac } from '../../net/mac.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Layer, LayeredPacket } from '../../syntax/ast.ts'
import { macIn } from '../words/addresses.ts'
import { defined } from '../words/defined.ts'
import { ranges } from '../words/numbers.ts'
import { optionValue } from '../words/options.ts'
import type { DeviceDraft } from '../world/entities.ts'
import { destinationMacOf, type End, readHostWord, sourceMacOf } from './ends.ts'
import { hexIn } from './hex-bytes.ts'
import { checkLayerFields } from './layer-fields.ts'
import { address4, address6, flag, mac, number, ports, type Reader, raw, value } from './layer-reader.ts'
import type { Scope } from './scope.ts'
import type { PacketDraft } from './short-packet.ts'
import { fragmentLayer, greBytes, icmpLayer, sctpLayer, tcpLayer } from './transport-layers.ts'

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
  checkLayerFields(layer, scope)
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

// TCP, SCTP, ICMP, GRE and fragment headers of packets that are written layer by layer.
import { didYouMean } from '../../base/closest.ts'
import { echoRest, icmpNames } from '../../net/icmp.ts'
import { icmpv6Names } from '../../net/icmpv6.ts'
import type { LayerSpec } from '../../net/layer-spec.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { sctpChunkType } from '../../net/sctp.ts'
import { parseTcpFlags } from '../../net/tcp.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { defined } from '../words/defined.ts'
import { integerOf, numberIn, ranges } from '../words/numbers.ts'
import { address4, flag, number, ports, type Reader, raw, value } from './layer-reader.ts'

export function tcpLayer(reader: Reader): LayerSpec | undefined {
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

export function sctpLayer(reader: Reader): LayerSpec {
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

export function icmpLayer(reader: Reader): LayerSpec {
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
export function greBytes(reader: Reader): Uint8Array {
  const key = number(reader, 'key', ranges.u32)
  const bytes = new Uint8Array(key === undefined ? 4 : 8)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, number(reader, 'flags', ranges.u16) ?? (key === undefined ? 0 : 0x2000))
  view.setUint16(2, number(reader, 'proto', ranges.u16) ?? 0x0800)
  if (key !== undefined) view.setUint32(4, key)
  return bytes
}

export function fragmentLayer(reader: Reader): LayerSpec {
  const nextHeader = number(reader, 'nexthdr', ranges.u8)
  const extension = {
    kind: 'fragment' as const,
    fragmentOffset: (number(reader, 'offset', ranges.u16) ?? 0) & ~7,
    moreFragments: flag(reader, 'mf') ?? false,
    identification: number(reader, 'id', ranges.u32) ?? 0,
  }
  return defined({ kind: 'ext' as const, protocol: ipProtocol.fragment, extension, nextHeader })
}

// Small programs and a packet for them, for tests.
import { createMap, type MapOf } from '../src/bpf/maps/create.ts'
import type { MapSpec, MapType } from '../src/bpf/maps/map.ts'
import { compileSmall } from '../src/bpf/small/compile.ts'
import type { FieldName } from '../src/bpf/small/fields.ts'
import type { IrExpr, IrMap, IrTest, SmallIr } from '../src/bpf/small/ir.ts'
import { parseIpv4 } from '../src/net/address.ts'
import { writeU16 } from '../src/net/bytes.ts'
import { checksumOf, segmentChecksumIsRight } from '../src/net/checksum.ts'
import { bytesOfHex } from './bytes-of-hex.ts'

/** An IPv4 address as a number. */
export function ip(text: string): number {
  return parseIpv4(text) ?? Number.NaN
}

/** A constant. */
export const number = (value: number): IrExpr => ({ kind: 'number', value })
/** A field of the packet. */
export const field = (name: FieldName): IrExpr => ({ kind: 'field', field: name })
/** `name == value`. */
export const equal = (name: FieldName, value: number): IrTest => ({
  kind: 'compare',
  operator: '==',
  left: field(name),
  right: number(value),
})

/** A map `m` of words by words unless said otherwise. */
export function map<Type extends MapType>(type: Type, more: Partial<MapSpec> = {}): MapOf<Type> {
  const spec = { name: 'm', keySize: 4, valueSize: 4, maxEntries: 8, ...more, type }
  const made = createMap(spec, { cpus: 1 })
  if (made.kind === 'refused') throw new Error(made.errno)
  return made.map as MapOf<Type>
}

/** A program that passes what no rule decides. */
export function program(
  type: 'xdp' | 'sched_cls',
  rules: SmallIr['rules'],
  maps: readonly IrMap[] = [],
): ReturnType<typeof compileSmall> {
  return compileSmall({ name: 'small', type, maps, rules, otherwise: type === 'xdp' ? 2 : -1 })
}

/** Ethernet, IPv4 friend > app, and a TCP SYN or a UDP datagram of 8 bytes, checksums right. */
export function frame(
  l4: 'tcp' | 'udp',
  dport: number,
  more: { readonly src?: string; readonly ttl?: number } = {},
): Uint8Array {
  const tcp = '0fa0 0000 00000000 00000000 5002 ffff 0000 0000'
  const udp = '0fa0 0000 0010 0000 0102030405060708'
  const bytes = bytesOfHex(
    `02000000000b 02000000000a 0800 4500 00${l4 === 'tcp' ? '28' : '24'} 0001 0000 4006 0000 00000000 0a020002 ${l4 === 'tcp' ? tcp : udp}`,
  )
  const from = ip(more.src ?? '10.1.0.50')
  bytes.set([from >>> 24, from >>> 16, from >>> 8, from], 26)
  bytes[22] = more.ttl ?? 64
  bytes[23] = l4 === 'tcp' ? 6 : 17
  writeU16(bytes, 36, dport)
  writeU16(bytes, 24, checksumOf(bytes, 14, 34))
  const at = l4 === 'tcp' ? 50 : 40
  const pseudo = Uint8Array.of(
    ...bytes.subarray(26, 34),
    0,
    bytes[23],
    0,
    bytes.length - 34,
    ...bytes.subarray(34),
  )
  writeU16(bytes, at, checksumOf(pseudo, 0, pseudo.length))
  return bytes
}

/** Whether the checksums of such a packet are right. */
export function sumsAreRight(bytes: Uint8Array): boolean {
  const protocol = bytes[23] as number
  return (
    checksumOf(bytes, 14, 34) === 0 &&
    segmentChecksumIsRight(bytes, { l3: 14, l4: 34, end: bytes.length, protocol })
  )
}

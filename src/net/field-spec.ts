// What a header field is: a type, a way to read it and, where it makes sense, a way to write it. The tables of fields.ts
// are made of these.
import {
  type IpAddress,
  type Ipv4,
  type Ipv6,
  readIpv4,
  readIpv6,
  sameIp,
  sameIpv6,
  writeIpv4,
  writeIpv6,
} from './address.ts'
import {
  readU8,
  readU16,
  readU24,
  readU32,
  sameBytes,
  writeU8,
  writeU16,
  writeU24,
  writeU32,
} from './bytes.ts'
import { bytesToHex } from './hex.ts'
import { type Mac, readMac, writeMac } from './mac.ts'
import { endpointText, type Naming } from './naming.ts'
import { formatTcpFlags } from './tcp.ts'

export type FieldValue =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'ipv4'; readonly value: Ipv4 }
  | { readonly kind: 'ipv6'; readonly value: Ipv6 }
  | { readonly kind: 'mac'; readonly value: Mac }
  /** TCP flags, nine bits */
  | { readonly kind: 'flags'; readonly value: number }
  /** an address with a port: the target in a DSR option */
  | { readonly kind: 'endpoint'; readonly value: { readonly address: IpAddress; readonly port: number } }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }

export type FieldType = FieldValue['kind']

/** Where a header lies: `[start, payload)` within `bytes`, its content up to `end`. */
export interface HeaderPlace {
  readonly start: number
  readonly payload: number
  readonly end: number
}

export interface FieldSpec {
  readonly type: FieldType
  /** the largest number that fits; for `number` and `flags` */
  readonly maximum: number
  /** the bytes that decide this field, when they are always the same: equal bytes mean an equal value */
  readonly span?: { readonly at: number; readonly lengthBytes: number }
  /** the value, or undefined where this packet has none (the MTU of an echo request) */
  readonly read: (bytes: Uint8Array, place: HeaderPlace) => FieldValue | undefined
  /** puts a value of this field's type, and nothing else: checksums are the business of rewrite.ts */
  readonly write?: (bytes: Uint8Array, place: HeaderPlace, value: FieldValue) => void
  /** whether the pseudo header of the layer above contains this field */
  readonly pseudo?: true
  /** whether this is a checksum itself, which nothing repairs after it is written */
  readonly checksum?: true
}

type ReadNumber = (bytes: Uint8Array, place: HeaderPlace) => number | undefined
type WriteNumber = (bytes: Uint8Array, place: HeaderPlace, value: number) => void

/** A field whose value is a number that needs its own code. */
export function numberField(maximum: number, read: ReadNumber, write?: WriteNumber): FieldSpec {
  const spec: FieldSpec = {
    type: 'number',
    maximum,
    read: (bytes, place) => {
      const value = read(bytes, place)
      return value === undefined ? undefined : { kind: 'number', value }
    },
  }
  if (write === undefined) return spec
  return { ...spec, write: (bytes, place, value) => write(bytes, place, numberIn(value)) }
}

/** The number in a value; a value of another type counts as zero, which `setField` never lets happen. */
function numberIn(value: FieldValue): number {
  return value.kind === 'number' || value.kind === 'flags' ? value.value : 0
}

/** An 8-bit number at a fixed place. */
export function u8(at: number): FieldSpec {
  const spec = numberField(
    0xff,
    (bytes, { start }) => readU8(bytes, start + at),
    (bytes, { start }, value) => writeU8(bytes, start + at, value),
  )
  return { ...spec, span: { at, lengthBytes: 1 } }
}

/** A 16-bit number at a fixed place. */
export function u16(at: number): FieldSpec {
  const spec = numberField(
    0xffff,
    (bytes, { start }) => readU16(bytes, start + at),
    (bytes, { start }, value) => writeU16(bytes, start + at, value),
  )
  return { ...spec, span: { at, lengthBytes: 2 } }
}

/** A 24-bit number at a fixed place. */
export function u24(at: number): FieldSpec {
  const spec = numberField(
    0xff_ffff,
    (bytes, { start }) => readU24(bytes, start + at),
    (bytes, { start }, value) => writeU24(bytes, start + at, value),
  )
  return { ...spec, span: { at, lengthBytes: 3 } }
}

/** A 32-bit number at a fixed place. */
export function u32(at: number): FieldSpec {
  const spec = numberField(
    0xffff_ffff,
    (bytes, { start }) => readU32(bytes, start + at),
    (bytes, { start }, value) => writeU32(bytes, start + at, value),
  )
  return { ...spec, span: { at, lengthBytes: 4 } }
}

/** Some bits of the 16-bit word at a fixed place: `width` bits, the lowest of them `shift` from the right. */
export function bits16(
  at: number,
  { shift, width }: { readonly shift: number; readonly width: number },
): FieldSpec {
  const maximum = 2 ** width - 1
  const mask = maximum << shift
  const spec = numberField(
    maximum,
    (bytes, { start }) => (readU16(bytes, start + at) >>> shift) & maximum,
    (bytes, { start }, value) =>
      writeU16(bytes, start + at, (readU16(bytes, start + at) & ~mask) | ((value << shift) & mask)),
  )
  return { ...spec, span: { at, lengthBytes: 2 } }
}

/** One bit of the 16-bit word at a fixed place. */
export function bit16(at: number, mask: number): FieldSpec {
  return {
    type: 'boolean',
    span: { at, lengthBytes: 2 },
    maximum: 1,
    read: (bytes, { start }) => ({ kind: 'boolean', value: (readU16(bytes, start + at) & mask) !== 0 }),
    write: (bytes, { start }, value) => {
      const rest = readU16(bytes, start + at) & ~mask
      writeU16(bytes, start + at, value.kind === 'boolean' && value.value ? rest | mask : rest)
    },
  }
}

/** An IPv4 address at a fixed place. */
export function ipv4Field(at: number): FieldSpec {
  return {
    type: 'ipv4',
    span: { at, lengthBytes: 4 },
    maximum: 0xffff_ffff,
    read: (bytes, { start }) => ({ kind: 'ipv4', value: readIpv4(bytes, start + at) }),
    write: (bytes, { start }, value) => {
      if (value.kind === 'ipv4') writeIpv4(bytes, start + at, value.value)
    },
  }
}

/** An IPv6 address at a fixed place. */
export function ipv6Field(at: number): FieldSpec {
  return {
    type: 'ipv6',
    span: { at, lengthBytes: 16 },
    maximum: 0,
    read: (bytes, { start }) => ({ kind: 'ipv6', value: readIpv6(bytes, start + at) }),
    write: (bytes, { start }, value) => {
      if (value.kind === 'ipv6') writeIpv6(bytes, start + at, value.value)
    },
  }
}

/** A MAC address at a fixed place. */
export function macField(at: number): FieldSpec {
  return {
    type: 'mac',
    span: { at, lengthBytes: 6 },
    maximum: 0,
    read: (bytes, { start }) => ({ kind: 'mac', value: readMac(bytes, start + at) }),
    write: (bytes, { start }, value) => {
      if (value.kind === 'mac') writeMac(bytes, start + at, value.value)
    },
  }
}

/** The same field where a condition on the header holds, and none elsewhere. */
export function onlyWhen(
  condition: (bytes: Uint8Array, place: HeaderPlace) => boolean,
  spec: FieldSpec,
): FieldSpec {
  const { type, maximum, write } = spec
  const guarded: FieldSpec = {
    type,
    maximum,
    read: (bytes, place) => (condition(bytes, place) ? spec.read(bytes, place) : undefined),
  }
  if (write === undefined) return guarded
  return {
    ...guarded,
    write: (bytes, place, value) => {
      if (condition(bytes, place)) write(bytes, place, value)
    },
  }
}

/** Whether two values are of one type and equal. */
export function sameFieldValue(left: FieldValue, right: FieldValue): boolean {
  if (left.kind === 'ipv6') return right.kind === 'ipv6' && sameIpv6(left.value, right.value)
  if (left.kind === 'bytes') return right.kind === 'bytes' && sameBytes(left.value, right.value)
  if (left.kind === 'endpoint') {
    const { address, port } = left.value
    return right.kind === 'endpoint' && sameIp(address, right.value.address) && port === right.value.port
  }
  return left.kind === right.kind && left.value === right.value
}

/** A value as the language writes it. */
export function formatFieldValue(field: FieldValue, naming: Naming): string {
  switch (field.kind) {
    case 'number':
    case 'boolean':
      return String(field.value)
    case 'ipv4':
    case 'ipv6':
      return naming.ip(field.value)
    case 'mac':
      return naming.mac(field.value)
    case 'flags':
      return formatTcpFlags(field.value)
    case 'endpoint':
      return endpointText(naming, field.value.address, field.value.port)
    case 'bytes':
      return bytesToHex(field.value)
  }
}

// IPv4 options: type, length, data, padded with zeros to a multiple of four (RFC 791 section 3.1).
//
// One of them is Cilium's: with DSR dispatch `opt` the load balancer tells the backend node which service address the
// client dialled. It is 9a 08, port, address, and both values stand on the wire in little endian order
// (bpf/lib/nodeport.h set_dsr_opt4: they are swapped once more although they are already in network order).
//
//   9a 08 80 75 01 0a 00 0a      10.0.10.1:30080  (30080 is 0x7580)
import type { Ipv4 } from './address.ts'
import { readU8, readU16, readU32, swap16, swap32, writeU8 } from './bytes.ts'
import { decodeOptionList, type ListOption } from './option-list.ts'

export const ipv4OptionType = { end: 0, nop: 1, recordRoute: 7, routerAlert: 148, dsr: 0x9a } as const

const dsrLength = 8

export type Ipv4Option =
  | { readonly kind: 'dsr'; readonly address: Ipv4; readonly port: number }
  | { readonly kind: 'other'; readonly type: number; readonly data: Uint8Array }
  | ListOption

/** The options between `start` and `end`; padding with at most three zeros is not kept. */
export function decodeIpv4Options(bytes: Uint8Array, start: number, end: number): readonly Ipv4Option[] {
  return decodeOptionList(bytes, { start, end }, decodeOption)
}

function decodeOption(bytes: Uint8Array, offset: number, length: number): Ipv4Option {
  const type = readU8(bytes, offset)
  if (type === ipv4OptionType.dsr && length === dsrLength) {
    const address = swap32(readU32(bytes, offset + 4)) as Ipv4
    return { kind: 'dsr', address, port: swap16(readU16(bytes, offset + 2)) }
  }
  return { kind: 'other', type, data: bytes.slice(offset + 2, offset + length) }
}

function encodeOption(option: Ipv4Option): readonly number[] {
  switch (option.kind) {
    case 'nop':
      return [ipv4OptionType.nop]
    case 'dsr': {
      const { address, port } = option
      const low = [address & 255, (address >>> 8) & 255, (address >>> 16) & 255, address >>> 24]
      return [ipv4OptionType.dsr, dsrLength, port & 255, port >>> 8, ...low]
    }
    case 'other':
      return [option.type, option.data.length + 2, ...option.data]
    case 'invalid':
      return [...option.data]
    case 'end':
      return [ipv4OptionType.end, ...option.data]
  }
}

/** The bytes of all options, padded with zeros to a multiple of four. At most 40 fit into a header. */
export function encodeIpv4Options(options: readonly Ipv4Option[]): Uint8Array {
  const body = options.flatMap(encodeOption)
  const bytes = new Uint8Array((body.length + 3) & ~3)
  bytes.set(body)
  return bytes
}

/** Offset of the first whole option of a type (not nop) inside the header at `l3`, or -1; allocates nothing. */
export function findIpv4Option(bytes: Uint8Array, l3: number, wanted: number): number {
  const end = l3 + ((readU8(bytes, l3) & 15) << 2)
  let offset = l3 + 20
  while (offset < end) {
    const type = readU8(bytes, offset)
    if (type === ipv4OptionType.end) return -1
    if (type === ipv4OptionType.nop) {
      offset += 1
      continue
    }
    const length = offset + 1 < end ? readU8(bytes, offset + 1) : 0
    if (length < 2 || length > end - offset) return -1
    if (type === wanted) return offset
    offset += length
  }
  return -1
}

/** Where a DSR packet was addressed before the load balancer sent it on. */
export interface DsrTarget {
  readonly address: Ipv4
  readonly port: number
}

/** The DSR option of the header at `l3`, if there is a whole one. */
export function readDsrOption(bytes: Uint8Array, l3: number): DsrTarget | undefined {
  const offset = findIpv4Option(bytes, l3, ipv4OptionType.dsr)
  if (offset < 0 || readU8(bytes, offset + 1) !== dsrLength) return undefined
  if (offset + dsrLength > bytes.length) return undefined
  return { address: swap32(readU32(bytes, offset + 4)) as Ipv4, port: swap16(readU16(bytes, offset + 2)) }
}

/** Puts another target into the DSR option at `offset`. */
export function writeDsrOption(bytes: Uint8Array, offset: number, target: DsrTarget): void {
  encodeOption({ kind: 'dsr', ...target }).forEach((byte, index) => {
    writeU8(bytes, offset + index, byte)
  })
}

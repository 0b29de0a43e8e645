// Values of header fields by chance, for laws.
import fc from 'fast-check'
import { type Ipv6, ipv4From } from '../src/net/address.ts'
import { macFrom } from '../src/net/mac.ts'

export const u8 = fc.nat(0xff)
export const u16 = fc.nat(0xffff)
export const u24 = fc.nat(0xff_ffff)
export const u32 = fc.nat(0xffff_ffff)
export const mac = fc.nat(2 ** 48 - 1).map(macFrom)
export const ip4 = u32.map(ipv4From)
export const ip6: fc.Arbitrary<Ipv6> = fc.tuple(u32, u32, u32, u32)
/** Bytes of a payload, at most so many. */
export const data = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })

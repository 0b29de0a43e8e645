// Ethernet addresses and types of a packet. lib/eth.h, lib/common.h validate_ethertype()
import { swap16 } from '../../bpf/context/byte-order.ts'
import { writeU16, writeU48 } from '../../net/bytes.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { ethernetLength } from './headers.ts'

export const ethernetBytes = 14

const macBytes = 6
const typeAt = 12
const firstEtherType = 0x0600

/** The six bytes of a 48-bit number. */
export function macBytesOf(mac: number): Uint8Array {
  const bytes = new Uint8Array(macBytes)
  writeU48(bytes, 0, mac)
  return bytes
}

/** A header of three fields. */
export function ethernetHeader(destination: Uint8Array, source: Uint8Array, etherType: number): Uint8Array {
  const header = new Uint8Array(ethernetBytes)
  header.set(destination, 0)
  header.set(source, macBytes)
  writeU16(header, typeAt, etherType)
  return header
}

/** eth_store_daddr(): 0 or a negative errno. */
export function storeDestinationMac(ctx: Ctx, mac: Uint8Array): number {
  return ctx.store(0, mac)
}

/** eth_store_saddr(): 0 or a negative errno. */
export function storeSourceMac(ctx: Ctx, mac: Uint8Array): number {
  return ctx.store(macBytes, mac)
}

/** eth_load_saddr() */
export function loadSourceMac(ctx: Ctx): Uint8Array | undefined {
  return ctx.load(macBytes, macBytes)
}

/** Both addresses where given: 0 or DROP_WRITE_ERROR. */
export function storeMacs(
  ctx: Ctx,
  source: Uint8Array | undefined,
  destination: Uint8Array | undefined,
): number {
  if (source !== undefined && storeSourceMac(ctx, source) < 0) return drop.WRITE_ERROR
  return destination !== undefined && storeDestinationMac(ctx, destination) < 0 ? drop.WRITE_ERROR : 0
}

/**
 * eth_is_supported_ethertype(): compares in network order as a little-endian number, so of the 802.3 lengths only those whose
 * low byte is 0 are found.
 */
export function isSupportedEtherType(etherType: number): boolean {
  return swap16(etherType) >= swap16(firstEtherType)
}

/** validate_ethertype(): the packet's ethertype, or undefined where it is too short or no Ethernet II. */
export function validEtherType(ctx: Ctx, l2Offset = 0): number | undefined {
  if (ethernetLength(ctx) === 0) return ctx.protocol
  if (!ctx.packet.has(l2Offset, ethernetBytes)) return undefined
  const etherType = ctx.packet.u16(l2Offset + typeAt)
  return isSupportedEtherType(etherType) ? etherType : undefined
}

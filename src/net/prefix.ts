// Prefixes: an address and how many of its leading bits count. Enters: text such as 10.0.0.0/8; leaves: values that
// routes, policies and LPM maps ask whether they cover an address.
import {
  formatIp,
  type IpAddress,
  type Ipv4,
  type Ipv6,
  isIpv4,
  isLinkLocal,
  linkLocalOf,
  parseIp,
} from './address.ts'
import type { Mac } from './mac.ts'

export interface Ipv4Prefix {
  readonly address: Ipv4
  /** 0 to 32 */
  readonly length: number
}

export interface Ipv6Prefix {
  readonly address: Ipv6
  /** 0 to 128 */
  readonly length: number
}

/** A prefix of either family; its address may have host bits (an interface's `10.0.0.1/24`). */
export type Prefix = Ipv4Prefix | Ipv6Prefix

/** The mask of the first `length` (0 to 32) bits of a word. */
export function maskBits(length: number): number {
  return length <= 0 ? 0 : length >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - length)) >>> 0
}

/** Whether a prefix is IPv4. */
export function isIpv4Prefix(prefix: Prefix): prefix is Ipv4Prefix {
  return isIpv4(prefix.address)
}

/** An address with its length; the length must fit its family. */
export function prefixOf(address: IpAddress, length: number): Prefix {
  return isIpv4(address) ? { address, length } : { address, length }
}

/** One address: a prefix of its whole length. */
export function hostPrefix(address: IpAddress): Prefix {
  return prefixOf(address, isIpv4(address) ? 32 : 128)
}

/** `10.0.0.0/8` or `fd00::/64`; host bits are kept. A bare address is not a prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.lastIndexOf('/')
  const digits = text.slice(slash + 1)
  if (slash === -1 || !/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined
  const address = parseIp(text.slice(0, slash))
  const length = Number(digits)
  if (address === undefined || length > (isIpv4(address) ? 32 : 128)) return undefined
  return prefixOf(address, length)
}

/** The text, host bits included. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatIp(prefix.address)}/${prefix.length}`
}

function masked6(address: Ipv6, length: number): Ipv6 {
  const word = (i: 0 | 1 | 2 | 3): number => (address[i] & maskBits(length - 32 * i)) >>> 0
  return [word(0), word(1), word(2), word(3)]
}

/** The same prefix with every host bit cleared. */
export function networkOf(prefix: Ipv4Prefix): Ipv4Prefix
export function networkOf(prefix: Ipv6Prefix): Ipv6Prefix
export function networkOf(prefix: Prefix): Prefix
export function networkOf(prefix: Prefix): Prefix {
  if (isIpv4Prefix(prefix)) {
    return { address: ((prefix.address & maskBits(prefix.length)) >>> 0) as Ipv4, length: prefix.length }
  }
  return { address: masked6(prefix.address, prefix.length), length: prefix.length }
}

/** The directed broadcast address: every host bit set. A /31 and a /32 have none (RFC 3021). */
export function broadcastOf(prefix: Ipv4Prefix): Ipv4 | undefined {
  if (prefix.length >= 31) return undefined
  return ((prefix.address | ~maskBits(prefix.length)) >>> 0) as Ipv4
}

/** Whether the first `length` bits of two IPv6 addresses are equal. */
function coversIpv6(prefix: Ipv6Prefix, address: Ipv6): boolean {
  const { address: own, length } = prefix
  return (
    ((own[0] ^ address[0]) & maskBits(length)) === 0 &&
    ((own[1] ^ address[1]) & maskBits(length - 32)) === 0 &&
    ((own[2] ^ address[2]) & maskBits(length - 64)) === 0 &&
    ((own[3] ^ address[3]) & maskBits(length - 96)) === 0
  )
}

/** Whether an address lies in a prefix; never across families. */
export function covers(prefix: Prefix, address: IpAddress): boolean {
  if (isIpv4Prefix(prefix)) {
    return isIpv4(address) && ((prefix.address ^ address) & maskBits(prefix.length)) === 0
  }
  return !isIpv4(address) && coversIpv6(prefix, address)
}

/**
 * A device's addresses as the kernel has them: one of IPv6 brings along the link-local address that it makes of the MAC
 * (addrconf_dev_config), unless there is one already.
 */
export function withLinkLocal(addresses: readonly Prefix[], mac: Mac): readonly Prefix[] {
  const sixes = addresses.filter(({ address }) => !isIpv4(address))
  if (sixes.length === 0 || sixes.some(({ address }) => isLinkLocal(address))) return addresses
  return [...addresses, prefixOf(linkLocalOf(mac), 64)]
}

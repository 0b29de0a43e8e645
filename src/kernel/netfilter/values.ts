// Values of rule options: numbers, ranges, marks, addresses with masks, service names. What enters is a word; what leaves
// is a value, or undefined when it is none. And how iptables-save prints them.
import {
  formatIp,
  type IpAddress,
  type Ipv4,
  type Ipv6,
  ipv4From,
  isIpv4,
  parseIp,
} from '../../net/address.ts'

/** A decimal, hexadecimal (0x) or octal (0) number within limits, as strtoul with base 0 reads it. */
export function parseNumber(text: string, max = 0xffff_ffff): number | undefined {
  if (!/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(text)) return undefined
  const octal = /^0[0-7]+$/.test(text)
  const value = octal ? Number.parseInt(text, 8) : Number(text)
  return Number.isSafeInteger(value) && value <= max ? value : undefined
}

/** `VALUE` or `VALUE/MASK`; without a mask all bits count. */
export interface Masked {
  readonly value: number
  readonly mask: number
}

/** A mark with its mask. */
export function parseMasked(text: string, max = 0xffff_ffff): Masked | undefined {
  const [left = '', right, ...more] = text.split('/')
  const value = parseNumber(left, max)
  const mask = right === undefined ? max : parseNumber(right, max)
  return value === undefined || mask === undefined || more.length > 0 ? undefined : { value, mask }
}

/** `0x10`, or `0x10/0xff` when not all bits count. */
export function formatMasked({ value, mask }: Masked): string {
  return mask === 0xffff_ffff ? hex(value) : `${hex(value)}/${hex(mask)}`
}

/** `0x` and hexadecimal digits, as `%#x` prints them except that zero has its prefix too. */
export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`
}

/** Both ends belong to the range. */
export interface Range {
  readonly first: number
  readonly last: number
}

/** Names in /etc/services that rule sets use; iptables-save prints numbers. */
const services: ReadonlyMap<string, number> = new Map([
  ['ftp-data', 20],
  ['ftp', 21],
  ['ssh', 22],
  ['telnet', 23],
  ['smtp', 25],
  ['domain', 53],
  ['bootps', 67],
  ['bootpc', 68],
  ['tftp', 69],
  ['http', 80],
  ['kerberos', 88],
  ['pop3', 110],
  ['sunrpc', 111],
  ['ntp', 123],
  ['netbios-ns', 137],
  ['netbios-dgm', 138],
  ['netbios-ssn', 139],
  ['imap2', 143],
  ['snmp', 161],
  ['bgp', 179],
  ['ldap', 389],
  ['https', 443],
  ['microsoft-ds', 445],
  ['syslog', 514],
  ['ldaps', 636],
  ['imaps', 993],
  ['pop3s', 995],
  ['mysql', 3306],
  ['postgresql', 5432],
])

/** A port by number, which is always decimal, or by well-known name. */
export function parsePort(text: string): number | undefined {
  const number = /^[0-9]+$/.test(text) ? Number(text) : undefined
  return services.get(text) ?? (number !== undefined && number <= 0xffff ? number : undefined)
}

/** `80`, `1:1023`, `:1023`, `1024:`; `separator` is `:` for matches, `-` for NAT ranges. */
export function parsePortRange(text: string, separator = ':'): Range | undefined {
  const parts = text.split(separator)
  if (parts.length > 2) return undefined
  const [left = '', right] = parts
  const first = left === '' && right !== undefined ? 0 : parsePort(left)
  const last = right === undefined ? first : right === '' ? 0xffff : parsePort(right)
  return first === undefined || last === undefined || first > last ? undefined : { first, last }
}

/** `80` or `1:1023`. */
export function formatPortRange({ first, last }: Range, separator = ':'): string {
  return first === last ? `${first}` : `${first}${separator}${last}`
}

/** A range of small numbers `N`, `N:M`, `N:`, `:M`, printed as given by `ttl`, `length` and others. */
export function parseRange(text: string, max: number): Range | undefined {
  const parts = text.split(':')
  if (parts.length > 2) return undefined
  const [left = '', right] = parts
  const first = left === '' && right !== undefined ? 0 : parseNumber(left, max)
  const last = right === undefined ? first : right === '' ? max : parseNumber(right, max)
  return first === undefined || last === undefined || first > last ? undefined : { first, last }
}

/** An address and the bits of it that count. */
export interface MaskedAddress {
  readonly address: IpAddress
  readonly mask: IpAddress
}

/** The mask with this many leading ones. */
export function prefixMask(family: 4 | 6, length: number): IpAddress {
  if (family === 4) return wordMask(length)
  return [0, 1, 2, 3].map((word) =>
    wordMask(Math.min(32, Math.max(0, length - word * 32))),
  ) as unknown as Ipv6
}

function wordMask(length: number): Ipv4 {
  return ipv4From(length === 0 ? 0 : -1 << (32 - length))
}

/** Address and mask combined bit by bit. */
export function maskAddress(address: IpAddress, mask: IpAddress): IpAddress {
  if (isIpv4(address)) return ipv4From(isIpv4(mask) ? address & mask : address)
  if (isIpv4(mask)) return address
  return [0, 1, 2, 3].map((word) => {
    const at = word as 0 | 1 | 2 | 3
    return (address[at] & mask[at]) >>> 0
  }) as unknown as Ipv6
}

/** Leading ones of a mask, or -1 when the ones are not together in front. */
export function prefixLength(mask: IpAddress): number {
  const words = isIpv4(mask) ? [mask] : [...mask]
  let length = 0
  let ended = false
  for (const word of words) {
    const ones = Math.clz32(~word)
    if ((ended && word !== 0) || wordMask(ones) !== word) return -1
    if (ones < 32) ended = true
    length += ones
  }
  return length
}

/** `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1`; host bits are cleared as iptables does. */
export function parseMaskedAddress(text: string, family: 4 | 6): MaskedAddress | undefined {
  const [left = '', right, ...more] = text.split('/')
  const address = parseIp(left)
  if (address === undefined || isIpv4(address) !== (family === 4) || more.length > 0) return undefined
  const mask = right === undefined ? prefixMask(family, family === 4 ? 32 : 128) : parseMask(right, family)
  return mask === undefined ? undefined : { address: maskAddress(address, mask), mask }
}

function parseMask(text: string, family: 4 | 6): IpAddress | undefined {
  const length = /^[0-9]+$/.test(text) ? Number(text) : undefined
  if (length !== undefined)
    return length <= (family === 4 ? 32 : 128) ? prefixMask(family, length) : undefined
  const mask = parseIp(text)
  return mask !== undefined && isIpv4(mask) === (family === 4) ? mask : undefined
}

/** `10.0.0.0/8`; the mask as an address when it is no prefix. */
export function formatMaskedAddress({ address, mask }: MaskedAddress): string {
  const length = prefixLength(mask)
  return `${formatIp(address)}/${length < 0 ? formatIp(mask) : length}`
}

/** A range of addresses; both ends belong to it. */
export interface AddressRange {
  readonly first: IpAddress
  readonly last: IpAddress
}

/** `10.0.0.1` or `10.0.0.1-10.0.0.9`. */
export function parseAddressRange(text: string, family: 4 | 6): AddressRange | undefined {
  const [left = '', right, ...more] = text.split('-')
  const first = parseIp(left)
  const last = right === undefined ? first : parseIp(right)
  if (first === undefined || last === undefined || more.length > 0) return undefined
  return isIpv4(first) === (family === 4) && isIpv4(last) === (family === 4) ? { first, last } : undefined
}

/** Minus, zero or plus, as two addresses of one family compare as numbers. */
export function compareIp(left: IpAddress, right: IpAddress): number {
  if (isIpv4(left) || isIpv4(right)) return (left as number) - (right as number)
  for (const word of [0, 1, 2, 3] as const) {
    if (left[word] !== right[word]) return left[word] - right[word]
  }
  return 0
}

/** `! ` when an option is negated. */
export function bang(inverted: boolean): string {
  return inverted ? '! ' : ''
}

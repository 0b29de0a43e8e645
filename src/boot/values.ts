// The words of a small program as numbers and bytes: names of hosts become addresses, `syn+ack` becomes flags.
import { present } from '../base/assert.ts'
import { durationNanoseconds } from '../model/words/numbers.ts'
import { type IpAddress, isIpv4, parseIp, writeIpv4, writeIpv6 } from '../net/address.ts'
import { writeU48 } from '../net/bytes.ts'
import { parseMac } from '../net/mac.ts'
import { type Prefix, parsePrefix, prefixOf } from '../net/prefix.ts'
import { parseTcpFlags } from '../net/tcp.ts'

/** Names for addresses: the bindings of a world. */
export type AddressesByName = ReadonlyMap<string, readonly IpAddress[]>

/** What a word of a program can be. */
export type WordValue =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'prefix'; readonly prefix: Prefix }

/** Decimal or hexadecimal digits with `_` between them. */
function numberOf(text: string): number | undefined {
  const plain = text.replaceAll('_', '')
  return /^-?(?:\d+|0x[0-9a-f]+)$/i.test(plain) ? Number(plain) : undefined
}

/** A word's value; undefined for a word that has none (the checks have refused those before). */
export function wordValue(text: string, names: AddressesByName): WordValue | undefined {
  const number = numberOf(text)
  if (number !== undefined) return { kind: 'number', value: number }
  const duration = durationNanoseconds(text)
  if (duration !== undefined) return { kind: 'number', value: duration }
  const address = parseIp(text) ?? names.get(text)?.[0]
  if (address !== undefined) return { kind: 'address', address }
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return { kind: 'prefix', prefix }
  const mac = parseMac(text)
  if (mac !== undefined) return { kind: 'number', value: mac }
  const flags = parseTcpFlags(text)
  return flags === undefined ? undefined : { kind: 'number', value: flags }
}

/** How a value of a named layout lies in memory: host numbers little-endian, what comes from packets as it stands there. */
export function isNetworkOrder(layout: string): boolean {
  return layout === 'ipv4' || layout === 'ipv6' || layout === 'mac' || layout.startsWith('prefix')
}

/** A value as the bytes of a layout. `size` is the layout's length. */
export function layoutBytes(value: WordValue, layout: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  switch (value.kind) {
    case 'number':
      if (layout === 'mac') writeU48(bytes, 0, value.value)
      else writeLittle(bytes, value.value)
      return bytes
    case 'address':
      if (layout.startsWith('prefix'))
        return prefixBytes(prefixOf(value.address, isIpv4(value.address) ? 32 : 128), bytes)
      if (layout === 'ipv4' || layout === 'ipv6') writeAddress(bytes, 0, value.address)
      else if (isIpv4(value.address)) writeLittle(bytes, value.address)
      return bytes
    case 'prefix':
      return prefixBytes(value.prefix, bytes)
  }
}

/** struct bpf_lpm_trie_key: the length in host order, then the address. */
function prefixBytes(prefix: Prefix, bytes: Uint8Array): Uint8Array {
  writeLittle(bytes.subarray(0, 4), prefix.length)
  writeAddress(bytes, 4, prefix.address)
  return bytes
}

function writeAddress(bytes: Uint8Array, offset: number, address: IpAddress): void {
  if (isIpv4(address)) writeIpv4(bytes, offset, address)
  else writeIpv6(bytes, offset, address)
}

function writeLittle(bytes: Uint8Array, value: number): void {
  let rest = value < 0 ? value + 2 ** 32 : value
  for (let at = 0; at < Math.min(bytes.length, 8); at += 1) {
    bytes[at] = rest % 256
    rest = Math.floor(rest / 256)
  }
}

/** The value of a word that must have one. */
export function valueOfWord(text: string, names: AddressesByName): WordValue {
  return present(wordValue(text, names), `\`${text}\` has a value: the checks have seen to it`)
}

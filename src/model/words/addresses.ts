// Addresses as people write them. A word goes in; an address, a prefix or a MAC address comes out, or a message.
import type { Report } from '../../base/diagnostic.ts'
import { type IpAddress, isIpv4, parseIp } from '../../net/address.ts'
import { isDnsName } from '../../net/dns.ts'
import { type Mac, parseMac } from '../../net/mac.ts'
import { type Prefix, parsePrefix, prefixOf } from '../../net/prefix.ts'
import type { Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'
import { isNothing } from './fill.ts'

/** 32 or 128. */
export function bitsOf(address: IpAddress): number {
  return isIpv4(address) ? 32 : 128
}

/** Whether a text is meant as an address rather than as a name. */
export function looksLikeAddress(text: string): boolean {
  return /^[0-9][0-9.]*(\/.*)?$/.test(text) || (text.includes(':') && /^[0-9A-Fa-f:.]+(\/.*)?$/.test(text))
}

function addressProblem(text: string): string {
  const octets = text.split('/')[0]?.split('.') ?? []
  const large = octets.find((octet) => /^[0-9]+$/.test(octet) && Number(octet) > 255)
  if (large !== undefined && !text.includes(':')) return `\`${large}\` is above 255`
  if (!text.includes(':') && octets.length !== 4) return 'an IPv4 address has four parts'
  return 'write it as `10.0.0.1` or `fd00::1`'
}

/** An address without a length. */
export function addressIn(word: Word, report: Report): IpAddress | undefined {
  const address = parseIp(word.text)
  if (address !== undefined) return address
  const hint = word.text.includes('/') ? 'no prefix length belongs here' : addressProblem(word.text)
  report(mistakeIn('S104', word, `\`${word.text}\` is not an address`, { hint }))
  return undefined
}

/** A name that a name server can be asked for. */
export function domainIn(word: Word, report: Report): string | undefined {
  if (!isNothing(word) && isDnsName(word.text)) return word.text
  const hint = 'its labels have 1 to 63 ASCII characters, and it has no more than 253'
  report(mistakeIn('S121', word, `\`${word.text}\` is no name of the DNS`, { hint }))
  return undefined
}

/** An address with its length; a bare address has the length of one host. Host bits are kept. */
export function prefixIn(word: Word, report: Report): Prefix | undefined {
  const prefix = parsePrefix(word.text)
  if (prefix !== undefined) return prefix
  const address = parseIp(word.text)
  if (address !== undefined) return prefixOf(address, bitsOf(address))
  const [head = '', length] = word.text.split('/')
  const known = parseIp(head)
  const hint =
    known !== undefined && length !== undefined
      ? `the length lies between 0 and ${bitsOf(known)}`
      : addressProblem(word.text)
  report(mistakeIn('S104', word, `\`${word.text}\` is not an address`, { hint }))
  return undefined
}

/** A MAC address. */
export function macIn(word: Word, report: Report): Mac | undefined {
  const mac = parseMac(word.text)
  if (mac !== undefined) return mac
  report(
    mistakeIn('S109', word, `\`${word.text}\` is not a MAC address`, {
      hint: 'six pairs of hex digits, as in `02:00:00:00:00:01`',
    }),
  )
  return undefined
}

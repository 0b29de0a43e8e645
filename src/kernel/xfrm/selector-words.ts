// Words that policies, their templates and states have in common: ends, selectors, protocol.
import { anyIpv4, anyIpv6, type IpAddress, isIpv4 } from '../../net/address.ts'
import { type Prefix, prefixOf } from '../../net/prefix.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { type Mode, noMark, type Selector } from './policy.ts'
import type { Token, XfrmLine } from './words.ts'

/** Protocols of selectors and templates, by the names of iproute2. */
export const protocolsByName: ReadonlyMap<string, number> = new Map([
  ['tcp', ipProtocol.tcp],
  ['udp', ipProtocol.udp],
  ['sctp', ipProtocol.sctp],
  ['icmp', ipProtocol.icmp],
  ['ipv6-icmp', ipProtocol.icmp6],
  ['esp', ipProtocol.esp],
])

/** Protocols whose selectors have a type and a code where others have ports. */
export const typedProtocols: readonly number[] = [ipProtocol.icmp, ipProtocol.icmp6]
const portedProtocols: readonly number[] = [0, ipProtocol.tcp, ipProtocol.udp, ipProtocol.sctp]

/** Something that is still being read. */
export type Draft<T> = { -readonly [Key in keyof T]?: T[Key] }

/** A selector that is still being read, with the first of the words `sport dport type code`. */
export type SelectorDraft = Draft<Selector> & { upper?: Token }

/** Any address of a family. */
function anyAddress(family: 4 | 6): IpAddress {
  return family === 4 ? anyIpv4 : anyIpv6
}

/** A word of a selector; false where it is none. */
export function readSelectorWord(line: XfrmLine, token: Token, draft: SelectorDraft): boolean {
  const port = (): { readonly value: number; readonly mask: number } | undefined => {
    draft.upper ??= token
    const value = line.number(token, 0xffff)
    return value === undefined ? undefined : { value, mask: 0xffff }
  }
  switch (token.text) {
    case 'src':
      draft.source = line.prefix(token) as Prefix
      return true
    case 'dst':
      draft.destination = line.prefix(token) as Prefix
      return true
    case 'proto': {
      const word = line.value(token, 'a protocol')
      const number = word === undefined ? 0 : (protocolsByName.get(word.text) ?? Number(word.text))
      if (word !== undefined && !(number >= 0 && number <= 255))
        line.wrong(word, `\`${word.text}\` is no protocol`, 'tcp, udp, sctp, icmp, ipv6-icmp, or a number')
      draft.protocol = number
      return true
    }
    case 'sport':
    case 'type':
      draft.sport = port() ?? noMark
      return true
    case 'dport':
    case 'code':
      draft.dport = port() ?? noMark
      return true
    default:
      return false
  }
}

/** Ports, type and code go with a protocol that has them (xfrm_selector_upspec_parse). */
export function checkUpper(line: XfrmLine, { upper, protocol = 0 }: SelectorDraft): void {
  if (upper === undefined) return
  const isPort = upper.text === 'sport' || upper.text === 'dport'
  if ((isPort ? portedProtocols : typedProtocols).includes(protocol)) return
  const hint = isPort
    ? 'it goes with `proto tcp`, `udp` or `sctp`'
    : 'it goes with `proto icmp` or `ipv6-icmp`'
  line.wrong(upper, `this protocol has no \`${upper.text}\``, hint)
}

/** A whole selector; what nobody said is any. */
export function selectorFrom(draft: Draft<Selector>, otherwise: 4 | 6): Selector {
  const said = draft.source ?? draft.destination
  const family = said === undefined ? otherwise : isIpv4(said.address) ? 4 : 6
  const any = prefixOf(anyAddress(family), 0)
  const { source = any, destination = any, protocol = 0, sport = noMark, dport = noMark } = draft
  return { family, source, destination, protocol, sport, dport }
}

export const modes: readonly Mode[] = ['transport', 'tunnel']

/** Addresses of two ends are of one family, or one of them is missing. */
export function endsOf(
  line: XfrmLine,
  token: Token,
  draft: { readonly source?: IpAddress; readonly destination?: IpAddress },
  otherwise: 4 | 6,
): { readonly source: IpAddress; readonly destination: IpAddress } {
  const said = draft.source ?? draft.destination
  const family = said === undefined ? otherwise : isIpv4(said) ? 4 : 6
  const { source = anyAddress(family), destination = anyAddress(family) } = draft
  if (isIpv4(source) !== isIpv4(destination)) line.wrong(token, 'source and destination are of one family')
  return { source, destination }
}

/** `proto esp`: the only transformation that is modelled. */
export function readProtocol(line: XfrmLine, token: Token): void {
  const word = line.value(token, '`esp`')
  if (word === undefined || word.text === 'esp') return
  const known = ['ah', 'comp', 'route2', 'hao'].includes(word.text)
  line.wrong(
    word,
    known ? `\`${word.text}\` is not available yet` : `\`${word.text}\` is no protocol of IPsec`,
    '`esp`',
  )
}

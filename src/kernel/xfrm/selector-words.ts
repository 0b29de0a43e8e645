// Words that policies, their templates and states have in common: ends, selectors, protocol.
import { anyIpv4, anyIpv6, type IpAddress, isIpv4 } from '../../net/address.ts'
import { type Prefix, prefixOf } from '../../net/prefix.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { type Mode, noMark, type Selector } from './policy.ts'
import type { Token, XfrmLine } from './words.ts'

const upperProtocols: Readonly<Record<string, number>> = {
  tcp: ipProtocol.tcp,
  udp: ipProtocol.udp,
  sctp: ipProtocol.sctp,
  icmp: ipProtocol.icmp,
  'ipv6-icmp': ipProtocol.icmp6,
  esp: ipProtocol.esp,
}

/** Something that is still being read. */
export type Draft<T> = { -readonly [Key in keyof T]?: T[Key] }

/** Any address of a family. */
function anyAddress(family: 4 | 6): IpAddress {
  return family === 4 ? anyIpv4 : anyIpv6
}

/** A word of a selector; false where it is none. */
export function readSelectorWord(line: XfrmLine, token: Token, draft: Draft<Selector>): boolean {
  const port = (): { readonly value: number; readonly mask: number } | undefined => {
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
      const number = word === undefined ? 0 : (upperProtocols[word.text] ?? Number(word.text))
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

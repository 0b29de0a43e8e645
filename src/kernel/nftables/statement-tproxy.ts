// `tproxy [ip|ip6] to [ADDRESS][:PORT]` (nft_tproxy.c): the packet gets the socket of a transparent proxy and goes on; without one
// the rule does not hold.
import { ipProtocol } from '../../net/protocol.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import { type ProxyAddress, proxySocket } from '../netfilter/proxy-socket.ts'
import { readSpan } from './constant.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { statementOf, type TableScope } from './relation.ts'
import { code, type Span, type Statement } from './ruleset.ts'
import { checkTransport } from './statement-nat.ts'
import type { Token } from './tokens.ts'
import { addressOf, dataTypes } from './types.ts'

/** The family of the rule: that of the table, or the one that is written; undefined for both. */
function readFamily(cursor: Cursor, scope: TableScope): 4 | 6 | undefined {
  const place = cursor.token
  const written = cursor.accept('ip') ? 4 : cursor.accept('ip6') ? 6 : undefined
  if (scope.family === 'inet') return written
  if (written !== undefined && written !== scope.family)
    throw new Mistake(place, 'this table has only the other family')
  return scope.family
}

function readAddress(cursor: Cursor, family: 4 | 6 | undefined): Span | undefined {
  if (cursor.is(':') || cursor.ended) return undefined
  const place = cursor.token
  if (family === undefined) throw new Mistake(place, 'in an inet table the family is written: `tproxy ip to`')
  const bracketed = cursor.accept('[')
  const span = readSpan(cursor, family === 4 ? dataTypes.ipv4_addr : dataTypes.ipv6_addr, true)
  if (bracketed) cursor.expect(']')
  return span
}

function readPort(cursor: Cursor): number {
  const place = cursor.token
  if (!cursor.accept(':')) return 0
  const { first, last } = readSpan(cursor, dataTypes.inet_service, false)
  if (first[0] !== last[0]) throw new Mistake(place, '`tproxy` takes one port, no range')
  return first[0] as number
}

/** nft_tproxy_eval_v4(), nft_tproxy_eval_v6(), nf_tproxy_assign_sock(). */
function assignProxy(packet: ChainPacket, proxy: ProxyAddress): boolean {
  const { protocol, fragmentOffset, l4, skb } = packet
  if (protocol !== ipProtocol.tcp && protocol !== ipProtocol.udp) return false
  if (fragmentOffset !== 0 || l4 + 8 > skb.tail) return false
  const socket = proxySocket(packet, proxy)
  if (socket === undefined || !socket.transparent) return false
  skb.sk = socket
  return true
}

function textOf(
  scope: TableScope,
  family: 4 | 6 | undefined,
  address: Span | undefined,
  port: number,
): string {
  const shown = scope.family !== 'inet' || family === undefined ? '' : family === 4 ? ' ip' : ' ip6'
  const ends = address === undefined ? '' : family === 6 ? `[${address.text}]` : address.text
  return `tproxy${shown} to ${ends}${port === 0 ? '' : `:${port}`}`
}

/** Reads the statement; the transport protocol must be known before it. */
export function readTproxy(cursor: Cursor, scope: TableScope, earlier: readonly Statement[]): Statement {
  const place: Token = cursor.take()
  checkTransport(place, earlier, '`tproxy`')
  const family = readFamily(cursor, scope)
  cursor.expect('to')
  const address = readAddress(cursor, family)
  const port = readPort(cursor)
  if (address === undefined && port === 0) cursor.fail('expected an address or `:PORT`')
  const proxy = { address: address === undefined ? undefined : addressOf(address.first), port }
  return statementOf(undefined, {
    text: textOf(scope, family, address, port),
    defrag: family === undefined ? [4, 6] : [family],
    requires: { type: undefined, hooks: ['PREROUTING'], place, name: place.text },
    bind:
      () =>
      ({ packet }) =>
        (family === undefined || packet.family === family) && assignProxy(packet, proxy)
          ? code.next
          : code.broken,
  })
}

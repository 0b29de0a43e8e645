// `reject` (nft_reject.c, nft_reject_ipv4.c, nft_reject_inet.c): a drop with an answer; also at PREROUTING, where the packet has
// no route yet and gets the one back to its sender.
import { didYouMean } from '../../base/closest.ts'
import { anyIpv4, readIpv4, readIpv6 } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Action, ChainPacket } from '../netfilter/extension.ts'
import { routeFromAnywhere } from '../netfilter/reroute.ts'
import { rejectAction } from '../netfilter/target/reject.ts'
import { type Cursor, Mistake } from './cursor.ts'
import { statementOf, type TableScope } from './relation.ts'
import { code, type Requirement, type Statement } from './ruleset.ts'

/** Names of nft, and the ways of iptables that are the same. */
const icmp: ReadonlyMap<string, string> = new Map([
  ['net-unreachable', 'icmp-net-unreachable'],
  ['host-unreachable', 'icmp-host-unreachable'],
  ['prot-unreachable', 'icmp-proto-unreachable'],
  ['port-unreachable', 'icmp-port-unreachable'],
  ['net-prohibited', 'icmp-net-prohibited'],
  ['host-prohibited', 'icmp-host-prohibited'],
  ['admin-prohibited', 'icmp-admin-prohibited'],
])
const icmpv6: ReadonlyMap<string, string> = new Map([
  ['no-route', 'icmp6-no-route'],
  ['admin-prohibited', 'icmp6-adm-prohibited'],
  ['addr-unreachable', 'icmp6-addr-unreachable'],
  ['port-unreachable', 'icmp6-port-unreachable'],
  ['policy-fail', 'icmp6-policy-fail'],
  ['reject-route', 'icmp6-reject-route'],
])
/** nf_reject_icmp_code(), nf_reject_icmpv6_code(): one name for both families. */
const icmpx: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['no-route', ['icmp-net-unreachable', 'icmp6-no-route']],
  ['port-unreachable', ['icmp-port-unreachable', 'icmp6-port-unreachable']],
  ['host-unreachable', ['icmp-host-unreachable', 'icmp6-addr-unreachable']],
  ['admin-prohibited', ['icmp-admin-prohibited', 'icmp6-adm-prohibited']],
])

/** nf_reject_fill_skb_dst(). */
function fillRoute({ ns, skb, l3, family }: ChainPacket): void {
  if (skb.route !== undefined) return
  const destination =
    family === 4 ? readIpv4(skb.bytes, l3 + ipv4At.source) : readIpv6(skb.bytes, l3 + ipv6At.source)
  const source = family === 4 ? anyIpv4 : readIpv6(new Uint8Array(16), 0)
  skb.route = routeFromAnywhere(ns, { source, destination, mark: 0, tos: 0, oif: 0 })
}

interface Ways {
  readonly text: string
  readonly four: Action | undefined
  readonly six: Action | undefined
}

function pick<T>(cursor: Cursor, known: ReadonlyMap<string, T>): readonly [string, T] {
  cursor.accept('type')
  const token = cursor.name('way to reject')
  const found = known.get(token.text)
  if (found !== undefined) return [token.text, found]
  throw new Mistake(
    token,
    `there is no way to reject with \`${token.text}\``,
    didYouMean(token.text, known.keys()),
  )
}

function readWays(cursor: Cursor, scope: TableScope): Ways {
  const both = (text: string, four: string, six: string): Ways => ({
    text,
    four: rejectAction(four),
    six: rejectAction(six),
  })
  if (!cursor.accept('with')) return both('', 'icmp-port-unreachable', 'icmp6-port-unreachable')
  if (cursor.accept('tcp')) {
    cursor.expect('reset')
    return both(resetText, 'tcp-reset', 'tcp-reset')
  }
  const kind = cursor.name('way to reject')
  if (kind.text === 'icmp') {
    const [name, way] = pick(cursor, icmp)
    const plain = name === 'port-unreachable' && scope.family === 4
    return { text: plain ? '' : ` with icmp ${name}`, four: rejectAction(way), six: undefined }
  }
  if (kind.text === 'icmpv6') {
    const [name, way] = pick(cursor, icmpv6)
    const plain = name === 'port-unreachable' && scope.family === 6
    return { text: plain ? '' : ` with icmpv6 ${name}`, four: undefined, six: rejectAction(way) }
  }
  if (kind.text !== 'icmpx')
    throw new Mistake(
      kind,
      `there is no way to reject with \`${kind.text}\``,
      'one of icmp, icmpv6, icmpx, tcp reset',
    )
  const [name, [four, six]] = pick(cursor, icmpx)
  return both(name === 'port-unreachable' ? '' : ` with icmpx ${name}`, four, six)
}

const hooks: Requirement['hooks'] = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT']
const tcp = 6
const resetText = ' with tcp reset'

function familyOf({ four, six }: Ways): 4 | 6 | undefined {
  if (four !== undefined && six !== undefined) return undefined
  return four === undefined ? 6 : 4
}

/**
 * What a way to reject is for, where nothing of the rule says so: nft asks for it in front of the rule, so that nothing is
 * counted or logged that is not rejected (stmt_evaluate_reject()).
 */
function guardOf(ways: Ways, scope: TableScope, earlier: readonly Statement[]): Statement | undefined {
  if (ways.text === resetText) {
    if (earlier.some(({ protocol, implied }) => (protocol ?? implied?.protocol) !== undefined))
      return undefined
    return guard('meta l4proto tcp', { protocol: tcp }, ({ protocol }) => protocol === tcp)
  }
  const own = familyOf(ways)
  if (scope.family !== 'inet' || own === undefined) return undefined
  if (earlier.some(({ family, implied }) => (family ?? implied?.family) !== undefined)) return undefined
  return guard(`meta nfproto ipv${own}`, { family: own }, ({ family }) => family === own)
}

function guard(
  text: string,
  implied: Statement['implied'],
  holds: (packet: ChainPacket) => boolean,
): Statement {
  return statementOf(undefined, {
    text,
    implied,
    bind:
      () =>
      ({ packet }) =>
        holds(packet) ? code.next : code.broken,
  })
}

/** `reject [with WAY]`. */
export function readReject(cursor: Cursor, scope: TableScope, earlier: readonly Statement[]): Statement {
  const place = cursor.take()
  const ways = readWays(cursor, scope)
  const { text, four, six } = ways
  return statementOf(undefined, {
    text: `reject${text}`,
    terminal: true,
    requires: { type: undefined, hooks, place, name: 'reject' },
    guard: guardOf(ways, scope, earlier),
    family: familyOf(ways),
    bind: () => {
      return ({ packet }) => {
        const action = packet.family === 4 ? four : six
        if (action === undefined || (text === resetText && packet.protocol !== tcp)) return code.broken
        fillRoute(packet)
        action(packet)
        return code.drop
      }
    },
  })
}

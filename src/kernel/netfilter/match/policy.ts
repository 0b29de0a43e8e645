// IPsec policies (xt_policy.c): by which states a packet came, or by which it will leave; and named counters (xt_nfacct.c), which
// kube-proxy counts with.
import { type IpAddress, isIpv4, parseIp, sameIp } from '../../../net/address.ts'
import { covers, parsePrefix } from '../../../net/prefix.ts'
import type { Route } from '../../ip/route.ts'
import type { XfrmState } from '../../xfrm/state.ts'
import type { Given, MatchKind, MatchSpec } from '../extension.ts'
import { find, flag, negatable, required, valueText, withValue } from './given.ts'

const details = ['--reqid', '--spi', '--proto', '--mode', '--tunnel-src', '--tunnel-dst'] as const

const protocolNames: Readonly<Record<string, number>> = { esp: 50, ah: 51, ipcomp: 108 }

function addressMatches(option: Given, address: IpAddress): boolean {
  const text = valueText(option)
  const prefix = text.includes('/') ? parsePrefix(text) : undefined
  const alone = parseIp(text)
  if (prefix !== undefined) return covers(prefix, address)
  return alone !== undefined && isIpv4(alone) === isIpv4(address) && sameIp(alone, address)
}

/** match_xfrm_state(): one element of a path. Further ones (`--next`) are not looked at. */
function elementOf(given: readonly Given[]): (state: XfrmState) => boolean {
  const values: readonly (readonly [string, (option: Given, state: XfrmState) => boolean])[] = [
    ['--reqid', (option, { reqid }) => Number(valueText(option)) === reqid],
    ['--spi', (option, { spi }) => Number(valueText(option)) === spi],
    [
      '--proto',
      (option, { protocol }) => (protocolNames[valueText(option)] ?? Number(valueText(option))) === protocol,
    ],
    ['--mode', (option, { mode }) => valueText(option) === mode],
    ['--tunnel-src', (option, { source }) => addressMatches(option, source)],
    ['--tunnel-dst', (option, { destination }) => addressMatches(option, destination)],
  ]
  return (state) =>
    values.every(([name, matches]) => {
      const option = find(given, name)
      return option === undefined || matches(option, state) !== option.inverted
    })
}

/** match_policy_out(): what the route will do. */
function statesAhead(route: Route | undefined): readonly XfrmState[] {
  return typeof route?.xfrm === 'object' ? [route.xfrm.state, ...statesAhead(route.xfrm.child)] : []
}

const policy: MatchKind = {
  name: 'policy',
  options: [
    withValue('--dir'),
    withValue('--pol'),
    flag('--strict'),
    ...details.map((name) => negatable(name)),
    flag('--next'),
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    const dir = required(given, scope, '--dir', { word, name: '-m policy' })
    const pol = required(given, scope, '--pol', { word, name: '-m policy' })
    if (dir === undefined || pol === undefined) return undefined
    const [direction, kind] = [valueText(dir), valueText(pol)]
    if (direction !== 'in' && direction !== 'out')
      return scope.report(dir.values[0] ?? dir.word, 'a direction is `in` or `out`')
    if (kind !== 'none' && kind !== 'ipsec')
      return scope.report(pol.values[0] ?? pol.word, 'a policy is `none` or `ipsec`')
    const words = details.flatMap((name) => {
      const option = find(given, name)
      return option === undefined ? [] : [`${option.inverted ? '! ' : ''}${name} ${valueText(option)}`]
    })
    const strict = find(given, '--strict') === undefined ? [] : ['--strict']
    return {
      text: [`--dir ${direction} --pol ${kind}`, ...strict, ...words].join(' '),
      bind: () => {
        const wanted = elementOf(given)
        return ({ skb }) => {
          const states = direction === 'in' ? (skb.securityPath?.states ?? []) : statesAhead(skb.route)
          if (kind === 'none' || states.length === 0) return kind === 'none' && states.length === 0
          return strict.length === 0 ? states.some(wanted) : states.length === 1 && states.every(wanted)
        }
      },
    }
  },
}

const nfacct: MatchKind = {
  name: 'nfacct',
  options: [withValue('--nfacct-name')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--nfacct-name', { word, name: '-m nfacct' })
    // the tool prints two blanks
    return option === undefined
      ? undefined
      : { text: `--nfacct-name  ${valueText(option)}`, bind: () => () => true }
  },
}

/** Matches whose answer is always the same. */
export const policyMatches: readonly MatchKind[] = [policy, nfacct]

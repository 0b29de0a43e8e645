// What has no part in a simulated kernel, but stands in the rules of others: IPsec policies (xt_policy.c), of which no packet has
// any, and named counters (xt_nfacct.c), which kube-proxy counts with.
import type { MatchKind, MatchSpec } from '../extension.ts'
import { find, flag, negatable, required, valueText, withValue } from './given.ts'

const details = ['--reqid', '--spi', '--proto', '--mode', '--tunnel-src', '--tunnel-dst'] as const

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
      bind: () => () => kind === 'none',
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

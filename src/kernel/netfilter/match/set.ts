// Membership in an ipset: xt_set.c. `src,dst` says for each dimension of the set which end of the packet is meant.
import type { Given, MatchKind, MatchSpec, RuleScope } from '../extension.ts'
import { type Directions, packetInSet } from '../set/members.ts'
import { bang } from '../values.ts'
import { find } from './given.ts'

/** `src,dst` as one flag per dimension. */
export function readDirections(option: Given, scope: RuleScope): Directions | undefined {
  const word = option.values[1]
  const parts = (word?.text ?? '').split(',')
  if (parts.length <= 6 && parts.every((part) => part === 'src' || part === 'dst')) {
    return parts.map((part) => part === 'src')
  }
  return scope.report(word ?? option.word, 'dimensions are `src` or `dst`, separated by commas')
}

/** The flags as they are written. */
export function directionsText(directions: Directions): string {
  return directions.map((source) => (source ? 'src' : 'dst')).join(',')
}

const set: MatchKind = {
  name: 'set',
  options: [{ names: ['--match-set'], values: 2, negatable: true }],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = find(given, '--match-set')
    const name = option?.values[0]
    if (option === undefined || name === undefined) return scope.report(word, '`-m set` needs `--match-set`')
    const directions = readDirections(option, scope)
    if (directions === undefined) return undefined
    return {
      text: `${bang(option.inverted)}--match-set ${name.text} ${directionsText(directions)}`,
      sets: [{ name: name.text, place: name }],
      bind: ({ sets }) => {
        return (packet) => {
          const found = sets.get(name.text)
          return found !== undefined && packetInSet(sets, found, packet, directions) !== option.inverted
        }
      },
    }
  },
}

/** The match on ipsets. */
export const setMatches: readonly MatchKind[] = [set]

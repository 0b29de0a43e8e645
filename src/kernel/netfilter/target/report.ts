// Targets that only tell or remember: LOG, NFLOG, AUDIT and TRACE write nothing into the packet; SET changes an ipset.
import { second } from '../../clock.ts'
import {
  type Action,
  actionVerdict,
  type Given,
  type RuleScope,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, flag, valueText, withValue } from '../match/given.ts'
import { directionsText, readDirections } from '../match/set.ts'
import { addMember, liveMember, memberKey, memberOf } from '../set/members.ts'
import { parseNumber } from '../values.ts'
import { quoteWord } from '../words.ts'

const nothing: Action = () => actionVerdict.next

const levels = ['emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug'] as const
const levelAliases: ReadonlyMap<string, number> = new Map([
  ['panic', 0],
  ['err', 3],
  ['warn', 4],
])

function parseLevel(text: string): number | undefined {
  const named = (levels as readonly string[]).indexOf(text.toLowerCase())
  if (named >= 0) return named
  return levelAliases.get(text.toLowerCase()) ?? parseNumber(text, 7)
}

const logFlags = [
  '--log-tcp-sequence',
  '--log-tcp-options',
  '--log-ip-options',
  '--log-uid',
  '--log-macdecode',
] as const

const log: TargetKind = {
  name: 'LOG',
  options: [withValue('--log-prefix'), withValue('--log-level'), ...logFlags.map((name) => flag(name))],
  read: (given, scope): TargetSpec | undefined => {
    const prefix = find(given, '--log-prefix')
    const level = find(given, '--log-level')
    const number = level === undefined ? 4 : parseLevel(valueText(level))
    if (number === undefined)
      return scope.report(
        level?.values[0] ?? { line: 0, column: 0, length: 0 },
        `there is no log level \`${valueText(level)}\``,
      )
    if (prefix !== undefined && valueText(prefix) === '')
      return scope.report(prefix.word, 'a log prefix has at least 1 character')
    if (valueText(prefix).length > 29 && prefix !== undefined)
      return scope.report(prefix.word, 'a log prefix has at most 29 characters')
    const words: string[] = []
    if (prefix !== undefined) words.push(`--log-prefix ${quoteWord(valueText(prefix))}`)
    if (number !== 4) words.push(`--log-level ${number}`)
    for (const name of logFlags) if (find(given, name) !== undefined) words.push(name)
    return { text: words.join(' '), bind: () => nothing }
  },
}

const nflogOptions = [
  '--nflog-prefix',
  '--nflog-group',
  '--nflog-range',
  '--nflog-size',
  '--nflog-threshold',
] as const
const nflogPrefixMax = 63

const nflog: TargetKind = {
  name: 'NFLOG',
  options: nflogOptions.map((name) => withValue(name)),
  read: (given, scope): TargetSpec | undefined => {
    const words: string[] = []
    const group = find(given, '--nflog-group')
    if (group !== undefined && parseNumber(valueText(group), 0xffff) === undefined)
      return scope.report(group.values[0] ?? group.word, 'a group is a number from 0 to 65535')
    for (const name of nflogOptions) {
      const option = find(given, name)
      if (option === undefined) continue
      const value = valueText(option).slice(0, nflogPrefixMax)
      if ((name === '--nflog-group' || name === '--nflog-threshold') && value === '0') continue
      words.push(`${name} ${name === '--nflog-prefix' ? quoteWord(value) : value}`)
    }
    return { text: words.join(' '), bind: () => nothing }
  },
}

const trace: TargetKind = {
  name: 'TRACE',
  tables: ['raw'],
  options: [],
  read: (): TargetSpec => ({ text: '', bind: () => nothing }),
}

const auditTypes = ['accept', 'drop', 'reject'] as const

const audit: TargetKind = {
  name: 'AUDIT',
  options: [withValue('--type')],
  read: (given, scope, word): TargetSpec | undefined => {
    const option = find(given, '--type')
    const type = valueText(option)
    if (!(auditTypes as readonly string[]).includes(type))
      return scope.report(option?.values[0] ?? word, '`-j AUDIT` needs `--type accept`, `drop` or `reject`')
    return { text: `--type ${type}`, bind: () => nothing }
  },
}

function readSet(given: readonly Given[], scope: RuleScope, word: Given['word']): TargetSpec | undefined {
  const option = find(given, '--add-set') ?? find(given, '--del-set')
  const name = option?.values[0]
  if (option === undefined || name === undefined)
    return scope.report(word, '`-j SET` needs `--add-set` or `--del-set`')
  const directions = readDirections(option, scope)
  if (directions === undefined) return undefined
  const adds = option.name === '--add-set'
  const addsOnly = find(given, '--exist') ?? find(given, '--timeout')
  if (!adds && addsOnly !== undefined)
    return scope.report(addsOnly.word, `\`${addsOnly.name}\` goes with \`--add-set\``)
  const exist = find(given, '--exist') !== undefined
  const timeout = find(given, '--timeout')
  const seconds = timeout === undefined ? undefined : parseNumber(valueText(timeout))
  const action: Action = (packet) => {
    const set = packet.ns.netfilter.sets?.get(name.text)
    const member = set && memberOf(set, packet, directions)
    if (set === undefined || member === undefined) return actionVerdict.next
    if (!adds) {
      set.members.delete(memberKey(member))
      return actionVerdict.next
    }
    const { now } = packet.ns.machine.clock
    if (liveMember(set, member, now) !== undefined && !exist) return actionVerdict.next
    // a set without timeouts does not mind one that a rule names (mtype_add)
    const stay = set.timeout === undefined ? 0 : (seconds ?? set.timeout)
    addMember(set, stay === 0 ? member : { ...member, expires: now + stay * second })
    return actionVerdict.next
  }
  let text = `${option.name} ${name.text} ${directionsText(directions)}`
  if (exist) text += ' --exist'
  if (seconds !== undefined) text += ` --timeout ${seconds}`
  return { text, sets: [{ name: name.text, place: name }], bind: () => action }
}

const set: TargetKind = {
  name: 'SET',
  options: [
    { names: ['--add-set'], values: 2 },
    { names: ['--del-set'], values: 2 },
    flag('--exist'),
    withValue('--timeout'),
  ],
  read: readSet,
}

/** Targets that tell or remember. */
export const reportTargets: readonly TargetKind[] = [log, nflog, trace, audit, set]

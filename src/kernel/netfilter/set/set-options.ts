// The words behind `create NAME TYPE` and `add NAME MEMBER` of ipset. Sizes of hash tables change no packet; what would change
// one and is not modelled is a mistake, and so is a word that ipset does not know (lib/ipset_hash_*.c, ipset_bitmap_*.c).
import { didYouMean } from '../../../base/closest.ts'
import { second } from '../../clock.ts'
import { parseNumber } from '../values.ts'
import type { Place, Word } from '../words.ts'
import type { IpSet, SetType } from './set-table.ts'

/** Tells of a mistake at a word. */
export type ReportWord = (word: Place, message: string, hint?: string) => undefined

/** IPSET_MAX_TIMEOUT: what has room in 32 bits of milliseconds, with a sign. */
const timeoutMost = 2_147_483

/** What stands behind a word: nothing, a number, one word of any kind, or nothing that is modelled. */
type Takes = 'nothing' | 'number' | 'word' | 'later'

const ofEverySet: Readonly<Record<string, Takes>> = {
  timeout: 'number',
  counters: 'nothing',
  comment: 'nothing',
  skbinfo: 'later',
}
const ofHashes: Readonly<Record<string, Takes>> = {
  family: 'word',
  hashsize: 'number',
  maxelem: 'number',
  forceadd: 'nothing',
  bucketsize: 'number',
  initval: 'word',
  netmask: 'later',
  bitmask: 'later',
}
const ofMembers: Readonly<Record<string, Takes>> = {
  timeout: 'number',
  packets: 'number',
  bytes: 'number',
  comment: 'word',
  skbmark: 'later',
  skbprio: 'later',
  skbqueue: 'later',
}

function ofType(type: SetType): Readonly<Record<string, Takes>> {
  if (type.startsWith('hash:')) return { ...ofEverySet, ...ofHashes }
  if (type === 'list:set') return { ...ofEverySet, size: 'number' }
  return { ...ofEverySet, range: 'word', netmask: 'later', bitmask: 'later' }
}

/** The options that were given, each with its value, or with its own word where it takes none. */
export type SetOptions = ReadonlyMap<string, Word>

function readOptions(
  words: readonly Word[],
  known: Readonly<Record<string, Takes>>,
  report: ReportWord,
): SetOptions {
  const found = new Map<string, Word>()
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as Word
    const takes = Object.hasOwn(known, word.text) ? known[word.text] : undefined
    if (takes === undefined || takes === 'later') {
      const near = didYouMean(word.text, Object.keys(known))
      if (takes === 'later') report(word, `\`${word.text}\` of a set is not modelled`)
      else
        report(word, `\`${word.text}\` is no option here`, near ?? `one of ${Object.keys(known).join(', ')}`)
      break
    }
    const value = takes === 'nothing' ? word : words[at + 1]
    if (value === undefined) report(word, `\`${word.text}\` needs a value`)
    else if (takes === 'number' && parseNumber(value.text) === undefined)
      report(value, `\`${value.text}\` is no number`)
    else if (word.text === 'timeout' && Number(value.text) > timeoutMost)
      report(value, `a timeout has ${timeoutMost} seconds at most`)
    else found.set(word.text, value)
    if (takes !== 'nothing') at += 1
  }
  return found
}

/** The options of a set that is made; `family` is one of the two. */
export function createOptions(words: readonly Word[], type: SetType, report: ReportWord): SetOptions {
  const options = readOptions(words, ofType(type), report)
  const family = options.get('family')
  if (family !== undefined && !['inet', 'inet6'].includes(family.text))
    report(family, `there is no family \`${family.text}\``, '`inet` or `inet6`')
  return options
}

/** Extensions of a set besides its timeout that change no packet. */
export const setExtensions = ['comment', 'counters'] as const

/** What a set must have been made with for an option of its members. */
const wants: Readonly<Record<string, 'timeout' | (typeof setExtensions)[number]>> = {
  timeout: 'timeout',
  comment: 'comment',
  packets: 'counters',
  bytes: 'counters',
}

/** The options of a member; the set must have been made with what they are of (ip_set_get_extensions). */
export function memberOptions(
  words: readonly Word[],
  set: Pick<IpSet, 'type' | 'timeout' | 'extensions'>,
  report: ReportWord,
): SetOptions {
  const ofNets: Readonly<Record<string, Takes>> = set.type.includes('net') ? { nomatch: 'nothing' } : {}
  const options = readOptions(words, { ...ofMembers, ...ofNets }, report)
  for (const [name, value] of options) {
    const wanted = wants[name]
    if (wanted === undefined) continue
    const has = wanted === 'timeout' ? set.timeout !== undefined : set.extensions.has(wanted)
    if (!has) report(value, `the set was made without \`${wanted}\``)
  }
  return options
}

/** `timeout N` in seconds; 0, for ever, where it is absent. */
export function timeoutOf(options: SetOptions): number {
  return Number(options.get('timeout')?.text ?? 0)
}

/** When a member goes that comes at `now`: by its own timeout, or that of its set; undefined for never. */
export function expiryOf(options: SetOptions, ofSet: number | undefined, now: number): number | undefined {
  const seconds = options.has('timeout') ? timeoutOf(options) : (ofSet ?? 0)
  return seconds === 0 ? undefined : now + seconds * second
}

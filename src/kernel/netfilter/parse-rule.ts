// One rule: the words behind `-A CHAIN`. Options go to the header, to the matches loaded so far, or to the target, as
// iptables itself hands them out; the protocol's own match is loaded when one of its options appears.
import { didYouMean } from '../../base/closest.ts'
import { matchKinds, otherMatches, otherTargets, targetKinds } from './catalogue.ts'
import type { MatchKind, OptionShape, RuleScope, TargetKind } from './extension.ts'
import { type HeaderMatch, protocolText } from './header-match.ts'
import {
  type Cursor,
  type Draft,
  fail,
  headerOptions,
  type Loaded,
  next,
  readHeaderValue,
} from './rule-draft.ts'
import type { Counters, RuleMatch, RuleSpec, RuleTarget } from './ruleset.ts'
import type { Word } from './words.ts'

/** Names that tools write for extensions that have another name by family. */
function extensionName(name: string, family: 4 | 6): string {
  if (family === 6 && (name === 'icmp' || name === 'icmpv6' || name === 'ipv6-icmp')) return 'icmp6'
  return name
}

/** Built-in chains whose packets have no such device: iptables refuses the option there. */
const deviceless: Partial<Record<keyof HeaderMatch, readonly string[]>> = {
  in: ['OUTPUT', 'POSTROUTING'],
  out: ['PREROUTING', 'INPUT'],
}

function loadMatch(draft: Draft, name: Word): Loaded<MatchKind> | undefined {
  const wanted = extensionName(name.text, draft.scope.family)
  const kind = matchKinds.get(wanted)
  if (kind === undefined || kind.families?.includes(draft.scope.family) === false) {
    if (otherMatches.has(name.text)) fail(draft, name, `match \`${name.text}\` is not modelled`)
    else if (kind !== undefined)
      fail(draft, name, `there is no match \`${name.text}\` for IPv${draft.scope.family}`)
    else fail(draft, name, `there is no match \`${name.text}\``, didYouMean(name.text, matchKinds.keys()))
    draft.unclear = true
    return undefined
  }
  const loaded = { kind, word: name, given: [] }
  draft.matches.push(loaded)
  return loaded
}

function readJump(draft: Draft, value: Word, goto: boolean): void {
  if (draft.jump !== undefined) {
    fail(draft, value, 'a rule has one target')
    return
  }
  draft.jump = { word: value, goto }
  const { family, table } = draft.scope
  if (table === 'nat' && value.text === 'DROP' && !goto) {
    fail(draft, value, 'table `nat` is not for filtering: iptables refuses `DROP` in it')
    return
  }
  const kind = goto ? undefined : targetKinds.get(value.text)
  if (!goto && otherTargets.has(value.text)) {
    fail(draft, value, `target \`${value.text}\` is not modelled`)
    draft.unclear = true
  } else if (kind?.families?.includes(family) === false)
    fail(draft, value, `there is no target \`${value.text}\` for IPv${family}`)
  else if (kind !== undefined) draft.target = { kind, word: value, given: [] }
}

/** Options of the rule itself that take no `!`. */
const unnegatable: ReadonlySet<string> = new Set([
  '-m',
  '--match',
  '-j',
  '--jump',
  '-g',
  '--goto',
  '-c',
  '--set-counters',
])

/** Options of the rule itself; false when the word is none of them. */
function readCore(draft: Draft, cursor: Cursor, option: Word, inverted: boolean): boolean {
  const part = headerOptions.get(option.text)
  if (part !== undefined) {
    if (deviceless[part]?.includes(draft.scope.chain) === true)
      fail(draft, option, `\`${option.text}\` cannot be used with ${draft.scope.chain}`)
    if (draft.seen.has(part)) fail(draft, option, `\`${option.text}\` is given twice`)
    draft.seen.add(part)
    const value = next(draft, cursor, option)
    if (value !== undefined) readHeaderValue(draft, part, value, inverted)
    return true
  }
  if (inverted && unnegatable.has(option.text)) fail(draft, option, `\`${option.text}\` cannot be negated`)
  switch (option.text) {
    case '-f':
    case '--fragment':
      if (draft.scope.family === 6) fail(draft, option, '`-f` is of IPv4')
      draft.header.fragment = { inverted }
      return true
    case '-m':
    case '--match': {
      const name = next(draft, cursor, option)
      if (name !== undefined) loadMatch(draft, name)
      return true
    }
    case '-j':
    case '--jump':
    case '-g':
    case '--goto': {
      const value = next(draft, cursor, option)
      if (value !== undefined) readJump(draft, value, option.text === '-g' || option.text === '--goto')
      return true
    }
    case '-c':
    case '--set-counters': {
      const packets = next(draft, cursor, option)
      const bytes = packets === undefined ? undefined : next(draft, cursor, option)
      for (const word of [packets, bytes])
        if (word !== undefined && !/^[0-9]+$/.test(word.text)) fail(draft, word, 'a counter is a number')
      draft.counters = { packets: Number(packets?.text ?? 0), bytes: Number(bytes?.text ?? 0) }
      return true
    }
    default:
      return false
  }
}

/** The values of an option; a missing one is reported, an optional one may be absent. */
function readValues(draft: Draft, cursor: Cursor, option: Word, shape: OptionShape): Word[] | undefined {
  const values: Word[] = []
  for (let count = 0; count < shape.values; count += 1) {
    const word = cursor.words[cursor.at]
    const absent = word === undefined || (!word.quoted && (word.text.startsWith('-') || word.text === '!'))
    if (absent && shape.optional === true) break
    const value = next(draft, cursor, option)
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}

interface Owner {
  readonly shape: OptionShape
  readonly loaded: Loaded<MatchKind> | Loaded<TargetKind>
}

/** An option by its name, or by the beginning of a long name that only one option has (getopt_long). */
function shapeOf(kind: MatchKind | TargetKind, option: string): OptionShape | undefined {
  const exact = kind.options.find(({ names }) => names.includes(option))
  if (exact !== undefined || !option.startsWith('--') || option.length < 4) return exact
  const begun = kind.options.filter(({ names }) => names.some((name) => name.startsWith(option)))
  return begun.length === 1 ? begun[0] : undefined
}

/** Whose option it is: the target's, or that of the match loaded last, or the protocol's own match. */
function ownerOf(draft: Draft, option: Word): Owner | undefined {
  const { target, matches, scope } = draft
  if (target !== undefined) {
    const shape = shapeOf(target.kind, option.text)
    if (shape !== undefined) return { shape, loaded: target }
  }
  for (const loaded of [...matches].reverse()) {
    const shape = shapeOf(loaded.kind, option.text)
    if (shape !== undefined) return { shape, loaded }
  }
  if (scope.protocol === -1) return undefined
  const name = extensionName(protocolText(scope.protocol), scope.family)
  const kind = matchKinds.get(name)
  const shape = kind === undefined ? undefined : shapeOf(kind, option.text)
  if (shape === undefined || matches.some(({ kind: other }) => other.name === name)) return undefined
  const loaded = loadMatch(draft, { ...option, text: name })
  return loaded === undefined ? undefined : { shape, loaded }
}

function knownOptions(draft: Draft): string[] {
  const kinds: (MatchKind | TargetKind)[] = [
    ...draft.matches.map(({ kind }) => kind),
    ...(draft.target ? [draft.target.kind] : []),
  ]
  const { protocol, family } = draft.scope
  const ofProtocol = protocol === -1 ? '' : extensionName(protocolText(protocol), family)
  const implied = matchKinds.get(ofProtocol)
  if (implied !== undefined && !kinds.includes(implied)) kinds.push(implied)
  const own = kinds.flatMap(({ options }) => options.flatMap(({ names }) => names))
  return [...headerOptions.keys(), '--jump', '--goto', '--match', ...own]
}

function readOption(draft: Draft, cursor: Cursor, option: Word, inverted: boolean): void {
  const owner = ownerOf(draft, option)
  // `--proto` is the header's, unless a match has an option of this very name
  if (!(owner !== undefined && headerOptions.has(option.text)) && readCore(draft, cursor, option, inverted))
    return
  if (owner === undefined) {
    if (draft.unclear) return
    draft.unclear = true
    // a target that nobody knows was taken for a chain, which has no options
    const { jump, target } = draft
    const isVerdict = verdictWords.has(jump?.word.text ?? '')
    if (jump !== undefined && !jump.goto && target === undefined && !isVerdict) {
      const hint = didYouMean(jump.word.text, targetKinds.keys())
      fail(draft, jump.word, `there is no target \`${jump.word.text}\``, hint)
      return
    }
    const hint = didYouMean(option.text, knownOptions(draft))
    fail(draft, option, `no match or target of this rule has an option \`${option.text}\``, hint)
    return
  }
  const { shape, loaded } = owner
  const values = readValues(draft, cursor, option, shape)
  if (values === undefined) return
  if (inverted && shape.negatable !== true) fail(draft, option, `\`${option.text}\` cannot be negated`)
  const name = shape.names[0] ?? option.text
  if (loaded.given.some((other) => other.name === name)) {
    fail(draft, option, `\`${option.text}\` is given twice`)
    return
  }
  loaded.given.push({ name, inverted, values, word: option })
}

const verdictWords: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'RETURN'])

function finishTarget(draft: Draft): RuleTarget | undefined {
  const { jump, target, scope } = draft
  if (jump === undefined) return { kind: 'none' }
  const { text } = jump.word
  if (target !== undefined) {
    const spec = target.kind.read(target.given, scope, target.word)
    if (spec === undefined) return undefined
    return { kind: 'extension', name: target.kind.name, spec, place: jump.word }
  }
  if (!jump.goto && (text === 'ACCEPT' || text === 'DROP' || text === 'RETURN'))
    return { kind: 'verdict', verdict: text }
  return { kind: 'chain', chain: text, goto: jump.goto, place: jump.word }
}

function finishMatches(draft: Draft): RuleMatch[] | undefined {
  const matches: RuleMatch[] = []
  for (const { kind, given, word } of draft.matches) {
    const spec = kind.read(given, draft.scope, word)
    if (spec === undefined) draft.failed = true
    else matches.push({ name: kind.name, spec, place: word })
  }
  return draft.failed ? undefined : matches
}

function readOptions(draft: Draft, cursor: Cursor): void {
  const { words } = cursor
  let negation: Word | undefined
  for (let word = words[cursor.at]; word !== undefined; word = words[cursor.at]) {
    cursor.at += 1
    if (word.text === '!' && !word.quoted) {
      if (negation !== undefined) fail(draft, word, 'one `!` is enough')
      negation = word
      continue
    }
    if (word.quoted || !word.text.startsWith('-')) {
      if (!draft.unclear) fail(draft, word, `\`${word.text}\` stands where an option is expected`)
    } else readOption(draft, cursor, word, negation !== undefined)
    negation = undefined
  }
  if (negation !== undefined) fail(draft, negation, 'nothing follows this `!`')
}

/** Reads a rule; undefined when something was reported. `words` begin behind the chain's name. */
export function parseRule(
  words: readonly Word[],
  scope: RuleScope,
  line: number,
  counters: Counters,
): RuleSpec | undefined {
  const draft: Draft = {
    scope: { ...scope },
    header: {},
    matches: [],
    target: undefined,
    jump: undefined,
    counters,
    seen: new Set(),
    failed: false,
    unclear: false,
  }
  readOptions(draft, { words, at: 0 })
  const matches = finishMatches(draft)
  draft.scope.onlySyn = matches?.some(({ spec }) => spec.onlySyn === true) === true
  const target = draft.failed ? undefined : finishTarget(draft)
  if (matches === undefined || target === undefined) return undefined
  return { line, header: draft.header, matches, target, counters: draft.counters }
}

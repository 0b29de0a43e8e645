// The text of `ipset save`: `create NAME TYPE ...` and `add NAME MEMBER ...`. What leaves is either every set, or every
// mistake with its place.
import { didYouMean } from '../../../base/closest.ts'
import { formatIp, type IpAddress, ipv4From, isIpv4, parseIp } from '../../../net/address.ts'
import { formatMac, parseMac } from '../../../net/mac.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { protocolNumbers, protocolText } from '../header-match.ts'
import { maskAddress, parseMaskedAddress, parsePort, prefixLength } from '../values.ts'
import { type RulesetProblem, type Word, wordsOf } from '../words.ts'
import { addMember, liveMember, memberKey } from './members.ts'
import {
  createOptions,
  expiryOf,
  memberOptions,
  type ReportWord,
  type SetOptions,
  setExtensions,
  timeoutOf,
} from './set-options.ts'
import { type IpSet, type SetMember, type SetTable, type SetType, setTypes } from './set-table.ts'

export type ParsedSets =
  | { readonly ok: true; readonly sets: SetTable }
  | { readonly ok: false; readonly problems: readonly RulesetProblem[] }

function isSetType(text: string): text is SetType {
  return (setTypes as readonly string[]).includes(text)
}

function rangeOf(
  options: SetOptions,
  type: SetType,
  report: ReportWord,
): readonly [number, number] | undefined {
  const word = options.get('range')
  if (word === undefined) return undefined
  const separator = word.text.includes('-') ? '-' : '/'
  const ends = word.text.split(separator)
  const numbers = ends.map((text) => {
    if (type === 'bitmap:port') return parsePort(text)
    const address = parseIp(text)
    return address !== undefined && isIpv4(address) ? address : undefined
  })
  const [first, last] = numbers
  return first === undefined || last === undefined
    ? report(word, `\`${word.text}\` is no range`)
    : [first, last]
}

function create(sets: SetTable, words: readonly Word[], report: ReportWord): void {
  const [command, name, type, ...rest] = words
  if (command === undefined) return
  if (name === undefined || type === undefined) {
    report(command, 'a set is made by `create NAME TYPE`')
    return
  }
  if (!isSetType(type.text)) {
    report(
      type,
      `there is no set type \`${type.text}\``,
      didYouMean(type.text, setTypes) ?? `one of ${setTypes.join(', ')}`,
    )
    return
  }
  if (sets.has(name.text)) {
    report(name, `set \`${name.text}\` exists already`)
    return
  }
  const options = createOptions(rest, type.text, report)
  const range = rangeOf(options, type.text, report)
  if (type.text.startsWith('bitmap:') && !options.has('range')) report(type, 'a bitmap needs its `range`')
  const set: IpSet = {
    name: name.text,
    type: type.text,
    family: options.get('family')?.text === 'inet6' ? 6 : 4,
    ...(options.has('timeout') ? { timeout: timeoutOf(options) } : {}),
    extensions: new Set(setExtensions.filter((word) => options.has(word))),
    members: new Map(),
    lengths: new Set(),
    ...(range === undefined ? {} : { range }),
  }
  sets.set(set.name, set)
}

function readNet(text: string, family: 4 | 6): { address: IpAddress; length: number } | undefined {
  const masked = parseMaskedAddress(text, family)
  return masked && { address: masked.address, length: prefixLength(masked.mask) }
}

function readPort(text: string): { protocol: number; port: number } | undefined {
  const [left = '', right] = text.split(':')
  if (right === undefined) {
    const port = parsePort(left)
    return port === undefined ? undefined : { protocol: ipProtocol.tcp, port }
  }
  const protocol = protocolNumbers.get(left)
  const port = parsePort(right)
  return protocol === undefined || port === undefined ? undefined : { protocol, port }
}

function readMember(set: IpSet, text: string, sets: SetTable): SetMember | undefined {
  const [first = '', second = '', third = ''] = text.split(',')
  const net = readNet(first, set.family)
  switch (set.type) {
    case 'hash:ip':
    case 'bitmap:ip':
      return net && { address: net.address }
    case 'hash:net':
      return net
    case 'hash:mac': {
      const mac = parseMac(first)
      return mac === undefined ? undefined : { mac }
    }
    case 'bitmap:port': {
      const port = parsePort(first)
      const [low, high] = set.range ?? [0, 0xffff]
      return port === undefined || port < low || port > high ? undefined : { port }
    }
    case 'list:set':
      return sets.has(first) ? { set: first } : undefined
    default: {
      const port = readPort(second)
      if (net === undefined || port === undefined) return undefined
      if (set.type === 'hash:net,port') return { ...net, ...port }
      if (set.type === 'hash:ip,port') return { address: net.address, ...port }
      const other = readNet(third, set.family)
      if (other === undefined) return undefined
      const base = { address: net.address, ...port, second: other.address }
      return set.type === 'hash:ip,port,ip' ? base : { ...base, secondLength: other.length }
    }
  }
}

/** `10.0.0.1-10.0.0.9` in a set of addresses stands for each of them. */
function expandRange(set: IpSet, text: string): readonly string[] {
  const [left = '', right] = text.split('-')
  if (right === undefined || (set.type !== 'hash:ip' && set.type !== 'bitmap:port')) return [text]
  const [first, last] =
    set.type === 'bitmap:port' ? [parsePort(left), parsePort(right)] : [parseIp(left), parseIp(right)]
  if (typeof first !== 'number' || typeof last !== 'number' || last < first || last - first > 0xffff)
    return [text]
  const print = (value: number): string =>
    set.type === 'bitmap:port' ? `${value}` : formatIp(ipv4From(value))
  return Array.from({ length: last - first + 1 }, (_, step) => print(first + step))
}

/** The set that a line names. */
function setNamed(
  sets: SetTable,
  command: Word,
  name: Word | undefined,
  report: ReportWord,
): IpSet | undefined {
  if (name === undefined) return report(command, `\`${command.text}\` needs the name of a set`)
  const set = sets.get(name.text)
  return set ?? report(name, `there is no set \`${name.text}\``, didYouMean(name.text, sets.keys()))
}

/** `add NAME MEMBER` and `del NAME MEMBER`. */
function change(
  sets: SetTable,
  words: readonly Word[],
  { purpose, now }: { readonly purpose: 'add' | 'del'; readonly now: number },
  report: ReportWord,
): void {
  const [command, name, member, ...rest] = words
  if (command === undefined) return
  const set = setNamed(sets, command, name, report)
  if (set === undefined) return
  if (member === undefined) {
    report(command, `a member is written \`${command.text} NAME MEMBER\``)
    return
  }
  const options = memberOptions(rest, set, report)
  const expires = expiryOf(options, set.timeout, now)
  const more = {
    ...(options.has('nomatch') ? { nomatch: true } : {}),
    ...(expires === undefined ? {} : { expires }),
  }
  for (const text of expandRange(set, member.text)) {
    const read = readMember(set, text, sets)
    if (read === undefined) {
      report(member, `\`${member.text}\` is no member of a set of type ${set.type}`)
      return
    }
    if (purpose === 'add' && liveMember(set, read, now) !== undefined)
      report(member, `\`${text}\` is in the set already`)
    else if (purpose === 'add') addMember(set, { ...read, ...more })
    else if (!set.members.delete(memberKey(read))) report(member, `\`${member.text}\` is not in the set`)
  }
}

/** `flush NAME` and `destroy NAME`; `used` are the sets that rules ask. */
function empty(sets: SetTable, words: readonly Word[], used: ReadonlySet<string>, report: ReportWord): void {
  const [command, name] = words
  if (command === undefined) return
  const set = setNamed(sets, command, name, report)
  if (set === undefined || name === undefined) return
  const listed = [...sets.values()].some(({ members }) =>
    [...members.values()].some((member) => member.set === set.name),
  )
  if (command.text === 'flush') set.members.clear()
  else if (used.has(set.name) || listed) report(name, `set \`${set.name}\` is in use`)
  else sets.delete(set.name)
}

/** Sets of one's own, which a text may change without changing those they were made from. */
export function copySets(sets: SetTable): SetTable {
  return new Map(
    [...sets].map(([name, set]) => [
      name,
      { ...set, members: new Map(set.members), lengths: new Set(set.lengths) },
    ]),
  )
}

/** How a text is read. */
interface ParseSetsOptions {
  /** Sets that rules or lists name: they cannot be destroyed. */
  readonly used?: ReadonlySet<string>
  /** With `del`, `add` takes members away and `create` sets. */
  readonly purpose?: 'add' | 'del'
  /** The virtual time from which timeouts of members count; 0 where it is absent. */
  readonly now?: number
}

const shortCommands: Readonly<Record<string, string>> = {
  '-N': 'create',
  '-A': 'add',
  '-D': 'del',
  '-F': 'flush',
  '-X': 'destroy',
}
const opposites: Readonly<Record<string, string>> = { create: 'destroy', add: 'del' }

/**
 * Reads the text of `ipset save`, with the lines that `ipset restore` takes besides. `known` are sets that exist already;
 * their members change in place.
 */
export function parseSets(
  text: string,
  known: SetTable = new Map(),
  options: ParseSetsOptions = {},
): ParsedSets {
  const problems: RulesetProblem[] = []
  const report: ReportWord = ({ line, column, length }, message, hint) => {
    problems.push({ line, column, length, message, ...(hint === undefined ? {} : { hint }) })
    return undefined
  }
  const sets: SetTable = new Map(known)
  text.split('\n').forEach((line, index) => {
    const words = wordsOf(line, index + 1, report)
    const [command] = words
    if (command === undefined || command.text.startsWith('#') || command.text === 'COMMIT') return
    const name = shortCommands[command.text] ?? command.text
    const meant = options.purpose === 'del' ? (opposites[name] ?? name) : name
    if (meant === 'create') create(sets, words, report)
    else if (meant === 'add' || meant === 'del')
      change(sets, words, { purpose: meant, now: options.now ?? 0 }, report)
    else if (meant === 'flush' || meant === 'destroy')
      empty(sets, [{ ...command, text: meant }, ...words.slice(1)], options.used ?? new Set(), report)
    else
      report(
        command,
        `\`${command.text}\` is no line of an ipset save text`,
        didYouMean(command.text, ['create', 'add', 'del', 'flush', 'destroy']),
      )
  })
  return problems.length === 0 ? { ok: true, sets } : { ok: false, problems }
}

function netText(address: IpAddress | undefined, length: number | undefined): string {
  if (address === undefined) return ''
  const full = isIpv4(address) ? 32 : 128
  return length === undefined || length === full
    ? formatIp(address)
    : `${formatIp(maskAddress(address, address))}/${length}`
}

/** A member as `ipset save` prints it. */
export function printMember(member: SetMember): string {
  if (member.set !== undefined) return member.set
  if (member.mac !== undefined) return formatMac(member.mac as Parameters<typeof formatMac>[0])
  const parts = [netText(member.address, member.length)]
  if (member.port !== undefined) {
    parts.push(
      member.protocol === undefined ? `${member.port}` : `${protocolText(member.protocol)}:${member.port}`,
    )
  }
  if (member.second !== undefined) parts.push(netText(member.second, member.secondLength))
  return parts.filter((part) => part !== '').join(',') + (member.nomatch === true ? ' nomatch' : '')
}

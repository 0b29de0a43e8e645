// The text of `ipset save`: `create NAME TYPE ...` and `add NAME MEMBER ...`. What leaves is either every set, or every
// mistake with its place.
import { didYouMean } from '../../../base/closest.ts'
import { formatIp, type IpAddress, ipv4From, isIpv4, parseIp } from '../../../net/address.ts'
import { formatMac, parseMac } from '../../../net/mac.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { protocolNumbers, protocolText } from '../header-match.ts'
import { maskAddress, parseMaskedAddress, parsePort, prefixLength } from '../values.ts'
import { type Place, type RulesetProblem, type Word, wordsOf } from '../words.ts'
import { addMember } from './members.ts'
import { type IpSet, type SetMember, type SetTable, type SetType, setTypes } from './set-table.ts'

type Report = (word: Place, message: string, hint?: string) => undefined

export type ParsedSets =
  | { readonly ok: true; readonly sets: SetTable }
  | { readonly ok: false; readonly problems: readonly RulesetProblem[] }

function isSetType(text: string): text is SetType {
  return (setTypes as readonly string[]).includes(text)
}

function optionOf(words: readonly Word[], name: string): Word | undefined {
  const at = words.findIndex(({ text }) => text === name)
  return at === -1 ? undefined : words[at + 1]
}

function rangeOf(
  words: readonly Word[],
  type: SetType,
  report: Report,
): readonly [number, number] | undefined {
  const word = optionOf(words, 'range')
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

function create(sets: SetTable, words: readonly Word[], report: Report): void {
  const [command, name, type] = words
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
  const range = type.text.startsWith('bitmap:') ? rangeOf(words, type.text, report) : undefined
  const set: IpSet = {
    name: name.text,
    type: type.text,
    family: optionOf(words, 'family')?.text === 'inet6' ? 6 : 4,
    timeout: Number(optionOf(words, 'timeout')?.text ?? 0),
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

function add(sets: SetTable, words: readonly Word[], report: Report): void {
  const [command, name, member, ...options] = words
  if (command === undefined) return
  const set = name === undefined ? undefined : sets.get(name.text)
  if (name === undefined || member === undefined) {
    report(command, 'a member is added by `add NAME MEMBER`')
    return
  }
  if (set === undefined) {
    report(name, `there is no set \`${name.text}\``, didYouMean(name.text, sets.keys()))
    return
  }
  const nomatch = options.some(({ text }) => text === 'nomatch')
  for (const text of expandRange(set, member.text)) {
    const read = readMember(set, text, sets)
    if (read === undefined) {
      report(member, `\`${member.text}\` is no member of a set of type ${set.type}`)
      return
    }
    addMember(set, nomatch ? { ...read, nomatch } : read)
  }
}

/** Reads the text of `ipset save`; `known` are sets that exist already and may be added to. */
export function parseSets(text: string, known: SetTable = new Map()): ParsedSets {
  const problems: RulesetProblem[] = []
  const report: Report = ({ line, column, length }, message, hint) => {
    problems.push({ line, column, length, message, ...(hint === undefined ? {} : { hint }) })
    return undefined
  }
  const sets: SetTable = new Map(known)
  text.split('\n').forEach((line, index) => {
    const words = wordsOf(line, index + 1, report)
    const [command] = words
    if (command === undefined || command.text.startsWith('#') || command.text === 'COMMIT') return
    if (command.text === 'create' || command.text === '-N') create(sets, words, report)
    else if (command.text === 'add' || command.text === '-A') add(sets, words, report)
    else
      report(
        command,
        `\`${command.text}\` is no line of an ipset save text`,
        didYouMean(command.text, ['create', 'add']),
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

// What a field is compared with: numbers, names of hosts, prefixes, flags. The field says what the words must mean.

import { didYouMean } from '../../base/closest.ts'
import type { Diagnostic } from '../../base/diagnostic.ts'
import { type IpAddress, isIpv4, parseIp } from '../../net/address.ts'
import { type IcmpKind, icmpNames } from '../../net/icmp.ts'
import { icmpv6Names } from '../../net/icmpv6.ts'
import { parseMac } from '../../net/mac.ts'
import { hostPrefix, parsePrefix } from '../../net/prefix.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { parseTcpFlags } from '../../net/tcp.ts'
import type { CompareOperator, Endpoint, Expr, Word } from '../../syntax/ast.ts'
import type { Value } from '../claim.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { Given } from '../model.ts'
import { looksLikeAddress } from '../words/addresses.ts'
import { type FieldInfo, fieldInfo, isLongField, kindText } from '../words/fields.ts'
import { given, isNothing, isOpen } from '../words/fill.ts'
import { durationNanoseconds, integerOf } from '../words/numbers.ts'
import { addressesOf } from '../world/entities.ts'
import type { Scope } from './scope.ts'

/** Words that stand for numbers, by field. */
const numberWords: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'ip.proto': ipProtocol,
  'ip6.next': ipProtocol,
  'eth.type': etherType,
  protocol: etherType,
  'vlan.type': etherType,
  'arp.op': { request: 1, reply: 2 },
  'icmp.type': typesOf(icmpNames),
  'icmp6.type': typesOf(icmpv6Names),
  'packet.type': { host: 0, broadcast: 1, multicast: 2, otherhost: 3, outgoing: 4 },
}

function typesOf(names: Readonly<Record<string, IcmpKind>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(names).map(([name, kind]) => [name, kind.type]))
}

/** The value that a field is compared with. */
export function readValue(
  expr: Expr,
  field: FieldInfo,
  operator: CompareOperator,
  scope: Scope,
): Given<Value> | undefined {
  if (expr.kind === 'word') {
    const value = wordValue(expr, field, operator, scope)
    return value && given(expr, value)
  }
  if (expr.kind === 'list') {
    const items = expr.items.map((item) => readValue(item, field, '==', scope))
    const good = items.filter((item) => item !== undefined)
    const cell = good.find((item) => item.cell !== undefined)?.cell
    if (good.length !== items.length) return undefined
    const value: Value = { kind: 'list', items: good.map((item) => item.value) }
    return { value, span: expr.span, ...(cell === undefined ? {} : { cell }) }
  }
  if (expr.kind === 'field') {
    const other = fieldInfo(expr.path)
    if (other !== undefined && other.kind === field.kind) {
      return { value: { kind: 'field', field: other.path }, span: expr.span }
    }
    scope.report(mistake('S121', expr.span, `\`${expr.path}\` cannot be compared with \`${field.path}\``))
    return undefined
  }
  const number = expr.kind === 'arithmetic' ? constantOf(expr) : undefined
  if (number !== undefined) return { value: { kind: 'number', number }, span: expr.span }
  scope.report(
    mistake('S121', expr.span, 'an expectation compares a field with a value', {
      hint: 'maps and sums of fields belong into programs',
    }),
  )
  return undefined
}

/** The value of an expression of numbers alone. */
export function constantOf(expr: Expr): number | undefined {
  if (expr.kind === 'word') return integerOf(expr.text)
  if (expr.kind !== 'arithmetic') return undefined
  const left = constantOf(expr.left)
  const right = constantOf(expr.right)
  if (left === undefined || right === undefined) return undefined
  switch (expr.operator) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '&':
      return (left & right) >>> 0
    case '|':
      return (left | right) >>> 0
    case '^':
      return (left ^ right) >>> 0
    case '<<':
      return (left << right) >>> 0
    case '>>':
      return left >>> right
  }
}

function wordValue(word: Word, field: FieldInfo, operator: CompareOperator, scope: Scope): Value | undefined {
  if (isNothing(word)) return { kind: 'nothing' }
  if (isOpen(word)) return { kind: 'variable', name: variableName(word) }
  if (operator === 'matches') return patternOf(word, scope)
  switch (field.kind) {
    case 'number':
    case 'boolean':
      return numberOf(word, field, scope)
    case 'address':
      return addressValue(word, field, operator, scope)
    case 'mac':
      return macValue(word, field, scope)
    case 'flags': {
      const flags = parseTcpFlags(word.text) ?? integerOf(word.text)
      return flags === undefined ? wrongKind(word, field, scope) : { kind: 'flags', flags }
    }
    case 'endpoint':
      return endpointValue(word, field, scope)
    case 'text':
      return { kind: 'text', text: word.text }
    case 'layer':
      return wrongKind(word, field, scope)
  }
}

function variableName(word: Word): string {
  const part = word.parts.find((each) => typeof each !== 'string')
  return part === undefined || typeof part === 'string' ? '' : part.name
}

function wrongKind(word: Word, field: FieldInfo, scope: Scope, hint?: string): undefined {
  scope.report(kindMistake(word, field, hint))
  return undefined
}

function kindMistake(word: Word, field: FieldInfo, hint: string | undefined): Diagnostic {
  return mistakeIn('S121', word, `\`${word.text}\` is no value for \`${field.path}\``, {
    hint: hint ?? `${field.path} holds ${kindText(field)}`,
  })
}

function patternOf(word: Word, scope: Scope): Value | undefined {
  try {
    new RegExp(word.text)
    return { kind: 'text', text: word.text }
  } catch {
    scope.report(mistakeIn('S121', word, `\`${word.text}\` is not a regular expression`))
    return undefined
  }
}

function numberOf(word: Word, field: FieldInfo, scope: Scope): Value | undefined {
  const own = field.path.replace(/^(outer|inner)\./, '')
  const words =
    numberWords[own] ?? (field.kind === 'boolean' ? { true: 1, false: 0, yes: 1, no: 0 } : undefined)
  const named = words !== undefined && Object.hasOwn(words, word.text) ? words[word.text] : undefined
  const duration = isLongField(field.path) ? durationNanoseconds(word.text) : undefined
  const number = named ?? integerOf(word.text) ?? duration
  if (number === undefined) {
    const [what, owner = ''] = word.text.split('.')
    if (what === 'identity' && scope.entities.hosts.has(owner)) return { kind: 'text', text: word.text }
    return wrongKind(word, field, scope, words && didYouMean(word.text, Object.keys(words)))
  }
  if (number >= 0 && number <= field.max) return { kind: 'number', number }
  const hint = `${field.path} lies between 0 and ${field.max}`
  scope.report(mistakeIn('S108', word, `\`${word.text}\` is out of range`, { hint }))
  return undefined
}

function addressValue(
  word: Word,
  field: FieldInfo,
  operator: CompareOperator,
  scope: Scope,
): Value | undefined {
  const text = word.text
  if (looksLikeAddress(text)) {
    const prefix = parsePrefix(text)
    const address = parseIp(text)
    if (prefix === undefined && address === undefined) return wrongKind(word, field, scope)
    const family = isIpv4(prefix?.address ?? address ?? [0, 0, 0, 0]) ? 4 : 6
    if (field.family !== undefined && field.family !== family) return wrongKind(word, field, scope)
    if (prefix !== undefined) return { kind: 'prefix', prefix }
    return address && (operator === 'in' ? prefixValue(address) : { kind: 'addresses', addresses: [address] })
  }
  const net = operator === 'in' ? scope.entities.nets.get(text) : undefined
  if (net !== undefined) {
    return { kind: 'list', items: net.prefixes.map((prefix) => ({ kind: 'prefix', prefix }) as const) }
  }
  const addresses = addressesNamed(word, text, scope)
  if (addresses === undefined) return undefined
  const right = addresses.filter(
    (each) => field.family === undefined || isIpv4(each) === (field.family === 4),
  )
  if (right.length > 0 || addresses.length === 0) return { kind: 'addresses', addresses: right, name: text }
  scope.report(
    mistakeIn('S143', word, `\`${text}\` has no ${field.family === 6 ? 'IPv6' : 'IPv4'} address`, {
      hint: `\`${field.path}\` holds ${kindText(field)}`,
    }),
  )
  return undefined
}

const prefixValue = (address: IpAddress): Value => ({
  kind: 'prefix',
  prefix: hostPrefix(address),
})

/**
 * The addresses that a name stands for: all of a host's, one device's (`host/eth0`), a service's (`svc/web`). Empty
 * where they are made by an engine that does not exist yet.
 */
export function addressesNamed(word: Word, text: string, scope: Scope): readonly IpAddress[] | undefined {
  const { hosts, services } = scope.entities
  const [head = '', tail] = text.split('/')
  if (head === 'svc' && tail !== undefined) {
    const service = services.get(tail)
    if (service === undefined) return unknownName(word, text, scope)
    const found = service.ports.map((port) => parseIp(port.address?.text ?? ''))
    return found.filter((address) => address !== undefined)
  }
  const host = hosts.get(head)
  if (host === undefined) return unknownName(word, text, scope)
  if (tail === undefined) return addressesOf(host)
  const device = host.devices.get(tail)
  return device === undefined
    ? unknownName(word, text, scope)
    : device.addresses.map((each) => each.prefix.address)
}

function unknownName(word: Word, text: string, { entities, report }: Scope): undefined {
  const names = [...entities.hosts.keys(), ...[...entities.services.keys()].map((name) => `svc/${name}`)]
  const [head = ''] = text.split('/')
  const devices = [...(entities.hosts.get(head)?.devices.keys() ?? [])].map((device) => `${head}/${device}`)
  report(
    mistakeIn('S103', word, `nothing is called \`${text}\``, {
      hint: didYouMean(text, [...names, ...devices]),
    }),
  )
  return undefined
}

/** `02:...`, `host/eth0`, or a host with one device. */
function macValue(word: Word, field: FieldInfo, scope: Scope): Value | undefined {
  const mac = parseMac(word.text)
  if (mac !== undefined) return { kind: 'mac', mac }
  const [head = '', tail] = word.text.split('/')
  const host = scope.entities.hosts.get(head)
  const devices = [...(host?.devices.values() ?? [])].filter(
    (each) => tail === undefined || each.name === tail,
  )
  const [device] = devices
  if (host !== undefined && device !== undefined && devices.length === 1)
    return { kind: 'mac', mac: device.mac }
  if (host !== undefined && tail === undefined) {
    return wrongKind(word, field, scope, `\`${head}\` has several devices; write \`${head}/DEVICE\``)
  }
  return wrongKind(word, field, scope)
}

function endpointValue(word: Word, field: FieldInfo, scope: Scope): Value | undefined {
  const bracket = /^\[(.+)\]:([0-9]+)$/.exec(word.text)
  const plain = /^([^:]+):([0-9]+)$/.exec(word.text)
  const [, host = '', port = ''] = bracket ?? plain ?? []
  if (host === '') return wrongKind(word, field, scope)
  return endpointOf(word, { host, port: Number(port) }, scope)
}

function endpointOf(
  word: Word,
  { host, port }: { readonly host: string; readonly port: number | undefined },
  scope: Scope,
): Value | undefined {
  const literal = parseIp(host)
  const addresses = literal === undefined ? addressesNamed(word, host, scope) : [literal]
  if (addresses === undefined) return undefined
  if (port !== undefined && port > 65535) {
    scope.report(
      mistakeIn('S108', word, `\`${port}\` is out of range`, { hint: 'a port lies between 0 and 65535' }),
    )
    return undefined
  }
  return { kind: 'endpoint', addresses, port }
}

/** `n1:30080`, `web`, `-` as a value of a translation or an encapsulation. */
export function readEndpointValue(end: Endpoint, scope: Scope): Given<Value> | undefined {
  const { host, port } = end
  if (isNothing(host)) return given(host, { kind: 'nothing' })
  if (isOpen(host)) return given(host, { kind: 'variable', name: variableName(host) })
  const number = port === null || isOpen(port) ? undefined : integerOf(port.text)
  const value = endpointOf(host, { host: host.text, port: number }, scope)
  const source = given(host, value)
  const cell = source.cell ?? (port === null ? undefined : given(port, 0).cell)
  return value && { value, span: end.span, ...(cell === undefined ? {} : { cell }) }
}

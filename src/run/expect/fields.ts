// Claims about header fields: reading a field of a snapshot, and comparing it with what the file says.
import { durationText } from '../../base/duration.ts'
import type { InstalledCilium } from '../../cilium/installed.ts'
import type { FieldTest, Value } from '../../model/claim.ts'
import { sameIp } from '../../net/address.ts'
import { type Dissection, dissect } from '../../net/dissect.ts'
import { parseFieldPath, readField } from '../../net/field-path.ts'
import { type FieldValue, sameFieldValue } from '../../net/field-spec.ts'
import { covers } from '../../net/prefix.ts'
import type { CompareOperator } from '../../syntax/ast.ts'
import type { PacketTrace, Snapshot } from '../../trace/event.ts'
import type { Evidence } from '../verdict.ts'
import { type Answer, expectedActual, missAt, missHere } from './answer.ts'
import type { ClaimContext } from './context.ts'
import { addressOf, shownField, shownTime, shownValue, textOf } from './field-text.ts'
import { isMessageField, messageFields } from './message-fields.ts'
import { notifiedField } from './notified.ts'
import { compareNumbers } from './numbers.ts'
import { everyEvent, placeText } from './places.ts'

/** A packet looked at in one place; `hops` counts the forwarding decisions before it. */
export interface Sight {
  readonly packet: PacketTrace
  readonly snapshot: Snapshot
  readonly place: string
  readonly actor: string
  /** The virtual time of the event, in nanoseconds since the scenario began. */
  readonly time?: number
  /** Whose notifications tell identities and proxies. */
  readonly cilium?: InstalledCilium | undefined
  /** The node where it was delivered, when it is looked at there. */
  readonly deliveredTo?: string
}

const number = (value: number): FieldValue => ({ kind: 'number', value })

/** Fields that are not bytes of the packet. */
function metaField(path: string, sight: Sight): FieldValue | undefined {
  switch (path) {
    case 'mark':
      return number(sight.snapshot.mark)
    case 'meta':
    case 'meta.len':
      return number(sight.snapshot.metaBytes)
    case 'packet.len':
    case 'len':
      return number(sight.snapshot.bytes.length)
    case 'time':
      return sight.time === undefined ? undefined : number(sight.time)
    case 'hops':
      return number(
        sight.packet.events.filter((event) => event.stage === 'route' && event.decision?.code === 'FORWARD')
          .length,
      )
    case 'vlan':
    case 'vlan.id':
    case 'vlan.vid':
      return sight.snapshot.vlanTci >= 0 ? number(sight.snapshot.vlanTci & 0xfff) : undefined
    case 'packet.type':
    case 'pkt-type':
      return number(sight.snapshot.pktType)
    case 'identity':
    case 'source.identity':
    case 'dest.identity':
    case 'proxy.port': {
      const told = notifiedField(path, sight.packet, sight.cilium)
      return told === undefined ? undefined : number(told)
    }
    default:
      return undefined
  }
}

/** A field of a dissected packet by its path as text. */
export function readPath(path: string, dissection: Dissection): FieldValue | undefined {
  const parsed = parseFieldPath(path)
  return parsed === undefined ? undefined : readField(parsed, dissection)
}

/** A field of a packet where it was seen; undefined when the packet has no such layer. */
export function fieldOf(path: string, sight: Sight): FieldValue | undefined {
  const meta = metaField(path, sight)
  if (meta !== undefined) return meta
  if (isMessageField(path)) return messageFieldsOf(path, sight)[0]
  const dissection = dissect(sight.snapshot.bytes, sight.snapshot.start)
  if (path !== 'payload' && path !== 'packet.payload') return readPath(path, dissection)
  const { start, end } = dissection.payload
  return { kind: 'bytes', value: dissection.bytes.subarray(start, end) }
}

function messageFieldsOf(path: string, { snapshot }: Sight): readonly FieldValue[] {
  const { payload, bytes, layers } = dissect(snapshot.bytes, snapshot.start)
  const inStream = layers.at(-1)?.kind === 'tcp'
  return messageFields(path, bytes.subarray(payload.start, payload.end), inStream)
}

/** A field may stand several times (`http.header`): one of them is as the file says, or with `!=` none is other. */
function holds(test: Extract<FieldTest, { kind: 'compare' }>, sight: Sight, context: ClaimContext): boolean {
  const { field, operator, value } = test
  const all = isMessageField(field) ? messageFieldsOf(field, sight) : [fieldOf(field, sight)]
  const is = (each: FieldValue | undefined): boolean =>
    each !== undefined && compare(operator, each, value.value, sight, context)
  return operator === '!=' ? all.every(is) : all.some(is)
}

/** `identity.client`: the number that the trace binds to the name. */
function isIdentityOf(text: string, actual: FieldValue, context: ClaimContext): boolean {
  const [what, owner] = text.split('.')
  if (what !== 'identity' || owner === undefined) return false
  const remarks = context.trace.bindings.find(({ name }) => name === owner)?.remarks ?? []
  return remarks.includes(`identity ${numberOf(actual) ?? ''}`)
}

function numberOf(value: FieldValue): number | undefined {
  if (value.kind === 'number' || value.kind === 'flags' || value.kind === 'mac') return value.value
  return value.kind === 'boolean' ? Number(value.value) : undefined
}

/** Whether a field's value is what the file says, by equality. */
function equal(actual: FieldValue, wanted: Value, sight: Sight, context: ClaimContext): boolean {
  switch (wanted.kind) {
    case 'number':
      return numberOf(actual) === wanted.number
    case 'flags':
      return actual.kind === 'flags' ? actual.value === wanted.flags : numberOf(actual) === wanted.flags
    case 'mac':
      return actual.kind === 'mac' && actual.value === wanted.mac
    case 'addresses': {
      const address = addressOf(actual)
      return address !== undefined && wanted.addresses.some((each) => sameIp(each, address))
    }
    case 'endpoint': {
      if (actual.kind !== 'endpoint') return false
      const { address, port } = actual.value
      return wanted.port === port && wanted.addresses.some((each) => sameIp(each, address))
    }
    case 'prefix': {
      const address = addressOf(actual)
      return address !== undefined && covers(wanted.prefix, address)
    }
    case 'list':
      return wanted.items.some((item) => equal(actual, item, sight, context))
    case 'field': {
      const other = fieldOf(wanted.field, sight)
      return other !== undefined && sameFieldValue(actual, other)
    }
    case 'variable': {
      const bound = context.captured.get(wanted.name)
      return bound !== undefined && equal(actual, bound, sight, context)
    }
    case 'text':
      return textOf(actual, context) === wanted.text || isIdentityOf(wanted.text, actual, context)
    case 'nothing':
      return false
  }
}

/** Compares numbers; other kinds know equality only. */
function ordered(operator: CompareOperator, actual: FieldValue, wanted: Value): boolean {
  const left = numberOf(actual)
  const right =
    wanted.kind === 'number' || wanted.kind === 'flags'
      ? 'number' in wanted
        ? wanted.number
        : wanted.flags
      : undefined
  return left !== undefined && right !== undefined && compareNumbers(left, operator, right)
}

/** Whether `actual OPERATOR wanted` is true. */
export function compare(
  operator: CompareOperator,
  actual: FieldValue,
  wanted: Value,
  sight: Sight,
  context: ClaimContext,
): boolean {
  switch (operator) {
    case '==':
    case 'in':
      return equal(actual, wanted, sight, context)
    case '!=':
      return !equal(actual, wanted, sight, context)
    case 'matches':
      return wanted.kind === 'text' && patternMatches(wanted.text, textOf(actual, context))
    case '<':
    case '>':
    case '<=':
    case '>=':
      return ordered(operator, actual, wanted)
  }
}

/** `*` stands for any characters; anything else is itself. Linear in the text for each star. */
export function patternMatches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === text
  if (!text.startsWith(first)) return false
  let at = first.length
  const last = rest.pop() ?? ''
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return text.length - at >= last.length && text.endsWith(last)
}

/** The last event up to a sight that gave a field another value. */
function lastChange(field: string, sight: Sight): Evidence['changed'] {
  const valueAt = (snapshot: Snapshot): FieldValue | undefined => fieldOf(field, { ...sight, snapshot })
  const same = (left: FieldValue | undefined, right: FieldValue | undefined): boolean =>
    left === undefined || right === undefined ? left === right : sameFieldValue(left, right)
  let changed: Evidence['changed']
  let now = valueAt(sight.packet.first)
  for (const event of everyEvent(sight.packet.events)) {
    const next = valueAt(event.after)
    if (!same(now, next)) changed = { place: placeText(event), actor: event.actor }
    now = next
    if (event.after === sight.snapshot) break
  }
  return changed
}

/** Whether a test is true of a packet where it was seen; the answer says what is wrong with the innermost part. */
export function fieldTest(test: FieldTest, sight: Sight, context: ClaimContext): Answer {
  const { packet, snapshot: _, time: _time, ...seen } = sight
  const evidence: Evidence = { ...seen, packet: packet.name }
  switch (test.kind) {
    case 'present': {
      const value = fieldOf(test.field, sight)
      const there = value !== undefined && numberOf(value) !== 0
      return there
        ? undefined
        : missHere(test.span, `${test.field} is ${value === undefined ? 'not there' : '0'}`, evidence)
    }
    case 'not':
      return fieldTest(test.test, sight, context) === undefined
        ? missHere(test.span, 'the test under `not` is true', evidence)
        : undefined
    case 'and': {
      for (const part of test.tests) {
        const answer = fieldTest(part, sight, context)
        if (answer !== undefined) return answer
      }
      return undefined
    }
    case 'or': {
      const answers = test.tests.map((part) => fieldTest(part, sight, context))
      return answers.includes(undefined) ? undefined : answers[0]
    }
    case 'compare': {
      const actual = fieldOf(test.field, sight)
      if (test.value.value.kind === 'nothing') {
        const absent = actual === undefined
        if (absent === (test.operator === '==')) return undefined
        return missAt(
          test.value,
          `expected no ${test.field}, actual ${actual === undefined ? 'none' : shownField(actual, context)}`,
          evidence,
        )
      }
      const isTime = test.field === 'time'
      const wanted = isTime ? shownTime(test.value.value, context) : shownValue(test.value.value, context)
      if (actual === undefined)
        return missAt(test.value, `expected ${wanted}, but the packet has no ${test.field} there`, evidence)
      if (holds(test, sight, context)) return undefined
      const sign = test.operator === '==' ? '' : `${test.operator} `
      const changed = lastChange(test.field, sight)
      const shown = isTime ? durationText(numberOf(actual) ?? 0) : shownField(actual, context)
      return missAt(test.value, expectedActual(`${sign}${wanted}`, shown), {
        ...evidence,
        ...(changed === undefined ? {} : { changed }),
      })
    }
  }
}

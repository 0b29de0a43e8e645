// What must be true, resolved: every place exists, every value fits its field, every code and reason is one.
import { didYouMean } from '../../base/closest.ts'
import type { Span } from '../../base/text.ts'
import type { ClaimLine, Claim as ClaimSyntax, Counter, Place, Word } from '../../syntax/ast.ts'
import { kernelDropReasons } from '../../trace/drop-reason.ts'
import type { Claim, ClaimBody, PlaceRef } from '../claim.ts'
import { mistakeIn } from '../diagnose.ts'
import type { Given } from '../model.ts'
import { errnos, outcomes, tracepoints } from '../words/closed.ts'
import { defined } from '../words/defined.ts'
import { fieldInfo } from '../words/fields.ts'
import { given, isNothing, isOpen } from '../words/fill.ts'
import { icmpKindNames } from '../words/icmp-kinds.ts'
import { durationIn } from '../words/numbers.ts'
import { readPlace } from './place.ts'
import type { Scope } from './scope.ts'
import { readTest, readTracedField } from './test.ts'
import { notYet } from './unavailable.ts'
import { readEndpointValue, readValue } from './value.ts'
import { checkVerdict } from './verdict.ts'

/** The claims of one line; all share its place and polarity. What has no engine yet gives no claim. */
export function readLine(line: ClaimLine, scope: Scope): readonly Claim[] {
  const at = line.at === null ? undefined : readPlace(line.at, scope)
  if (line.at !== null && at === undefined) return []
  return line.claims.flatMap((each) => {
    const body = readBody(each, scope)
    const place = at === undefined ? {} : { at }
    return body === undefined ? [] : [{ ...place, never: line.polarity === 'never', body, span: each.span }]
  })
}

/** The body of a claim; undefined after a message, and for claims about engines that are not there. */
export function readBody(claim: ClaimSyntax, scope: Scope): ClaimBody | undefined {
  switch (claim.kind) {
    case 'delivered': {
      const to = readPlace(claim.to, scope)
      return to && { kind: 'delivered', to }
    }
    case 'dropped': {
      const at = readPlace(claim.at, scope)
      const reason = claim.reason === null ? undefined : readReason(claim.reason, scope)
      return at && defined({ kind: 'dropped' as const, at, reason })
    }
    case 'reason':
      return mapped(readReason(claim.reason, scope), (reason) => ({ kind: 'reason', reason }))
    case 'outcome':
      return readOutcome(claim.outcome, claim.place, scope)
    case 'path':
      return readPath(claim.hops, scope)
    case 'unchanged':
      return {
        kind: 'unchanged',
        fields: claim.fields.flatMap((field) => {
          const info = readTracedField(field, scope)
          return info === undefined ? [] : [{ value: info.path, span: field.span }]
        }),
      }
    case 'dnat':
    case 'snat':
      return readTranslated(claim, scope)
    case 'encap':
      return readEncap(claim, scope)
    case 'verdict': {
      const place = readPlace(claim.place, scope)
      if (place === undefined || !checkVerdict(place, claim.code, scope)) return undefined
      return { kind: 'verdict', place, operator: claim.operator, code: given(claim.code, claim.code.text) }
    }
    case 'chain': {
      const place = claim.at === null ? undefined : readPlace(claim.at, scope)
      return defined({
        kind: 'chain' as const,
        chains: claim.chains.map((word) => given(word, word.text)),
        place,
      })
    }
    case 'rule-match': {
      const place = readPlace(claim.place, scope)
      const text = given(claim.text, claim.text.text)
      return place && { kind: 'rule', place, text, matched: claim.result === 'matched' }
    }
    case 'reply':
      return mapped(readBody(claim.claim, scope), (body) => ({ kind: 'reply', claim: body }))
    case 'test':
      return mapped(readTest(claim.test, scope), (test) => ({ kind: 'field', test }))
    default:
      return readOther(claim, scope)
  }
}

type Other = Exclude<
  ClaimSyntax,
  {
    readonly kind:
      | 'delivered'
      | 'dropped'
      | 'reason'
      | 'outcome'
      | 'path'
      | 'unchanged'
      | 'dnat'
      | 'snat'
      | 'encap'
      | 'verdict'
      | 'chain'
      | 'rule-match'
      | 'reply'
      | 'test'
  }
>

function readOther(claim: Other, scope: Scope): ClaimBody | undefined {
  switch (claim.kind) {
    case 'event': {
      const event = known(claim.event, tracepoints, 'tracepoint', scope)
      const on = claim.on === null ? undefined : readPlace(claim.on, scope)
      return event && (claim.on === null || on !== undefined)
        ? defined({ kind: 'event' as const, event, on })
        : undefined
    }
    case 'reaches':
      return mapped(readPlace(claim.target, scope), (target) => ({ kind: 'reaches', target }))
    case 'icmp': {
      const from = claim.from === null ? undefined : readPlace(claim.from, scope)
      const withinNs = claim.within === null ? undefined : durationIn(claim.within, scope.report)
      const type = known(claim.type, icmpKindNames, 'ICMP message', scope)
      return type && defined({ kind: 'icmp' as const, type, from, withinNs })
    }
    case 'flow-state':
      return { kind: 'flow-state', state: claim.state }
    case 'errno': {
      const errno = known(claim.errno, errnos, 'errno', scope)
      return errno && { kind: 'errno', call: claim.call, errno }
    }
    case 'error-queue': {
      const errno = known(claim.errno, errnos, 'errno', scope)
      const from = claim.from === null ? undefined : readPlace(claim.from, scope)
      return errno && defined({ kind: 'error-queue' as const, errno, from })
    }
    case 'socket-name': {
      const value = readEndpointValue(claim.value, scope)
      return value && { kind: 'socket-name', call: claim.call, operator: claim.operator, value }
    }
    case 'counter':
      return readCounter(claim, scope)
    case 'capture':
      return mapped(readTracedField(claim.field, scope), (info) => ({
        kind: 'capture',
        variable: claim.variable.text,
        field: info.path,
      }))
    case 'place-reached':
      return mapped(readPlace(claim.place, scope), (place) => ({ kind: 'place-reached', place }))
    case 'effect':
      return { kind: 'effect', effect: claim.effect }
    case 'to-proxy': {
      const place = optionalPlace(claim.at, scope)
      if (!hasCilium(claim, scope)) return undefined
      return defined({ kind: 'to-proxy' as const, place })
    }
    case 'policy': {
      const { decision } = claim
      const direction = claim.direction ?? undefined
      const place = optionalPlace(claim.at, scope)
      if (!hasCilium(claim, scope)) return undefined
      return defined({ kind: 'policy' as const, decision, direction, place })
    }
    case 'dsr':
      readEndpointValue(claim.address, scope)
      notYet(claim.span, '`dsr`', scope.report)
      return undefined
    case 'monitor':
      if (!hasCilium(claim, scope)) return undefined
      return { kind: 'monitor', points: claim.events.map((word) => given(word, word.text)) }
  }
}

/** Whether there is a Cilium to ask; without one the line says so. */
export function hasCilium(claim: { readonly span: Span; readonly kind: string }, scope: Scope): boolean {
  const found = scope.entities.clusters.some(({ type }) => type === 'cilium')
  if (!found) notYet(claim.span, `\`${claim.kind}\``, scope.report)
  return found
}

function mapped<T, U>(value: T | undefined, make: (value: T) => U): U | undefined {
  return value === undefined ? undefined : make(value)
}

/** A word out of a closed list; a variable of the run and `-` pass. */
export function known(
  word: Word,
  list: readonly string[],
  what: string,
  scope: Scope,
): Given<string> | undefined {
  if (list.includes(word.text) || isOpen(word) || isNothing(word)) return given(word, word.text)
  const hint = didYouMean(word.text, list) ?? `one of ${list.slice(0, 8).join(', ')}`
  scope.report(mistakeIn('S137', word, `there is no ${what} \`${word.text}\``, { hint }))
  return undefined
}

/** A kernel's reason by its name; Cilium's are free text where there is a Cilium. */
function readReason(word: Word, scope: Scope): Given<string> | undefined {
  const { text } = word
  const cilium = scope.entities.clusters.some((cluster) => cluster.type === 'cilium')
  const isKernels = /^(SKB_|XDP_|TC_|IP_)/.test(text)
  const names: readonly string[] = kernelDropReasons
  if (names.includes(text) || isOpen(word) || isNothing(word) || (cilium && !isKernels))
    return given(word, text)
  const hint = didYouMean(text, names) ?? didYouMean(`SKB_DROP_REASON_${text}`, names)
  scope.report(mistakeIn('S123', word, `no drop reason is called \`${text}\``, { hint }))
  return undefined
}

function readOutcome(word: Word, at: Place | null, scope: Scope): ClaimBody | undefined {
  const outcome = known(word, outcomes, 'outcome', scope)
  const place = at === null ? undefined : readPlace(at, scope)
  if (outcome === undefined || (at !== null && place === undefined)) return undefined
  return defined({ kind: 'outcome' as const, outcome, place })
}

function readPath(hops: Extract<ClaimSyntax, { kind: 'path' }>['hops'], scope: Scope): ClaimBody | undefined {
  const read = hops.map((hop) => (hop.kind === 'gap' ? 'gap' : readPlace(hop, scope)))
  const good = read.filter((hop) => hop !== undefined)
  return good.length === read.length ? { kind: 'path', hops: good } : undefined
}

function optionalPlace(place: Place | null, scope: Scope): Given<PlaceRef> | undefined {
  return place === null ? undefined : readPlace(place, scope)
}

function readTranslated(
  claim: Extract<ClaimSyntax, { kind: 'dnat' | 'snat' }>,
  scope: Scope,
): ClaimBody | undefined {
  const from = claim.from === null ? undefined : readEndpointValue(claim.from, scope)
  const to = claim.to === null ? undefined : readEndpointValue(claim.to, scope)
  const place = optionalPlace(claim.at, scope)
  if ((claim.from !== null && from === undefined) || (claim.to !== null && to === undefined)) return undefined
  const by = claim.by === null ? undefined : given(claim.by, claim.by.text)
  return defined({ kind: claim.kind, form: claim.form, from, to, place, by })
}

function readEncap(claim: Extract<ClaimSyntax, { kind: 'encap' }>, scope: Scope): ClaimBody {
  const vniField = fieldInfo('vxlan.vni')
  const from = claim.from === null ? undefined : readEndpointValue(claim.from, scope)
  const to = claim.to === null ? undefined : readEndpointValue(claim.to, scope)
  const isName = claim.vni !== null && scope.entities.hosts.has(claim.vni.text)
  const vni =
    claim.vni === null || isName || vniField === undefined
      ? undefined
      : readValue(claim.vni, vniField, '==', scope)
  const place = optionalPlace(claim.at, scope)
  if (claim.protocol === 'gre') notYet(claim.span, '`encap gre`', scope.report)
  return defined({ kind: 'encap' as const, protocol: claim.protocol ?? undefined, from, to, vni, place })
}

/** `counter n1/eth0 rx_packets == 1`. */
export function readCounter(claim: Counter, scope: Scope): ClaimBody | undefined {
  const place = readPlace(claim.place, scope)
  const value = readValue(claim.value, counterField, claim.operator, scope)
  if (place === undefined || value === undefined) return undefined
  return {
    kind: 'counter',
    place,
    name: given(claim.name, claim.name.text),
    operator: claim.operator,
    value,
  }
}

/** What counters are compared as. */
export const counterField = {
  path: 'a counter',
  kind: 'number',
  max: Number.MAX_SAFE_INTEGER,
  where: 'trace',
  writable: false,
} as const

// Builders of expectations: subjects, lines, claims, state.
import type * as ast from './ast.ts'

export function expect(
  span: ast.Span,
  subject: ast.PacketName,
  all: 'all' | null,
  lines: readonly ast.ClaimLine[],
): ast.Expect {
  return { kind: 'expect', span, subject, quantity: all ?? 'one', lines }
}

/** The body of an `expect` of one line. */
export function singleLine(_span: ast.Span, line: ast.ClaimLine): readonly ast.ClaimLine[] {
  return [line]
}

export function packetName(
  span: ast.Span,
  label: ast.Word,
  index: ast.Word | null,
  rest: readonly ast.Word[],
): ast.PacketName {
  return { kind: 'packet-name', span, label, index, rest }
}

export function claimLine(
  span: ast.Span,
  cases: readonly ast.Word[] | null,
  at: ast.Place | null,
  never: 'never' | null,
  claims: readonly ast.Claim[],
): ast.ClaimLine {
  return { kind: 'claim-line', span, cases: cases ?? [], at, polarity: never ?? 'is', claims }
}

export function invariant(span: ast.Span, claims: readonly ast.Claim[]): ast.Invariant {
  return { kind: 'invariant', span, line: claimLine(span, null, null, 'never', claims) }
}

export function reply(span: ast.Span, claim: ast.Claim): ast.Reply {
  return { kind: 'reply', span, claim }
}

export function delivered(span: ast.Span, to: ast.Place): ast.Delivered {
  return { kind: 'delivered', span, to }
}

export function dropped(span: ast.Span, at: ast.Place, why: ast.Word | null): ast.Dropped {
  return { kind: 'dropped', span, at, reason: why }
}

export function reason(span: ast.Span, word: ast.Word): ast.Reason {
  return { kind: 'reason', span, reason: word }
}

export function outcome(span: ast.Span, kind: ast.Word, place: ast.Place | null): ast.Outcome {
  return { kind: 'outcome', span, outcome: kind, place }
}

export function path(span: ast.Span, hops: ast.Path['hops']): ast.Path {
  return { kind: 'path', span, hops }
}

export function gap(span: ast.Span): ast.Gap {
  return { kind: 'gap', span }
}

export function unchanged(span: ast.Span, fields: readonly ast.Field[]): ast.Unchanged {
  return { kind: 'unchanged', span, fields }
}

export function translated(
  span: ast.Span,
  kind: ast.Translated['kind'],
  from: ast.Endpoint,
  to: ast.Endpoint,
  at: ast.Place | null,
  by: ast.Word | null,
): ast.Translated {
  return { kind, span, form: 'rewrite', from, to, at, by }
}

export function untranslated(
  span: ast.Span,
  kind: ast.Translated['kind'],
  at: ast.Place | null,
): ast.Translated {
  return { kind, span, form: 'none', from: null, to: null, at, by: null }
}

export function anyTranslation(span: ast.Span, kind: ast.Translated['kind']): ast.Translated {
  return { kind, span, form: 'any', from: null, to: null, at: null, by: null }
}

export function dsr(span: ast.Span, address: ast.Endpoint, dispatch: ast.Dsr['dispatch']): ast.Dsr {
  return { kind: 'dsr', span, address, dispatch }
}

/** Both ends of a tunnel, before the claim is made. */
export type Ends = Pick<ast.Encapsulated, 'from' | 'to'>

export function ends(_span: ast.Span, from: ast.Endpoint, to: ast.Endpoint): Ends {
  return { from, to }
}

export function encapsulated(
  span: ast.Span,
  protocol: ast.Encapsulated['protocol'],
  between: Ends | null,
  vni: ast.Word | null,
  at: ast.Place | null,
): ast.Encapsulated {
  return { kind: 'encap', span, protocol, from: between?.from ?? null, to: between?.to ?? null, vni, at }
}

export function verdict(
  span: ast.Span,
  place: ast.Place,
  operator: ast.CompareOperator,
  code: ast.Word,
): ast.Verdict {
  return { kind: 'verdict', span, place, operator, code }
}

export function chain(span: ast.Span, chains: readonly ast.Word[], at: ast.Place | null): ast.Chain {
  return { kind: 'chain', span, chains, at }
}

export function ruleMatch(
  span: ast.Span,
  place: ast.Place,
  text: ast.Word,
  result: ast.RuleMatch['result'],
): ast.RuleMatch {
  return { kind: 'rule-match', span, place, text, result }
}

export function policyClaim(
  span: ast.Span,
  decision: ast.PolicyClaim['decision'],
  direction: ast.PolicyClaim['direction'],
  at: ast.Place | null,
): ast.PolicyClaim {
  return { kind: 'policy', span, decision, direction, at }
}

export function toProxy(span: ast.Span, at: ast.Place | null): ast.ToProxy {
  return { kind: 'to-proxy', span, at }
}

export function fieldClaim(span: ast.Span, test: ast.Test): ast.FieldClaim {
  return { kind: 'test', span, test }
}

export function monitor(span: ast.Span, events: readonly ast.Word[]): ast.Monitor {
  return { kind: 'monitor', span, events }
}

export function eventClaim(span: ast.Span, event: ast.Word, on: ast.Place | null): ast.EventClaim {
  return { kind: 'event', span, event, on }
}

export function reaches(span: ast.Span, target: ast.Place): ast.Reaches {
  return { kind: 'reaches', span, target }
}

export function icmp(
  span: ast.Span,
  type: ast.Word,
  from: ast.Place | null,
  within: ast.Word | null,
): ast.IcmpClaim {
  return { kind: 'icmp', span, type, from, within }
}

export function flowState(span: ast.Span, state: ast.FlowState['state']): ast.FlowState {
  return { kind: 'flow-state', span, state }
}

export function errno(span: ast.Span, call: ast.Errno['call'], name: ast.Word): ast.Errno {
  return { kind: 'errno', span, call, errno: name }
}

export function errorQueue(span: ast.Span, errno: ast.Word, from: ast.Place | null): ast.ErrorQueue {
  return { kind: 'error-queue', span, errno, from }
}

export function socketName(
  span: ast.Span,
  call: ast.SocketName['call'],
  operator: ast.CompareOperator,
  value: ast.Endpoint,
): ast.SocketName {
  return { kind: 'socket-name', span, call, operator, value }
}

export function capture(span: ast.Span, variable: ast.Word, field: ast.Field): ast.Capture {
  return { kind: 'capture', span, variable, field }
}

export function effect(span: ast.Span, name: ast.EffectName): ast.Effect {
  return { kind: 'effect', span, effect: name }
}

export function placeReached(span: ast.Span, place: ast.Place): ast.PlaceReached {
  return { kind: 'place-reached', span, place }
}

// ---- state

export function counter(
  span: ast.Span,
  place: ast.Place,
  name: ast.Word,
  operator: ast.CompareOperator,
  value: ast.Expr,
): ast.Counter {
  return { kind: 'counter', span, place, name, operator, value }
}

export function metric(
  span: ast.Span,
  place: ast.Place,
  name: ast.Word,
  labels: readonly ast.Label[],
  operator: ast.CompareOperator,
  value: ast.Expr,
): ast.Metric {
  return { kind: 'metric', span, place, name, labels, operator, value }
}

/** What is claimed of an entry, before the statement is made. */
export type EntryClaim = Pick<ast.StateClaim, 'claim' | 'value'>

export function stateClaim(
  _span: ast.Span,
  claim: ast.StateClaim['claim'],
  value: ast.Expr | null,
): EntryClaim {
  return { claim, value }
}

export function state(
  span: ast.Span,
  place: ast.Place,
  table: ast.StateClaim['table'],
  entry: readonly ast.Word[],
  { claim, value }: EntryClaim,
): ast.StateClaim {
  return { kind: 'state', span, place, table, entry, claim, value }
}

export function mapClaim(
  span: ast.Span,
  place: ast.Place,
  key: ast.Expr | null,
  { claim, value }: EntryClaim,
): ast.MapClaim {
  return { kind: 'map-claim', span, place, key, claim, value }
}

// Builders of programs: maps, rules, actions.
import type * as ast from './ast.ts'
import { makeOption, type OptionValue } from './build-words.ts'

export function smallProgram(
  span: ast.Span,
  name: ast.Word,
  type: ast.Word,
  items: readonly ast.ProgramItem[],
): ast.Program {
  return {
    kind: 'prog',
    span,
    name,
    type: type.text,
    typeSpan: type.span,
    body: { kind: 'small', span, items },
  }
}

export function objectProgram(
  span: ast.Span,
  name: ast.Word,
  type: ast.Word,
  path: ast.Word,
  section: ast.Word | null,
): ast.Program {
  const body: ast.ObjectProgram = { kind: 'object', span, path, section }
  return { kind: 'prog', span, name, type: type.text, typeSpan: type.span, body }
}

export function programRule(
  span: ast.Span,
  test: ast.Test,
  code: ast.Word,
  actions: readonly ast.Action[] | null,
): ast.ProgramRule {
  return { kind: 'program-rule', span, test, code, actions: actions ?? [] }
}

export function otherwise(
  span: ast.Span,
  code: ast.Word,
  actions: readonly ast.Action[] | null,
): ast.ProgramRule {
  return { kind: 'program-rule', span, test: null, code, actions: actions ?? [] }
}

export function mapDeclaration(
  span: ast.Span,
  name: ast.Word,
  type: ast.MapType,
  options: ast.MapDeclaration['options'],
  entries: readonly ast.InitialEntry[] | null,
): ast.MapDeclaration {
  return { kind: 'map', span, name, type, options, entries: entries ?? [] }
}

export function mapOption(
  span: ast.Span,
  name: ast.MapOptionName,
  value: OptionValue,
): ast.Option<ast.MapOptionName> {
  return makeOption(span, name, value)
}

export function initialEntry(span: ast.Span, key: ast.Expr, value: ast.Expr | null): ast.InitialEntry {
  return { kind: 'initial-entry', span, key, value }
}

export function swap(span: ast.Span, layers: readonly ast.Word[]): ast.Swap {
  return { kind: 'swap', span, layers }
}

export function setField(span: ast.Span, field: ast.Field, value: ast.Expr): ast.SetField {
  return { kind: 'set-field', span, field, value }
}

export function redirect(
  span: ast.Span,
  helper: ast.Redirect['helper'],
  device: ast.Word,
  direction: ast.Redirect['direction'],
  via: ast.Word | null,
): ast.Redirect {
  return { kind: 'redirect', span, helper, device, direction, via }
}

export function redirectMap(
  span: ast.Span,
  entry: ast.MapEntry,
  options: ast.RedirectMap['options'],
): ast.RedirectMap {
  return { kind: 'redirect-map', span, entry, options }
}

export function redirectMapOption(
  span: ast.Span,
  name: 'default' | 'flags',
  value: OptionValue,
): ast.Option<'default' | 'flags'> {
  return makeOption(span, name, value)
}

export function count(span: ast.Span, entry: ast.MapEntry, by: ast.Expr | null): ast.Count {
  return { kind: 'count', span, entry, by }
}

export function updateMap(span: ast.Span, entry: ast.MapEntry, value: ast.Expr): ast.UpdateMap {
  return { kind: 'update', span, entry, value }
}

export function deleteEntry(span: ast.Span, entry: ast.MapEntry): ast.DeleteEntry {
  return { kind: 'delete-entry', span, entry }
}

export function tailCall(span: ast.Span, target: ast.TailCall['target']): ast.TailCall {
  return { kind: 'tail-call', span, target }
}

export function resize(span: ast.Span, part: ast.Resize['part'], bytes: ast.Expr): ast.Resize {
  return { kind: 'resize', span, part, bytes }
}

export function vlan(span: ast.Span, id: ast.Expr | null): ast.Vlan {
  return { kind: 'vlan', span, vlan: id }
}

export function tunnel(span: ast.Span, options: ast.Tunnel['options']): ast.Tunnel {
  return { kind: 'tunnel', span, options }
}

export function tunnelOption(
  span: ast.Span,
  name: ast.Tunnel['options'][number]['name'],
  value: OptionValue,
): ast.Tunnel['options'][number] {
  return makeOption(span, name, value)
}

export function emit(span: ast.Span, map: ast.Word, value: ast.Expr): ast.Emit {
  return { kind: 'emit', span, map, value }
}

// Builders of scenarios: cases, traffic, steps.
import type * as ast from './ast.ts'
import { makeOption, type OptionValue, word } from './build-words.ts'

export function scenario(
  span: ast.Span,
  name: ast.Word,
  title: ast.Word | null,
  items: readonly ast.ScenarioItem[],
): ast.Scenario {
  return { kind: 'scenario', span, name, title, items }
}

export function guarded(span: ast.Span, cases: readonly ast.Word[], item: ast.GuardableItem): ast.Guarded {
  return { kind: 'guarded', span, cases, item }
}

export function tags(span: ast.Span, names: readonly ast.Word[]): ast.Tags {
  return { kind: 'tags', span, tags: names }
}

export function golden(span: ast.Span, level: ast.Golden['level']): ast.Golden {
  return { kind: 'golden', span, level }
}

export function letVariable(span: ast.Span, name: ast.Word, value: ast.Word): ast.Let {
  return { kind: 'let', span, name, value }
}

export function cases(span: ast.Span, header: ast.Row, rows: readonly ast.Row[]): ast.Cases {
  return { kind: 'cases', span, columns: header.cells, rows }
}

export function row(span: ast.Span, cells: readonly ast.Word[]): ast.Row {
  return { kind: 'row', span, cells }
}

// ---- traffic

export function flow(
  span: ast.Span,
  label: ast.Word,
  protocol: ast.Word,
  from: ast.Endpoint,
  to: ast.Endpoint,
  options: ast.Flow['options'],
  operations: readonly ast.Operation[] | null,
): ast.Flow {
  return { kind: 'flow', span, label, protocol, from, to, options, operations: operations ?? [] }
}

export function flowOption(
  span: ast.Span,
  name: ast.FlowOptionName,
  value: OptionValue,
): ast.Option<ast.FlowOptionName> {
  return makeOption(span, name, value)
}

export function operation(span: ast.Span, name: ast.OperationName, value: ast.Word | null): ast.Operation {
  return { kind: 'operation', span, name, values: value === null ? [] : [value] }
}

export function request(
  span: ast.Span,
  name: 'request',
  method: ast.Word,
  url: ast.Word,
  options: readonly ast.Option<ast.RequestOptionName>[],
): ast.Operation {
  return { kind: 'operation', span, name, values: [method, url], options }
}

export function requestOption(
  span: ast.Span,
  name: ast.RequestOptionName,
  value: ast.Word | null,
): ast.Option<ast.RequestOptionName> {
  return makeOption(span, name, value)
}

export function query(span: ast.Span, name: 'query', domain: ast.Word, type: ast.Word | null): ast.Operation {
  return { kind: 'operation', span, name, values: type === null ? [domain] : [domain, type] }
}

export function continueFlow(
  span: ast.Span,
  label: ast.Word,
  operations: readonly ast.Operation[],
): ast.Continue {
  return { kind: 'continue', span, label, operations }
}

export function packet(
  span: ast.Span,
  label: ast.Word,
  content: ast.Packet['content'],
  at: ast.Place,
): ast.Packet {
  return { kind: 'packet', span, label, content, at }
}

export function shortPacket(
  span: ast.Span,
  protocol: ast.Word,
  type: ast.Word | null,
  from: ast.Endpoint,
  to: ast.Endpoint,
  options: ast.ShortPacket['options'],
): ast.ShortPacket {
  return { kind: 'short', span, protocol, type, from, to, options }
}

export function layeredPacket(span: ast.Span, layers: readonly ast.Layer[]): ast.LayeredPacket {
  return { kind: 'layers', span, layers }
}

export function hexPacket(span: ast.Span, data: ast.Word): ast.HexPacket {
  return { kind: 'hex', span, data }
}

export function packetOption(
  span: ast.Span,
  name: ast.PacketOptionName,
  value: OptionValue,
): ast.Option<ast.PacketOptionName> {
  return makeOption(span, name, value)
}

export function layer(
  span: ast.Span,
  name: ast.LayerName,
  fields: readonly ast.Option[] | null,
  data: ast.Word | null,
): ast.Layer {
  return { kind: 'layer', span, name, fields: fields ?? [], data }
}

// ---- steps between packets

export function repeat(
  span: ast.Span,
  variable: ast.Word,
  first: ast.Word,
  last: ast.Word,
  steps: readonly ast.Step[],
): ast.Repeat {
  return { kind: 'repeat', span, variable, first, last, steps }
}

export function choose(span: ast.Span, subject: ast.Place, value: ast.Word): ast.Choose {
  return { kind: 'choose', span, subject, value }
}

export function wait(span: ast.Span, duration: ast.Word): ast.Wait {
  return { kind: 'wait', span, duration }
}

export function link(span: ast.Span, device: ast.Place, state: ast.Link['state']): ast.Link {
  return { kind: 'link', span, device, state }
}

export function deleteStep(span: ast.Span, what: ast.Delete['what'], target: ast.Place): ast.Delete {
  return { kind: 'delete', span, what, target }
}

export function add(span: ast.Span, item: ast.TopologyItem): ast.Add {
  return { kind: 'add', span, item }
}

export function setStep(span: ast.Span, target: ast.Place, option: ast.Option): ast.SetStep {
  return { kind: 'set', span, target, option }
}

/** `sysctl KEY = VALUE` as an option of `set`: its values are key and value. */
export function sysctlOption(span: ast.Span, name: 'sysctl', key: ast.Word, value: ast.Word): ast.Option {
  return makeOption(span, name, [key, value])
}

/** `labels k=v,...` as an option of `set`: its values are key, value, key, value ... */
export function labelsOption(span: ast.Span, name: 'labels', labels: readonly ast.Label[]): ast.Option {
  return makeOption(
    span,
    name,
    labels.flatMap((each) => [each.key, each.value]),
  )
}

export function scale(span: ast.Span, target: ast.Place, replicas: ast.Word): ast.Scale {
  return { kind: 'scale', span, target, replicas }
}

export function restart(span: ast.Span, what: ast.Restart['what'], target: ast.Word): ast.Restart {
  return { kind: 'restart', span, what, target }
}

export function rotateKey(span: ast.Span): ast.RotateKey {
  return { kind: 'rotate-key', span }
}

export function run(span: ast.Span, host: ast.Place, job: ast.Word): ast.RunJob {
  return { kind: 'run', span, host, job }
}

export function show(span: ast.Span, host: ast.Place, command: ast.Word): ast.Show {
  return { kind: 'show', span, host, command }
}

export function reach(
  span: ast.Span,
  probes: readonly ast.Probe[],
  from: readonly ast.Word[] | null,
  to: readonly ast.Word[] | null,
  lines: readonly ast.ReachLine[] | null,
): ast.Reach {
  return { kind: 'reach', span, probes, from: from ?? [], to: to ?? [], lines: lines ?? [] }
}

export function probe(
  span: ast.Span,
  protocol: ast.Probe['protocol'],
  ports: readonly ast.Word[] | null,
): ast.Probe {
  return { kind: 'probe', span, protocol, ports: ports ?? [] }
}

export function reachLine(
  span: ast.Span,
  asked: ast.Probe | null,
  from: readonly ast.Word[],
  to: readonly ast.Word[],
  verdict: ast.Word,
  reason: ast.Word | null,
): ast.ReachLine {
  return { kind: 'reach-line', span, asked, from, to, verdict, reason }
}

/** `denied ingress`, `lost`: one word, whatever blanks are between its parts. */
export function reachVerdict(span: ast.Span, verdict: string, detail: string | null): ast.Word {
  return word(span, detail === null ? verdict : `${verdict} ${detail}`)
}

export function onHost(span: ast.Span, host: ast.Place, changes: readonly ast.Change[]): ast.OnHost {
  return { kind: 'on-host', span, host, changes }
}

export function hostAddress(span: ast.Span, address: ast.Word, device: ast.Word): ast.HostAddress {
  return { kind: 'addr', span, address, device }
}

export function change(
  span: ast.Span,
  verb: ast.Change['verb'] | null,
  item: ast.Change['item'],
): ast.Change {
  return { kind: 'change', span, verb: verb ?? 'add', item }
}

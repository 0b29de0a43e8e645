// Builders of what stands inside one host: devices, attachments, routes, rules, neighbours, sockets.
import type * as ast from './ast.ts'
import { makeOption, type OptionValue } from './build-words.ts'

export function device(
  span: ast.Span,
  name: ast.Word,
  type: ast.DeviceType | null,
  net: ast.Word | null,
  addresses: readonly ast.Word[],
  head: readonly ast.Option<ast.DeviceOptionName>[],
  block: readonly (ast.Attachment | ast.Qdisc | ast.Option<ast.DeviceOptionName> | ast.Sysctl)[] | null,
): ast.Device {
  const items = block ?? []
  const attachments = items.filter((item) => item.kind === 'attachment')
  const options = [...head, ...items.filter((item) => item.kind === 'option')]
  const qdiscs = items.filter((item) => item.kind === 'qdisc')
  const sysctls = items.filter((item) => item.kind === 'sysctl')
  return { kind: 'dev', span, name, type, net, addresses, options, attachments, qdiscs, sysctls }
}

export function deviceOption(
  span: ast.Span,
  name: ast.DeviceOptionName,
  value: OptionValue,
): ast.Option<ast.DeviceOptionName> {
  return makeOption(span, name, value)
}

export function qdisc(span: ast.Span, discipline: ast.Word, options: ast.Qdisc['options']): ast.Qdisc {
  return { kind: 'qdisc', span, discipline, options }
}

export function qdiscOption(
  span: ast.Span,
  name: ast.QdiscOptionName,
  value: OptionValue,
): ast.Option<ast.QdiscOptionName> {
  return makeOption(span, name, value)
}

export function attachment(
  span: ast.Span,
  hook: ast.Attachment['hook'],
  mode: ast.Attachment['mode'] | ast.Word,
  program: ast.Word,
  options: ast.Attachment['options'],
): ast.Attachment {
  const isWord = mode !== null && typeof mode === 'object'
  const known = isWord ? null : mode
  return { kind: 'attachment', span, hook, mode: known, modeVariable: isWord ? mode : null, program, options }
}

export function attachmentOption(
  span: ast.Span,
  name: ast.AttachmentOptionName,
  value: OptionValue,
): ast.Option<ast.AttachmentOptionName> {
  return makeOption(span, name, value)
}

/** `action mirror eth1`: what a matching classic filter does with the packet, and by which device. */
export function forwardingAction(
  span: ast.Span,
  verb: ast.Word,
  device: ast.Word,
): ast.Option<ast.AttachmentOptionName> {
  return makeOption(span, 'action', [verb, device])
}

export function route(
  span: ast.Span,
  type: ast.RouteType | null,
  table: ast.Word | null,
  target: ast.Word,
  rest: ast.Route['options'],
  nexthops: readonly ast.Nexthop[],
): ast.Route {
  const options = table === null ? rest : [routeOption(table.span, 'table', table), ...rest]
  return { kind: 'route', span, type: type ?? 'unicast', target, options, nexthops }
}

export function routeOption(
  span: ast.Span,
  name: ast.RouteOptionName,
  value: OptionValue,
): ast.Option<ast.RouteOptionName> {
  return makeOption(span, name, value)
}

export function nexthop(span: ast.Span, options: ast.Nexthop['options']): ast.Nexthop {
  return { kind: 'nexthop', span, options }
}

export function routingRule(span: ast.Span, options: ast.RoutingRule['options']): ast.RoutingRule {
  return { kind: 'rule', span, options }
}

export function ruleOption(
  span: ast.Span,
  name: ast.RuleOptionName,
  value: OptionValue,
): ast.Option<ast.RuleOptionName> {
  return makeOption(span, name, value)
}

export function neighbour(
  span: ast.Span,
  address: ast.Word,
  mac: ast.Word | null,
  device: ast.Word,
  state: ast.NeighbourState | null,
): ast.Neighbour {
  return { kind: 'neigh', span, form: 'entry', address, mac, device, state }
}

export function proxyNeighbour(span: ast.Span, address: ast.Word, device: ast.Word): ast.Neighbour {
  return { kind: 'neigh', span, form: 'proxy', address, mac: null, device, state: null }
}

export function fdb(span: ast.Span, mac: ast.Word, options: ast.Fdb['options']): ast.Fdb {
  return { kind: 'fdb', span, mac, options }
}

export function fdbOption(
  span: ast.Span,
  name: ast.FdbOptionName,
  value: OptionValue,
): ast.Option<ast.FdbOptionName> {
  return makeOption(span, name, value)
}

export function neighbours(span: ast.Span, state: ast.Neighbours['state']): ast.Neighbours {
  return { kind: 'neighbours', span, state }
}

export function sysctl(span: ast.Span, key: ast.Word, value: ast.Word): ast.Sysctl {
  return { kind: 'sysctl', span, key, value }
}

export function ruleset(span: ast.Span, tool: ast.RulesetTool, text: ast.Word): ast.Ruleset {
  return { kind: 'ruleset', span, tool, text }
}

export function ipvs(span: ast.Span, services: readonly ast.IpvsService[]): ast.Ipvs {
  return { kind: 'ipvs', span, services }
}

export function ipvsService(
  span: ast.Span,
  protocol: ast.IpvsService['protocol'],
  address: ast.Endpoint,
  scheduler: ast.Word | null,
  options: ast.IpvsService['options'],
  servers: readonly ast.IpvsServer[] | null,
): ast.IpvsService {
  return { kind: 'ipvs-service', span, protocol, address, scheduler, options, servers: servers ?? [] }
}

export function ipvsOption(
  span: ast.Span,
  name: ast.IpvsService['options'][number]['name'],
  value: OptionValue,
): ast.IpvsService['options'][number] {
  return makeOption(span, name, value)
}

export function ipvsServer(
  span: ast.Span,
  address: ast.Endpoint,
  options: ast.IpvsServer['options'],
): ast.IpvsServer {
  return { kind: 'ipvs-server', span, address, options }
}

export function ipvsServerOption(
  span: ast.Span,
  name: ast.IpvsServer['options'][number]['name'],
  value: OptionValue,
): ast.IpvsServer['options'][number] {
  return makeOption(span, name, value)
}

export function listen(
  span: ast.Span,
  protocol: ast.Listen['protocol'],
  port: ast.Word,
  app: ast.Listen['app'],
  options: ast.Listen['options'],
): ast.Listen {
  return { kind: 'listen', span, protocol, port, app, options }
}

export function listenOption(
  span: ast.Span,
  name: ast.ListenOptionName,
  value: OptionValue,
): ast.Option<ast.ListenOptionName> {
  return makeOption(span, name, value)
}

/** `answer www.example.com 192.0.2.1`: the name is the first value. */
export function listenAnswer(
  span: ast.Span,
  name: 'answer',
  domain: ast.Word,
  addresses: readonly ast.Word[],
): ast.Option<ast.ListenOptionName> {
  return { kind: 'option', span, name, values: [domain, ...addresses] }
}

export function hostPort(
  span: ast.Span,
  protocol: ast.HostPort['protocol'],
  port: ast.Word,
  target: ast.Word,
  address: ast.Word | null,
): ast.HostPort {
  return { kind: 'hostport', span, protocol, port, target, address }
}

export function kernel(span: ast.Span, version: ast.Word): ast.Kernel {
  return { kind: 'kernel', span, version }
}

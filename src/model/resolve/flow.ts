// Flows: traffic that goes through sockets. Enters: the statement; leaves: who talks to whom, and what they do in order.
import { didYouMean } from '../../base/closest.ts'
import type { Flow, FlowOptionName, Operation, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { FlowOperation, FlowStep } from '../step.ts'
import { domainIn } from '../words/addresses.ts'
import { defined } from '../words/defined.ts'
import { isNothing, isOpen } from '../words/fill.ts'
import { bytesIn, durationIn, numberIn, type Range, ranges, rateIn } from '../words/numbers.ts'
import { isSet, optionValue } from '../words/options.ts'
import { derivePort } from '../world/derive.ts'
import { type End, pairOf, readEnd } from './ends.ts'
import type { Scope } from './scope.ts'
import { notYet, optionsNotYet } from './unavailable.ts'

const protocols: Readonly<Record<string, FlowStep['protocol'] | undefined>> = {
  tcp: 'tcp',
  udp: 'udp',
  icmp: 'icmp',
  icmp6: 'icmp',
  ping: 'icmp',
  http: 'http',
  dns: 'dns',
}

/** Protocols that parse, but have no sockets yet. */
const later: readonly string[] = ['sctp']

/** The step of a flow, or undefined after a message (or where an end has no address yet). */
export function readFlow(flow: Flow, label: string, scope: Scope): FlowStep | undefined {
  const text = flow.protocol.text
  if (later.includes(text)) notYet(flow.protocol.span, `a flow of ${text}`, scope.report)
  const protocol = protocols[text]
  if (protocol === undefined) {
    if (!later.includes(text)) {
      const hint = didYouMean(text, [...Object.keys(protocols), ...later])
      scope.report(mistakeIn('S136', flow.protocol, `no protocol is called \`${text}\``, { hint }))
    }
    return undefined
  }
  const from = readEnd(flow.from, scope)
  const to = readEnd(flow.to, scope)
  const written = readOperations(flow.operations, flow, protocol, scope)
  const operations = protocol === 'http' ? withClose(written, flow) : written
  if (from === undefined || to === undefined || !hasClient(from, scope)) return undefined
  const pair = pairOf(from, to, text === 'icmp6' ? 6 : undefined, scope)
  if (pair === undefined || from.host === undefined || !hasPort(to, protocol, scope)) return undefined
  const isName = scope.entities.hosts.has(from.word.text)
  return defined({
    kind: 'flow' as const,
    label,
    first: true,
    protocol,
    from: defined({
      namespace: from.host.name,
      address: isName ? undefined : pair.source,
      port: protocol === 'icmp' ? undefined : (from.port ?? derivePort(label)),
    }),
    to: defined({ namespace: to.host?.name, address: pair.destination, port: to.port ?? 0 }),
    ...optionsOf(flow, protocol, scope),
    operations,
    span: flow.label.span,
  })
}

/** A web client that does not say when it opens and closes does so around its requests. */
function withClose(operations: readonly FlowOperation[], flow: Flow): readonly FlowOperation[] {
  const saysSo = operations.some(({ kind }) => kind === 'open' || kind === 'close' || kind === 'reset')
  return saysSo || operations.length === 0
    ? operations
    : [...operations, { kind: 'close', span: flow.label.span }]
}

function hasClient(from: End, { report }: Scope): boolean {
  if (from.host !== undefined || isOpen(from.word)) return true
  report(
    mistakeIn('S103', from.word, `nobody has the address \`${from.word.text}\``, {
      hint: 'a flow needs a host that opens its socket; `packet` can come from anywhere',
    }),
  )
  return false
}

function hasPort(to: End, protocol: FlowStep['protocol'], { report }: Scope): boolean {
  if (to.port !== undefined || protocol === 'icmp') return true
  report(
    mistakeIn('S144', to.word, `\`${to.word.text}\` needs a port`, {
      hint: `write \`${to.word.text}:PORT\``,
    }),
  )
  return false
}

type FlowOptions = Pick<
  FlowStep,
  | 'ttl'
  | 'tos'
  | 'mark'
  | 'dontFragment'
  | 'size'
  | 'mss'
  | 'sendBuffer'
  | 'maxPacingRate'
  | 'departAfter'
  | 'connected'
  | 'recvErr'
  | 'stream'
>

/** Options that not every protocol has. */
const owners: Readonly<Partial<Record<FlowOptionName, readonly FlowStep['protocol'][]>>> = {
  mss: ['tcp', 'http'],
  connected: ['udp'],
  recverr: ['udp', 'tcp', 'http', 'dns'],
  sndbuf: ['udp'],
  'max-pacing-rate': ['tcp', 'udp', 'http', 'dns'],
  txtime: ['udp'],
  size: ['udp', 'icmp'],
  count: ['icmp'],
  tcp: ['dns'],
}

function optionsOf(flow: Flow, protocol: FlowStep['protocol'], scope: Scope): FlowOptions {
  const number = (name: FlowOptionName, range: Range): number | undefined => {
    const word = optionValue(flow.options, name)
    return word === undefined ? undefined : numberIn(word, range, scope.report)
  }
  const size = optionValue(flow.options, 'size')
  const rate = optionValue(flow.options, 'max-pacing-rate')
  const departure = optionValue(flow.options, 'txtime')
  optionsNotYet(flow.options, ['from-host', 'uid'], scope.report)
  for (const option of flow.options) {
    const whose = owners[option.name]
    if (whose === undefined || whose.includes(protocol)) continue
    const hint = `it is for flows of ${whose.join(', ')}`
    scope.report(mistake('S136', option.span, `a flow of ${protocol} has no \`${option.name}\``, { hint }))
  }
  return defined({
    ttl: number('ttl', ranges.ttl),
    tos: number('tos', ranges.u8),
    mark: number('mark', ranges.u32),
    mss: number('mss', { what: 'an MSS', min: 88, max: 32_767 }),
    sendBuffer: number('sndbuf', { what: 'a send buffer', min: 1, max: 0x3fff_ffff }),
    maxPacingRate: rate && rateIn(rate, scope.report),
    departAfter: departure && durationIn(departure, scope.report),
    dontFragment: isSet(flow.options, 'df') ? ('do' as const) : undefined,
    connected: isSet(flow.options, 'connected') || undefined,
    recvErr: isSet(flow.options, 'recverr') || undefined,
    stream: isSet(flow.options, 'tcp') || undefined,
    size: size === undefined ? undefined : bytesIn(size, scope.report),
  })
}

/** What a flow does when nothing is said: open a connection, ask for `/`, send one datagram, or ping once. */
function usual(flow: Flow, protocol: FlowStep['protocol'], scope: Scope): readonly FlowOperation[] {
  const { span } = flow.label
  if (protocol === 'tcp') return [{ kind: 'open', span }]
  if (protocol === 'http') return [{ kind: 'request', method: 'GET', url: '/', headers: [], span }]
  if (protocol === 'dns') {
    const hint = 'such as `{ query www.example.com }`'
    scope.report(mistake('S136', flow.protocol.span, 'a flow of dns needs a name to ask for', { hint }))
    return []
  }
  if (protocol === 'icmp') {
    const word = optionValue(flow.options, 'count')
    const count = word === undefined ? undefined : numberIn(word, pings, scope.report)
    return [{ kind: 'ping', count: count ?? 1, span }]
  }
  const size = optionValue(flow.options, 'size')
  return [{ kind: 'send', bytes: (size && bytesIn(size, scope.report)) ?? 16, span }]
}

const pings = { what: 'a number of pings', min: 1, max: 1000 } as const

/** The operations of a flow or of its continuation. */
export function readOperations(
  operations: readonly Operation[],
  flow: Flow | undefined,
  protocol: FlowStep['protocol'],
  scope: Scope,
): readonly FlowOperation[] {
  if (operations.length === 0 && flow !== undefined) return usual(flow, protocol, scope)
  return operations.flatMap((operation) => {
    const known = abilities[protocol]
    if (known !== undefined && !known.includes(operation.name) && !absent.includes(operation.name)) {
      const hint = `it can ${known.join(', ')}`
      scope.report(
        mistake('S136', operation.span, `a flow of ${protocol} cannot ${operation.name}`, { hint }),
      )
      return []
    }
    return readOperation(operation, flow, scope) ?? []
  })
}

/** Operations that no flow has yet: they say so themselves. */
const absent: readonly string[] = ['bind', 'connect']

/** What the sockets of a protocol can be told. */
const abilities: Readonly<Partial<Record<FlowStep['protocol'], readonly string[]>>> = {
  tcp: ['open', 'send', 'recv', 'close', 'reset', 'shutdown', 'getpeername', 'wait'],
  udp: ['open', 'send', 'recv', 'close', 'getpeername', 'wait'],
  icmp: ['open', 'ping', 'send', 'wait'],
  http: ['open', 'request', 'respond', 'close', 'reset', 'getpeername', 'wait'],
  dns: ['query', 'close', 'wait'],
}

function readOperation(
  operation: Operation,
  flow: Flow | undefined,
  scope: Scope,
): FlowOperation | undefined {
  const { name, span, values } = operation
  const first = values[0] === undefined || isNothing(values[0]) ? undefined : values[0]
  switch (name) {
    case 'open':
    case 'close':
    case 'reset':
    case 'shutdown':
    case 'getpeername':
      return { kind: name, span }
    case 'send':
    case 'recv':
      return readTransfer(
        name,
        first ?? (name === 'send' ? flowOption(flow, 'size') : undefined),
        operation,
        scope,
      )
    case 'request':
      return readRequest(operation, scope)
    case 'query': {
      const name = values[0] === undefined ? undefined : domainIn(values[0], scope.report)
      const type = values[1]?.text === 'AAAA' ? 'AAAA' : 'A'
      return name === undefined ? undefined : { kind: 'query', name, type, span }
    }
    case 'respond': {
      const status =
        first === undefined ? 200 : numberIn(first, { what: 'a status', min: 100, max: 599 }, scope.report)
      return status === undefined ? undefined : { kind: 'respond', status, span }
    }
    case 'ping': {
      const word = first ?? flowOption(flow, 'count')
      const count = word === undefined ? 1 : numberIn(word, pings, scope.report)
      return count === undefined ? undefined : { kind: 'ping', count, span }
    }
    case 'wait': {
      const duration = first === undefined ? undefined : durationIn(first, scope.report)
      return duration === undefined ? undefined : { kind: 'wait', duration, span }
    }
    case 'bind':
    case 'connect':
      notYet(span, `\`${name}\` inside a flow`, scope.report)
      return undefined
  }
}

/** `request GET /public host api.example.com header "X-Token: 1"`. */
function readRequest(
  { values: [method, url], options = [], span }: Operation,
  { report }: Scope,
): FlowOperation | undefined {
  const headers = options.flatMap(({ name, values: [word] }) => {
    if (name !== 'header' || word === undefined) return []
    const [, key, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(word.text) ?? []
    if (key !== undefined && value !== undefined) return [{ name: key, value }]
    const hint = 'write `header "Name: value"`'
    report(mistakeIn('S136', word, `\`${word.text}\` is no header`, { hint }))
    return []
  })
  const host = optionValue(options, 'host')?.text
  const bodyWord = optionValue(options, 'body')
  const body = bodyWord && bytesIn(bodyWord, report)
  return defined({
    kind: 'request' as const,
    method: method?.text ?? 'GET',
    url: url?.text ?? '/',
    headers,
    host,
    body,
    chunked: isSet(options, 'chunked') || undefined,
    pipelined: isSet(options, 'pipelined') || undefined,
    span,
  })
}

function flowOption(flow: Flow | undefined, name: FlowOptionName): Word | undefined {
  return flow === undefined ? undefined : optionValue(flow.options, name)
}

function readTransfer(
  kind: 'send' | 'recv',
  word: Word | undefined,
  { span }: Operation,
  { report }: Scope,
): FlowOperation | undefined {
  if (word === undefined) return { kind, bytes: 1, span }
  if (word.form !== 'bare')
    return { kind, bytes: new TextEncoder().encode(word.text).length, text: word.text, span }
  const bytes = bytesIn(word, report)
  return bytes === undefined ? undefined : { kind, bytes, span }
}

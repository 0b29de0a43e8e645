// Which flows `hubble observe` shows: the flags of its command line, as the CLI makes filters of them and the server reads these
// (hubble/cmd/observe/flows_filter.go, pkg/hubble/filters). Flags of one name are alternatives, those of several names hold
// together; `--not` puts the next one into what is left out.
import { parseIp } from '../../net/address.ts'
import { covers, parsePrefix } from '../../net/prefix.ts'
import { notifyType } from '../datapath/notify.ts'
import { hubbleDropNames } from './hubble-drop-names.ts'
import type { HubbleFlow, HubbleLine } from './hubble-flow.ts'
import { reservedNames } from './identity-name.ts'
import { pointNames } from './notification.ts'

type Side = 'source' | 'destination'
type Test = (flow: HubbleFlow) => boolean
/** Makes the test of a value; undefined where the value is none. */
type Make = (value: string) => Test | undefined
type MakeSide = (value: string) => ((flow: HubbleFlow, side: Side) => boolean) | undefined

/** `web`, `kube-system/`, `default/web-`: names begin so; without a namespace it is `default`. */
const podFilter: MakeSide = (value) => {
  const [first = '', second] = value.split('/')
  if (value === '') return undefined
  const [namespace, prefix] = second === undefined ? ['default', first] : [first, second]
  return (flow, side) => {
    const { namespace: own = '', pod_name: name = '' } = flow[side] ?? {}
    if (own === '' && name === '') return false
    return name.startsWith(prefix) && (namespace === '' || namespace === own)
  }
}

const ipFilter: MakeSide = (value) => {
  const prefix = value.includes('/') ? parsePrefix(value) : undefined
  if (prefix === undefined && parseIp(value) === undefined) return undefined
  return ({ IP }, side) => {
    const address = IP?.[side]
    if (address === undefined) return false
    const parsed = prefix === undefined ? undefined : parseIp(address)
    return prefix === undefined ? address === value : parsed !== undefined && covers(prefix, parsed)
  }
}

const portFilter: MakeSide = (value) => {
  if (!/^[0-9]{1,5}$/.test(value) || Number(value) > 0xffff) return undefined
  return ({ l4 = {} }, side) => {
    const ports = l4['TCP'] ?? l4['UDP'] ?? l4['SCTP']
    return ports !== undefined && (ports[`${side}_port`] ?? 0) === Number(value)
  }
}

const identityFilter: MakeSide = (value) => {
  const reserved = Object.keys(reservedNames).find((id) => id !== '0' && reservedNames[Number(id)] === value)
  const identity = reserved ?? (/^[0-9]{1,10}$/.test(value) ? value : undefined)
  if (identity === undefined) return undefined
  return (flow, side) => flow[side] !== undefined && (flow[side]?.identity ?? 0) === Number(identity)
}

const sided: Readonly<Record<string, MakeSide>> = {
  pod: podFilter,
  ip: ipFilter,
  port: portFilter,
  identity: identityFilter,
}

const verdicts = [
  'VERDICT_UNKNOWN',
  'FORWARDED',
  'DROPPED',
  'ERROR',
  'AUDIT',
  'REDIRECTED',
  'TRACED',
  'TRANSLATED',
]

const eventTypes: Readonly<Record<string, number>> = {
  drop: notifyType.DROP,
  debug: 2,
  capture: 3,
  trace: notifyType.TRACE,
  'policy-verdict': notifyType.POLICY_VERDICT,
  'trace-sock': 7,
  l7: 129,
  agent: 130,
}

function numberIn(text: string): number | undefined {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined
}

/** `trace`, `trace:to-endpoint`, `drop:133`, `4`. */
const typeFilter: Make = (value) => {
  const [name = '', ...rest] = value.split(':')
  const type = eventTypes[name] ?? numberIn(name)
  if (type === undefined) return undefined
  const is: Test = ({ event_type: event }) => event !== undefined && (type === 0 || event.type === type)
  if (rest.length === 0) return is
  const point = type === notifyType.TRACE ? pointNames.indexOf(rest.join(':')) : -1
  const sub = point >= 0 ? point : numberIn(rest.join(':'))
  return sub === undefined ? undefined : (flow) => is(flow) && (flow.event_type?.sub_type ?? 0) === sub
}

const l4Names: Readonly<Record<string, readonly string[]>> = {
  icmp: ['ICMPv4', 'ICMPv6'],
  icmpv4: ['ICMPv4'],
  icmpv6: ['ICMPv6'],
  tcp: ['TCP'],
  udp: ['UDP'],
  sctp: ['SCTP'],
  vrrp: ['VRRP'],
  igmp: ['IGMP'],
}

const protocolFilter: Make = (value) => {
  const name = value.toLowerCase()
  const names = l4Names[name]
  if (names !== undefined) return ({ l4 = {} }) => names.some((each) => each in l4)
  if (name === 'dns' || name === 'http') return ({ l7 }) => l7?.[name] !== undefined
  return name === 'kafka' ? () => false : undefined
}

const ofVersion =
  (version: string): Test =>
  ({ IP }) =>
    IP?.ipVersion === version

const plain: Readonly<Record<string, Make>> = {
  verdict: (value) => (verdicts.includes(value) ? ({ verdict }) => verdict === value : undefined),
  type: typeFilter,
  protocol: protocolFilter,
  'drop-reason-desc': (value) =>
    Object.values(hubbleDropNames).includes(value)
      ? ({ drop_reason_desc: reason }) => reason === value
      : undefined,
  'traffic-direction': (value) => {
    const direction = value.toUpperCase()
    if (direction !== 'INGRESS' && direction !== 'EGRESS') return undefined
    return ({ traffic_direction: own }) => own === direction
  },
}

/** Flags without a value. */
const bare: Readonly<Record<string, Test>> = { ipv4: ofVersion('IPv4'), ipv6: ofVersion('IPv6') }

const short: Readonly<Record<string, string>> = { t: 'type', '4': 'ipv4', '6': 'ipv6' }

/** Flags that stand for the same thing (checkConflict()). */
const conflicts: readonly (readonly string[])[] = [
  ['from-ip', 'ip', 'from-pod', 'pod'],
  ['to-ip', 'ip', 'to-pod', 'pod'],
  ['port', 'to-port'],
  ['port', 'from-port'],
  ['identity', 'to-identity'],
  ['identity', 'from-identity'],
]

/** A whitelist or a blacklist: `--pod` asks for a source or a destination, so that there are two filters of which one has to hold. */
class Tracker {
  readonly names = new Set<string>()
  readonly #left = new Map<string, Test[]>()
  readonly #right = new Map<string, Test[]>()

  get isEmpty(): boolean {
    return this.names.size === 0
  }

  add(flag: string, field: string, left: Test, rightField = field, right = left): void {
    this.names.add(flag)
    push(this.#left, field, left)
    push(this.#right, rightField, right)
  }

  holds(flow: HubbleFlow): boolean {
    return [this.#left, this.#right].some((filter) =>
      [...filter.values()].every((tests) => tests.some((test) => test(flow))),
    )
  }

  conflict(): string | undefined {
    for (const group of conflicts) {
      const [one, other] = group.filter((name) => this.names.has(name))
      if (one !== undefined && other !== undefined)
        return `filters --${one} and --${other} cannot be combined`
    }
    return undefined
  }
}

function push(filter: Map<string, Test[]>, field: string, test: Test): void {
  filter.set(field, [...(filter.get(field) ?? []), test])
}

/** Puts a flag into a list; false where the value is none. */
function take(tracker: Tracker, flag: string, value: string): boolean {
  const [, way, base = ''] = /^(from-|to-)?(.*)$/.exec(flag) ?? []
  const makeSide = sided[base]
  if (makeSide === undefined) {
    const test = bare[flag] ?? plain[flag]?.(value)
    if (test !== undefined) tracker.add(flag, bare[flag] === undefined ? flag : 'ip-version', test)
    return test !== undefined
  }
  const test = makeSide(value)
  if (test === undefined) return false
  const of =
    (side: Side): Test =>
    (flow) =>
      test(flow, side)
  if (way === undefined)
    tracker.add(flag, `source-${base}`, of('source'), `destination-${base}`, of('destination'))
  else tracker.add(flag, flag, of(way === 'from-' ? 'source' : 'destination'))
  return true
}

function isFlag(name: string): boolean {
  return name in plain || name in bare || name.replace(/^(from|to)-/, '') in sided
}

/** `wrong`: a word that is none of its flags, or no value of them. */
export type FlowFilter =
  | { readonly kind: 'filter'; readonly holds: (line: HubbleLine) => boolean }
  | { readonly kind: 'wrong'; readonly word: string }
  | { readonly kind: 'conflict'; readonly message: string }

/** Reads the flags of `hubble observe` that choose flows. */
export function readFlowFilter(words: readonly string[]): FlowFilter {
  const [white, black] = [new Tracker(), new Tracker()]
  let into = white
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    const [, dashes, written = '', , joined] = /^(--?)([^=]*)(=(.*))?$/.exec(word) ?? []
    const flag = dashes === '-' ? (short[written] ?? '') : written
    if (flag === 'not' && into === white) {
      into = black
      continue
    }
    if (dashes === undefined || !isFlag(flag)) return { kind: 'wrong', word }
    if (joined === undefined && !(flag in bare)) at += 1
    const value = joined ?? words[at] ?? ''
    if (!take(into, flag, value)) return { kind: 'wrong', word: value === '' ? word : value }
    into = white
  }
  if (into === black) return { kind: 'wrong', word: '--not' }
  const message = white.conflict() ?? black.conflict()
  if (message !== undefined) return { kind: 'conflict', message }
  const holds = (line: HubbleLine): boolean => {
    const { flow } = line as { readonly flow: HubbleFlow }
    return (white.isEmpty || white.holds(flow)) && (black.isEmpty || !black.holds(flow))
  }
  return { kind: 'filter', holds }
}

// What else stands inside a host: neighbours, forwarding entries, sockets.
import type { Fdb, FdbOptionName, Listen, ListenOptionName, Neighbour, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { FdbModel, ListenModel, NeighbourModel } from '../model.ts'
import { addressIn, domainIn, macIn } from '../words/addresses.ts'
import { defined } from '../words/defined.ts'
import { durationIn, numberIn, type Range, ranges } from '../words/numbers.ts'
import { isSet, optionOf, optionValue } from '../words/options.ts'
import type { HostDraft } from '../world/entities.ts'
import { deviceNamed, type Scope } from './scope.ts'
import { addressOrHost } from './tunnel.ts'
import { optionsNotYet } from './unavailable.ts'

/** One neighbour entry; permanent unless a state is given, as `ip neigh add` makes it. */
export function readNeighbour(
  item: Neighbour,
  host: HostDraft,
  scope: Scope,
  purpose: 'add' | 'del' = 'add',
): NeighbourModel | undefined {
  const address = addressIn(item.address, scope.report)
  const device = deviceNamed(item.device, host, scope)
  const mac = item.mac === null ? undefined : macIn(item.mac, scope.report)
  if (address === undefined || device === undefined || (item.mac !== null && mac === undefined))
    return undefined
  const state = item.form === 'proxy' ? 'proxy' : (item.state ?? 'permanent')
  if (
    purpose === 'add' &&
    mac === undefined &&
    state !== 'proxy' &&
    state !== 'failed' &&
    state !== 'incomplete'
  ) {
    scope.report(
      mistake('S125', item.span, 'a neighbour needs a MAC address', {
        hint: `only \`failed\` and \`incomplete\` entries are without one`,
      }),
    )
    return undefined
  }
  const base = { address, device: item.device.text, state, span: item.span } as const
  return mac === undefined ? base : { ...base, mac }
}

/** One entry of the forwarding table of a bridge or vxlan device; static and local ones never age. */
export function readFdb(item: Fdb, host: HostDraft, scope: Scope): FdbModel | undefined {
  const mac = macIn(item.mac, scope.report)
  optionsNotYet(
    item.options,
    host.devices.get(optionValue(item.options, 'dev')?.text ?? '')?.kind === 'vxlan'
      ? ['vlan']
      : ['vlan', 'self'],
    scope.report,
  )
  const word = optionValue(item.options, 'dev')
  if (word === undefined) {
    scope.report(
      mistake('S125', item.span, 'a forwarding entry needs a device', { hint: 'add `dev DEVICE`' }),
    )
    return undefined
  }
  if (mac === undefined || deviceNamed(word, host, scope) === undefined) return undefined
  fdbWordsFit(item, host, scope)
  const permanent = (['static', 'permanent', 'local'] as const).some((name) => isSet(item.options, name))
  const dynamic = optionOf(item.options, 'dynamic') !== undefined
  const remote = remoteOf(item, host, scope)
  return {
    mac,
    device: word.text,
    permanent: permanent || !dynamic,
    span: item.span,
    ...(isOwn(item) && remote === undefined ? { own: true } : {}),
    ...(remote === undefined ? {} : { remote }),
  }
}

function isOwn({ options }: Fdb): boolean {
  return isSet(options, 'permanent') || isSet(options, 'local')
}

/** Words of one kind of table in the other one, and states that contradict each other. */
function fdbWordsFit({ options }: Fdb, host: HostDraft, { report }: Scope): void {
  const device = host.devices.get(optionValue(options, 'dev')?.text ?? '')
  const isRemote = optionOf(options, 'dst') !== undefined
  const wrong: readonly FdbOptionName[] = isRemote ? ['master'] : ['via', 'vni', 'port']
  for (const option of options) {
    if (!wrong.includes(option.name) || device === undefined) continue
    const hint = isRemote
      ? "an entry with `dst` stands in the device's own table"
      : 'it goes with `dst ADDRESS`'
    report(mistake('S125', option.span, `this entry has no \`${option.name}\``, { hint }))
  }
  const [, second] = options.filter(({ name }) => states.includes(name))
  if (second !== undefined)
    report(
      mistake('S125', second.span, `\`${second.name}\` is a second state`, {
        hint: `one of ${states.join(', ')}`,
      }),
    )
}

const states: readonly FdbOptionName[] = ['static', 'dynamic', 'local', 'permanent']

/** `dst ADDRESS` of a vxlan device's entry, with `port`, `vni` and `via`. */
function remoteOf(item: Fdb, host: HostDraft, scope: Scope): FdbModel['remote'] {
  const { options } = item
  const device = host.devices.get(optionValue(options, 'dev')?.text ?? '')
  const word = optionValue(options, 'dst')
  if (word === undefined) {
    if (device?.kind === 'vxlan' && optionOf(options, 'master') === undefined) {
      const hint = 'add `dst ADDRESS`'
      scope.report(mistake('S125', item.span, 'an entry of a vxlan device needs a remote host', { hint }))
    }
    return undefined
  }
  if (device !== undefined && device.kind !== 'vxlan' && device.kind !== 'unavailable') {
    const hint = '`dst` is for vxlan devices'
    scope.report(mistake('S125', word.span, `\`${device.name}\` is a ${device.kind}`, { hint }))
    return undefined
  }
  const address = addressOrHost(word, scope)
  if (address === undefined) return undefined
  const [portWord, vniWord, via] = [
    optionValue(options, 'port'),
    optionValue(options, 'vni'),
    optionValue(options, 'via'),
  ]
  const port = portWord === undefined ? undefined : numberIn(portWord, ranges.port, scope.report)
  const vni = vniWord === undefined ? undefined : numberIn(vniWord, ranges.vni, scope.report)
  const known = via === undefined || deviceNamed(via, host, scope) === undefined ? undefined : via.text
  return {
    address,
    ...(port === undefined ? {} : { port }),
    ...(vni === undefined ? {} : { vni }),
    ...(known === undefined ? {} : { via: known }),
  }
}

/** Apps that speak over one transport only. */
const transportOf: Readonly<Record<string, string | undefined>> = { http: 'tcp' }
/** Options of one app. */
const appOf = { status: 'http', reply: 'http', chunked: 'http', answer: 'dns', for: 'dns' } as const

/** The app has this transport, and these options. */
function appFits({ app, options, protocol, span }: Listen, { report }: Scope): void {
  const transport = app === null ? undefined : transportOf[app]
  if (transport !== undefined && transport !== protocol)
    report(
      mistake('S125', span, `a ${protocol} socket has no \`${app}\``, {
        hint: `\`${app}\` is for ${transport}`,
      }),
    )
  for (const name of ['status', 'reply', 'chunked', 'answer', 'for'] as const) {
    const option = optionOf(options, name)
    if (option === undefined || app === appOf[name]) continue
    const hint = `it is for \`${appOf[name]}\``
    report(mistake('S125', option.span, `this socket has no \`${name}\``, { hint }))
  }
}

const second = 1_000_000_000

/** A TTL, which is whole seconds. */
function secondsIn(word: Word, report: Scope['report']): number | undefined {
  const duration = durationIn(word, report)
  if (duration === undefined) return undefined
  if (duration % second === 0 && duration <= 0x7fff_ffff * second) return duration / second
  report(
    mistakeIn('S136', word, `an answer cannot be kept for ${word.text}`, { hint: 'whole seconds: `30s`' }),
  )
  return undefined
}

/** `answer www.example.com 192.0.2.1 192.0.2.2 for 30s`: `answer` as often as there are names. */
function zoneOf({ options }: Listen, { report }: Scope): NonNullable<ListenModel['answers']> {
  const life = optionValue(options, 'for')
  const ttl = life === undefined ? undefined : secondsIn(life, report)
  return options.flatMap(({ name, values: [domain, ...addresses] }) => {
    if (name !== 'answer' || domain === undefined) return []
    const known = addresses.map((word) => addressIn(word, report)).filter((each) => each !== undefined)
    const asked = domainIn(domain, report)
    if (asked === undefined) return []
    return [{ name: asked, addresses: known, ...(ttl === undefined ? {} : { ttl }) }]
  })
}

/** One socket that waits for traffic. */
export function readListen(item: Listen, scope: Scope): ListenModel | undefined {
  const { protocol, options } = item
  const number = (name: ListenOptionName, range: Range): number | undefined => {
    const word = optionValue(options, name)
    return word === undefined ? undefined : numberIn(word, range, scope.report)
  }
  appFits(item, scope)
  const port = numberIn(item.port, ranges.port, scope.report)
  const on = optionValue(options, 'on')
  const address = on === undefined ? undefined : addressIn(on, scope.report)
  if (port === undefined || protocol === 'sctp') return undefined
  return defined({
    protocol,
    port,
    app: item.app ?? ('accept' as const),
    status: number('status', { what: 'a status', min: 200, max: 599 }),
    bodyBytes: number('reply', { what: 'a length', min: 0, max: 1_000_000 }),
    chunked: isSet(options, 'chunked') || undefined,
    answers: item.app === 'dns' ? zoneOf(item, scope) : undefined,
    span: item.span,
    address,
    ttl: number('ttl', { what: 'a TTL', min: 1, max: 255 }),
    mark: number('mark', ranges.u32),
    backlog: number('backlog', { what: 'a backlog', min: 0, max: 65_535 }),
    v6only: isSet(options, 'v6only') || undefined,
    reuseport: isSet(options, 'reuseport') || undefined,
    transparent: isSet(options, 'transparent') || undefined,
  })
}

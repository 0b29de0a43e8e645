// `reach tcp 80 from pods to all { client > web: connected }`: every ordered pair of hosts, written out with its addresses.
import { type IpAddress, isIpv4, isLinkLocal } from '../../net/address.ts'
import type { Probe, Reach, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { ReachProbe, WantedPair } from '../step.ts'
import { cellOf } from '../words/fill.ts'
import { numberIn, ranges } from '../words/numbers.ts'
import { podConnection } from '../world/cluster-devices.ts'
import { addressesOf, type HostDraft } from '../world/entities.ts'
import { uniqueTitle } from './cluster-step.ts'
import { readHostWord } from './ends.ts'
import type { Scope } from './scope.ts'
import type { StepsDraft } from './step.ts'

/** Words for several hosts; a host of that name goes before them. */
const groups: Readonly<Record<string, (host: HostDraft) => boolean>> = {
  all: () => true,
  pods: ({ kind }) => kind === 'pod',
  nodes: ({ kind }) => kind === 'node',
  externals: ({ kind }) => kind === 'external',
}

/** One end of pairs: a host, or an address that may be nobody's. */
interface Place {
  readonly name: string
  readonly host: HostDraft | undefined
  readonly addresses: readonly IpAddress[]
}

const isGlobal = (address: IpAddress): boolean => !isLinkLocal(address)

/** Where pods are that no engine connects yet, they have no addresses that anybody could send to. */
function isThere(host: HostDraft, { entities }: Scope): boolean {
  return host.kind !== 'pod' || podConnection(entities.clusters) !== undefined
}

function groupNamed(word: Word, { entities }: Scope): ((host: HostDraft) => boolean) | undefined {
  return entities.hosts.has(word.text) ? undefined : groups[word.text]
}

/** What a list of words names, each place once and in the order of the file where a word means several. */
function readPlaces(words: readonly Word[], scope: Scope): readonly Place[] | undefined {
  const places = new Map<string, Place>()
  let wrong = false
  for (const word of words) {
    const found = placesOf(word, scope)
    wrong ||= found === undefined
    for (const place of found ?? []) if (!places.has(place.name)) places.set(place.name, place)
  }
  return wrong ? undefined : [...places.values()]
}

function placesOf(word: Word, scope: Scope): readonly Place[] | undefined {
  const group = groupNamed(word, scope)
  if (group === undefined) {
    const end = readHostWord(word, undefined, scope)
    if (end === undefined) return undefined
    const { host } = end
    if (host === undefined || isThere(host, scope))
      return [{ name: word.text, host, addresses: end.addresses.filter(isGlobal) }]
    return []
  }
  const all = everybody(scope)
  const hosts = all.filter(({ host }) => host !== undefined && group(host))
  if (hosts.length === 0 && all.length > 0)
    scope.report(
      mistakeIn('S103', word, `there are no ${word.text}`, { hint: 'name the hosts, or write `all`' }),
    )
  return hosts
}

/** All hosts that have an address. */
function everybody(scope: Scope): readonly Place[] {
  return [...scope.entities.hosts.values()]
    .filter((host) => isThere(host, scope))
    .map((host) => ({ name: host.name, host, addresses: addressesOf(host).filter(isGlobal) }))
    .filter(({ addresses }) => addresses.length > 0)
}

type Asked = Pick<ReachProbe, 'protocol' | 'port'>

function askedOf({ protocol, ports }: Probe, scope: Scope): readonly Asked[] {
  if (protocol === 'icmp') return [{ protocol, port: 0 }]
  return ports.flatMap((word) => {
    const port = numberIn(word, { ...ranges.port, min: 1 }, scope.report)
    return port === undefined ? [] : [{ protocol, port }]
  })
}

/** The probes of one source: what is asked for, in both families where both ends have them. */
function probesFrom(from: Place, to: readonly Place[], asked: readonly Asked[]): readonly ReachProbe[] {
  const { host } = from
  if (host === undefined) return []
  const others = to.filter((each) => each.host !== host)
  return asked.flatMap((one) =>
    [true, false].flatMap((four) => {
      if (!from.addresses.some((address) => isIpv4(address) === four)) return []
      return others.flatMap((each) => {
        const address = each.addresses.find((some) => isIpv4(some) === four)
        if (address === undefined) return []
        const owner = each.host === undefined ? {} : { host: each.host.name }
        return [{ from: host.name, to: each.name, ...owner, address, ...one }]
      })
    }),
  )
}

/** How many attempts one step may make: each has a world of its own. */
const probesMax = 10_000

/** Reads the step; nothing is tried where something is wrong. */
export function readReach(step: Reach, draft: StepsDraft, scope: Scope): void {
  const asked = step.probes.flatMap((probe) => askedOf(probe, scope))
  const from = step.from.length === 0 ? everybody(scope) : readPlaces(step.from, scope)
  const to = step.to.length === 0 ? everybody(scope) : readPlaces(step.to, scope)
  if (from === undefined || to === undefined) return
  const alien = from.findIndex(({ host }) => host === undefined)
  const alienWord = step.from.find(({ text }) => text === from[alien]?.name)
  if (alienWord !== undefined) {
    scope.report(mistakeIn('S103', alienWord, `\`${alienWord.text}\` is no host that could send`))
    return
  }
  const probes = from.flatMap((place) => probesFrom(place, to, asked))
  const wanted = step.lines.flatMap((line) => {
    const [left, right] = [readPlaces(line.from, scope), readPlaces(line.to, scope)]
    return left === undefined || right === undefined ? [] : wantedOf(line, left, right, probes, scope)
  })
  if (probes.length === 0 && asked.length > 0) {
    if (from.every(({ host }) => host !== undefined) && from.length > 0 && to.length > 0)
      scope.report(mistake('S152', step.span, 'no host asks another one here', { hint: emptyHint(from, to) }))
    return
  }
  if (probes.length > probesMax) {
    const hint = `at most ${probesMax}: name the hosts that matter, or ask for fewer ports`
    scope.report(mistake('S108', step.span, `these are ${probes.length} attempts`, { hint }))
    return
  }
  const title = uniqueTitle(draft, titleOf(step))
  draft.steps.push({ kind: 'reach', title, probes, wanted, span: step.span })
}

function emptyHint(from: readonly Place[], to: readonly Place[]): string {
  const same = from.every(({ host }) => to.every((each) => each.host === host))
  return same ? 'what a host sends to itself never leaves it' : 'they have no addresses of one family'
}

/** `reach tcp 80 443, icmp from pods to world`, as it is written. */
function titleOf({ probes, from, to }: Reach): string {
  const words = (list: readonly Word[]): string => list.map(({ text }) => text).join(' ')
  const asked = probes.map(({ protocol, ports }) => [protocol, ...ports.map(({ text }) => text)].join(' '))
  const ends = [
    ...(from.length === 0 ? [] : ['from', words(from)]),
    ...(to.length === 0 ? [] : ['to', words(to)]),
  ]
  return ['reach', asked.join(', '), ...ends].join(' ')
}

/** Whether a line about some questions speaks of a probe. */
export function isAbout(asked: readonly Asked[] | undefined, { protocol, port }: Asked): boolean {
  return asked === undefined || asked.some((one) => one.protocol === protocol && one.port === port)
}

/** What a line says of each of its pairs. The caret stands under the destination where a line has several. */
function wantedOf(
  line: Reach['lines'][number],
  from: readonly Place[],
  to: readonly Place[],
  probes: readonly ReachProbe[],
  scope: Scope,
): readonly WantedPair[] {
  const { verdict, reason } = line
  const asked = line.asked === null ? undefined : askedOf(line.asked, scope)
  const tried = new Set(
    probes.filter((probe) => isAbout(asked, probe)).map((probe) => `${probe.from} ${probe.to}`),
  )
  const cell = cellOf(verdict)
  const wanted = from.flatMap((source) =>
    to.flatMap(({ name }): WantedPair[] => {
      const own = source.host?.name ?? source.name
      if (!tried.has(`${own} ${name}`)) return []
      const word = line.to.length > 1 ? line.to.find(({ text }) => text === name) : undefined
      const span = word?.span ?? verdict.span
      return [
        {
          ...(asked === undefined ? {} : { asked }),
          from: own,
          to: name,
          verdict: verdict.text,
          ...(reason === null ? {} : { reason: reason.text }),
          ...(cell === undefined ? { span } : { span: cell, usedAt: verdict.span }),
          line: line.span,
        },
      ]
    }),
  )
  if (wanted.length === 0) {
    const hint = 'both stand behind `from` and `to` of this step, with what it asks for; no host asks itself'
    scope.report(mistake('S152', line.span, 'no pair of these is tried', { hint }))
  }
  return wanted
}

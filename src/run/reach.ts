// Who reaches whom: each pair is tried on a world of its own, which stands where the step stands, so that no attempt sees what
// another one left behind. What becomes of the attempt is told by its socket, and by the packets where the socket cannot know.
import { tracePoint } from '../cilium/datapath/trace-point.ts'
import { isEmptied } from '../kernel/device/remove.ts'
import { isAbout } from '../model/resolve/reach.ts'
import type { FlowOperation, FlowStep, ReachProbe, ReachStep, WantedPair } from '../model/step.ts'
import { isIpv4 } from '../net/address.ts'
import type { PacketTrace, ReachedPair } from '../trace/event.ts'
import { askedText, verdictText } from '../trace/reach-table.ts'
import { expectedActual } from './expect/answer.ts'
import type { FlowResult } from './expect/context.ts'
import { failureCode } from './expect/evaluate.ts'
import { notificationsOf } from './expect/notified.ts'
import type { Run } from './run-state.ts'
import { packetsOf } from './trace-end.ts'
import type { Failure } from './verdict.ts'

/** What ended, and why where a packet was lost. */
type Verdict = Pick<ReachedPair, 'verdict' | 'reason'>

/** No flow of a file has such a name. */
const word = 'reach probe'

/** What a client of nc(1) or agnhost(1) is given: a SYN, and two that are sent again. */
const patience = 5_000_000_000

function operationsOf({ protocol, span }: { protocol: ReachProbe['protocol']; span: ReachStep['span'] }) {
  const operations: Record<ReachProbe['protocol'], readonly FlowOperation[]> = {
    tcp: [{ kind: 'open', span }],
    udp: [
      { kind: 'send', bytes: 16, span },
      { kind: 'recv', bytes: 16, span },
    ],
    icmp: [{ kind: 'ping', count: 1, span }],
  }
  return operations[protocol]
}

/** A probe as a flow of its own. */
export function flowOf(
  { from, host, address, protocol, port }: ReachProbe,
  { span }: Pick<ReachStep, 'span'>,
  options: { readonly label: string; readonly patience: number },
): FlowStep {
  return {
    kind: 'flow',
    protocol,
    ...options,
    first: true,
    from: { namespace: from },
    to: { ...(host === undefined ? {} : { namespace: host }), address, port },
    ...(protocol === 'udp' ? { connected: true } : {}),
    operations: operationsOf({ protocol, span }),
    span,
  }
}

/** What a step needs of its runner. */
export interface Laboratory {
  /** The world as it is at this step, once more. */
  readonly copy: () => Run
  readonly take: (run: Run, flow: FlowStep) => FlowResult
}

/** Carries out a step. */
export function takeReach(run: Run, step: ReachStep, laboratory: Laboratory): void {
  const { machine, steps } = run
  const isThere = (host: string): boolean => {
    const ns = machine.namespaces.get(host)
    return ns !== undefined && !isEmptied(ns)
  }
  // an address may be asked whoever had it
  const probes = step.probes.filter(({ from, to, host }) => isThere(from) && (to !== host || isThere(host)))
  const trials = new Trials(step, laboratory, staysApart(run))
  const reached = probes.map((probe): ReachedPair => {
    const { from, to, protocol, port, address } = probe
    return {
      ...{ from, to, protocol },
      ...(protocol === 'icmp' ? {} : { port }),
      family: isIpv4(address) ? 4 : 6,
      ...trials.verdictOf(probe),
    }
  })
  steps.push({ title: step.title, packets: machine.trace?.packets.length ?? 0, nodes: [], reached })
  run.failures.push(...failuresOf(step.wanted, reached))
}

/**
 * Whether attempts of one host at different others cannot meet: all that a datapath of Cilium keeps of a flow is found by its
 * addresses and ports. Rules that count, programs of a file and buckets of bandwidth know no flows.
 */
export function staysApart({ booted, model }: Run): boolean {
  const { world, steps } = model
  const { cilium, programs, namespaces } = world
  return (
    cilium !== undefined &&
    programs.length === 0 &&
    cilium.nodes.every(({ rulesets }) => rulesets.length === 0) &&
    namespaces.every(({ kind, rulesets }) => kind === 'node' || rulesets === undefined) &&
    !steps.some((step) => step.kind === 'change' && step.change.item.kind === 'ruleset') &&
    (booted.agents?.state.agents ?? []).every(({ throttles }) => throttles.length === 0)
  )
}

/** Verdicts that nothing that an attempt leaves behind could have brought about, once they come at the same moment. */
const certain: ReadonlySet<string> = new Set(['connected', 'answered', 'proxied', 'refused'])

function isCertain({ verdict }: Verdict): boolean {
  return certain.has(verdict) || verdict.startsWith('denied')
}

/**
 * Worlds for attempts. Each has one of its own; where attempts stay apart those of one source share theirs as long as no time
 * passes: the first that has to wait begins anew.
 */
class Trials {
  private readonly step: ReachStep
  private readonly laboratory: Laboratory
  private readonly shares: boolean
  private shared: { readonly from: string; readonly run: Run } | undefined
  private count = 0

  constructor(step: ReachStep, laboratory: Laboratory, shares: boolean) {
    this.step = step
    this.laboratory = laboratory
    this.shares = shares
  }

  verdictOf(probe: ReachProbe): Verdict {
    const { copy } = this.laboratory
    this.count += 1
    if (this.shares) {
      const { from } = probe
      if (this.shared?.from !== from) this.shared = { from, run: copy() }
      const { clock } = this.shared.run.machine
      const began = clock.now
      const verdict = this.attempt(this.shared.run, probe, 0)
      if (isCertain(verdict) && clock.now === began) return verdict
      this.shared = undefined
    }
    return this.attempt(copy(), probe, patience)
  }

  private attempt(run: Run, probe: ReachProbe, longest: number): Verdict {
    const label = `${word} ${this.count}`
    const first = run.machine.trace?.packets.length ?? 0
    const flow = flowOf(probe, this.step, { label, patience: longest })
    const result = this.laboratory.take(run, flow)
    const packets = packetsOf(run, first).filter(({ name }) => name.startsWith(`${label}.`))
    return verdictOf(run, packets, probe.protocol, result)
  }
}

function verdictOf(
  run: Run,
  packets: readonly PacketTrace[],
  protocol: ReachProbe['protocol'],
  { established, bytesReceived, errnos }: FlowResult,
): Verdict {
  const proxied = packets.some((packet) => wentToProxy(packet, run))
  if (protocol === 'udp' ? bytesReceived > 0 : established) {
    if (proxied) return { verdict: 'proxied' }
    return { verdict: protocol === 'tcp' ? 'connected' : 'answered' }
  }
  for (const packet of packets.filter(isQuestion)) {
    const denied = denialOf(packet, run)
    if (denied !== undefined) return denied
  }
  const errno = [...errnos.values()].find((each) => each !== 'ETIMEDOUT' && each !== 'EAGAIN')
  if (errno === 'ECONNREFUSED') return { verdict: 'refused' }
  if (errno !== undefined) return { verdict: `error ${errno}` }
  return lossOf(packets) ?? { verdict: proxied ? 'proxied' : 'unanswered' }
}

const question = /^[^.]*\.(?:syn|data1|request)(?:\.retry\d+)?$/
const neighbourTalk = /\.(?:arp|garp|nd)\d*(?:\.|$)/

/** What the source sent to ask; all others are answers, or are sent because of it. */
function isQuestion({ name }: PacketTrace): boolean {
  return question.test(name)
}

function wentToProxy(packet: PacketTrace, { booted }: Run): boolean {
  return notificationsOf(packet, booted.cilium).some(
    ({ told }) => told.kind === 'trace' && told.point === tracePoint.TO_PROXY,
  )
}

/** What policy says no with; authentication that is missing is asked for by policy. */
const denials: ReadonlySet<string | undefined> = new Set([
  'Policy denied',
  'Policy denied by denylist',
  'Authentication required',
])

/** Whether policy dropped the packet, and in which direction: as the verdict says that was notified, else by the place. */
function denialOf(packet: PacketTrace, { booted }: Run): Verdict | undefined {
  const end = packet.outcomes.find(({ reason }) => denials.has(reason))
  if (end?.reason === undefined) return undefined
  const told = notificationsOf(packet, booted.cilium).findLast(
    ({ told: each }) => each.kind === 'verdict' && each.verdict < 0,
  )?.told
  const leaves = end.stage === 'tc-in' || end.stage === 'netkit-peer'
  const direction = told?.kind === 'verdict' ? told.direction : leaves ? 'egress' : 'ingress'
  return { verdict: `denied ${direction}`, reason: end.reason }
}

/** A frame that a switch sent to everybody, at those it was not for. */
const notMine = 'SKB_DROP_REASON_OTHERHOST'

/** The first packet that reached nobody: what was asked, or what was answered. */
function lossOf(packets: readonly PacketTrace[]): Verdict | undefined {
  for (const packet of packets) {
    const { outcomes, name } = packet
    if (neighbourTalk.test(name) || outcomes.some(({ kind }) => kind === 'delivered')) continue
    const end = outcomes.find(({ reason }) => reason !== notMine) ?? outcomes[0]
    const reason = end?.reason ?? end?.kind ?? 'unfinished'
    return { verdict: isQuestion(packet) ? 'lost' : 'lost reply', reason }
  }
  return undefined
}

/** One failure for each word of a line that is wrong: its first pair, and how many others. */
function failuresOf(wanted: readonly WantedPair[], reached: readonly ReachedPair[]): readonly Failure[] {
  const wrong = new Map<string, { readonly want: WantedPair; readonly pair: ReachedPair; count: number }>()
  for (const want of wanted) {
    for (const pair of reached) {
      if (!isMeant(want, pair) || holds(want, pair)) continue
      const key = `${want.line.start} ${want.span.start}`
      const known = wrong.get(key)
      if (known === undefined) wrong.set(key, { want, pair, count: 1 })
      else known.count += 1
    }
  }
  return [
    ...[...wrong.values()].map(({ want, pair, count }) => failureOf(want, pair, count - 1)),
    ...idleLines(wanted, reached),
  ]
}

/** Lines none of whose hosts is there at this step: what they say would never be asked. */
function idleLines(wanted: readonly WantedPair[], reached: readonly ReachedPair[]): readonly Failure[] {
  const idle = new Map(wanted.map((want) => [want.line.start, want]))
  for (const want of wanted) if (reached.some((pair) => isMeant(want, pair))) idle.delete(want.line.start)
  return [...idle.values()].map(({ line }) => ({
    code: failureCode.claim,
    span: line,
    claim: line,
    message: 'no host of these is there at this step',
    evidence: undefined,
  }))
}

function isMeant({ asked, from, to }: WantedPair, pair: ReachedPair): boolean {
  const { protocol, port = 0 } = pair
  return pair.from === from && pair.to === to && isAbout(asked, { protocol, port })
}

function holds({ verdict, reason }: WantedPair, pair: ReachedPair): boolean {
  const same = pair.verdict === verdict || pair.verdict.startsWith(`${verdict} `)
  return same && (reason === undefined || pair.reason === reason)
}

function failureOf(want: WantedPair, pair: ReachedPair, more: number): Failure {
  const asked = want.reason === undefined ? want.verdict : `${want.verdict} reason "${want.reason}"`
  const others = more === 0 ? '' : `; ${more} more ${more === 1 ? 'pair is' : 'pairs are'} not as expected`
  return {
    code: failureCode.claim,
    span: want.span,
    claim: want.line,
    ...(want.usedAt === undefined ? {} : { usedAt: want.usedAt }),
    message: `${askedText(pair)} ${pair.from} > ${pair.to}: ${expectedActual(asked, verdictText(pair))}${others}`,
    evidence: undefined,
  }
}

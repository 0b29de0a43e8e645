// What a run did, as the lines of one section. Enters: a Trace; leaves: a Section. Which events are shown at a level is
// decided here; how lines stand on the page is decided in format.ts.
import { readU16 } from '../net/bytes.ts'
import { type Decoders, mapText, noDecoders } from './effects/decoders.ts'
import { newNatMemory } from './effects/describe.ts'
import { hasPorts, layersOf } from './effects/layers.ts'
import { dropReasonOf, type EffectContext, effectsOf } from './effects.ts'
import type {
  AgentAct,
  Decision,
  HookEvent,
  Level,
  Outcome,
  PacketTrace,
  Stage,
  StepTrace,
  Trace,
} from './event.ts'
import { type Names, namesOf } from './names.ts'
import { reachRows } from './reach-table.ts'
import { type Hook, hookLine, type PacketSection, type PlainLine, type Section } from './section.ts'
import { summaryOf } from './summary.ts'

/** How a trace is written. */
export interface FormatOptions {
  readonly level: Level
  readonly decoders?: Decoders
}

/** Stages that a person asks for only at `full`, unless something happened to the packet there. */
const bookkeeping: ReadonlySet<Stage> = new Set<Stage>([
  'nic',
  'irq',
  'napi',
  'alloc',
  'gro',
  'tap-in',
  'tap-out',
  'bridge',
  'nf',
  'neigh',
  'qdisc',
])

/** The lines of one case. */
export function sectionOf(trace: Trace, options: FormatOptions): Section {
  const names = namesOf(trace)
  const { level, decoders = trace.decoders ?? noDecoders } = options
  const context: EffectContext = { level, names, memory: newNatMemory(), decoders }
  const packets = packetSections(trace, context)
  const outcomes = trace.packets.flatMap((packet) => outcomeTexts(packet)).map(plain)
  const state = trace.state
    .filter(({ lines }) => lines.length > 0)
    .map(({ node, lines }) => ({
      node,
      lines: lines.map(({ word, text }) => plain(`${word} ${names.rename(text)}`.trimEnd())),
    }))
  return {
    scenario: trace.scenario,
    ...(trace.case === undefined ? {} : { case: trace.case }),
    level,
    where: level === 'minimal' ? [] : whereTexts(names).map(plain),
    outcomes,
    packets,
    state,
  }
}

/** Packets in the order of their birth, with the steps between them. */
function packetSections(trace: Trace, context: EffectContext): readonly PacketSection[] {
  const steps = [...(trace.steps ?? [])]
  const sections: PacketSection[] = []
  const takeSteps = (born: number): void => {
    while ((steps[0]?.packets ?? Number.POSITIVE_INFINITY) <= born) {
      const step = steps.shift()
      if (step !== undefined) sections.push(stepSection(step, context))
    }
  }
  for (const [index, packet] of trace.packets.entries()) {
    takeSteps(index)
    sections.push(packetSection(packet, context))
  }
  takeSteps(Number.MAX_SAFE_INTEGER)
  return sections
}

function stepSection({ title, nodes, shown, reached }: StepTrace, context: EffectContext): PacketSection {
  if (reached !== undefined) return { name: title, step: true, summary: '', hooks: reachRows(reached) }
  if (shown !== undefined) return { name: title, step: true, summary: '', hooks: printedLines(shown) }
  const hooks = nodes
    .filter(({ acts }) => acts.length > 0)
    .map(({ node, acts }): Hook => ({ node, line: 'agent', effects: actTexts(acts, context) }))
  return { name: title, step: true, summary: '', hooks }
}

/** So many entries that go from one map are listed one by one, more only where everything is asked for. */
const listedMax = 16

/** The lines of what an agent did; many entries that go from one map are counted, where the first of them would stand. */
function actTexts(acts: readonly AgentAct[], context: EffectContext): string[] {
  const gone = new Map<string, number>()
  for (const act of acts) if (isGone(act)) gone.set(act.map, (gone.get(act.map) ?? 0) + 1)
  const counted = new Set<string>()
  return acts.flatMap((act) => {
    const count = isGone(act) ? (gone.get(act.map) ?? 0) : 0
    if (!isGone(act) || count <= listedMax || context.level === 'full') return [actText(act, context)]
    if (counted.has(act.map)) return []
    counted.add(act.map)
    return [`map ${act.map} delete ${count} entries`]
  })
}

function isGone(act: AgentAct): act is Extract<AgentAct, { kind: 'map' }> {
  return act.kind === 'map' && act.after === undefined
}

/** What a tool printed: each line behind a bar, for blanks count there. Nothing is renamed. */
function printedLines({ node, text }: NonNullable<StepTrace['shown']>): readonly Hook[] {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  return lines.map((line) => ({ node, line: `| ${line}`.trimEnd(), effects: [] }))
}

/** What an agent did, as a line: `map cilium_lxc[web] add ...`, `replace lxc-web tc-in cil_from_container`. */
export function actText(
  act: AgentAct,
  { names, decoders }: Pick<EffectContext, 'names' | 'decoders'>,
): string {
  switch (act.kind) {
    case 'map':
      return decoders.written?.(act, names) ?? mapText(act, names) ?? `map ${act.map}`
    case 'program':
      return `${act.what} ${act.device} ${act.stage} ${act.program}`
    case 'xfrm':
      return `xfrm ${names.rename(act.text)}`
    case 'route':
      return `route ${act.what} ${names.rename(act.text)}`
  }
}

function plain(text: string): PlainLine {
  return { text, row: 0 }
}

function whereTexts(names: Names): string[] {
  return names.used().map(({ name, addresses, remarks }) => [name, ...addresses, ...remarks].join(' '))
}

/** One line for each way in which copies of the packet ended, with their number where there are several. */
function outcomeTexts(packet: PacketTrace): string[] {
  if (packet.outcomes.length === 0) return [`${packet.name} unfinished`]
  const counts = new Map<string, number>()
  for (const outcome of packet.outcomes) {
    const text = outcomeText(outcome)
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return [...counts].map(([text, count]) => `${packet.name} ${text}${count === 1 ? '' : ` x${count}`}`)
}

/** `delivered app`, `dropped app/eth0/rx SKB_DROP_REASON_OTHERHOST`. */
export function outcomeText(outcome: Outcome): string {
  const { kind, node, device, stage, reason } = outcome
  if (kind === 'delivered') return `delivered ${node}`
  const place = device === '' ? `${node}/${stage}` : `${node}/${device}/${stage}`
  return reason === undefined ? `${kind} ${place}` : `${kind} ${place} ${reason}`
}

function packetSection(packet: PacketTrace, context: EffectContext): PacketSection {
  const summary = summaryOf(packet.first, context.names)
  const hooks = shownHooks(packet, context).map(({ hook }) => hook)
  return { name: packet.name, summary, hooks }
}

/** An event that is shown, and its lines. */
export interface ShownHook {
  readonly event: HookEvent
  readonly hook: Hook
}

/** One packet's way for renderings other than text. */
export interface ShownPacket {
  readonly packet: PacketTrace
  readonly summary: string
  readonly hooks: readonly ShownHook[]
}

/** All packets with the events that a level shows, names and lines as in the text. */
export function shownPackets(trace: Trace, options: FormatOptions): readonly ShownPacket[] {
  const { level, decoders = trace.decoders ?? noDecoders } = options
  const context: EffectContext = { level, names: namesOf(trace), memory: newNatMemory(), decoders }
  return trace.packets.map((packet) => ({
    packet,
    summary: summaryOf(packet.first, context.names),
    hooks: shownHooks(packet, context),
  }))
}

function shownHooks(packet: PacketTrace, context: EffectContext): readonly ShownHook[] {
  const ends = endsOf(packet)
  const shown: { readonly event: HookEvent; readonly effects: readonly string[] }[] = []
  for (const event of packet.events) {
    const effects = effectsOf(event, context)
    if (isShown(event, effects, ends, context.level)) shown.push({ event, effects })
  }
  const hooks: ShownHook[] = []
  const next = nextOnNode(shown.map(({ event }) => event))
  shown.forEach(({ event, effects }, index) => {
    const follower = next[index]
    const bare = effects.length === 0 && isBareArrival(event)
    if (bare && follower !== undefined && arrivesIn(event, follower)) return
    hooks.push({ event, hook: { node: event.node, line: lineOf(event, context.names), effects } })
  })
  return hooks
}

/** The events at which a copy of the packet ended without reaching its receiver. */
function endsOf(packet: PacketTrace): ReadonlySet<HookEvent> {
  const ends = new Set<HookEvent>()
  const lost = packet.outcomes.filter(({ kind }) => kind !== 'delivered')
  if (lost.length > 0) {
    const last = new Map<string, HookEvent>()
    for (const event of packet.events) last.set(siteKey(event), event)
    for (const outcome of lost) {
      const event = last.get(siteKey(outcome))
      if (event !== undefined) ends.add(event)
    }
  }
  for (const event of packet.events) if (dropReasonOf(event) !== undefined) ends.add(event)
  return ends
}

function siteKey({ node, device, stage }: HookEvent | Outcome): string {
  return `${node}/${device}/${stage}`
}

function isShown(
  event: HookEvent,
  effects: readonly string[],
  ends: ReadonlySet<HookEvent>,
  level: Level,
): boolean {
  if (level === 'full' || effects.length > 0 || ends.has(event)) return true
  return level === 'hops' && (!bookkeeping.has(event.stage) || isHeld(event))
}

/** A queueing discipline that kept the packet, or let it go: unlike a queue that it only passes, this takes time. */
function isHeld({ stage, actor }: HookEvent): boolean {
  return stage === 'qdisc' && actor !== 'kernel'
}

/** For each event the next one at the same node: copies of a packet may be on several nodes at once. */
function nextOnNode(events: readonly HookEvent[]): readonly (HookEvent | undefined)[] {
  const next: (HookEvent | undefined)[] = new Array(events.length)
  const latest = new Map<string, HookEvent>()
  for (let index = events.length - 1; index >= 0; index -= 1) {
    const event = events[index]
    if (event === undefined) continue
    next[index] = latest.get(event.node)
    latest.set(event.node, event)
  }
  return next
}

function isBareArrival(event: HookEvent): boolean {
  return event.stage === 'rx' && event.actor === '' && event.decision === undefined
}

/** Whether the second event says what became of the arrival that the first one notes: one line is enough. */
function arrivesIn(arrival: HookEvent, next: HookEvent): boolean {
  return next.stage === 'rx' && next.device === arrival.device && next.actor !== ''
}

/** The hook line of an event, without indent. */
function lineOf(event: HookEvent, names: Names): string {
  return hookLine(placeText(event), event.actor, decisionText(event, names))
}

function placeText(event: HookEvent): string {
  const { device, stage, chain } = event
  if (stage === 'decap') {
    const layers = layersOf(event.before)
    if (hasPorts(layers)) return `udp ${readU16(layers.bytes, layers.l4 + 2)}`
  }
  const place = device === '' ? stage : `${device} ${stage}`
  return chain === undefined ? place : `${place} ${chain}`
}

const reasonPrefix = 'SKB_DROP_REASON_'

function decisionText(event: HookEvent, names: Names): string {
  const decision: Decision | undefined = event.decision
  if (decision === undefined) return ''
  if (decision.target !== undefined) return `${decision.code} ${names.rename(decision.target)}`
  const reason = decision.code === 'DROP' && event.stage !== 'xdp' ? dropReasonOf(event) : undefined
  if (reason === undefined) return decision.code
  return `DROP ${reason.startsWith(reasonPrefix) ? reason.slice(reasonPrefix.length) : reason}`
}

// All effects of one event, in canonical order. Enters: an event; leaves: lines of text and the level of each.
// An effect is computed from snapshots, bytes and kernel decisions, never taken from a program's word.
import type { Change } from './effects/change.ts'
import { changesBetween, destinationOf } from './effects/compare.ts'
import {
  type Decoders,
  type EffectLine,
  type EffectOrder,
  effectOrder,
  unknownMap,
  unknownRecord,
} from './effects/decoders.ts'
import { describeChange, levelOf, type NatMemory, orderOf } from './effects/describe.ts'
import { layersOf } from './effects/layers.ts'
import type { Fact, HookEvent, Level } from './event.ts'
import type { Names } from './names.ts'

/** What turns events into lines: one per case. */
export interface EffectContext {
  readonly level: Level
  readonly names: Names
  readonly memory: NatMemory
  readonly decoders: Decoders
}

const rankOfLevel = { minimal: 0, hops: 1, full: 2 } as const satisfies Record<Level, number>
const rankOfOrder: ReadonlyMap<EffectOrder, number> = new Map(effectOrder.map((order, rank) => [order, rank]))
const nothing: readonly string[] = []

/** Whether something that is shown from `least` on is shown at `level`. */
function shows(level: Level, least: Level): boolean {
  return rankOfLevel[least] <= rankOfLevel[level]
}

const changesKnown = new WeakMap<HookEvent, readonly Change[]>()

/** What an event did to the packet, as values; computed once per event. */
export function changesOf(event: HookEvent): readonly Change[] {
  if (event.before === event.after) return []
  const known = changesKnown.get(event)
  if (known !== undefined) return known
  // a run that went on in another device's program did itself only what was done before
  const inner = event.nested.find(({ stage }) => stage === 'policy')
  const changes = changesBetween(event.before, inner?.before ?? event.after)
  changesKnown.set(event, changes)
  return changes
}

/** Drop reasons that the program's own return code says already. */
const impliedReasons = new Set([
  'XDP_DROP',
  'XDP_ABORTED',
  'SKB_DROP_REASON_XDP',
  'SKB_DROP_REASON_TC_INGRESS',
  'SKB_DROP_REASON_TC_EGRESS',
])

/** The reason in the decision of a hook that drops: `DROP OTHERHOST` needs no effect line. */
export function dropReasonOf(event: HookEvent): string | undefined {
  for (const fact of event.facts) if (fact.kind === 'drop') return fact.reason
  return undefined
}

/** The effects of an event that its level shows, one text each, without indent. */
export function effectsOf(event: HookEvent, context: EffectContext): readonly string[] {
  const { level } = context
  if (event.before === event.after && event.facts.length === 0 && event.nested.length === 0) return nothing
  const lines: EffectLine[] = []
  for (const change of changesOf(event)) {
    if (!shows(level, levelOf(change))) continue
    lines.push({ order: orderOf(change), text: describeChange(change, context.names, context.memory) })
  }
  if (level !== 'minimal') for (const fact of event.facts) addFact(fact, event, context, lines)
  const texts = inOrder(lines)
  for (const inner of event.nested) addNested(inner, context, texts)
  return texts
}

function addNested(event: HookEvent, context: EffectContext, texts: string[]): void {
  const effects = effectsOf(event, context)
  if (context.level === 'minimal' && effects.length === 0) return
  // A stage that nobody ran names itself: what bpf_clone_redirect sends leaves by `tail tx eth0`.
  const who = event.actor === '' ? event.stage : event.actor
  texts.push(event.device === '' ? `tail ${who}` : `tail ${who} ${event.device}`)
  texts.push(...effects)
}

/** Sorts by canonical order, keeps the order of equals, and joins lines that want to be one. */
function inOrder(lines: readonly EffectLine[]): string[] {
  const sorted = lines.length < 2 ? lines : lines.toSorted((left, right) => rank(left) - rank(right))
  const texts: string[] = []
  for (const { text, joins } of sorted) {
    const blank = text.indexOf(' ')
    const last = texts.at(-1)
    if (joins === true && blank > 0 && last?.startsWith(text.slice(0, blank + 1)) === true) {
      texts[texts.length - 1] = last + text.slice(blank)
    } else {
      texts.push(text)
    }
  }
  return texts
}

function rank(line: EffectLine): number {
  return rankOfOrder.get(line.order) ?? 0
}

function addFact(fact: Fact, event: HookEvent, context: EffectContext, lines: EffectLine[]): void {
  const { names, decoders } = context
  switch (fact.kind) {
    case 'drop':
      if (event.decision?.code !== 'DROP' && !impliedReasons.has(fact.reason)) {
        lines.push({ order: 'monitor', text: `drop ${fact.reason}` })
      }
      return
    case 'fib':
      lines.push({ order: 'route', text: fibText(fact, event, names) })
      return
    case 'tracepoint':
      lines.push({ order: 'monitor', text: `event ${fact.name}` })
      return
    case 'map': {
      const written = event.stage === 'proxy' ? decoders.written?.(fact, names) : undefined
      if (written !== undefined) {
        lines.push({ order: 'route', text: written })
        return
      }
      lines.push(...(decoders.maps.get(fact.map) ?? unknownMap)(fact, { names, event }))
      return
    }
    case 'record':
      lines.push(...(decoders.records.get(fact.map) ?? unknownRecord)(fact, { names, event }))
      return
    default:
      if (context.level === 'full') lines.push({ order: 'lookup', text: fullText(fact, names) })
  }
}

/** `fib NEXT-HOP DEVICE`; an on-link destination is its own next hop. Other tables than main and local are named. */
function fibText(fact: Extract<Fact, { kind: 'fib' }>, event: HookEvent, names: Names): string {
  const plainTable = fact.table === undefined || fact.table === 254 || fact.table === 255
  const table = plainTable ? '' : ` table ${fact.table}`
  return `fib ${nextHop(fact.via, event, names)} ${fact.device}${table}`
}

function nextHop(via: string | undefined, event: HookEvent, names: Names): string {
  if (via !== undefined) return names.rename(via)
  const layers = layersOf(event.after)
  return layers.family === 0 ? 'on-link' : names.ip(destinationOf(layers))
}

type FullFact = Extract<Fact, { kind: 'lookup' | 'helper' | 'tail-call' | 'kernel' }>

function fullText(fact: FullFact, names: Names): string {
  switch (fact.kind) {
    case 'lookup': {
      const value = fact.valueText === undefined ? 'miss' : `= ${names.rename(fact.valueText)}`
      return `lookup ${fact.map}[${names.rename(fact.keyText)}] ${value}`
    }
    case 'helper':
      return `helper ${fact.name}(${names.rename(fact.args)}) = ${fact.result}`
    case 'tail-call':
      return `tail-call ${fact.map}[${fact.index}] ${fact.program ?? 'miss'}`
    case 'kernel':
      return names.rename(`${fact.word} ${fact.text}`.trimEnd())
  }
}

// A trace as JSON, for other programs. Enters: a Trace; leaves: plain data that trace-schema.ts describes, and back.
// Bytes are lower-case hexadecimal digits. Each packet has a table of its snapshots, and events name them by index, for
// most hooks leave a packet as it was. `line` and `effects` repeat what the text says at `full`; reading ignores them.
import { bytesToHex, hexToBytes } from '../net/hex.ts'
import { isMalformed } from '../net/malformed.ts'
import { type Decoders, noDecoders } from './effects/decoders.ts'
import type {
  AgentAct,
  Binding,
  Decision,
  Fact,
  HookEvent,
  Outcome,
  PacketTrace,
  ReachedPair,
  Snapshot,
  Stage,
  StateLine,
  StepTrace,
  Trace,
  Unstable,
} from './event.ts'
import { namesOf } from './names.ts'
import { actText, shownPackets } from './section-of.ts'

interface SnapshotJson extends Omit<Snapshot, 'bytes'> {
  readonly bytes: string
}

type MapJson = Omit<Extract<Fact, { kind: 'map' }>, 'key' | 'before' | 'after'> & {
  readonly key: string
  readonly before?: string
  readonly after?: string
}
type RecordJson = Omit<Extract<Fact, { kind: 'record' }>, 'bytes'> & { readonly bytes: string }
type FactJson = Exclude<Fact, { kind: 'map' | 'record' }> | MapJson | RecordJson

interface EventJson {
  readonly node: string
  readonly device: string
  readonly stage: Stage
  readonly chain?: string
  readonly actor: string
  readonly decision?: Decision
  /** Indexes into the packet's snapshots. */
  readonly before: number
  readonly after: number
  readonly facts: readonly FactJson[]
  readonly nested: readonly EventJson[]
  /** Nanoseconds of virtual time. */
  readonly time: number
  /** The hook line and the effect lines of the text. */
  readonly line?: string
  readonly effects?: readonly string[]
}

interface PacketJson {
  readonly name: string
  readonly cause: string
  readonly summary?: string
  readonly snapshots: readonly SnapshotJson[]
  /** Index of the packet as it was born. */
  readonly first: number
  readonly events: readonly EventJson[]
  readonly outcomes: readonly Outcome[]
}

/** `line` repeats the text. */
type ActJson = (Exclude<AgentAct, { kind: 'map' }> | MapJson) & { readonly line?: string }

interface StepJson {
  readonly title: string
  readonly packets: number
  readonly nodes: readonly { readonly node: string; readonly acts: readonly ActJson[] }[]
  readonly shown?: { readonly node: string; readonly text: string }
  readonly reached?: readonly ReachedPair[]
}

export interface TraceJson {
  readonly format: 'scn-trace'
  readonly version: 1
  readonly scenario: string
  readonly case?: string
  readonly bindings: readonly Binding[]
  readonly packets: readonly PacketJson[]
  readonly steps?: readonly StepJson[]
  readonly state: readonly { readonly node: string; readonly lines: readonly StateLine[] }[]
  readonly unstable?: readonly Unstable[]
}

/** A trace as data for `JSON.stringify`. */
export function traceToJson(trace: Trace, options: { readonly decoders?: Decoders } = {}): TraceJson {
  const { scenario, bindings, state } = trace
  return {
    format: 'scn-trace',
    version: 1,
    scenario,
    ...(trace.case === undefined ? {} : { case: trace.case }),
    bindings,
    packets: shownPackets(trace, { ...options, level: 'full' }).map(({ packet, summary, hooks }) => {
      const lines = new Map(hooks.map(({ event, hook }) => [event, hook]))
      const snapshots = new Map<Snapshot, number>()
      const indexOf = (snapshot: Snapshot): number => {
        const index = snapshots.get(snapshot) ?? snapshots.size
        snapshots.set(snapshot, index)
        return index
      }
      const eventToJson = (event: HookEvent): EventJson => {
        const { before, after, facts, nested, chain, decision, ...rest } = event
        const hook = lines.get(event)
        return {
          ...rest,
          ...(chain === undefined ? {} : { chain }),
          ...(decision === undefined ? {} : { decision }),
          before: indexOf(before),
          after: indexOf(after),
          facts: facts.map(factToJson),
          nested: nested.map(eventToJson),
          ...(hook === undefined ? {} : { line: hook.line, effects: hook.effects }),
        }
      }
      const first = indexOf(packet.first)
      const events = packet.events.map(eventToJson)
      const { name, cause, outcomes } = packet
      return {
        name,
        cause,
        summary,
        snapshots: [...snapshots.keys()].map(snapshotToJson),
        first,
        events,
        outcomes,
      }
    }),
    ...(trace.steps === undefined ? {} : { steps: stepsToJson(trace, options.decoders) }),
    state,
    ...(trace.unstable === undefined ? {} : { unstable: trace.unstable }),
  }
}

function stepsToJson(trace: Trace, decoders: Decoders = trace.decoders ?? noDecoders): readonly StepJson[] {
  const names = namesOf(trace)
  const actToJson = (act: AgentAct): ActJson => {
    const line = actText(act, { names, decoders })
    return act.kind === 'map' ? { ...mapToJson(act), line } : { ...act, line }
  }
  return (trace.steps ?? []).map(({ nodes, ...step }) => ({
    ...step,
    nodes: nodes.map(({ node, acts }) => ({ node, acts: acts.map(actToJson) })),
  }))
}

function stepFromJson({ nodes, ...step }: StepJson): StepTrace {
  const actFromJson = ({ line: _line, ...act }: ActJson): AgentAct =>
    act.kind === 'map' ? mapFromJson(act as MapJson) : (act as AgentAct)
  return { ...step, nodes: nodes.map(({ node, acts }) => ({ node, acts: acts.map(actFromJson) })) }
}

function snapshotToJson(snapshot: Snapshot): SnapshotJson {
  return { ...snapshot, bytes: bytesToHex(snapshot.bytes) }
}

function factToJson(fact: Fact): FactJson {
  if (fact.kind === 'record') return { ...fact, bytes: bytesToHex(fact.bytes) }
  return fact.kind === 'map' ? mapToJson(fact) : fact
}

function mapToJson({ key, before, after, ...rest }: Extract<Fact, { kind: 'map' }>): MapJson {
  return {
    ...rest,
    key: bytesToHex(key),
    ...(before === undefined ? {} : { before: bytesToHex(before) }),
    ...(after === undefined ? {} : { after: bytesToHex(after) }),
  }
}

/** The trace that a JSON value describes; the value must fit the schema. Indexes that lead nowhere give empty packets. */
export function traceFromJson(json: TraceJson): Trace {
  const { scenario, bindings, state } = json
  return {
    scenario,
    ...(json.case === undefined ? {} : { case: json.case }),
    bindings,
    packets: json.packets.map(packetFromJson),
    ...(json.steps === undefined ? {} : { steps: json.steps.map(stepFromJson) }),
    state,
    ...(json.unstable === undefined ? {} : { unstable: json.unstable }),
  }
}

function bytesOf(hex: string): Uint8Array {
  const bytes = hexToBytes(hex)
  return isMalformed(bytes) ? new Uint8Array() : bytes
}

function packetFromJson(json: PacketJson): PacketTrace {
  const snapshots = json.snapshots.map(
    (snapshot): Snapshot => ({ ...snapshot, bytes: bytesOf(snapshot.bytes) }),
  )
  const none: Snapshot = {
    bytes: new Uint8Array(),
    start: 'ethernet',
    mark: 0,
    pktType: 0,
    vlanTci: -1,
    metaBytes: 0,
  }
  const at = (index: number): Snapshot => snapshots[index] ?? none
  const eventFromJson = (event: EventJson): HookEvent => {
    const { line: _line, effects: _effects, before, after, facts, nested, ...rest } = event
    return {
      ...rest,
      before: at(before),
      after: at(after),
      facts: facts.map(factFromJson),
      nested: nested.map(eventFromJson),
    }
  }
  const { name, cause, outcomes } = json
  return { name, cause, first: at(json.first), events: json.events.map(eventFromJson), outcomes }
}

function factFromJson(fact: FactJson): Fact {
  if (fact.kind === 'record') return { ...fact, bytes: bytesOf(fact.bytes) }
  return fact.kind === 'map' ? mapFromJson(fact) : fact
}

function mapFromJson({ key, before, after, ...rest }: MapJson): Extract<Fact, { kind: 'map' }> {
  return {
    ...rest,
    key: bytesOf(key),
    ...(before === undefined ? {} : { before: bytesOf(before) }),
    ...(after === undefined ? {} : { after: bytesOf(after) }),
  }
}

// How the bytes that programs leave behind become lines of a trace. A datapath (Cilium) passes a registry with its own
// maps and records; what nobody knows prints by its declared layout or as hex. A decoder sees bytes only, so a program
// cannot say of itself what its bytes do not say.
import { bytesToHex } from '../../net/hex.ts'
import type { Fact, HookEvent } from '../event.ts'
import type { Names } from '../names.ts'

/** The canonical order of the effects in one hook (rule 7 of the trace format). */
export const effectOrder = [
  'lookup',
  'nat',
  'option',
  'source',
  'header',
  'link',
  'route',
  'tunnel',
  'monitor',
  'nested',
] as const

export type EffectOrder = (typeof effectOrder)[number]

/** One effect as text, without indent. */
export interface EffectLine {
  readonly order: EffectOrder
  readonly text: string
  /** The words after the first join the line before that starts with the same word: `monitor from-endpoint to-overlay`. */
  readonly joins?: true
}

type MapFact = Extract<Fact, { kind: 'map' }>
type RecordFact = Extract<Fact, { kind: 'record' }>

/** What a decoder may look at besides the bytes. */
interface DecodeContext {
  readonly names: Names
  readonly event: HookEvent
}

/** Lines for a changed map entry or for a record; none hides it. */
export type MapDecoder = (fact: MapFact, context: DecodeContext) => readonly EffectLine[]
export type RecordDecoder = (fact: RecordFact, context: DecodeContext) => readonly EffectLine[]

/** Decoders by the name of the map. */
export interface Decoders {
  readonly maps: Pick<ReadonlyMap<string, MapDecoder>, 'get'>
  readonly records: ReadonlyMap<string, RecordDecoder>
  /** A line for an entry that an agent wrote; undefined where the declared layout says enough. */
  readonly written?: (fact: MapFact, names: Names) => string | undefined
  /** The reason in a record that says why its program dropped the packet; undefined for other records. */
  readonly dropReason?: (bytes: Uint8Array) => string | undefined
}

/** Knows no map. */
export const noDecoders: Decoders = { maps: new Map(), records: new Map() }

function valueText(bytes: Uint8Array, text: string | undefined, names: Names): string {
  return text === undefined ? `0x${bytesToHex(bytes)}` : names.rename(text)
}

/** `map NAME[KEY] OLD -> NEW`, `map NAME[KEY] add NEW`, `map NAME[KEY] delete OLD`; undefined without either. */
export function mapText(fact: MapFact, names: Names): string | undefined {
  const key = fact.keyText === '' ? `0x${bytesToHex(fact.key)}` : names.rename(fact.keyText)
  const before = fact.before === undefined ? undefined : valueText(fact.before, fact.beforeText, names)
  const after = fact.after === undefined ? undefined : valueText(fact.after, fact.afterText, names)
  if (before === undefined && after === undefined) return undefined
  const change =
    before === undefined ? `add ${after}` : after === undefined ? `delete ${before}` : `${before} -> ${after}`
  return `map ${fact.map}[${key}] ${change}`
}

export const unknownMap: MapDecoder = (fact, { names }) => {
  const text = mapText(fact, names)
  return text === undefined ? [] : [{ order: 'lookup', text }]
}

/** `record MAP 0xHEX`. */
export const unknownRecord: RecordDecoder = (fact) => [
  { order: 'monitor', text: `record ${fact.map} 0x${bytesToHex(fact.bytes)}` },
]

// Where things happened: matching the places of expectations with the events of a trace.
import type { PlaceRef, Value } from '../../model/claim.ts'
import type { HookEvent, Outcome, PacketTrace, Stage } from '../../trace/event.ts'

/** A place whose last part is a variable that an earlier claim captured: `n1/proxy/$port`. */
export function boundPlace(place: PlaceRef, captured: ReadonlyMap<string, Value>): PlaceRef {
  const [, name] = /^\$\{?([\w-]+)\}?$/.exec(place.chain ?? '') ?? []
  const value = name === undefined ? undefined : captured.get(name)
  return value?.kind === 'number' ? { ...place, chain: String(value.number) } : place
}

/** Whether something that stands at node, device and stage is meant by a place. A missing part of the place matches all. */
export function matches(
  place: PlaceRef,
  at: {
    readonly node: string
    readonly device: string
    readonly stage: Stage
    readonly chain?: string | undefined
  },
): boolean {
  if (place.nothing || place.node !== at.node) return false
  if (place.device !== undefined && place.device !== at.device) return false
  if (place.stage !== undefined && place.stage !== at.stage) return false
  if (place.stage === undefined && at.stage === 'bridge' && place.device !== undefined) return false
  return place.chain === undefined || chainMatches(place.chain, at.chain ?? '')
}

/** `nat/PREROUTING` against a chain; a pattern may end with `*`, and `nat` alone means the whole table. */
function chainMatches(pattern: string, chain: string): boolean {
  if (pattern === chain || chain.startsWith(`${pattern}/`)) return true
  return pattern.endsWith('*') && chain.startsWith(pattern.slice(0, -1))
}

/** `host/eth0/tc-in`, `n1/nf/nat/PREROUTING`, `app`: the place of an event as people write it. */
export function placeText(at: {
  readonly node: string
  readonly device: string
  readonly stage: Stage
  readonly chain?: string | undefined
}): string {
  const parts = [at.node]
  if (at.device !== '') parts.push(at.device)
  parts.push(at.stage)
  if (at.chain !== undefined) parts.push(at.chain)
  return parts.join('/')
}

/** The place of an outcome: the node where a packet was delivered, the exact stage where it was dropped or consumed. */
export function outcomeText(outcome: Outcome): string {
  return outcome.kind === 'delivered' ? outcome.node : placeText(outcome)
}

/**
 * Whether a place names an outcome exactly: a delivery by its node (or node and device), every other end by node, device
 * and stage. A place that merely contains the true one is no answer, or a changed cell would go unnoticed.
 */
export function names(place: PlaceRef, outcome: Outcome): boolean {
  if (!matches(place, outcome)) return false
  if (outcome.kind === 'delivered') return place.stage === undefined
  return place.stage !== undefined && (place.device !== undefined || outcome.device === '')
}

/**
 * All events of a packet in the order of their ends: a run that another one entered comes before that one, so that the
 * snapshots behind them follow each other, and the first event that changed something is the innermost.
 */
export function* everyEvent(events: readonly HookEvent[]): Generator<HookEvent> {
  for (const event of events) {
    yield* everyEvent(event.nested)
    yield event
  }
}

/** The events of a packet at a place. */
export function eventsAt(packet: PacketTrace, place: PlaceRef): HookEvent[] {
  const found: HookEvent[] = []
  gather(packet.events, place, found)
  return found
}

/** In the order of `everyEvent`; a generator would cost more than the comparison. */
function gather(events: readonly HookEvent[], place: PlaceRef, found: HookEvent[]): void {
  for (const event of events) {
    if (event.nested.length > 0) gather(event.nested, place, found)
    if (matches(place, event)) found.push(event)
  }
}

/** The event after which the packet was gone: of the delivered copy if there is one, else of the last one seen. */
export function finalEvent(packet: PacketTrace): HookEvent | undefined {
  const delivered = packet.outcomes.find((outcome) => outcome.kind === 'delivered')
  if (delivered === undefined) return packet.events.at(-1)
  return (
    packet.events.findLast((event) => event.node === delivered.node && event.device === delivered.device) ??
    packet.events.at(-1)
  )
}

/** One step of a packet's way: a device it was seen on. */
export interface Hop {
  readonly node: string
  readonly device: string
}

/** The devices of a packet in the order of their first event. */
export function hopsOf(packet: PacketTrace): Hop[] {
  const seen = new Set<string>()
  const hops: Hop[] = []
  for (const { node, device, stage } of packet.events) {
    // what a bridge decides is noted at level full only; the packet passes its ports, not the bridge device
    if (stage === 'bridge') continue
    if (device === '' || seen.has(`${node}/${device}`)) continue
    seen.add(`${node}/${device}`)
    hops.push({ node, device })
  }
  return hops
}

/** Whether hops follow a pattern of places and gaps (`..`: any hops, also none). */
export function followsPath(hops: readonly Hop[], pattern: readonly (PlaceRef | 'gap')[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return hops.length === 0
  if (first === 'gap') {
    for (let skipped = 0; skipped <= hops.length; skipped += 1) {
      if (followsPath(hops.slice(skipped), rest)) return true
    }
    return false
  }
  const [hop, ...further] = hops
  return hop !== undefined && hopIs(hop, first) && followsPath(further, rest)
}

function hopIs(hop: Hop, place: PlaceRef): boolean {
  return place.node === hop.node && (place.device === undefined || place.device === hop.device)
}

// What Cilium's notifications say of a packet, read from the records in its trace.
import { tracePoint } from '../../cilium/datapath/trace-point.ts'
import { type Notification, readNotification } from '../../cilium/decode/notification.ts'
import type { InstalledCilium } from '../../cilium/installed.ts'
import type { PlaceRef } from '../../model/claim.ts'
import type { HookEvent, PacketTrace } from '../../trace/event.ts'
import { matches } from './places.ts'

/** A notification and the hook in which it was sent. */
interface Told {
  readonly event: HookEvent
  readonly told: Notification
}

/**
 * All events of a packet in the order of their beginnings (`everyEvent` has that of their ends): a tail call does not return, so
 * that all that a run says, it says before the run that it enters.
 */
function* byBeginning(events: readonly HookEvent[]): Generator<HookEvent> {
  for (const event of events) {
    yield event
    yield* byBeginning(event.nested)
  }
}

/** All notifications about a packet in their order; of one place where it is given. */
export function notificationsOf(
  packet: PacketTrace,
  cilium: InstalledCilium | undefined,
  place?: PlaceRef,
): Told[] {
  if (cilium === undefined) return []
  const all: Told[] = []
  for (const event of byBeginning(packet.events)) {
    if (place !== undefined && !matches(place, event)) continue
    for (const fact of event.facts) {
      if (fact.kind !== 'record' || fact.map !== 'cilium_events') continue
      const told = readNotification(fact.bytes, cilium.era)
      if (told !== undefined) all.push({ event, told })
    }
  }
  return all
}

/** `source.identity`, `dest.identity`, `proxy.port`: what the last notification that knows it said. */
export function notifiedField(
  path: string,
  packet: PacketTrace,
  cilium: InstalledCilium | undefined,
): number | undefined {
  const all = notificationsOf(packet, cilium).map(({ told }) => told)
  const last = (value: (told: Notification) => number): number | undefined =>
    all.map(value).findLast((number) => number !== 0)
  switch (path) {
    case 'identity':
    case 'source.identity':
      return last((told) => (told.kind === 'verdict' ? 0 : told.sourceIdentity))
    case 'dest.identity':
      return last((told) => (told.kind === 'verdict' ? 0 : told.destinationIdentity))
    case 'proxy.port':
      return last((told) =>
        told.kind === 'trace' && told.point === tracePoint.TO_PROXY ? told.destinationEndpoint : 0,
      )
    default:
      return undefined
  }
}

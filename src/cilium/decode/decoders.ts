// Cilium's maps and notifications as lines of a trace. Registered with the trace's formatter; sees bytes only, so a real
// eBPF object in the place of the model's programs gives the same lines.
import type { Decoders, EffectLine, MapDecoder, RecordDecoder } from '../../trace/effects/decoders.ts'
import type { Names } from '../../trace/names.ts'
import { tracePoint } from '../datapath/trace-point.ts'
import { legacyMapSpecs } from '../legacy/specs.ts'
import { nodeMapSpecs } from '../maps/specs.ts'
import { accessLogMap } from '../proxy/access-log.ts'
import { accessLogEffect } from './access-log-effect.ts'
import { conntrackDecoder } from './conntrack-effect.ts'
import { dropText } from './drop-text.ts'
import { identityName } from './identity-name.ts'
import {
  type Era,
  type Notification,
  pointNames,
  readNotification,
  type TraceNotification,
  type VerdictNotification,
} from './notification.ts'
import { signalText } from './signal.ts'
import { writtenText } from './written.ts'

const received: ReadonlySet<number> = new Set([
  tracePoint.FROM_PROXY,
  tracePoint.FROM_HOST,
  tracePoint.FROM_STACK,
  tracePoint.FROM_OVERLAY,
  tracePoint.FROM_NETWORK,
  tracePoint.FROM_CRYPTO,
])

function traceLines(event: TraceNotification, names: Names): EffectLine[] {
  const { point, sourceIdentity, encrypted } = event
  const word = `${pointNames[point] ?? `point-${point}`}${encrypted ? '-encrypted' : ''}`
  const lines: EffectLine[] = [{ order: 'monitor', text: `monitor ${word}`, joins: true }]
  if (received.has(point) && sourceIdentity !== 0) {
    lines.push({ order: 'source', text: `source ${identityName(sourceIdentity, names)}` })
  }
  if (point === tracePoint.TO_PROXY && event.destinationEndpoint !== 0) {
    lines.push({ order: 'route', text: `proxy ${event.destinationEndpoint}` })
  }
  return lines
}

function verdictLine({ verdict, direction, audited }: VerdictNotification): EffectLine {
  const decision = audited ? 'audit' : verdict < 0 ? 'deny' : verdict > 0 ? 'redirect' : 'allow'
  return { order: 'lookup', text: `policy ${decision} ${direction}` }
}

function linesOf(event: Notification, names: Names): readonly EffectLine[] {
  switch (event.kind) {
    case 'trace':
      return traceLines(event, names)
    case 'drop':
      return [{ order: 'monitor', text: `drop ${dropText(event.reason, event.extError)}` }]
    case 'verdict':
      return [verdictLine(event)]
  }
}

/** Maps whose entries show in other ways: NAT as the packet's change, counters as metrics, buffers not at all. */
const silent: MapDecoder = () => []

/** The decoders for a cluster of one era. */
export function ciliumDecoders(era: Era): Decoders {
  const conntrack = conntrackDecoder(era)
  const maps = new Map<string, MapDecoder>()
  for (const name of [...Object.keys(nodeMapSpecs), ...Object.keys(legacyMapSpecs)]) maps.set(name, silent)
  for (const name of [
    'cilium_ct4_global',
    'cilium_ct_any4_global',
    'cilium_ct6_global',
    'cilium_ct_any6_global',
  ]) {
    maps.set(name, conntrack)
  }
  for (const name of [
    'cilium_tail_call_buffer4',
    'cilium_tail_call_buffer6',
    'cilium_dsr_nat_buffer',
    'cilium_xdp_scratch',
    'ct_tuple_storage',
    'fib_params_storage',
    'cilium_snat_v6_alloc_retries',
  ]) {
    maps.set(name, silent)
  }
  // an endpoint has a policy map of its own, in which 1.10 counts packets
  const named = (name: string): MapDecoder | undefined =>
    maps.get(name) ?? (name.startsWith('cilium_policy_') ? silent : undefined)
  const events: RecordDecoder = (fact, { names }) => {
    const event = readNotification(fact.bytes, era)
    return event === undefined ? [] : linesOf(event, names)
  }
  const signals: RecordDecoder = (fact, { names }) => [
    { order: 'monitor', text: `signal ${signalText(fact.bytes, names)}` },
  ]
  const dropReason = (bytes: Uint8Array): string | undefined => {
    const event = readNotification(bytes, era)
    return event?.kind === 'drop' ? dropText(event.reason, 0) : undefined
  }
  return {
    maps: { get: named },
    records: new Map([
      ['cilium_events', events],
      ['cilium_signals', signals],
      [accessLogMap, accessLogEffect],
    ]),
    written: writtenText,
    dropReason,
  }
}

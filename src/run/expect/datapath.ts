// Claims about what Cilium says of a packet: policy verdicts, observation points, the way to a proxy, identities, metrics.
// Answered from the notifications that its programs sent and from its maps, never from the model of the cluster.

import type { Span } from '../../base/text.ts'
import { cpus } from '../../boot/maps.ts'
import { tracePoint } from '../../cilium/datapath/trace-point.ts'
import { metricName, metricNames, metricValue } from '../../cilium/decode/metric.ts'
import { pointNames } from '../../cilium/decode/notification.ts'
import type { InstalledNode } from '../../cilium/installed.ts'
import type { ClaimBody } from '../../model/claim.ts'
import type { PacketTrace } from '../../trace/event.ts'
import { type Answer, expectedActual, missAt, missHere } from './answer.ts'
import type { ClaimContext } from './context.ts'
import { shownValue } from './field-text.ts'
import { policyL7 } from './logged.ts'
import { notificationsOf } from './notified.ts'
import { compareNumbers } from './numbers.ts'
import { placeText } from './places.ts'
import { numberIn } from './state.ts'

type Body<Kind extends ClaimBody['kind']> = Extract<ClaimBody, { readonly kind: Kind }>

function verdictWord(verdict: number): 'allow' | 'deny' | 'redirect' {
  if (verdict === 0) return 'allow'
  return verdict < 0 ? 'deny' : 'redirect'
}

/** `policy allow egress`, `policy deny ingress at n1/lxc-api/policy`. A redirect to a proxy allows. */
export function policy(packet: PacketTrace, body: Body<'policy'>, span: Span, context: ClaimContext): Answer {
  const verdicts = notificationsOf(packet, context.cilium, body.place?.value).flatMap(({ event, told }) =>
    told.kind === 'verdict' ? [{ event, told }] : [],
  )
  const wanted = verdicts.filter(
    ({ told }) => body.direction === undefined || told.direction === body.direction,
  )
  const denied = body.decision === 'deny'
  if (wanted.some(({ told }) => told.verdict < 0 === denied)) return undefined
  const seen = verdicts.map(
    ({ event, told }) => `${verdictWord(told.verdict)} ${told.direction} at ${placeText(event)}`,
  )
  const actual = seen.length === 0 ? 'no policy verdict' : seen.join(', ')
  const where = body.direction === undefined ? '' : ` ${body.direction}`
  return missHere(span, expectedActual(`policy ${body.decision}${where}`, actual))
}

/** `to-proxy`, `to-proxy at n1/lxc-api/policy`. */
export function toProxy(
  packet: PacketTrace,
  body: Body<'to-proxy'>,
  span: Span,
  context: ClaimContext,
): Answer {
  const points = notificationsOf(packet, context.cilium, body.place?.value)
  if (points.some(({ told }) => told.kind === 'trace' && told.point === tracePoint.TO_PROXY)) return undefined
  return missHere(span, `${packet.name} was not sent to a proxy`)
}

/** `monitor from-endpoint to-overlay`: these points in this order, others may stand between. */
export function monitor(packet: PacketTrace, body: Body<'monitor'>, context: ClaimContext): Answer {
  const seen = notificationsOf(packet, context.cilium).flatMap(({ told }) =>
    told.kind === 'trace' ? [pointNames[told.point] ?? ''] : [],
  )
  let at = 0
  for (const point of body.points) {
    const found = seen.indexOf(point.value, at)
    if (found === -1) {
      return missAt(point, `the observation points were ${seen.length === 0 ? 'none' : seen.join(' ')}`)
    }
    at = found + 1
  }
  return undefined
}

function isPolicyL7(text: string): boolean {
  return text.replace(/^cilium_/, '').replace(/_total$/, '') === 'policy_l7'
}

/** What the programs count in cilium_metrics; undefined for another name. */
function datapathMetric(
  { maps }: InstalledNode,
  text: string,
  labels: { readonly reason?: string; readonly direction?: string },
): number | undefined {
  const name = metricName(text)
  return name === undefined ? undefined : metricValue(maps.cilium_metrics, name, labels, cpus)
}

/** `metric n1 drop_count reason "Policy denied" direction ingress >= 1`. */
export function metric(body: Body<'metric'>, context: ClaimContext): Answer {
  const node = context.cilium?.nodes.get(body.node.value.node)
  if (node === undefined) return missAt(body.node, `${body.node.value.text} has no agent`)
  const labels = Object.fromEntries(body.labels.map(({ key, value }) => [key, value.value]))
  const actual = isPolicyL7(body.name.value)
    ? policyL7(context.trace, node.name, labels)
    : datapathMetric(node, body.name.value, labels)
  if (actual === undefined)
    return missAt(body.name, `the metrics are ${[...metricNames, 'policy_l7'].join(', ')}`)
  const wanted = numberIn(body.value.value, context)
  if (wanted !== undefined && compareNumbers(actual, body.operator, wanted)) return undefined
  const sign = body.operator === '==' ? '' : `${body.operator} `
  return missAt(body.value, expectedActual(`${sign}${shownValue(body.value.value, context)}`, String(actual)))
}

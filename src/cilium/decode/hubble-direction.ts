// Whether a flow is a reply, and which way it goes, as Hubble reads both out of a notification. 1.19 asks whether the datapath gave
// a reason, 1.10, whose reason is `new` where it knows none, asks where the trace was made (pkg/hubble/parser/threefour/parser.go
// decodeIsReply(), decodeTrafficDirection(); of 1.10 pkg/monitor/api TraceObservationPointHasConnState()).
import { type IpAddress, isUnspecified, readIpv4, readIpv6 } from '../../net/address.ts'
import { classFlag } from '../datapath/classifiers.ts'
import { tracePoint, traceReason } from '../datapath/trace-point.ts'
import type { Era, Notification, TraceNotification } from './notification.ts'

const { TO_LXC, TO_PROXY, TO_HOST, TO_STACK, TO_NETWORK } = tracePoint
const legacyPointsWithState: readonly number[] = [TO_LXC, TO_PROXY, TO_HOST, TO_STACK, TO_NETWORK]

function knowsConnection({ point, reason }: TraceNotification, era: Era): boolean {
  return era === '1.10' ? legacyPointsWithState.includes(point) : reason !== traceReason.UNKNOWN
}

/** decodeIsReply(): undefined where nobody knows. */
export function isReplyOf(event: Notification, era: Era): boolean | undefined {
  if (event.kind === 'verdict') return event.verdict >= 0 ? false : undefined
  if (event.kind === 'drop' || !knowsConnection(event, era)) return undefined
  if (event.reason === traceReason.SRV6_ENCAP || event.reason === traceReason.SRV6_DECAP) return undefined
  return event.reason === traceReason.CT_REPLY
}

/** The source before its translation; unspecified where there was none. */
export function originalOf({ original, flags }: TraceNotification): IpAddress {
  return (flags & classFlag.IPV6) === 0 ? readIpv4(original, 0) : readIpv6(original, 0)
}

/** decodeTrafficDirection(); `sourceEndpoint` is the number of the source's endpoint on the node, 0 for none. */
export function directionOf(event: Notification, sourceEndpoint: number, era: Era): string | undefined {
  if (event.kind === 'verdict') return event.direction === 'ingress' ? 'INGRESS' : 'EGRESS'
  if (event.source === 0) return undefined
  const isSource = event.source === sourceEndpoint
  if (event.kind === 'drop') return isSource ? 'EGRESS' : 'INGRESS'
  if (!knowsConnection(event, era)) return undefined
  const isReply = event.reason === traceReason.CT_REPLY
  const isTranslated = era !== '1.10' && !isUnspecified(originalOf(event))
  return isSource !== isReply || isTranslated ? 'EGRESS' : 'INGRESS'
}

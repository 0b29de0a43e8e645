// Notifications as `cilium monitor` prints them, a line each (facts 7.6). Enters: a notification and the names of the node's
// devices; leaves: the line without its newline. pkg/monitor/datapath_{trace,drop,policy}.go DumpInfo()
import { formatIp, readIpv4, readIpv6 } from '../../net/address.ts'
import { classFlag } from '../datapath/classifiers.ts'
import { sourceFileName } from '../datapath/drop-reason.ts'
import { tracePoint } from '../datapath/trace-point.ts'
import { captureFlags, connectionText } from './connection.ts'
import { dropText } from './drop-text.ts'
import { reservedNames } from './identity-name.ts'
import {
  authNames,
  type DropNotification,
  type Era,
  matchNames,
  type Notification,
  reasonNames,
  type TraceNotification,
  type VerdictNotification,
} from './notification.ts'

/** What a node's monitor knows besides the record. */
export interface MonitorContext {
  readonly era: Era
  /** The name of a device of the node; 0 and unknown numbers stay numbers. */
  readonly device: (ifindex: number) => string
}

function identityText(identity: number): string {
  return reservedNames[identity] ?? String(identity)
}

const summaries: Readonly<Record<number, string>> = {
  [tracePoint.TO_HOST]: '-> host from',
  [tracePoint.TO_STACK]: '-> stack',
  [tracePoint.TO_OVERLAY]: '-> overlay',
  [tracePoint.TO_NETWORK]: '-> network',
  [tracePoint.TO_CRYPTO]: '-> crypto',
  [tracePoint.FROM_PROXY]: '<- proxy',
  [tracePoint.FROM_HOST]: '<- host',
  [tracePoint.FROM_STACK]: '<- stack',
  [tracePoint.FROM_OVERLAY]: '<- overlay',
  [tracePoint.FROM_NETWORK]: '<- network',
  [tracePoint.FROM_CRYPTO]: '<- crypto',
}

function summaryOf({ point, source, destinationEndpoint }: TraceNotification): string {
  if (point === tracePoint.TO_LXC) return `-> endpoint ${destinationEndpoint}`
  if (point === tracePoint.FROM_LXC) return `<- endpoint ${source}`
  if (point === tracePoint.TO_PROXY) {
    return destinationEndpoint === 0 ? '-> proxy' : `-> proxy port ${destinationEndpoint}`
  }
  return summaries[point] ?? 'unknown trace'
}

function originalText({ original, flags }: TraceNotification): string {
  return formatIp((flags & classFlag.IPV6) === 0 ? readIpv4(original, 0) : readIpv6(original, 0))
}

function flowText(hash: number): string {
  return `flow 0x${(hash >>> 0).toString(16)}`
}

function pairText(event: TraceNotification | DropNotification): string {
  return `identity ${identityText(event.sourceIdentity)}->${identityText(event.destinationIdentity)}`
}

function traceLine(event: TraceNotification, { era, device }: MonitorContext): string {
  const encrypted = event.encrypted ? ' encrypted ' : ''
  const state = reasonNames[event.reason] ?? String(event.reason)
  const comma = era === '1.10' ? '' : ', '
  const connection = connectionText(event, event.flags, era)
  return `${summaryOf(event)}${encrypted} ${flowText(event.hash)} ${comma}${pairText(event)} state ${state} ifindex ${device(event.ifindex)} orig-ip ${originalText(event)}: ${connection}`
}

function dropLine(event: DropNotification, { era }: MonitorContext): string {
  const head = `xx drop (${dropText(event.reason, event.extError)}) ${flowText(event.hash)} to endpoint ${event.destinationEndpoint}`
  const place =
    era === '1.10'
      ? ''
      : `, ifindex ${event.ifindex}, file ${sourceFileName(event.file) ?? `unknown(${event.file})`}:${event.line}, `
  return `${head}${place}, ${pairText(event)}: ${connectionText(event, event.flags, era)}`
}

/** GetPolicyActionString() */
export function actionOf({ verdict, audited }: VerdictNotification): string {
  if (audited) return 'audit'
  return verdict < 0 ? 'deny' : verdict > 0 ? 'redirect' : 'allow'
}

function verdictLine(event: VerdictNotification, { era }: MonitorContext): string {
  const auth = era === '1.10' ? '' : `auth: ${authNames[event.authType] ?? event.authType}, `
  const connection = connectionText(event, captureFlags(event), era)
  return `Policy verdict log: ${flowText(event.hash)} local EP ID ${event.source}, remote ID ${identityText(event.remoteIdentity)}, proto ${event.protocol}, ${event.direction}, action ${actionOf(event)}, ${auth}match ${matchNames[event.match] ?? 'unknown'}, ${connection}`
}

/** One line of `cilium monitor`. */
export function monitorLine(event: Notification, context: MonitorContext): string {
  switch (event.kind) {
    case 'trace':
      return traceLine(event, context)
    case 'drop':
      return dropLine(event, context)
    case 'verdict':
      return verdictLine(event, context)
  }
}

// Cilium's notifications read back: the bytes of a record of cilium_events in, a value out. Both eras: the fields stand at
// the same places, 1.10 has shorter records. pkg/monitor/datapath_{trace,drop,policy}.go read the same bytes.
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import { readU16 } from '../../net/bytes.ts'
import {
  dropNotifyBytes,
  notifyType,
  policyMatch,
  traceNotifyBytes,
  verdictNotifyBytes,
} from '../datapath/notify.ts'
import { traceReason } from '../datapath/trace-point.ts'

/** Which layout the records of a cluster have. */
export type Era = '1.10' | '1.19'

/** enum auth_type, in the words of the agent. */
export const authNames: Readonly<Record<number, string>> = {
  0: 'disabled',
  1: 'spire',
  2: 'test-always-fail',
}

interface Common {
  /** The endpoint whose program sent it; 0 where there is none. */
  readonly source: number
  /** Length of the packet (bytes), and what was captured of it. */
  readonly length: number
  readonly captured: Uint8Array
  readonly hash: number
}

export interface TraceNotification extends Common {
  readonly kind: 'trace'
  /** TRACE_*: an observation point. */
  readonly point: number
  readonly sourceIdentity: number
  readonly destinationIdentity: number
  /** The endpoint it goes to; for TO_PROXY the proxy's port. */
  readonly destinationEndpoint: number
  readonly reason: number
  readonly encrypted: boolean
  readonly ifindex: number
  readonly flags: number
  /** 16 bytes; an IPv4 address stands in the first four, all zero when nothing was translated. */
  readonly original: Uint8Array
}

export interface DropNotification extends Common {
  readonly kind: 'drop'
  /** Positive: the number of the reason. */
  readonly reason: number
  readonly sourceIdentity: number
  readonly destinationIdentity: number
  readonly destinationEndpoint: number
  /** Source file (lib/source_info.h) and line; 0 in 1.10. */
  readonly file: number
  readonly line: number
  readonly extError: number
  readonly ifindex: number
  readonly flags: number
}

export interface VerdictNotification extends Common {
  readonly kind: 'verdict'
  readonly remoteIdentity: number
  /** 0 allow, above 0 the proxy's port (network byte order read as a number), below 0 a drop reason. */
  readonly verdict: number
  readonly port: number
  readonly protocol: number
  readonly direction: 'ingress' | 'egress'
  readonly isIpv6: boolean
  readonly match: number
  readonly audited: boolean
  /** Whether the captured bytes start with the IP header. */
  readonly isL3: boolean
  readonly authType: number
}

export type Notification = TraceNotification | DropNotification | VerdictNotification

const sizes: Readonly<
  Record<Era, { readonly trace: number; readonly drop: number; readonly verdict: number }>
> = {
  '1.19': { trace: traceNotifyBytes, drop: dropNotifyBytes, verdict: verdictNotifyBytes },
  '1.10': { trace: 48, drop: 32, verdict: 32 },
}

function common(record: Uint8Array, size: number): Common {
  return {
    source: readLe16(record, 2),
    hash: readLe32(record, 4),
    length: readLe32(record, 8),
    captured: record.subarray(size),
  }
}

function trace(record: Uint8Array, era: Era): TraceNotification {
  const reason = record[26] as number
  return {
    kind: 'trace',
    ...common(record, sizes[era].trace),
    point: record[1] as number,
    sourceIdentity: readLe32(record, 16),
    destinationIdentity: readLe32(record, 20),
    destinationEndpoint: readLe16(record, 24),
    reason: reason & ~traceReason.ENCRYPTED,
    encrypted: (reason & traceReason.ENCRYPTED) !== 0,
    flags: record[27] as number,
    ifindex: readLe32(record, 28),
    original: record.subarray(32, 48),
  }
}

function drop(record: Uint8Array, era: Era): DropNotification {
  const old = era === '1.10'
  return {
    kind: 'drop',
    ...common(record, sizes[era].drop),
    reason: record[1] as number,
    sourceIdentity: readLe32(record, 16),
    destinationIdentity: readLe32(record, 20),
    destinationEndpoint: readLe32(record, 24),
    line: old ? 0 : readLe16(record, 28),
    file: old ? 0 : (record[30] as number),
    extError: old ? 0 : ((record[31] as number) << 24) >> 24,
    ifindex: old ? 0 : readLe32(record, 32),
    flags: old ? 0 : (record[36] as number),
  }
}

const directionIngress = 1

function verdict(record: Uint8Array, era: Era): VerdictNotification {
  const bits = record[27] as number
  return {
    kind: 'verdict',
    ...common(record, sizes[era].verdict),
    remoteIdentity: readLe32(record, 16),
    verdict: readLe32(record, 20) | 0,
    port: era === '1.10' ? readU16(record, 24) : readLe16(record, 24),
    protocol: record[26] as number,
    direction: (bits & 3) === directionIngress ? 'ingress' : 'egress',
    isIpv6: (bits & 4) !== 0,
    match: (bits >> 3) & 7,
    audited: (bits & (1 << 6)) !== 0,
    isL3: (bits & (1 << 7)) !== 0,
    authType: era === '1.10' ? 0 : (record[28] as number),
  }
}

/** The notification in a record; undefined for a kind that is not modelled, or for a record that is too short. */
export function readNotification(record: Uint8Array, era: Era): Notification | undefined {
  const size = sizes[era]
  switch (record[0]) {
    case notifyType.TRACE:
      return record.length < size.trace ? undefined : trace(record, era)
    case notifyType.DROP:
      return record.length < size.drop ? undefined : drop(record, era)
    case notifyType.POLICY_VERDICT:
      return record.length < size.verdict ? undefined : verdict(record, era)
    default:
      return undefined
  }
}

/** Observation points as `cilium monitor` and Hubble name them, by number (facts 7.1). */
export const pointNames: readonly string[] = [
  'to-endpoint',
  'to-proxy',
  'to-host',
  'to-stack',
  'to-overlay',
  'from-endpoint',
  'from-proxy',
  'from-host',
  'from-stack',
  'from-overlay',
  'from-network',
  'to-network',
  'from-crypto',
  'to-crypto',
]

/** Trace reasons as `cilium monitor` names them, by number (facts 7.2). */
export const reasonNames: readonly string[] = [
  'new',
  'established',
  'reply',
  'related',
  'reopened',
  'unknown',
  'srv6-encap',
  'srv6-decap',
  'encrypt-overlay',
]

/** Match types of a policy verdict as `cilium monitor` prints them. */
export const matchNames: Readonly<Record<number, string>> = {
  [policyMatch.NONE]: 'none',
  [policyMatch.L3_ONLY]: 'L3-Only',
  [policyMatch.L3_L4]: 'L3-L4',
  [policyMatch.L4_ONLY]: 'L4-Only',
  [policyMatch.ALL]: 'all',
  [policyMatch.L3_PROTO]: 'L3-Proto',
  [policyMatch.PROTO_ONLY]: 'Proto-Only',
}

// A notification as a flow of Hubble's API, as `hubble observe -o jsonpb` and the exporter write it (facts 7.7): names of the
// protocol buffer, enumerations as words, fields that are zero left out. pkg/hubble/parser/threefour/parser.go
import { momentOf, twoDigits } from '../../base/calendar.ts'
import { formatIp, type IpAddress, isUnspecified, sameIp } from '../../net/address.ts'
import { readU8, readU24 } from '../../net/bytes.ts'
import { formatMac, readMac } from '../../net/mac.ts'
import { tcpAt, tcpFlag } from '../../net/tcp.ts'
import type { Layers } from '../../trace/effects/layers.ts'
import { classFlag } from '../datapath/classifiers.ts'
import { sourceFileName } from '../datapath/drop-reason.ts'
import { protocolNumber } from '../datapath/family.ts'
import { notifyType } from '../datapath/notify.ts'
import { tracePoint } from '../datapath/trace-point.ts'
import { type Captured, captureFlags, type End, endsIn, readCaptured } from './connection.ts'
import { directionOf, isReplyOf, originalOf } from './hubble-direction.ts'
import { hubbleDropNames } from './hubble-drop-names.ts'
import { icmpText } from './icmp-text.ts'
import { authNames, type Era, type Notification, pointNames, type TraceNotification } from './notification.ts'

/** An end of a flow as the agent on a node knows it. */
export interface FlowEndpoint {
  /** Of an endpoint on this node. */
  readonly ID?: number
  readonly identity?: number
  readonly cluster_name?: string
  readonly namespace?: string
  readonly labels?: readonly string[]
  readonly pod_name?: string
}

/** What the agent of the node adds to a notification. */
export interface FlowContext {
  readonly era: Era
  /** `identity` is what the datapath said, 0 for nothing. */
  readonly endpoint: (address: IpAddress, identity: number) => FlowEndpoint
  readonly device: (ifindex: number) => string
  readonly nodeName: string
  /** Identifies the flow; 1.10 has none. */
  readonly uuid: string | undefined
  /** Nanoseconds since 1970. */
  readonly time: number
}

type Json = { readonly [name: string]: unknown }

/** Leaves out what protobuf leaves out: undefined, 0, false, empty text and lists. */
export function withoutZeros(fields: Json): Json {
  const isZero = (value: unknown): boolean =>
    value === undefined ||
    value === 0 ||
    value === '' ||
    value === false ||
    (Array.isArray(value) && value.length === 0)
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isZero(value)))
}

/** RFC 3339 with as many digits as protobuf's JSON writes: none, three, six or nine. */
export function timeText(nanoseconds: number): string {
  const seconds = Math.floor(nanoseconds / 1e9)
  const { year, month, date, clock } = momentOf(seconds)
  const fraction = String(nanoseconds - seconds * 1e9).padStart(9, '0')
  const digits = fraction === '000000000' ? '' : `.${fraction.replace(/(000){1,2}$/, '')}`
  return `${year}-${twoDigits(month + 1)}-${twoDigits(date)}T${clock}${digits}Z`
}

function verdictOf(event: Notification): string {
  if (event.kind === 'drop') return 'DROPPED'
  if (event.kind === 'trace') return 'FORWARDED'
  if (event.verdict < 0) return 'DROPPED'
  if (event.verdict > 0) return 'REDIRECTED'
  return event.audited ? 'AUDIT' : 'FORWARDED'
}

function dropReasonOf(event: Notification): number {
  if (event.kind === 'drop') return event.reason
  return event.kind === 'verdict' && event.verdict < 0 ? -event.verdict : 0
}

const tcpFlags = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr'] as const

function tcpFlagsIn({ bytes, l4 }: Layers): Json {
  const seen = readU8(bytes, l4 + tcpAt.flags)
  const set = tcpFlags.filter((name) => (seen & tcpFlag[name]) !== 0)
  return Object.fromEntries(set.map((name) => [name.toUpperCase(), true]))
}

/** The transport header, with what Summary says: for want of one the name of the last header that was found. */
function layer4(layers: Layers): { readonly l4?: Json; readonly summary: string } {
  const { bytes, l4, protocol, family } = layers
  const ends = endsIn(layers)
  if (ends === undefined) return { summary: layers.ethernet < 0 ? '' : 'Ethernet' }
  const none = { summary: `IPv${family}` }
  if (l4 < 0) return none
  const ports = withoutZeros({ source_port: ends.source.port, destination_port: ends.destination.port })
  switch (protocol) {
    case protocolNumber.TCP: {
      const flags = tcpFlagsIn(layers)
      const names = ['SYN', 'ACK', 'RST', 'FIN', 'PSH', 'URG', 'ECE', 'CWR'].filter((name) => name in flags)
      return { l4: { TCP: { ...ports, flags } }, summary: `TCP Flags: ${names.join(', ')}` }
    }
    case protocolNumber.UDP:
      return { l4: { UDP: ports }, summary: 'UDP' }
    case protocolNumber.SCTP:
      return { l4: { SCTP: ports }, summary: 'SCTP' }
    case protocolNumber.ICMP:
    case protocolNumber.ICMPV6: {
      const name = protocol === protocolNumber.ICMP ? 'ICMPv4' : 'ICMPv6'
      const [type, code] = [readU8(bytes, l4), readU8(bytes, l4 + 1)]
      const text = icmpText(protocol === protocolNumber.ICMP ? 4 : 6, type, code)
      return { l4: { [name]: withoutZeros({ type, code }) }, summary: `${name} ${text}` }
    }
    default:
      return none
  }
}

function ipOf(layers: Layers, source: End, destination: End): Json {
  return {
    source: formatIp(source.address),
    destination: formatIp(destination.address),
    ipVersion: layers.family === 4 ? 'IPv4' : 'IPv6',
  }
}

function ethernetOf({ bytes, ethernet }: Layers): Json | undefined {
  if (ethernet < 0) return undefined
  return {
    source: formatMac(readMac(bytes, ethernet + 6)),
    destination: formatMac(readMac(bytes, ethernet)),
  }
}

const vniAt = 4
const udpHeaderBytes = 8

/** The tunnel around what the flow is about. */
function tunnelOf({ outer, inner }: Captured, flags: number): Json | undefined {
  const ends = endsIn(outer)
  if (inner === undefined || ends === undefined) return undefined
  return {
    protocol: (flags & classFlag.VXLAN) === 0 ? 'GENEVE' : 'VXLAN',
    IP: ipOf(outer, ends.source, ends.destination),
    ...layer4Of(outer),
    ...withoutZeros({ vni: readU24(outer.bytes, outer.l4 + udpHeaderBytes + vniAt) }),
  }
}

function layer4Of(layers: Layers): Json {
  const { l4 } = layer4(layers)
  return l4 === undefined ? {} : { l4 }
}

/** decodeSecurityIdentities(): what the datapath knows of both ends; 0 where it says nothing. */
function identitiesOf(event: Notification): { readonly source: number; readonly destination: number } {
  if (event.kind !== 'verdict') {
    return { source: event.sourceIdentity, destination: event.destinationIdentity }
  }
  return event.direction === 'ingress'
    ? { source: event.remoteIdentity, destination: 0 }
    : { source: 0, destination: event.remoteIdentity }
}

const eventTypes = {
  drop: notifyType.DROP,
  trace: notifyType.TRACE,
  verdict: notifyType.POLICY_VERDICT,
} as const

function subTypeOf(event: Notification): number {
  if (event.kind === 'drop') return event.reason
  return event.kind === 'trace' ? event.point : 0
}

/** TraceReason by number; unknown is the zero that is left out. */
export const hubbleReasonNames = [
  'NEW',
  'ESTABLISHED',
  'REPLY',
  'RELATED',
  'REOPENED',
  undefined,
  'SRV6_ENCAP',
  'SRV6_DECAP',
  'ENCRYPT_OVERLAY',
]

/** TraceObservationPoint by number. */
export const hubblePointNames = pointNames.map((name) => name.toUpperCase().replaceAll('-', '_'))

/** The fields that only traces have. */
function traceFields(event: TraceNotification, { device }: FlowContext): Json {
  const { point, ifindex, destinationEndpoint } = event
  return withoutZeros({
    trace_observation_point: hubblePointNames[point],
    trace_reason: hubbleReasonNames[event.reason],
    interface: ifindex === 0 ? undefined : { index: ifindex, name: device(ifindex) },
    proxy_port: point === tracePoint.TO_PROXY ? destinationEndpoint : 0,
  })
}

function ownFields(event: Notification, context: FlowContext): Json {
  if (event.kind === 'trace') return traceFields(event, context)
  if (event.kind === 'verdict') {
    const auth = event.authType === 0 ? undefined : authNames[event.authType]
    return withoutZeros({
      policy_match_type: event.match,
      auth_type: auth?.toUpperCase().replaceAll('-', '_'),
    })
  }
  const name = sourceFileName(event.file)
  return name === undefined ? {} : { file: { name, line: event.line } }
}

/** What is said of addresses: header, translation, endpoints. */
function addressFields(event: Notification, layers: Layers, context: FlowContext) {
  const ends = endsIn(layers)
  if (ends === undefined) return { sourceEndpoint: 0, fields: {} }
  const { source, destination } = ends
  const original = event.kind === 'trace' ? originalOf(event) : source.address
  const from = event.kind === 'trace' && !isUnspecified(original) ? original : source.address
  const ip = withoutZeros({
    ...ipOf(layers, { ...source, address: from }, destination),
    source_xlated: sameIp(from, source.address) ? undefined : formatIp(source.address),
    encrypted: event.kind === 'trace' && event.encrypted,
  })
  const identities = identitiesOf(event)
  const sourceEndpoint = context.endpoint(from, identities.source)
  const target = context.endpoint(destination.address, identities.destination)
  return {
    sourceEndpoint: sourceEndpoint.ID ?? 0,
    fields: { IP: ip, source: sourceEndpoint, destination: target },
  }
}

/** One line of an export: the flow with the node that saw it. */
export function hubbleFlow(event: Notification, context: FlowContext): Json {
  const flags = captureFlags(event)
  const captured = readCaptured(event, flags, context.era)
  const layers = captured?.inner ?? captured?.outer
  const { sourceEndpoint, fields } =
    layers === undefined ? { sourceEndpoint: 0, fields: {} } : addressFields(event, layers, context)
  const { l4, summary } = layers === undefined ? { l4: undefined, summary: '' } : layer4(layers)
  const reason = dropReasonOf(event)
  const isReply = isReplyOf(event, context.era)
  const time = timeText(context.time)
  const flow = {
    ...withoutZeros({
      time,
      uuid: context.uuid,
      verdict: verdictOf(event),
      drop_reason: reason,
      drop_reason_desc: reason === 0 ? undefined : (hubbleDropNames[reason] ?? reason),
      ethernet: layers === undefined ? undefined : ethernetOf(layers),
      ...fields,
      l4,
      tunnel: captured === undefined ? undefined : tunnelOf(captured, flags),
      Type: 'L3_L4',
      node_name: context.nodeName,
      reply: isReply,
      event_type: withoutZeros({ type: eventTypes[event.kind], sub_type: subTypeOf(event) }),
      traffic_direction: directionOf(event, sourceEndpoint, context.era),
      ...ownFields(event, context),
      Summary: summary,
    }),
    // a wrapped value: false is not the same as absent
    ...(isReply === undefined ? {} : { is_reply: isReply }),
  }
  return { flow, node_name: context.nodeName, time }
}

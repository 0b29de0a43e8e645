// A trace as Cilium's own tools tell it: what `cilium monitor` prints on each node, what Hubble exports. Enters: a finished run;
// leaves: text. Both read the notifications in the trace and nothing else of the datapath.
import { hubbleFlow } from '../cilium/decode/hubble.ts'
import { compactFlow } from '../cilium/decode/hubble-compact.ts'
import { legacyFlow } from '../cilium/decode/hubble-era.ts'
import { readFlowFilter } from '../cilium/decode/hubble-filter.ts'
import type { HubbleLine } from '../cilium/decode/hubble-flow.ts'
import { accessLogFlow, type RequestTimes } from '../cilium/decode/hubble-l7.ts'
import { monitorLine } from '../cilium/decode/monitor.ts'
import { accessLogLine } from '../cilium/decode/monitor-l7.ts'
import type { Notification } from '../cilium/decode/notification.ts'
import { flowUuid } from '../cilium/decode/uuid.ts'
import type { InstalledCilium } from '../cilium/installed.ts'
import type { LogEndpoint, LogRecord } from '../cilium/proxy/access-log.ts'
import { flowEndpoints } from '../cilium/show/flow-endpoint.ts'
import { type IpAddress, parseIp } from '../net/address.ts'
import type { HookEvent, PacketTrace, Trace } from '../trace/event.ts'
import { loggedOf } from './expect/logged.ts'
import { notificationsOf } from './expect/notified.ts'
import type { DeviceName } from './simulate.ts'

/** A notification with the node that sent it and when. */
export interface Observed {
  readonly node: string
  /** Nanoseconds since the scenario began. */
  readonly time: number
  readonly packet: PacketTrace
  /** How many packets were born before this one. */
  readonly born: number
  readonly told: Notification | Logged
}

/** What a proxy of the node logged. */
export interface Logged {
  readonly kind: 'access-log'
  readonly record: LogRecord
}

function loggedIn(packet: PacketTrace): readonly { readonly event: HookEvent; readonly told: Logged }[] {
  return loggedOf(packet).map(({ event, record }) => ({ event, told: { kind: 'access-log', record } }))
}

/** Every notification of a run in the order of time. */
export function observedIn(
  trace: Pick<Trace, 'packets'>,
  cilium: InstalledCilium | undefined,
): readonly Observed[] {
  return trace.packets
    .flatMap((packet, born) =>
      [...notificationsOf(packet, cilium), ...loggedIn(packet)].map(({ event, told }) => ({
        node: event.node,
        time: event.time,
        packet,
        born,
        told,
      })),
    )
    .sort((left, right) => left.time - right.time)
}

/** What is needed to tell a run as one node saw it. */
export interface Seen {
  readonly packets: readonly PacketTrace[]
  readonly cilium: InstalledCilium
  readonly deviceName: DeviceName
  readonly node: string
}

/** `cilium monitor` on a node: a line for each notification and for each message that a proxy read. */
export function monitorOf({ packets, cilium, deviceName, node: name }: Seen): string {
  const endpointOf = flowEndpoints(cilium)
  const device = (ifindex: number): string => deviceName(name, ifindex)
  return observedIn({ packets }, cilium)
    .filter(({ node }) => node === name)
    .map(({ told, born }) =>
      told.kind === 'access-log'
        ? `${accessLogLine(told.record, (end) => labelsOf(endpointOf, name, end, born))}\n`
        : `${monitorLine(told, { era: cilium.era, device })}\n`,
    )
    .join('')
}

/** `cilium monitor` on every node: a section each, in the cluster's order; nodes that saw nothing are left out. */
export function monitorText({ packets }: Trace, cilium: InstalledCilium, deviceName: DeviceName): string {
  return [...cilium.nodes.keys()]
    .map((node) => ({ node, lines: monitorOf({ packets, cilium, deviceName, node }) }))
    .filter(({ lines }) => lines !== '')
    .map(({ node, lines }) => `== ${node} ==\n${lines}`)
    .join('\n')
}

function labelsOf(
  endpointOf: ReturnType<typeof flowEndpoints>,
  node: string,
  { address, identity }: LogEndpoint,
  born: number,
): readonly string[] {
  const parsed = parseIp(address)
  return (parsed === undefined ? undefined : endpointOf(node, parsed, identity, born).labels) ?? []
}

/** The flows of all nodes in the order of time, each with the node that saw it. `uuidOf` says what identifies the next flow of a node. */
function flowsOf(
  { packets, cilium, deviceName }: Omit<Seen, 'node'>,
  uuidOf: (node: string) => string | undefined,
): readonly { readonly node: string; readonly flow: HubbleLine }[] {
  const endpointOf = flowEndpoints(cilium)
  const times: RequestTimes = new Map()
  return observedIn({ packets }, cilium).map(({ node, time, told, born }) => {
    const context = {
      era: cilium.era,
      endpoint: (address: IpAddress, identity: number) => endpointOf(node, address, identity, born),
      device: (ifindex: number) => deviceName(node, ifindex),
      nodeName: `${cilium.clusterName}/${node}`,
      uuid: uuidOf(node),
      time,
    }
    const flow =
      told.kind === 'access-log' ? accessLogFlow(told.record, context, times) : hubbleFlow(told, context)
    return { node, flow: cilium.era === '1.10' ? legacyFlow(flow) : flow }
  })
}

/** Whether a flow is wanted. */
export type Wanted = (line: HubbleLine) => boolean

/** Which flows the flags of `hubble observe` ask for, or why they cannot. */
export function flowsWanted(words: readonly string[]): Wanted | string {
  const filter = readFlowFilter(words)
  if (filter.kind === 'filter') return filter.holds
  return filter.kind === 'conflict' ? filter.message : `\`${filter.word}\` is no filter of \`hubble observe\``
}

/** Flows as Hubble exports them, one JSON value on each line, in the order of time over all nodes. */
export function hubbleText(
  trace: Trace,
  cilium: InstalledCilium,
  deviceName: DeviceName,
  wanted: Wanted = () => true,
): string {
  const story = trace.case === undefined ? trace.scenario : `${trace.scenario}[${trace.case}]`
  const seen = new Map<string, number>()
  const uuidOf = (node: string): string | undefined => {
    if (cilium.era === '1.10') return undefined
    const number = (seen.get(node) ?? 0) + 1
    seen.set(node, number)
    return flowUuid(`${story}/${node}/${number}`)
  }
  return flowsOf({ packets: trace.packets, cilium, deviceName }, uuidOf)
    .filter(({ flow }) => wanted(flow))
    .map(({ flow }) => `${JSON.stringify(flow)}\n`)
    .join('')
}

/** `hubble observe` against the agent of a node: the last of the flows that a filter lets through. */
export function hubbleObserve(seen: Seen, last: number, wanted: Wanted): string {
  return flowsOf(seen, () => undefined)
    .filter(({ node, flow }) => node === seen.node && wanted(flow))
    .slice(-last)
    .map(({ flow }) => `${compactFlow(flow)}\n`)
    .join('')
}

// Closing a trace: what the recorder has, the names, and what the case left behind.
import { ciliumDecoders } from '../cilium/decode/decoders.ts'
import { ciliumState } from '../cilium/decode/state.ts'
import type { InstalledCilium } from '../cilium/installed.ts'
import { isEmptied } from '../kernel/device/remove.ts'
import { listNeighbours } from '../kernel/ip/list.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { tellsAddress } from '../kernel/neighbour-entry.ts'
import { socketState } from '../kernel/socket/socket.ts'
import { formatIp } from '../net/address.ts'
import { formatMac, macFrom } from '../net/mac.ts'
import type { Decoders } from '../trace/effects/decoders.ts'
import type { Binding, HookEvent, Outcome, PacketTrace, StateLine, Trace } from '../trace/event.ts'
import { conntrackLines } from './conntrack-lines.ts'
import { bindingsOf } from './names.ts'
import type { Run } from './run-state.ts'

/** The trace as it is now. */
export function finishTrace(run: Run, scenario: string): Trace {
  const { cilium } = run.booted
  const decoders = cilium === undefined ? undefined : ciliumDecoders(cilium.era)
  const packets = packetsOf(run)
  const state = [...run.machine.namespaces.values()]
    .filter((ns) => !isEmptied(ns)) // what is left of a deleted one is nobody's
    .map((ns) => ({ node: ns.name, lines: [...datapathState(ns, cilium), ...stateLines(ns)] }))
    .filter(({ lines }) => lines.length > 0)
  const { id } = run.model
  return {
    scenario,
    ...(id === undefined ? {} : { case: id }),
    bindings: withIdentities(bindingsOf(run.model.world), cilium),
    packets,
    ...(run.steps.length === 0 ? {} : { steps: [...run.steps] }),
    state,
    ...(decoders === undefined ? {} : { decoders }),
  }
}

/** The packets so far, from the `first` on; drops have the reasons that programs gave. */
export function packetsOf({ booted, machine }: Run, first = 0): readonly PacketTrace[] {
  const recorded: readonly PacketTrace[] = machine.trace?.packets ?? []
  const wanted = first === 0 ? recorded : recorded.slice(first)
  if (booted.cilium === undefined) return wanted
  const decoders = ciliumDecoders(booted.cilium.era)
  return wanted.map((packet) => explained(packet, decoders))
}

function datapathState(ns: Namespace, cilium: InstalledCilium | undefined): readonly StateLine[] {
  const node = cilium?.nodes.get(ns.name)
  if (node === undefined) return []
  const log = node.agent.node.log.map((text): StateLine => ({ word: 'agent', text }))
  return [...log, ...ciliumState(node.maps)]
}

/** `where client 10.0.1.10 identity 4521`; `then 9912` where a step gave it another one. */
function withIdentities(
  bindings: readonly Binding[],
  cilium: InstalledCilium | undefined,
): readonly Binding[] {
  if (cilium === undefined) return bindings
  return bindings.map((binding) => {
    const [identity, ...later] = cilium.identities.get(binding.name) ?? []
    if (identity === undefined) return binding
    const remarks = [`identity ${identity}`, ...later.map((each) => `then ${each}`)]
    return { ...binding, remarks: [...binding.remarks, ...remarks] }
  })
}

/** A packet whose drop by a program has the reason that the program gave, at the place where it gave it. */
function explained(packet: PacketTrace, decoders: Decoders): PacketTrace {
  if (!packet.outcomes.some(({ kind }) => kind === 'dropped')) return packet
  return {
    ...packet,
    outcomes: packet.outcomes.map((outcome) => explainedOutcome(packet, outcome, decoders)),
  }
}

const byProgram = new Set(['SKB_DROP_REASON_TC_INGRESS', 'SKB_DROP_REASON_TC_EGRESS', 'XDP_DROP'])

function explainedOutcome(packet: PacketTrace, outcome: Outcome, decoders: Decoders): Outcome {
  if (outcome.kind !== 'dropped' || !byProgram.has(outcome.reason ?? '')) return outcome
  const event = packet.events.findLast(
    ({ node, device, stage }) =>
      node === outcome.node && device === outcome.device && stage === outcome.stage,
  )
  const told = event === undefined ? undefined : toldDrop(event, decoders)
  if (told === undefined) return outcome
  const { node, device, stage } = told.event
  return { ...outcome, node, device, stage, reason: told.reason }
}

/** The innermost run of an event that says why it dropped. */
function toldDrop(
  event: HookEvent,
  decoders: Decoders,
): { readonly event: HookEvent; readonly reason: string } | undefined {
  for (const inner of event.nested) {
    const told = toldDrop(inner, decoders)
    if (told !== undefined) return told
  }
  for (const fact of event.facts) {
    const reason = fact.kind === 'record' ? decoders.dropReason?.(fact.bytes) : undefined
    if (reason !== undefined) return { event, reason }
  }
  return undefined
}

/** What a reviewer should know was left: tracked flows, neighbours that were learned or lost, connections that are still open. */
function stateLines(ns: Namespace): StateLine[] {
  return [...conntrackLines(ns), ...neighbourLines(ns, 4), ...neighbourLines(ns, 6), ...socketLines(ns)]
}

/** Neighbours that nobody declared and that did not start warm. */
function neighbourLines(ns: Namespace, family: 4 | 6): StateLine[] {
  const lines: StateLine[] = []
  if (family === 6 && !ns.ip.asked6) return lines
  for (const neighbour of listNeighbours(ns, family)) {
    if (neighbour.state === 'PERMANENT' || neighbour.state === 'NONE') continue
    const mac = ns.ip.warm?.(neighbour.device, neighbour.address)
    if (mac !== undefined && mac === neighbour.mac && neighbour.updated === 0) continue
    const lladdr = tellsAddress(neighbour) ? ` ${formatMac(macFrom(neighbour.mac))}` : ''
    lines.push({
      word: `neigh${family}`,
      text: `${formatIp(neighbour.address)} ${neighbour.device.name}${lladdr} ${neighbour.state.toLowerCase()}`,
    })
  }
  return lines
}

const stateNames = new Map<number, string>(
  Object.entries(socketState).map(([name, value]) => [
    value,
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  ]),
)

/** TCP sockets that are neither listening nor closed. */
function socketLines(ns: Namespace): StateLine[] {
  const lines: StateLine[] = []
  for (const chain of ns.sockets.tcpFlows?.values() ?? []) {
    for (const socket of chain) {
      const local = endpoint(formatIp(socket.localAddress), socket.localPort)
      const remote = endpoint(formatIp(socket.remoteAddress), socket.remotePort)
      lines.push({
        word: 'tcp',
        text: `${local} > ${remote} ${stateNames.get(socket.state) ?? socket.state}`,
      })
    }
  }
  return lines.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

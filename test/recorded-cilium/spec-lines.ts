// What a spec on the recorded topology did with one of its packets, as the lines that replay.ts makes of a recording. A spec
// is written as a user would write it, so numbers that the language does not let one choose are others there; they are
// renamed here to those of the recording, and nothing else: MAC addresses of devices that agents make (lxc*, cilium_host,
// cilium_net), ifindexes, numbers of endpoints, the port of the proxy.
import { type Booted, boot } from '../../src/boot/boot.ts'
import type { AgentState } from '../../src/cilium/agent/agent.ts'
import type { CaseModel } from '../../src/model/model.ts'
import { simulate } from '../../src/run/simulate.ts'
import type { HookEvent, PacketTrace, Snapshot } from '../../src/trace/event.ts'
import { entryLine, isPrinted, type PrintedMap } from './entries.ts'
import type { Version } from './era.ts'
import { eventFields, type Fields } from './events.ts'
import { ifindex, macs, must, pods } from './topology.ts'
import { eventLine, packetLine, programLine } from './watch.ts'

/** The port of the recorded proxy, and the byte order in which marks and verdicts hold it. */
const recordedProxy = 10_001

function swapped(port: number): number {
  return ((port & 0xff) << 8) | (port >>> 8)
}

/** From the numbers of a spec to those of the recording. */
interface Renaming {
  /** Of MAC addresses, as hex digits. */
  readonly macs: ReadonlyMap<string, string>
  /** Of ifindexes, by node. */
  readonly devices: ReadonlyMap<string, ReadonlyMap<number, number>>
  /** Of endpoints, by node. */
  readonly endpoints: ReadonlyMap<string, ReadonlyMap<number, number>>
  /** The port of the spec's proxy for HTTP. */
  readonly proxyPort: number
  readonly version: Version
  readonly proxied: boolean
}

/** `lxc-p11` is `lxcp11` in the recording. */
function deviceName(name: string): string {
  return name.replace(/^lxc-/, 'lxc')
}

function hexOfMac(text: string): string {
  return text.replaceAll(':', '')
}

function recordedMac(ns: string, device: string): string | undefined {
  const node = Number(ns.slice(1))
  const outside = pods.find(({ name }) => `lxc-${name}` === device)
  if (outside !== undefined) return outside.nodeMac
  if (device === 'cilium_host') return macs.ciliumHost(node)
  return device === 'cilium_net' ? macs.ciliumNet(node) : undefined
}

function recordedIfindex(device: string): number | undefined {
  const found = pods.find(({ name }) => `lxc-${name}` === device)
  return found?.ifindex ?? ifindex[device as keyof typeof ifindex]
}

function endpointsOf({ node, endpoints }: AgentState): ReadonlyMap<number, number> {
  const known = new Map<number, number>()
  for (const { id, kind, pod } of endpoints) {
    const recorded = pods.find(({ name }) => name === pod?.name)?.endpointId
    if (recorded !== undefined) known.set(id, recorded)
    else if (kind === 'host') known.set(id, 100 + Number(node.name.slice(1)))
  }
  return known
}

function renamingOf({ machine, agents }: Booted, version: Version, proxied: boolean): Renaming {
  const renamed = new Map<string, string>()
  const devices = new Map<string, Map<number, number>>()
  for (const ns of machine.namespaces.values()) {
    for (const dev of ns.devices.values()) {
      const own = recordedMac(ns.name, dev.name)
      if (own !== undefined) renamed.set(dev.mac.toString(16).padStart(12, '0'), hexOfMac(own))
      const number = recordedIfindex(dev.name)
      if (number === undefined) continue
      const ofNode = devices.get(ns.name) ?? new Map<number, number>()
      devices.set(ns.name, ofNode.set(dev.ifindex, number))
    }
  }
  const { state } = must(agents, 'a cluster of Cilium')
  return {
    macs: renamed,
    devices,
    endpoints: new Map(state.agents.map((agent) => [agent.node.name, endpointsOf(agent)])),
    proxyPort: state.registry.proxyPort('http', true, ''),
    version,
    proxied,
  }
}

/** Hex of bytes with the recorded MAC addresses at every place where one of the spec's stands. */
function renamedHex(bytes: Uint8Array, { macs: known }: Renaming): string {
  let hex = Buffer.from(bytes).toString('hex')
  for (const [own, recorded] of known) {
    for (let at = hex.indexOf(own); at !== -1; at = hex.indexOf(own, at + 1)) {
      if (at % 2 === 0) hex = `${hex.slice(0, at)}${recorded}${hex.slice(at + own.length)}`
    }
  }
  return hex
}

function renamedMark(mark: number, { proxyPort }: Renaming): number {
  if ((mark & 0xffff) !== 0x200 || mark >>> 16 !== swapped(proxyPort)) return mark >>> 0
  return ((swapped(recordedProxy) << 16) | 0x200) >>> 0
}

function renamedFields(node: string, fields: Fields, renaming: Renaming): Fields {
  const { endpoints, devices, proxyPort } = renaming
  const own: Record<string, unknown> = { ...fields }
  for (const name of ['source_ep', 'dst_ep'] as const) {
    const number = Number(fields[name] ?? 0)
    if (own[name] === undefined) continue
    own[name] = number === proxyPort ? recordedProxy : (endpoints.get(node)?.get(number) ?? number)
  }
  if (own['ifindex'] !== undefined) {
    const number = Number(fields['ifindex'])
    own['ifindex'] = devices.get(node)?.get(number) ?? number
  }
  if (fields['verdict'] === swapped(proxyPort)) own['verdict'] = swapped(recordedProxy)
  return {
    ...own,
    packet: renamedHex(Uint8Array.from(Buffer.from(String(fields['packet']), 'hex')), renaming),
  }
}

const directions = { 'tc-in': 'ingress', 'tc-out': 'egress', xdp: 'xdp' } as const

/** Lines of the events map, in the order in which the run and those inside it sent them. */
function eventLines(event: HookEvent, renaming: Renaming): string[] {
  const own = event.facts.flatMap((fact) => {
    if (fact.kind !== 'record' || fact.map !== 'cilium_events') return []
    const fields = eventFields(fact.bytes, renaming.version)
    return [eventLine(event.node, renamedFields(event.node, fields, renaming), renaming.proxied)]
  })
  return [...own, ...event.nested.flatMap((inner) => eventLines(inner, renaming))]
}

function isProgram({ stage, actor }: HookEvent): boolean {
  return stage in directions && actor !== '' && actor !== 'kernel'
}

const macDigits = 24
const noMacs = '0'.repeat(macDigits)

/**
 * A frame without its MAC addresses. A trace takes the work of the neighbour layer and the hook behind it together, so a
 * packet that enters a program at egress has the MAC addresses of before, or none yet.
 */
export function withoutMacs(hex: string): string {
  return `${noMacs}${hex.slice(macDigits)}`
}

function enteringHex({ bytes, start }: Snapshot, dir: string, renaming: Renaming): string {
  const hex = renamedHex(bytes, renaming)
  if (start === 'ip') return `${noMacs}${hex.startsWith('6') ? '86dd' : '0800'}${hex}`
  return dir === 'egress' ? withoutMacs(hex) : hex
}

function programLines(event: HookEvent, renaming: Renaming): string[] {
  const { node, device, stage, actor, before, after, decision } = event
  const dir = directions[stage as keyof typeof directions]
  const line = (kind: 'enter' | 'return', snapshot: Snapshot, ret?: number): string =>
    programLine(
      kind,
      {
        node,
        dev: deviceName(device),
        dir,
        prog: actor,
        mark: renamedMark(snapshot.mark, renaming),
        hex: kind === 'enter' ? enteringHex(snapshot, dir, renaming) : renamedHex(snapshot.bytes, renaming),
        ...(ret === undefined ? {} : { ret }),
      },
      renaming.proxied,
    )
  return [line('enter', before), ...eventLines(event, renaming), line('return', after, decision?.value ?? 0)]
}

interface Tapped {
  readonly place: string
  readonly way: 'in' | 'out'
  readonly snapshot: Snapshot
}

/**
 * What taps see of an event: a frame that arrives, one that leaves, one before or behind a tunnel device. `seen` are the
 * devices at which the packet has arrived; `behind` is the event behind this one.
 */
function tapped(event: HookEvent, behind: HookEvent | undefined, seen: Set<string>): Tapped | undefined {
  const { node, device, stage, actor, before, after, decision } = event
  const place = `${node}/${deviceName(device)}`
  if (stage === 'tx' && actor === '') return { place, way: 'out', snapshot: after }
  if (stage === 'xmit') return { place, way: 'out', snapshot: before }
  // bpf_redirect_peer(): the other end receives it, and nobody else sees it
  const peer = /^(\S+) peer$/.exec(decision?.target ?? '')?.[1]
  const passed = stage === 'xdp' && decision?.code === 'PASS'
  if (peer === undefined && !passed && stage !== 'decap') {
    // native XDP comes before the taps; and whoever takes a frame stands at `rx`, too: that is no second arrival
    if (stage !== 'rx' || (actor !== '' && seen.has(place))) return undefined
    if (behind?.stage === 'xdp') return undefined
  }
  seen.add(peer ?? place)
  return { place: peer ?? place, way: 'in', snapshot: stage === 'rx' ? before : after }
}

function linesOf({ events }: PacketTrace, renaming: Renaming): string[] {
  const seen = new Set<string>()
  return events.flatMap((event, index) => {
    const lines = isProgram(event) ? programLines(event, renaming) : []
    const tap = event.device === 'lo' ? undefined : tapped(event, events[index + 1], seen)
    if (tap === undefined) return lines
    const [ns = '', device = ''] = tap.place.split('/')
    const hex = renamedHex(tap.snapshot.bytes, renaming)
    return [...lines, packetLine(ns, device, tap.way, hex, renaming.proxied)]
  })
}

interface Change {
  readonly old: string | undefined
  text: string | undefined
}

/** How entries of the recorded maps were before some packets, and are behind them, as the recorder prints them. */
function changesOf(packets: readonly PacketTrace[], version: Version): ReadonlyMap<string, Change> {
  const changes = new Map<string, Change>()
  const look = (event: HookEvent): void => {
    for (const fact of event.facts) {
      if (fact.kind !== 'map' || !isPrinted(fact.map)) continue
      const name = fact.map as PrintedMap
      const text = (value: Uint8Array | undefined): string | undefined =>
        value === undefined ? undefined : `${event.node}/${name} ${entryLine(name, fact.key, value, version)}`
      const at = `${event.node} ${name} ${Buffer.from(fact.key).toString('hex')}`
      const known = changes.get(at) ?? { old: text(fact.before), text: undefined }
      known.text = text(fact.after)
      changes.set(at, known)
    }
    event.nested.forEach(look)
  }
  for (const { events } of packets) events.forEach(look)
  return changes
}

function mapLine({ old, text }: Change): readonly string[] {
  if (old === text) return []
  if (text === undefined) return [`- ${old}`]
  return [`${old === undefined ? '+' : '~'} ${text}`]
}

/** What became of a named packet and of those that it caused. */
export interface SpecStep {
  /** The frame as it was put on the device. */
  readonly frame: string
  readonly lines: readonly string[]
  readonly maps: readonly string[]
  /** Lines of changes after which entries would be as they were before the packet came. */
  readonly known: ReadonlySet<string>
}

/** Runs a case and gives what it did with each packet that the spec names. */
export function playSpec(
  model: CaseModel,
  what: { readonly scenario: string; readonly version: Version; readonly proxied: boolean },
): ReadonlyMap<string, SpecStep> {
  const booted = boot(model.world, { seed: 1, trace: { full: false } })
  const renaming = renamingOf(booted, what.version, what.proxied)
  const { trace } = simulate(model, { seed: 1, scenario: what.scenario, full: false })
  const entries = new Map<string, string | undefined>()
  const steps = new Map<string, SpecStep>()
  for (const packet of trace.packets.filter(({ cause }) => cause === '')) {
    const family = trace.packets.filter(({ name }) => `${name}.`.startsWith(`${packet.name}.`))
    const changes = changesOf(family, what.version)
    steps.set(packet.name, {
      frame: renamedHex(packet.first.bytes, renaming),
      lines: family.flatMap((each) => linesOf(each, renaming)),
      maps: [...changes.values()].flatMap(mapLine).sort(),
      known: new Set([...entries.values()].map((text) => `~ ${text}`)),
    })
    for (const [at, { text }] of changes) entries.set(at, text)
  }
  return steps
}

// Where model and kernel disagree: frames at taps, ends of calls, datagrams, map entries, counters. Each packet is
// reported once, at the first place where the two halves part.

import { dissect } from '../net/dissect.ts'
import { bytesToHex } from '../net/hex.ts'
import { summarise } from '../net/summarise.ts'
import type { PacketTrace } from '../trace/event.ts'
import { Canonical } from './canonical.ts'
import type { TapFrame } from './capture.ts'
import type { ChosenPorts } from './chosen-ports.ts'
import type { RealFlow } from './flows.ts'
import type { ModelRun } from './model-run.ts'
import type { Delivery } from './world.ts'

/** One disagreement: what it is about, and what each side says. */
export interface Difference {
  readonly subject: string
  readonly model: string
  readonly kernel: string
}

interface Seen {
  readonly frame: TapFrame
  readonly text: string
}

function place({ node, device, direction }: TapFrame): string {
  return `${node}/${device}/tap-${direction}`
}

/** Frames of one half in canonical form, in the order of time. */
function canonical(frames: readonly TapFrame[], ports: ReadonlyMap<number, number>): Seen[] {
  const form = new Canonical(ports)
  const ordered = frames.toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
  return ordered.map((frame) => ({ frame, text: bytesToHex(form.frame(frame.bytes)) }))
}

function shown(bytes: Uint8Array): string {
  return summarise(dissect(bytes))
}

/** Compares the frames at all taps. */
export function compareFrames(
  model: readonly TapFrame[],
  kernel: readonly TapFrame[],
  ports: ChosenPorts,
): Difference[] {
  const waiting = new Map<string, Seen[]>()
  for (const seen of canonical(kernel, ports.kernel)) {
    const key = place(seen.frame)
    waiting.set(key, [...(waiting.get(key) ?? []), seen])
  }
  const missing: Seen[] = []
  for (const seen of canonical(model, ports.model)) {
    const there = waiting.get(place(seen.frame)) ?? []
    const at = there.findIndex(({ text }) => text === seen.text)
    if (at === -1) missing.push(seen)
    else there.splice(at, 1)
  }
  return differences(missing, [...waiting.values()].flat())
}

/** Pairs what the model alone has with what the kernel alone has at the same place; each packet is told once. */
function differences(missing: readonly Seen[], extra: Seen[]): Difference[] {
  const found: Difference[] = []
  const told = new Set<string>()
  for (const seen of missing) {
    const at = extra.findIndex(({ frame }) => place(frame) === place(seen.frame))
    const [other] = at === -1 ? [] : extra.splice(at, 1)
    const name = seen.frame.packet ?? ''
    if (name !== '' && told.has(name)) continue
    told.add(name)
    found.push({
      subject: `${name === '' ? 'a frame' : name} at ${place(seen.frame)}`,
      model: described(seen),
      kernel: other === undefined ? 'nothing' : described(other, seen),
    })
  }
  for (const seen of extra)
    found.push({ subject: `a frame at ${place(seen.frame)}`, model: 'nothing', kernel: described(seen) })
  return found
}

/** A frame in words; its bytes too where the words of both sides are equal. */
function described(seen: Seen, other?: Seen): string {
  const words = shown(seen.frame.bytes)
  if (other === undefined || words !== shown(other.frame.bytes)) return words
  return `${words}\n      model  ${other.text}\n      kernel ${seen.text}`
}

/** Compares how the calls of the flows ended. */
export function compareFlows(run: ModelRun, flows: ReadonlyMap<string, RealFlow>): Difference[] {
  const found: Difference[] = []
  for (const [label, model] of run.flows) {
    const kernel = flows.get(label)?.result()
    if (kernel === undefined) continue
    const calls = new Set([...model.errnos.keys(), ...kernel.errnos.keys()])
    for (const call of calls) {
      const [one, two] = [model.errnos.get(call) ?? 'success', kernel.errnos.get(call) ?? 'success']
      if (one !== two) found.push({ subject: `${call} of ${label}`, model: one, kernel: two })
    }
    const state = (established: boolean, bytes: number): string =>
      `${established ? 'established' : 'not established'}, ${bytes} received`
    const one = state(model.established, model.bytesReceived)
    const two = state(kernel.established, kernel.bytesReceived)
    if (one !== two) found.push({ subject: label, model: one, kernel: two })
  }
  return found
}

/** The datagrams that the model delivered: node, port, number of bytes. */
function modelDeliveries(packets: readonly PacketTrace[]): string[] {
  const found: string[] = []
  for (const { events } of packets) {
    for (const { node, decision, after } of events) {
      const port = /^udp\/(\d+)$/.exec(decision?.code === 'DELIVER' ? (decision.target ?? '') : '')?.[1]
      if (port !== undefined)
        found.push(`${node} udp ${port}: ${datagramBytes(after.bytes, after.start)} bytes`)
    }
  }
  return found
}

function datagramBytes(bytes: Uint8Array, start: 'ethernet' | 'ip'): number {
  const frame =
    start === 'ethernet' ? bytes : new Uint8Array([...new Uint8Array(12), ...etherTypeOf(bytes), ...bytes])
  const length = dissect(frame).layers.find(({ kind }) => kind === 'udp')
  if (length === undefined) return -1
  const view = new DataView(frame.buffer, frame.byteOffset)
  return view.getUint16(length.start + 4) - 8
}

function etherTypeOf(bytes: Uint8Array): readonly [number, number] {
  return (bytes[0] ?? 0) >>> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00]
}

/** Compares who got which datagrams. */
export function compareDeliveries(run: ModelRun, deliveries: readonly Delivery[]): Difference[] {
  const kernel = deliveries.map(({ node, port, data }) => `${node} udp ${port}: ${data.length} bytes`)
  const found: Difference[] = []
  for (const model of modelDeliveries(run.packets)) {
    const at = kernel.indexOf(model)
    if (at === -1) found.push({ subject: 'a datagram', model, kernel: 'not delivered' })
    else kernel.splice(at, 1)
  }
  for (const extra of kernel) found.push({ subject: 'a datagram', model: 'not delivered', kernel: extra })
  return found
}

/** Compares all entries of a map. */
export function compareMap(
  name: string,
  model: ReadonlyMap<string, string>,
  kernel: ReadonlyMap<string, string>,
): Difference[] {
  const found: Difference[] = []
  for (const key of new Set([...model.keys(), ...kernel.keys()])) {
    const [one, two] = [model.get(key) ?? 'no entry', kernel.get(key) ?? 'no entry']
    if (one !== two) found.push({ subject: `map ${name} [${key}]`, model: one, kernel: two })
  }
  return found
}

// Plays the steps of a recorded run on the model, and sets beside each other what was recorded and what the model did.
import type { Program } from '../../src/bpf/contract.ts'
import type { BpfMap } from '../../src/bpf/maps/map.ts'
import { born } from '../../src/kernel/birth.ts'
import { millisecond } from '../../src/kernel/clock.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import { skbFromFrame } from '../../src/kernel/skb.ts'
import { sendFrame } from '../../src/kernel/transmit.ts'
import type { RecordedEvent, RecordedRun, RecordedStep } from './case.ts'
import { choiceOf } from './choices.ts'
import { type CiliumNode, installCilium } from './datapath.ts'
import { changes, recordedEntry, snapshot, withoutLives } from './entries.ts'
import type { Version } from './era.ts'
import { clearPolicy, putPolicy } from './fill.ts'
import { buildTopology, must } from './topology.ts'
import { tunnelMacsOf } from './tunnel-mac.ts'
import { comparesCb, eventLine, packetLine, programLine, type Watch, watched, watchMachine } from './watch.ts'

/** One step: the recorded lines and those of the model, in total order; map changes sorted behind them. */
export interface PlayedStep {
  readonly title: string
  readonly kind: 'plain' | 'service'
  readonly recorded: readonly string[]
  readonly model: readonly string[]
}

/** Injections of the fixed list that meet a service. */
const serviceTitles = /^(c\d|d\d|e\d|g1|h6)\b/

/** Whether a step meets a service. */
export function isService(run: RecordedRun, step: RecordedStep): boolean {
  return run.setup === undefined ? serviceTitles.test(step.title) : run.setup.services.length > 0
}

const settle = 200 * millisecond

/** Fields of events that the recorder adds for reading; the others are compared. */
const decoration = new Set(['kind', 'node', 'packet_text', 'reason_text'])

function recordedLine(event: RecordedEvent, proxied: boolean, withCb: boolean): string | undefined {
  const { kind, hex = '' } = event
  switch (kind) {
    case 'packet':
      return packetLine(event.ns ?? '', event.dev ?? '', event.dir ?? '', hex, proxied)
    case 'enter':
    case 'return':
      return programLine(
        kind,
        {
          node: event.node ?? '',
          dev: event.dev ?? '',
          dir: event.dir ?? '',
          prog: event.prog ?? '',
          mark: event.mark ?? 0,
          hex,
          ...(kind === 'return' ? { ret: event.ret ?? 0, ...(withCb ? { cb: event.cb ?? [] } : {}) } : {}),
        },
        proxied,
      )
    case 'event': {
      const fields = Object.entries(event).filter(
        ([name]) => !decoration.has(name) && !(event.type === 'drop' && name === 'reason'),
      )
      return eventLine(event.node ?? '', Object.fromEntries(fields), proxied)
    }
    case 'kernel-free':
      // who frees an skb is the kernel's own bookkeeping: its place among the other events is not in packet order
      return undefined
    default:
      return `${kind}: no such kind of event`
  }
}

/** Packets, programs and notifications of a step, in order; `withCb`: with the words of skb->cb that programs left. */
export function timelineLines(step: RecordedStep, proxied: boolean, withCb = false): string[] {
  const lines = step.timeline.map((event) => recordedLine(event, proxied, withCb))
  return lines.filter((line) => line !== undefined)
}

/** Its map changes, sorted. */
export function mapLines(step: RecordedStep): string[] {
  return step.maps.map(({ op, map, entry }) => `${op} ${map} ${recordedEntry(map, entry)}`).sort()
}

function recordedLines(step: RecordedStep, proxied: boolean, version: Version): string[] {
  return [...timelineLines(step, proxied, comparesCb(version)), ...mapLines(step)]
}

/** The policies of the fixed list: from which title on which of them is there. */
const fixedPolicies: readonly (readonly [title: RegExp, apply: (nodes: readonly CiliumNode[]) => void])[] = [
  [
    /^h\d/,
    (nodes) => {
      clearPolicy(policyOf(nodes, 1002), false)
      putPolicy(policyOf(nodes, 1002), { egress: false, identity: 10_001, protocol: 6, port: 8080 })
    },
  ],
  [
    /^h[4-9]/,
    (nodes) => {
      clearPolicy(policyOf(nodes, 1001), true)
      putPolicy(policyOf(nodes, 1001), { egress: true, identity: 20_001, protocol: 6, port: 8080 })
      putPolicy(policyOf(nodes, 1001), { egress: true, identity: 10_002, deny: true })
    },
  ],
]

function policyOf(nodes: readonly CiliumNode[], id: number): BpfMap {
  return must(nodes[0]?.policies.get(id), 'policy')
}

/** Applies what the title asks for and is not there yet. */
function changePolicies(nodes: readonly CiliumNode[], title: string, done: Set<RegExp>): void {
  for (const [at, apply] of fixedPolicies) {
    if (!at.test(title) || done.has(at)) continue
    done.add(at)
    apply(nodes)
  }
}

const compared = new Set(['trace', 'drop', 'policy-verdict'])

/** The steps of a run without the messages of debugging programs; that they are missing is one of the run's problems. */
function comparable({ config, steps }: RecordedRun): readonly RecordedStep[] {
  if (config.debug !== true) return steps
  const kept = ({ kind, type }: RecordedEvent): boolean => kind !== 'event' || compared.has(type ?? '')
  return steps.map((step) => ({ ...step, timeline: step.timeline.filter(kept) }))
}

/** Lets the programs of a step draw the number that the recorded ones drew. */
function drawAs(machine: Machine, usual: Machine['random'], choice: number | undefined): void {
  const drawn: Machine['random'] = (purpose, key) =>
    choice === undefined || purpose !== 'bpf_get_prandom_u32' ? usual(purpose, key) : choice
  Object.assign(machine, { random: drawn })
}

/** Replays a run from its topology to its last step. */
export function replay(run: RecordedRun, version: Version): PlayedStep[] {
  const machine = buildTopology(run.config, version, tunnelMacsOf(run))
  const watch: Watch = { lines: [], proxied: run.config.tproxy !== undefined, version }
  const watching = (program: Program, dev: NetDevice, dir: string) => watched(watch, program, dev, dir)
  const nodes = installCilium(machine, run.config, run.setup, watching, version)
  watchMachine(watch, machine, nodes)
  const done = new Set<RegExp>()
  const usual = machine.random
  return comparable(run).map((step) => {
    drawAs(machine, usual, choiceOf(step, version, run.setup))
    if (run.setup === undefined) changePolicies(nodes, step.title, done)
    machine.clock.advance(machine.clock.now + settle)
    const recorded = recordedLines(step, watch.proxied, version)
    const kind = isService(run, step) ? 'service' : 'plain'
    watch.lines = []
    const before = snapshot(nodes)
    const ns = must(machine.namespaces.get(step.at), step.at)
    const dev = must(ns.devicesByName.get(step.dev ?? 'eth0'), step.dev ?? 'eth0')
    const skb = skbFromFrame(dev, Uint8Array.from(Buffer.from(step.frame, 'hex')))
    born(skb, 'injected')
    sendFrame(skb)
    machine.clock.drain()
    return {
      title: step.title,
      kind,
      recorded: withoutLives(recorded, before),
      model: [...watch.lines, ...changes(before, snapshot(nodes))],
    }
  })
}

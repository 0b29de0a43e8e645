// Plays the steps of a recorded run on the model, and sets beside each other what was recorded and what the model did.
import type { Program } from '../../src/bpf/contract.ts'
import { born } from '../../src/kernel/birth.ts'
import { millisecond } from '../../src/kernel/clock.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import { skbFromFrame } from '../../src/kernel/skb.ts'
import { sendFrame } from '../../src/kernel/transmit.ts'
import type { RecordedEvent, RecordedRun, RecordedStep } from './case.ts'
import { type CiliumNode, installCilium } from './datapath.ts'
import { changes, recordedEntry, snapshot, withoutLives } from './entries.ts'
import type { Version } from './era.ts'
import { clearPolicy, putPolicy } from './fill.ts'
import { buildTopology, must } from './topology.ts'
import { eventLine, packetLine, programLine, type Watch, watched, watchMachine } from './watch.ts'

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

function recordedLine(event: RecordedEvent, proxied: boolean): string | undefined {
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
          ...(kind === 'return' && event.ret !== undefined ? { ret: event.ret } : {}),
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
  }
}

/** Packets, programs and notifications of a step, in order. */
export function timelineLines(step: RecordedStep, proxied: boolean): string[] {
  return step.timeline.map((event) => recordedLine(event, proxied)).filter((line) => line !== undefined)
}

/** Its map changes, sorted. */
export function mapLines(step: RecordedStep): string[] {
  const maps = step.maps.filter(({ map }) => /_ct|snat|neigh/.test(map))
  return maps.map(({ op, map, entry }) => `${op} ${map} ${recordedEntry(entry)}`).sort()
}

function recordedLines(step: RecordedStep, proxied: boolean): string[] {
  return [...timelineLines(step, proxied), ...mapLines(step)]
}

/** The policies of the fixed list change on the way. */
function changePolicy(nodes: readonly CiliumNode[], title: string): void {
  const policy = (id: number) => must(nodes[0]?.policies.get(id), 'policy')
  if (title.startsWith('h1 ')) {
    clearPolicy(policy(1002), false)
    putPolicy(policy(1002), { egress: false, identity: 10_001, protocol: 6, port: 8080 })
  }
  if (title.startsWith('h4 ')) {
    clearPolicy(policy(1001), true)
    putPolicy(policy(1001), { egress: true, identity: 20_001, protocol: 6, port: 8080 })
    putPolicy(policy(1001), { egress: true, identity: 10_002, deny: true })
  }
}

/** Replays a run from its topology to its last step. */
export function replay(run: RecordedRun, version: Version): PlayedStep[] {
  const machine = buildTopology(run.config, version)
  const watch: Watch = { lines: [], proxied: run.config.tproxy !== undefined, version }
  const watching = (program: Program, dev: NetDevice, dir: string) => watched(watch, program, dev, dir)
  const nodes = installCilium(machine, run.config, run.setup, watching, version)
  watchMachine(watch, machine, nodes)
  return run.steps.map((step) => {
    if (run.setup === undefined) changePolicy(nodes, step.title)
    machine.clock.advance(machine.clock.now + settle)
    const recorded = recordedLines(step, watch.proxied)
    const kind = isService(run, step) ? 'service' : 'plain'
    watch.lines = []
    const before = snapshot(nodes)
    const ns = must(machine.namespaces.get(step.at), step.at)
    const dev = must(ns.devicesByName.get('eth0'), 'eth0')
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

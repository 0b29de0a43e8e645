// A small laboratory for tests of the kernel: two namespaces on a veth pair, programs written as functions, frames of an
// ethertype that no protocol claims.
import type { Program, ProgramType, RunContext } from '../src/bpf/contract.ts'
import { born } from '../src/kernel/birth.ts'
import { setUp } from '../src/kernel/device/change.ts'
import type { NetDevice } from '../src/kernel/device/device.ts'
import { addVethPair } from '../src/kernel/device/veth.ts'
import { createMachine, type Limits, type Machine } from '../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../src/kernel/namespace.ts'
import { type Skb, skbFromFrame } from '../src/kernel/skb.ts'
import { sendFrame } from '../src/kernel/transmit.ts'
import { writeEthernet } from '../src/net/ethernet.ts'
import { macFrom } from '../src/net/mac.ts'
import type { PacketRecord } from '../src/trace/recorder.ts'

/** IEEE 802 local experimental ethertype 1. */
export const labType = 0x88b5

export const macA = 0x0200_0000_00a0
export const macB = 0x0200_0000_00b0

/** A program whose body is a function. */
export function program(
  name: string,
  body: number | ((context: RunContext) => number),
  type: ProgramType = 'sched_cls',
): Program {
  return { name, type, run: (context) => (typeof body === 'number' ? body : body(context)) }
}

/** A 60-byte frame. */
export function labFrame(options: {
  readonly to: number
  readonly from: number
  readonly type?: number
}): Uint8Array {
  const bytes = new Uint8Array(60)
  writeEthernet(bytes, 0, {
    destination: macFrom(options.to),
    source: macFrom(options.from),
    type: options.type ?? labType,
  })
  return bytes
}

export interface Lab {
  readonly machine: Machine
  readonly a: Namespace
  readonly b: Namespace
  readonly a0: NetDevice
  readonly b0: NetDevice
  /** What reached a protocol handler, in order. */
  readonly received: Skb[]
}

/** Machine, namespaces A and B, `A/a0` - `B/b0`, both up. */
export function lab(
  options: { readonly limits?: Partial<Limits>; readonly kernelVersion?: number } = {},
): Lab {
  const machine = createMachine({ seed: 1, trace: { full: true }, ...options })
  const a = addNamespace(machine, { name: 'A' })
  const b = addNamespace(machine, { name: 'B' })
  const [a0, b0] = addVethPair({ ns: a, name: 'a0', mac: macA }, { ns: b, name: 'b0', mac: macB })
  setUp(a0)
  setUp(b0)
  const received: Skb[] = []
  machine.protocols.set(labType, (skb) => received.push(skb))
  return { machine, a, b, a0, b0, received }
}

/** Sends a frame out of a device as an AF_PACKET socket does, and runs until all is quiet. */
export function send(dev: NetDevice, frame: Uint8Array, prepare: (skb: Skb) => void = () => {}): number {
  const skb = skbFromFrame(dev, frame)
  prepare(skb)
  born(skb, 'p1')
  const result = sendFrame(skb)
  dev.ns.machine.clock.drain()
  return result
}

/** The only packet's record. */
export function packet(machine: Machine): PacketRecord {
  const record = machine.trace?.packets[0]
  if (record === undefined) throw new Error('no packet was recorded')
  return record
}

/** Events as `NODE/DEV/STAGE ACTOR CODE TARGET`, without those that only level full shows. */
export function path(machine: Machine): string[] {
  const quiet = new Set(['nic', 'irq', 'napi', 'alloc', 'tap-in', 'tap-out', 'qdisc', 'bridge'])
  return packet(machine)
    .events.filter((event) => !quiet.has(event.stage) || event.decision?.code === 'DROP')
    .map((event) => {
      const words = [`${event.node}/${event.device}/${event.stage}`, event.actor]
      return [...words, event.decision?.code ?? '', event.decision?.target ?? ''].join(' ').trim()
    })
}

/** Outcomes as `KIND PLACE REASON`. */
export function outcomes(machine: Machine): string[] {
  return packet(machine).outcomes.map((outcome) =>
    [outcome.kind, `${outcome.node}/${outcome.device}/${outcome.stage}`, outcome.reason ?? '']
      .join(' ')
      .trim(),
  )
}

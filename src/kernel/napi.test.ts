// Polls of a device with GRO or native XDP: XDP for the whole batch first, at most 64 packets, and what lies behind them in the next one.
import { expect, test } from 'vitest'
import type { Program, ProgramType, RunContext } from '../bpf/contract.ts'
import { macFrom, writeMac } from '../net/mac.ts'
import { addTap, setUp } from './device/change.ts'
import type { NetDevice } from './device/device.ts'
import { addPhys } from './device/phys.ts'
import { addSegment } from './device/segment.ts'
import { addVethPair } from './device/veth.ts'
import { createMachine } from './machine.ts'
import { addNamespace } from './namespace.ts'
import { pktType, skbFromFrame } from './skb.ts'
import { attachTc } from './tc/attach.ts'
import { queueTransmit } from './transmit.ts'
import { attachXdp } from './xdp-attach.ts'

/** Sends so many frames at once over a pair whose far end runs native XDP, perhaps with GRO; says what happened there. */
function burst(count: number, gro: boolean, taken = false): readonly string[] {
  const machine = createMachine({ seed: 1 })
  const [dev, peer] = addVethPair(
    { ns: addNamespace(machine, { name: 'a' }), name: 'v' },
    { ns: addNamespace(machine, { name: 'b' }), name: 'v' },
  )
  setUp(dev)
  setUp(peer)
  machine.clock.drain()
  const seen: string[] = []
  const program: Program = {
    name: 'x',
    type: 'xdp',
    run: () => {
      seen.push('xdp')
      return 2
    },
  }
  attachXdp(peer, program, 'native')
  addTap(peer, () => seen.push('tap'))
  peer.offloads.gro = gro
  if (taken) machine.protocols.set(0, () => seen.push('taken'))
  for (let index = 0; index < count; index += 1) queueTransmit(skbFromFrame(dev, new Uint8Array(60)))
  machine.clock.drain()
  return seen
}

test('XDP runs for the whole batch before the stack sees any of it', () => {
  expect(burst(3, true)).toEqual(['xdp', 'xdp', 'xdp', 'tap', 'tap', 'tap'])
  expect(burst(3, false)).toEqual(['xdp', 'xdp', 'xdp', 'tap', 'tap', 'tap'])
})

test('taps see all packets of a batch before a protocol takes the first', () => {
  expect(burst(3, false, true).slice(3)).toEqual(['tap', 'tap', 'tap', 'taken', 'taken', 'taken'])
})

/** Hands frames to the stack, addressed to the device itself. */
function toItself(dev: NetDevice): Program {
  const run = ({ xdp }: RunContext): number => {
    if (xdp !== undefined) writeMac(xdp.bytes, xdp.data, macFrom(dev.mac))
    return 2
  }
  return { name: 'to-itself', type: 'xdp', run }
}

test('a frame for another host stays one on a veth when native XDP turns it to this host (tried on 6.18)', () => {
  const machine = createMachine({ seed: 1 })
  const [dev, peer] = addVethPair(
    { ns: addNamespace(machine, { name: 'a' }), name: 'v' },
    { ns: addNamespace(machine, { name: 'b' }), name: 'v' },
  )
  setUp(dev)
  setUp(peer)
  attachXdp(peer, toItself(peer), 'native')
  const types: number[] = []
  addTap(peer, (_dev, skb) => types.push(skb.pktType))
  queueTransmit(skbFromFrame(dev, new Uint8Array(60)))
  machine.clock.drain()
  expect(types).toEqual([pktType.otherHost])
})

test('and so does one that came to another veth as an xdp_frame before', () => {
  const machine = createMachine({ seed: 1 })
  const b = addNamespace(machine, { name: 'b' })
  const c = addNamespace(machine, { name: 'c' })
  const segment = addSegment(machine, 'lan')
  const [a0, b0] = addVethPair(
    { ns: addNamespace(machine, { name: 'a' }), name: 'a0' },
    { ns: b, name: 'b0' },
  )
  const b1 = addPhys(b, { name: 'b1', driver: 'virtio_net', segment })
  const c0 = addPhys(c, { name: 'c0', driver: 'virtio_net', segment })
  const [c1, d0] = addVethPair(
    { ns: c, name: 'c1' },
    { ns: addNamespace(machine, { name: 'd' }), name: 'd0' },
  )
  for (const dev of [a0, b0, b1, c0, c1, d0]) setUp(dev)
  machine.clock.drain()
  const sendTo = (ifindex: number, code: number, type: ProgramType): Program => ({
    name: 'to',
    type,
    run: (context) => {
      context.redirect = { kind: 'device', ifindex, ingress: false }
      return code
    },
  })
  attachXdp(a0, { name: 'back', type: 'xdp', run: () => 3 }, 'native')
  attachXdp(b0, sendTo(b1.ifindex, 4, 'xdp'), 'native')
  attachTc(c0, 'ingress', { kind: 'tcx', program: sendTo(c1.ifindex, 7, 'sched_cls') })
  attachXdp(d0, toItself(d0), 'native')
  const types: number[] = []
  addTap(d0, (_dev, skb) => types.push(skb.pktType))
  queueTransmit(skbFromFrame(b0, new Uint8Array(60).fill(2, 0, 11)))
  machine.clock.drain()
  expect(types).toEqual([pktType.otherHost])
})

test('a poll takes 64 packets, and hands them up in eights', () => {
  const seen = burst(70, true)
  const eight = (word: string): string[] => new Array<string>(8).fill(word)
  expect(seen.slice(0, 24)).toEqual([...eight('xdp'), ...eight('tap'), ...eight('xdp')])
  expect(seen.slice(128)).toEqual([...new Array<string>(6).fill('xdp'), ...new Array<string>(6).fill('tap')])
})

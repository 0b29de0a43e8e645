// Who hears a frame in each mode, as Linux 6.18 does it (tried with packet sockets at the devices and at the other end of
// the wire). The number is pkt_type: 0 for this host, 1 broadcast, 3 somebody else's.
import { expect, test } from 'vitest'
import { lab, labFrame, macB, send } from '../../../test/lab.ts'
import { addNamespace } from '../namespace.ts'
import { setMac, setUp } from './change.ts'
import { addMacvlan, type MacvlanMode } from './macvlan.ts'

const [first, second, stranger, everybody] = [
  0x0200_0000_aa01, 0x0200_0000_aa02, 0x0200_0000_aa09, 0xffff_ffff_ffff,
]

/** Sends a frame from a macvlan device or from the wire; answers who heard it. */
function heard(
  mode: MacvlanMode,
  from: 'first' | 'wire',
  frame: { readonly to: number; readonly from: number },
): string[] {
  const { machine, a0, b0, received } = lab()
  const [one] = [first, second].map((mac, index) => {
    const dev = addMacvlan(addNamespace(machine, { name: `M${index + 1}` }), {
      name: 'm0',
      mac,
      lower: a0,
      mode,
    })
    setUp(dev)
    return dev
  })
  machine.clock.drain()
  received.length = 0
  send(from === 'wire' ? b0 : one!, labFrame(frame))
  const names: Readonly<Record<string, string>> = { M1: 'first', M2: 'second', A: 'lower', B: 'wire' }
  return received.map(({ dev, pktType }) => `${names[dev.ns.name]} ${pktType}`).toSorted()
}

type Row = readonly [
  what: string,
  from: 'first' | 'wire',
  to: number,
  source: number,
  heard: Readonly<Record<'private' | 'vepa' | 'bridge', readonly string[]>>,
]

const both = ['first 1', 'lower 1', 'second 1']
const rows: readonly Row[] = [
  [
    'to the other one',
    'first',
    second,
    first,
    { private: ['wire 3'], vepa: ['wire 3'], bridge: ['second 0'] },
  ],
  [
    'to everybody',
    'first',
    everybody,
    first,
    { private: ['wire 1'], vepa: ['wire 1'], bridge: ['second 1', 'wire 1'] },
  ],
  [
    'from the wire to one',
    'wire',
    second,
    stranger,
    { private: ['second 0'], vepa: ['second 0'], bridge: ['second 0'] },
  ],
  ['from the wire to everybody', 'wire', everybody, stranger, { private: both, vepa: both, bridge: both }],
  [
    'sent back by a switch to one',
    'wire',
    second,
    first,
    { private: ['second 0'], vepa: ['second 0'], bridge: ['second 0'] },
  ],
  [
    'sent back by a switch to everybody',
    'wire',
    everybody,
    first,
    { private: ['first 1'], vepa: ['lower 1', 'second 1'], bridge: ['lower 1'] },
  ],
]

test.each(rows)('%s', (_what, from, to, source, wanted) => {
  for (const mode of ['private', 'vepa', 'bridge'] as const)
    expect([mode, heard(mode, from, { to, from: source })]).toEqual([mode, wanted[mode]])
})

test('a passthru device has the address of its lower device, takes all that arrives, and changes both addresses', () => {
  const { machine, a0, b0, received } = lab()
  const own = a0.mac
  const ns = addNamespace(machine, { name: 'M' })
  const dev = addMacvlan(ns, { name: 'm0', mac: first, lower: a0, mode: 'passthru' })
  setUp(dev)
  expect(dev.mac).toBe(own)
  send(b0, labFrame({ to: stranger, from: macB }))
  expect(received.map((skb) => skb.dev)).toEqual([dev])
  setMac(dev, second)
  expect(a0.mac).toBe(second)
})

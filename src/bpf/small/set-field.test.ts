import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { captures } from '../../../test/captured-packets.ts'
import { frame, number, program, sumsAreRight } from '../../../test/small-lab.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import { dissect } from '../../net/dissect.ts'
import { fields } from '../../net/fields.ts'
import { runProgram } from '../run.ts'
import { frameOf, tcContext, xdpContext } from '../test-support/contexts.ts'
import { fieldBytes, type HeaderFieldName, headerFields } from './fields.ts'
import { SmallRun } from './headers.ts'
import { readField } from './read.ts'

const framed = captures.map(({ bytes }) => bytes).filter((bytes) => bytes.length >= 14)

test('every field reads what the dissection of src/net reads', () => {
  let compared = 0
  const names = Object.keys(headerFields) as HeaderFieldName[]
  const readers = names
    .filter((name) => fieldBytes(name) <= 6)
    .map((name) => ({ name, read: readField(name) }))
  for (const bytes of framed) {
    const run = new SmallRun(xdpContext(bytes), [])
    for (const { name, read } of readers) {
      const [layer = '', member = ''] = name.split('.')
      const found = dissect(bytes).layers.find((known) => known.kind === layer && known.depth === 0)
      const specs = fields[layer as keyof typeof fields] as unknown as Record<
        string,
        (typeof fields.tcp)['dport']
      >
      const spec = specs[member]
      if (found === undefined || spec === undefined || run.layer(0) < 0) continue
      const value = spec.read(bytes, found)
      if (value === undefined || Number.isNaN(read(run))) continue
      compared += 1
      expect([name, read(run)]).toEqual([name, Number(value.value)])
    }
  }
  expect(compared).toBeGreaterThan(300)
})

const settable = [
  'ip.src',
  'ip.dst',
  'ip.ttl',
  'ip.tos',
  'ip.dscp',
  'ip.id',
  'ip.df',
  'tcp.sport',
  'tcp.dport',
  'tcp.seq',
  'tcp.flags',
  'tcp.window',
  'udp.sport',
  'udp.dport',
] as const satisfies readonly HeaderFieldName[]

describe.each(['xdp', 'sched_cls'] as const)('setting a field in %s', (type) => {
  test('writes it, repairs every sum, and touches nothing else', () => {
    fc.assert(
      fc.property(fc.constantFrom(...settable), fc.nat(0xffff_ffff), fc.boolean(), (name, raw, tcp) => {
        const { mask } = headerFields[name]
        const wanted = (raw & mask) >>> 0
        const before = frame(tcp ? 'tcp' : 'udp', 80)
        const context = type === 'xdp' ? xdpContext(before) : tcContext(before)
        runProgram(
          program(type, [{ code: 0, actions: [{ kind: 'set', field: name, value: number(wanted) }] }]),
          context,
        )
        const after = frameOf(context)
        const there = name.startsWith('ip.') || name.startsWith(tcp ? 'tcp.' : 'udp.')
        expect(readField(name)(new SmallRun(context, []))).toEqual(there ? wanted : Number.NaN)
        expect(sumsAreRight(after)).toBe(true)
        const { at, bytes } = headerFields[name]
        const start = (name.startsWith('ip.') ? 14 : 34) + at
        const differing = [...after.keys()].filter((index) => after[index] !== before[index])
        const sums = tcp ? [24, 25, 50, 51] : [24, 25, 40, 41]
        expect(
          differing.filter(
            (index) => !(there && index >= start && index < start + bytes) && !sums.includes(index),
          ),
        ).toEqual([])
      }),
    )
  })

  test('a UDP checksum of zero stays', () => {
    const bytes = frame('udp', 80)
    writeU16(bytes, 40, 0)
    const context = type === 'xdp' ? xdpContext(bytes) : tcContext(bytes)
    runProgram(
      program(type, [{ code: 0, actions: [{ kind: 'set', field: 'ip.src', value: number(7) }] }]),
      context,
    )
    expect(readU16(frameOf(context), 40)).toBe(0)
  })
})

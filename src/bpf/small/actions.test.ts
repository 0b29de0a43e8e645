import { describe, expect, test } from 'vitest'
import { equal, field, frame, ip, map, number, program } from '../../../test/small-lab.ts'
import { writeTunnelKey } from '../context/structs.ts'
import { indexKey } from '../maps/array-map.ts'
import { layoutOf } from '../maps/layout.ts'
import { runProgram } from '../run.ts'
import { frameOf, recording, tcContext, xdpContext } from '../test-support/contexts.ts'
import type { IrExpr } from './ir.ts'

describe('actions', () => {
  test('count makes an entry, adds to it, and both show', () => {
    const hits = map('hash', {
      name: 'hits',
      keySize: 1,
      valueSize: 8,
      keyLayout: layoutOf('u8'),
      valueLayout: layoutOf('u64'),
    })
    const small = program(
      'xdp',
      [{ code: 'continue', actions: [{ kind: 'count', map: 0, key: field('ip.proto'), by: number(3) }] }],
      [{ map: hits, keyOrder: 'le', valueOrder: 'le' }],
    )
    for (const expected of ['map hits 6: - -> 3', 'map hits 6: 3 -> 6']) {
      const { trace, facts } = recording({ full: false })
      expect(runProgram(small, xdpContext(frame('tcp', 80), { trace }))).toBe(2)
      expect(facts()).toEqual([expected])
    }
  })

  test('update and delete', () => {
    const seen = map('hash', { keyLayout: layoutOf('ip4'), valueLayout: layoutOf('u32') })
    const maps = [{ map: seen, keyOrder: 'be', valueOrder: 'le' }] as const
    const put = program(
      'xdp',
      [{ code: 2, actions: [{ kind: 'update', map: 0, key: field('ip.src'), value: number(5) }] }],
      maps,
    )
    const { trace, facts } = recording({ full: false })
    runProgram(put, xdpContext(frame('tcp', 80), { trace }))
    expect(facts()).toEqual(['map m 10.1.0.50: - -> 5'])
    const entry: IrExpr = { kind: 'entry', map: 0, key: field('ip.src') }
    const read = program(
      'xdp',
      [
        {
          test: { kind: 'compare', operator: '>', left: entry, right: number(4) },
          code: 1,
          actions: [{ kind: 'delete', map: 0, key: field('ip.src') }],
        },
      ],
      maps,
    )
    expect([1, 2].map(() => runProgram(read, xdpContext(frame('tcp', 80))))).toEqual([1, 2])
  })

  test.each([
    [0, 4, { kind: 'map', ifindex: 7 }],
    [1, 2, { kind: 'none' }],
  ])('redirect-map to slot %i answers %i', (slot, code, redirect) => {
    const ports = map('devmap')
    ports.update(indexKey(0), indexKey(7), 0, 0)
    const small = program(
      'xdp',
      [{ code: 4, actions: [{ kind: 'redirect-map', map: 0, key: number(slot), flags: 2 }] }],
      [{ map: ports, keyOrder: 'le', valueOrder: 'le' }],
    )
    const context = xdpContext(frame('tcp', 80))
    expect(runProgram(small, context)).toBe(code)
    expect(context.redirect).toEqual(redirect)
  })

  test('a tail call runs the other program, or goes on', () => {
    const jumps = map('prog_array', { name: 'jumps' })
    const maps = [{ map: jumps, keyOrder: 'le', valueOrder: 'le' }] as const
    const small = program(
      'sched_cls',
      [{ code: 5, actions: [{ kind: 'tail-call', map: 0, index: number(2) }] }],
      maps,
    )
    expect(runProgram(small, tcContext(frame('tcp', 80)))).toBe(5)
    jumps.set(2, { name: 'other', type: 'sched_cls', run: () => 2 }, 0)
    expect(runProgram(small, tcContext(frame('tcp', 80)))).toBe(2)
    expect(() => program('xdp', [], maps)).toThrow(/program array jumps holds programs of type sched_cls/)
  })

  test('set meta grows data_meta in XDP; tc reads it', () => {
    const context = xdpContext(frame('tcp', 80))
    runProgram(
      program('xdp', [{ code: 2, actions: [{ kind: 'set', field: 'meta', value: number(7) }] }]),
      context,
    )
    expect(context.xdp.data - context.xdp.meta).toBe(4)
    const tc = tcContext(frame('tcp', 80))
    tc.skb.bytes.set(context.xdp.bytes.subarray(context.xdp.meta, context.xdp.data), tc.skb.start - 4)
    tc.skb.metaBytes = 4
    const reading = program('sched_cls', [
      { test: equal('meta', 7), code: 2, actions: [{ kind: 'set', field: 'mark', value: field('meta') }] },
    ])
    expect([runProgram(reading, tc), tc.skb.mark]).toEqual([2, 7])
  })

  test.each([
    [-216, 2, 270],
    [-220, 0, 54],
  ])('adjust-head %i: code %i, %i bytes', (bytes, code, length) => {
    const context = xdpContext(frame('tcp', 80))
    expect(
      runProgram(program('xdp', [{ code: 2, actions: [{ kind: 'adjust', part: 'head', bytes }] }]), context),
    ).toBe(code)
    expect(frameOf(context).length).toBe(length)
  })

  test('a VLAN tag goes into an XDP frame and out again', () => {
    const context = xdpContext(frame('tcp', 80))
    runProgram(program('xdp', [{ code: 2, actions: [{ kind: 'push-vlan', id: number(100) }] }]), context)
    expect(Buffer.from(frameOf(context).subarray(0, 18)).toString('hex')).toBe(
      '02000000000b02000000000a810000640800',
    )
    runProgram(
      program('xdp', [{ test: equal('vlan.id', 100), code: 2, actions: [{ kind: 'pop-vlan' }] }]),
      context,
    )
    expect(frameOf(context)).toEqual(frame('tcp', 80))
  })

  test('in tc it lies beside the packet', () => {
    const context = tcContext(frame('tcp', 80))
    const small = program('sched_cls', [
      { code: 'continue', actions: [{ kind: 'push-vlan', id: number(100) }] },
      { test: equal('vlan.id', 100), code: 0, actions: [] },
    ])
    expect([runProgram(small, context), context.skb.vlanTci, frameOf(context).length]).toEqual([0, 100, 54])
  })

  test('tunnel keys, records, clones', () => {
    const ring = map('ringbuf', { name: 'events', keySize: 0, valueSize: 0, maxEntries: 4096 })
    const key = writeTunnelKey({ id: 7, remote: ip('10.0.0.2'), tos: 0, ttl: 64, flags: 0 })
    const small = program(
      'sched_cls',
      [
        {
          code: 0,
          actions: [
            { kind: 'tunnel', key, flags: 0 },
            { kind: 'emit', map: 0, value: Uint8Array.of(1, 2) },
            { kind: 'emit', map: 0, value: field('tunnel.vni') },
            { kind: 'clone-redirect', ifindex: 4, ingress: false },
          ],
        },
      ],
      [{ map: ring, keyOrder: 'le', valueOrder: 'le' }],
    )
    const clones: number[] = []
    const { trace, facts } = recording({ full: false })
    const cloneRedirect = (ifindex: number): number => clones.push(ifindex) - 1
    expect(runProgram(small, tcContext(frame('tcp', 80), { trace, cloneRedirect }))).toBe(0)
    expect([facts(), clones]).toEqual([['record events 0102', 'record events 0700000000000000'], [4]])
  })
})

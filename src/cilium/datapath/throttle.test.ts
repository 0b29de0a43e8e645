import { describe, expect, test } from 'vitest'
import { readLe64, writeLe32, writeLe64 } from '../../bpf/context/byte-order.ts'
import { type DatapathLab, datapathLab, frame, usualDefines } from '../test-support/lab.ts'
import { drop } from './drop-reason.ts'
import { ipv4 } from './family.ts'
import { acceptIngress, edtSchedDeparture, edtSetAggregate } from './throttle.ts'

const second = 1e9
const packet = frame('10.0.1.10', '10.0.2.20', {
  kind: 'udp',
  source: 1,
  destination: 2,
})

function limited(direction: 0 | 1, info: { readonly bps: number; readonly third: number }): DatapathLab {
  const lab = datapathLab({ defines: [...usualDefines, 'ENABLE_BANDWIDTH_MANAGER'] })
  const key = new Uint8Array(8)
  writeLe32(key, 0, 101)
  key[4] = direction
  const value = new Uint8Array(56)
  writeLe64(value, 0, info.bps)
  writeLe64(value, 16, info.third)
  lab.maps.cilium_throttle.update(key, value, 0, 0)
  return lab
}

const infoOf = (lab: DatapathLab, direction: 0 | 1): Uint8Array => {
  const key = new Uint8Array(8)
  writeLe32(key, 0, 101)
  key[4] = direction
  return lab.maps.cilium_throttle.lookup(key, 0)!
}

describe('departure times (facts 8.2)', () => {
  const depart = (lab: DatapathLab) =>
    lab.run(packet, (ctx) => {
      edtSetAggregate(ctx, 101)
      const code = edtSchedDeparture(ctx, ipv4.etherType)
      return { code, tstamp: ctx.tstamp, queue: ctx.queueMapping }
    }).result

  test('the first packet leaves at once, the next as much later as its bytes take', () => {
    const lab = limited(0, { bps: packet.length, third: 2 * second })
    const now = lab.seconds * second
    expect(depart(lab)).toEqual({ code: 0, tstamp: 0, queue: 0 })
    expect(readLe64(infoOf(lab, 0), 8)).toBe(now)
    expect(depart(lab)).toMatchObject({ code: 0, tstamp: now + second })
    expect(readLe64(infoOf(lab, 0), 8)).toBe(now + second)
  })

  test('beyond the horizon it is dropped, and the time stays', () => {
    const lab = limited(0, { bps: packet.length, third: 2 * second })
    depart(lab)
    depart(lab)
    expect(depart(lab).code).toBe(drop.EDT_HORIZON)
    expect(readLe64(infoOf(lab, 0), 8)).toBe((lab.seconds + 1) * second)
  })

  test('packets of nobody, and those with the manager off, are not slowed down', () => {
    const lab = limited(0, { bps: 1, third: 0 })
    expect(lab.run(packet, (ctx) => edtSchedDeparture(ctx, ipv4.etherType)).result).toBe(0)
    const off = datapathLab()
    const mapping = off.run(packet, (ctx) => {
      edtSetAggregate(ctx, 101)
      return ctx.queueMapping
    })
    expect(mapping.result).toBe(0)
  })
})

describe('the bucket of what a pod receives', () => {
  const accept = (lab: DatapathLab) => lab.run(packet, (ctx) => acceptIngress(ctx, 101)).result

  test('a second fills it, and a packet takes its bytes', () => {
    const lab = limited(1, { bps: packet.length + 10, third: 0 })
    expect(accept(lab)).toBe(0)
    expect(readLe64(infoOf(lab, 1), 16)).toBe(10)
    expect(accept(lab)).toBe(2)
    lab.seconds += 1
    expect(accept(lab)).toBe(0)
  })
})

import { expect, test } from 'vitest'
import { datapathLab } from '../test-support/lab.ts'

test('in XDP only eight bits of an offset count for what is loaded and stored', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, at) => at & 0xff)
  bytes[256 + 20] = 0xee
  const { frame } = datapathLab().runXdp(bytes, (ctx) => {
    expect(ctx.load(255, 2)).toEqual(Uint8Array.of(255, 0))
    expect(ctx.load(256 + 20, 1)).toEqual(Uint8Array.of(20))
    expect(ctx.store(256 + 30, Uint8Array.of(1, 2))).toBe(0)
    expect(ctx.replaceL3Checksum(256 + 40, 0, 1, 0)).toBe(0)
    // a pointer into the packet has no such bounds
    expect(ctx.packet.u8(256 + 20)).toBe(0xee)
  })
  expect([...frame.subarray(30, 32)]).toEqual([1, 2])
  expect(frame.subarray(40, 42)).not.toEqual(bytes.subarray(40, 42))
  expect(frame.subarray(256)).toEqual(bytes.subarray(256))
})

test('what does not fit behind the bounded offset is not there', () => {
  datapathLab().runXdp(new Uint8Array(200), (ctx) => {
    expect(ctx.load(199, 2)).toBeUndefined()
    expect(ctx.store(199, new Uint8Array(2))).toBeLessThan(0)
    expect(ctx.load(456, 1)).toBeUndefined()
    expect(ctx.load(455, 1)).toBeDefined()
  })
})

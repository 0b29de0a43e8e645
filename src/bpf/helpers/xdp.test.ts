import { describe, expect, test } from 'vitest'
import type { RunContext } from '../contract.ts'
import { frameOf, udpFrame, xdpContext } from '../test-support/contexts.ts'
import { xdpAdjustHead, xdpAdjustMeta, xdpAdjustTail } from './xdp.ts'

describe('an XDP frame of 256 bytes headroom (facts: linux 2.10)', () => {
  const room = (context: RunContext): number => context.xdp!.data - context.xdp!.meta

  test.each([
    [-216, 0],
    [-220, -22],
    [-217, -22],
    [34, 0],
    [36, 0],
    [37, -22],
  ])('adjust_head(%i) of 50 bytes: %i', (offset, expected) => {
    const context = xdpContext(udpFrame())
    expect(xdpAdjustHead(context, offset)).toBe(expected)
    expect(frameOf(context).length).toBe(expected === 0 ? 50 - offset : 50)
  })

  test.each([
    [-4, 0, 4],
    [-32, 0, 32],
    [-212, 0, 212],
    [-216, 0, 216],
    [-220, -22, 0],
    [-252, -22, 0],
    [-2, -13, 0],
    [-7, -13, 0],
    [4, -22, 0],
  ])('adjust_meta(%i): %i, %i bytes', (offset, expected, bytes) => {
    const context = xdpContext(udpFrame())
    expect(xdpAdjustMeta(context, offset)).toBe(expected)
    expect(room(context)).toBe(bytes)
  })

  test('metadata moves with the head and needs its room', () => {
    const context = xdpContext(udpFrame())
    xdpAdjustMeta(context, -32)
    context.xdp!.bytes[context.xdp!.meta] = 0xaa
    expect(xdpAdjustHead(context, -200)).toBe(-22)
    expect(xdpAdjustHead(context, -100)).toBe(0)
    expect([room(context), context.xdp!.bytes[context.xdp!.meta]]).toEqual([32, 0xaa])
  })

  test.each([
    [-36, 0],
    [-37, -22],
    [100, 0],
    [4096 - 320 - 256 - 50, 0],
    [4096 - 320 - 256 - 50 + 1, -22],
  ])('adjust_tail(%i): %i', (offset, expected) => {
    const context = xdpContext(udpFrame())
    context.xdp!.bytes.fill(0xee, context.xdp!.dataEnd)
    expect(xdpAdjustTail(context, offset)).toBe(expected)
    expect(
      frameOf(context)
        .subarray(50)
        .every((byte) => byte === 0),
    ).toBe(true)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lab } from '../../test/lab.ts'
import { skbFromFrame, skbFromPacket } from './skb.ts'

const { a0 } = lab()
const frame = Uint8Array.from({ length: 60 }, (_byte, index) => index)
const bytesOf = (skb: { bytes: Uint8Array; start: number; end: number }): number[] => [
  ...skb.bytes.subarray(skb.start, skb.end),
]

describe('resizeAt', () => {
  test('makes room of zeros at any offset, as often as asked, and takes it away again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 400 }), (offset, delta) => {
        const skb = skbFromFrame(a0, frame)
        skb.resizeAt(offset, delta)
        const zeros = new Array<number>(delta).fill(0)
        expect(bytesOf(skb)).toEqual([...frame.subarray(0, offset), ...zeros, ...frame.subarray(offset)])
        skb.resizeAt(offset, -delta)
        expect(bytesOf(skb)).toEqual([...frame])
      }),
    )
  })

  test('keeps data, MAC header and network header at the front part', () => {
    const skb = skbFromFrame(a0, frame)
    skb.networkHeader = skb.data + 14
    skb.resizeAt(14, 20)
    expect([skb.data - skb.start, skb.macHeader - skb.start, skb.networkHeader - skb.start]).toEqual([
      0, 0, 14,
    ])
    expect(skb.length).toBe(80)
  })
})

test('resizeTail cuts, and grows with zeros whatever lay behind', () => {
  const skb = skbFromFrame(a0, frame)
  skb.resizeTail(20)
  skb.resizeTail(3000)
  expect(bytesOf(skb)).toEqual([...frame.subarray(0, 20), ...new Array<number>(2980).fill(0)])
})

test('a clone has bytes and cb of its own and writes into the same record', () => {
  const skb = skbFromFrame(a0, frame)
  skb.mark = 7
  const copy = skb.clone()
  copy.bytes.fill(0xff)
  copy.cb.fill(9)
  expect(bytesOf(skb)).toEqual([...frame])
  expect([skb.cb[0], copy.mark, copy.record]).toEqual([0, 7, skb.record])
})

test('snapshots start at the MAC header when there is one', () => {
  expect(skbFromFrame(a0, frame).snapshot()).toMatchObject({ start: 'ethernet', bytes: frame })
  expect(skbFromPacket(a0, frame, 0x0800).snapshot()).toMatchObject({ start: 'ip', bytes: frame })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOfHex } from '../../../test/bytes-of-hex.ts'
import { readU16, writeU16, writeU32 } from '../../net/bytes.ts'
import { checksumOf, writeSegmentChecksum } from '../../net/checksum.ts'
import { swap16, swap32 } from '../context/byte-order.ts'
import { frameOf, tcContext, udpFrame } from '../test-support/contexts.ts'
import { csumDiff, l3CsumReplace, l4CsumReplace } from './checksum.ts'
import { skbStoreBytes } from './skb-bytes.ts'

describe('checksums', () => {
  test('replacing an address and a port keeps both checksums right, as a full computation finds', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff), fc.nat(40), (address, port, payload) => {
        const context = tcContext(udpFrame(payload))
        const to = swap32(address)
        const from = swap32(0x0a00_0002)
        expect(l3CsumReplace(context, 24, from, to, 4)).toBe(0)
        expect(l4CsumReplace(context, 40, from, to, 0x34)).toBe(0)
        expect(l4CsumReplace(context, 40, swap16(80), swap16(port), 0x22)).toBe(0)
        const fresh = new Uint8Array(4)
        writeU32(fresh, 0, address)
        skbStoreBytes(context, 30, fresh)
        skbStoreBytes(context, 36, Uint8Array.of(port >>> 8, port))
        const incremental = frameOf(context)
        const full = incremental.slice()
        writeSegmentChecksum(full, { l3: 14, l4: 34, end: full.length, protocol: 17 })
        expect(checksumOf(incremental, 14, 34)).toBe(0)
        expect(readU16(incremental, 40)).toBe(readU16(full, 40))
      }),
    )
  })

  test('a UDP checksum of zero stays with MARK_MANGLED_0 and is computed with MARK_ENFORCE', () => {
    const frame = udpFrame()
    writeU16(frame, 40, 0)
    const context = tcContext(frame)
    expect(l4CsumReplace(context, 40, 1, 2, 0x22)).toBe(0)
    expect(readU16(frameOf(context), 40)).toBe(0)
    expect(l4CsumReplace(context, 40, 1, 2, 0x62)).toBe(0)
    expect(readU16(frameOf(context), 40)).not.toBe(0)
  })

  test.each([
    ['an odd offset', 25, 0, 4, -14],
    ['an offset past the end', 50, 0, 4, -14],
    ['size 3', 24, 0, 3, -22],
    ['size 0 with a from', 24, 1, 0, -22],
    ['unknown flags', 24, 0, 0x14, -22],
  ])('l3_csum_replace with %s', (_what, offset, from, flags, expected) => {
    expect(l3CsumReplace(tcContext(udpFrame()), offset, from, 0, flags)).toBe(expected)
  })

  // observed on Linux 6.18 with BPF_PROG_TEST_RUN
  test.each([
    ['01020304', '05060708', 0, 0x0808],
    ['', '05060708', 0, 0x0e0c],
    ['01020304', '', 0, 0xf9fb],
    ['', '', 0x12345, 0x2346],
    ['ffffffff', '00000000', 0x1234, 0x1234],
    ['01020304', '01020304', 0, 0xffff],
    ['0102030405060708', '0a0b0c0d', 0xffff, 0x0406],
  ])('csum_diff(%s, %s, %i)', (from, to, seed, expected) => {
    const bytes = (text: string): Uint8Array | undefined => (text === '' ? undefined : bytesOfHex(text))
    expect(csumDiff(tcContext(udpFrame()), bytes(from), bytes(to), seed)).toBe(expected)
  })

  test('csum_diff wants multiples of four', () => {
    expect(csumDiff(tcContext(udpFrame()), new Uint8Array(3), undefined, 0)).toBe(-22)
  })
})

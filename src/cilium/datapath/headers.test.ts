import { describe, expect, test } from 'vitest'
import { datapathLab, hex } from '../test-support/lab.ts'
import { drop } from './drop-reason.ts'
import { isSupportedEtherType } from './ethernet.ts'
import { ipv6 } from './family.ts'
import { walkHeaders } from './headers.ts'

const ethernet = '0e0000001001 0a0000001001 86dd'
const addresses = `fd000001000000000000000000000010 fd000002000000000000000000000010`
const tcp = '9c401f90 000003e8 00000000 5002faf0 00000000'

/** An IPv6 packet with this first next header and these bytes behind the header. */
const packet = (nexthdr: string, rest: string): Uint8Array =>
  hex(`${ethernet} 60000000 0030 ${nexthdr} 40 ${addresses} ${rest}`)

const walk = (bytes: Uint8Array) => datapathLab().run(bytes, (ctx) => walkHeaders(ctx, ipv6, 14)).result

const hop = (next: string): string => `${next}00000000000000`

describe('IPv6 extension headers (facts 2.17)', () => {
  test('none', () => {
    expect(walk(packet('06', tcp))).toMatchObject({ length: 40, nexthdr: 6 })
  })

  test.each([
    ['hop-by-hop', '00', hop('06'), 48],
    ['destination options of 16 bytes', '3c', `0601${'00'.repeat(14)}`, 56],
    ['routing', '2b', hop('06'), 48],
    ['authentication of 12 bytes', '33', `0601${'00'.repeat(10)}`, 52],
    ['three of them', '00', hop('3c') + hop('2b') + hop('06'), 64],
  ])('%s', (_, first, headers, length) => {
    expect(walk(packet(first, headers + tcp))).toMatchObject({ length, nexthdr: 6 })
  })

  test('a fragment header tells about the datagram', () => {
    expect(walk(packet('2c', `06000001 12345678${tcp}`))).toEqual({
      length: 48,
      nexthdr: 6,
      fragment: { isFragment: true, hasL4Header: true, id: 0x1234_5678, protocol: 6 },
    })
    expect(walk(packet('2c', `06000008 12345678${tcp}`))).toMatchObject({
      fragment: { isFragment: true, hasL4Header: false },
    })
    expect(walk(packet('2c', `06000000 12345678${tcp}`))).toMatchObject({
      fragment: { isFragment: false, hasL4Header: true },
    })
  })

  test('four are too many to reach L4, and nothing may follow no next header', () => {
    expect(walk(packet('00', hop('00') + hop('00') + hop('00') + hop('06') + tcp))).toBe(drop.INVALID_EXTHDR)
    expect(walk(packet('3b', ''))).toBe(drop.INVALID_EXTHDR)
  })

  test('one that is cut off is invalid', () => {
    expect(walk(packet('00', '06'))).toBe(drop.INVALID)
  })
})

test('an ethertype is compared as a little-endian number, so only round 802.3 lengths are found', () => {
  expect([0x0800, 0x86dd, 0x0599, 0x0500, 0x0100].map(isSupportedEtherType)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ])
})

// What GRO merges and what it does not (tcp_gro_receive(), inet_gro_receive()); the spec about it is tried on the real kernel.
import { describe, expect, test } from 'vitest'
import { readU16, writeU8, writeU16, writeU32 } from '../net/bytes.ts'
import { segmentChecksumIsRight, writeSegmentChecksum } from '../net/checksum.ts'
import { ipv4At, ipv4Flag, writeIpv4Checksum } from '../net/ipv4.ts'
import { etherType, ipProtocol } from '../net/protocol.ts'
import { tcpAt, tcpFlag } from '../net/tcp.ts'
import { addDummy } from './device/dummy.ts'
import { ethTypeTrans } from './eth-type.ts'
import { Gro } from './gro.ts'
import { createMachine } from './machine.ts'
import { addNamespace } from './namespace.ts'
import { type Skb, skbFromFrame } from './skb.ts'

const dev = addDummy(addNamespace(createMachine({ seed: 1 }), { name: 'n' }), { name: 'd0' })

interface Segment {
  readonly sequence: number
  readonly length?: number
  readonly flags?: number
  readonly id?: number
  readonly ttl?: number
  readonly sport?: number
  readonly ack?: number
  readonly dontFragment?: boolean
  readonly wrongChecksum?: boolean
}

function frame(segment: Segment): Skb {
  const {
    sequence,
    length = 100,
    flags = tcpFlag.ack,
    id = sequence / 100,
    ttl = 64,
    sport = 1,
    ack = 9,
  } = segment
  const bytes = new Uint8Array(54 + length)
  writeU16(bytes, 12, etherType.ipv4)
  writeU8(bytes, 14, 0x45)
  writeU16(bytes, 14 + ipv4At.totalLength, 40 + length)
  writeU16(bytes, 14 + ipv4At.identification, id)
  writeU16(bytes, 14 + ipv4At.flagsAndOffset, segment.dontFragment === true ? ipv4Flag.dontFragment : 0)
  writeU8(bytes, 14 + ipv4At.ttl, ttl)
  writeU8(bytes, 14 + ipv4At.protocol, ipProtocol.tcp)
  writeIpv4Checksum(bytes, 14)
  writeU16(bytes, 34 + tcpAt.source, sport)
  writeU32(bytes, 34 + tcpAt.sequence, sequence)
  writeU32(bytes, 34 + tcpAt.acknowledgement, ack)
  writeU8(bytes, 34 + tcpAt.dataOffset, 5 << 4)
  writeU8(bytes, 34 + tcpAt.flags, flags)
  writeSegmentChecksum(bytes, { l3: 14, l4: 34, end: bytes.length, protocol: ipProtocol.tcp })
  if (segment.wrongChecksum === true) writeU16(bytes, 34 + tcpAt.checksum, 0x1234)
  const skb = skbFromFrame(dev, bytes)
  ethTypeTrans(skb, dev)
  return skb
}

/** What comes out of one poll: the payload of each packet. */
function poll(...segments: readonly Segment[]): readonly Skb[] {
  const out: Skb[] = []
  const gro = new Gro(dev, (skbs) => out.push(...skbs))
  for (const segment of segments) gro.receive(frame(segment))
  gro.finish()
  return out
}

const lengths = (packets: readonly Skb[]): readonly number[] =>
  packets.map((skb) => skb.tail - skb.macHeader - 54)
const psh = tcpFlag.ack | tcpFlag.psh

test('segments of a flow become one packet with right lengths and sums', () => {
  const [packet, ...others] = poll(
    { sequence: 100 },
    { sequence: 200 },
    { sequence: 300, length: 50, flags: psh },
  )
  expect(others).toEqual([])
  if (packet === undefined) throw new Error('nothing came')
  const { bytes, tail, networkHeader: l3 } = packet
  expect([packet.gsoSegs, packet.gsoSize]).toEqual([3, 100])
  expect(readU16(bytes, l3 + ipv4At.totalLength)).toBe(40 + 250)
  expect(bytes[l3 + 20 + tcpAt.flags]).toBe(psh)
  const place = { l3, l4: l3 + 20, end: tail, protocol: ipProtocol.tcp }
  expect(segmentChecksumIsRight(bytes, place)).toBe(true)
})

describe('what ends or prevents a merge', () => {
  test.each([
    ['a hole', [{ sequence: 100 }, { sequence: 300 }], [100, 100]],
    ['another acknowledgement', [{ sequence: 100 }, { sequence: 200, ack: 10 }], [100, 100]],
    ['another TTL', [{ sequence: 100 }, { sequence: 200, ttl: 63 }], [100, 100]],
    ['an identification that does not count', [{ sequence: 100 }, { sequence: 200, id: 7 }], [100, 100]],
    [
      'a fixed identification without DF',
      [
        { sequence: 100, id: 0 },
        { sequence: 200, id: 0 },
      ],
      [100, 100],
    ],
    ['another flow', [{ sequence: 100 }, { sequence: 200, sport: 2 }], [100, 100]],
    ['a longer segment', [{ sequence: 100 }, { sequence: 200, length: 101 }], [100, 101]],
    ['a wrong checksum', [{ sequence: 100 }, { sequence: 200, wrongChecksum: true }], [100, 100]],
    ['a bare acknowledgement', [{ sequence: 100 }, { sequence: 200, length: 0 }], [100, 0]],
    ['PSH on the first', [{ sequence: 100, flags: psh }, { sequence: 200 }], [100, 100]],
    ['PSH in the middle', [{ sequence: 100 }, { sequence: 200, flags: psh }, { sequence: 300 }], [200, 100]],
    ['a short one', [{ sequence: 100 }, { sequence: 200, length: 9 }, { sequence: 209, id: 3 }], [109, 100]],
    ['SYN', [{ sequence: 100, flags: tcpFlag.syn, length: 0 }, { sequence: 101 }], [0, 100]],
  ] as const)('%s', (_, segments, expected) => {
    expect(lengths(poll(...segments)).toSorted((a, b) => a - b)).toEqual([...expected].sort((a, b) => a - b))
  })

  test('a fixed identification under DF is merged', () => {
    const first = { sequence: 100, id: 0, dontFragment: true }
    expect(lengths(poll(first, { ...first, sequence: 200 }, { ...first, sequence: 300 }))).toEqual([300])
  })

  test('flows are merged side by side', () => {
    const all = poll(
      { sequence: 100 },
      { sequence: 100, sport: 2 },
      { sequence: 200 },
      { sequence: 200, sport: 2 },
    )
    expect(lengths(all)).toEqual([200, 200])
  })

  test('a packet holds less than 64 KiB', () => {
    const many = Array.from({ length: 70 }, (_, index) => ({
      sequence: 100 + index * 1000,
      id: index,
      length: 1000,
    }))
    const [first = 0, ...rest] = lengths(poll(...many))
    expect(first).toBe(65_000)
    expect(rest).toEqual([5000])
  })
})

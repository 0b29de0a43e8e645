// Large packets cut into segments; the specs about them are tried on the real kernel.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readU16, readU32 } from '../net/bytes.ts'
import { segmentChecksumIsRight } from '../net/checksum.ts'
import { ipv4At, writeIpv4Checksum } from '../net/ipv4.ts'
import { etherType, ipProtocol } from '../net/protocol.ts'
import { tcpAt, tcpFlag } from '../net/tcp.ts'
import { addDummy } from './device/dummy.ts'
import { markLarge, networkLength, segmentAt, wireLength } from './gso.ts'
import { createMachine } from './machine.ts'
import { addNamespace } from './namespace.ts'
import { type Skb, skbFromPacket } from './skb.ts'

const machine = createMachine({ seed: 1, limits: { packetsMax: 1e9 } })
const dev = addDummy(addNamespace(machine, { name: 'n' }), { name: 'd0' })

/** An IPv4 packet with a TCP header of 20 bytes. */
function large(payload: number, size: number, flags: number): Skb {
  const bytes = new Uint8Array(40 + payload)
  bytes[0] = 0x45
  bytes[ipv4At.protocol] = ipProtocol.tcp
  bytes[ipv4At.identification] = 0xff
  bytes[ipv4At.identification + 1] = 0xff
  bytes[20 + tcpAt.dataOffset] = 5 << 4
  bytes[20 + tcpAt.flags] = flags
  bytes.fill(0xff, 20 + tcpAt.sequence, 20 + tcpAt.sequence + 4)
  for (let at = 40; at < bytes.length; at += 1) bytes[at] = at % 251
  writeIpv4Checksum(bytes, 0)
  const skb = skbFromPacket(dev, bytes, etherType.ipv4)
  markLarge(skb, size, Math.ceil(payload / size))
  return skb
}

test('segments hold the payload in order, with headers of their own', () => {
  const sizes = fc.record({
    payload: fc.integer({ min: 2, max: 6000 }),
    size: fc.integer({ min: 1, max: 2000 }),
  })
  fc.assert(
    fc.property(sizes, ({ payload, size }) => {
      const skb = large(payload, size, tcpFlag.ack | tcpFlag.psh | tcpFlag.fin | tcpFlag.cwr)
      const whole = skb.bytes.slice(skb.data + 40, skb.tail)
      const pieces = segmentAt(dev, skb, 'gso')
      const joined: number[] = []
      pieces.forEach((piece, index) => {
        const { bytes, data, tail } = piece
        const last = index === pieces.length - 1
        expect(readU16(bytes, data + ipv4At.totalLength)).toBe(tail - data)
        expect(readU16(bytes, data + ipv4At.identification)).toBe((0xffff + index) & 0xffff)
        expect(readU32(bytes, data + 20 + tcpAt.sequence)).toBe((0xffff_ffff + index * size) >>> 0)
        const place = { l3: data, l4: data + 20, end: tail, protocol: ipProtocol.tcp }
        expect(segmentChecksumIsRight(bytes, place)).toBe(true)
        const flags = bytes[data + 20 + tcpAt.flags] ?? 0
        expect((flags & tcpFlag.psh) !== 0).toBe(last)
        expect((flags & tcpFlag.fin) !== 0).toBe(last)
        expect((flags & tcpFlag.cwr) !== 0).toBe(index === 0)
        expect(piece.gsoSize).toBe(0)
        joined.push(...bytes.subarray(data + 40, tail))
      })
      expect(joined).toEqual([...whole])
    }),
    { numRuns: 50 },
  )
})

test('lengths: of the largest segment, and on the wire', () => {
  const skb = large(5000, 1448, tcpFlag.ack)
  expect(networkLength(skb)).toBe(1488)
  expect(wireLength(skb)).toBe(5040 + 3 * 40)
})

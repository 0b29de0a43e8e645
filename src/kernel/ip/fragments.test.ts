// Fragments and reassembly of IPv4.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { datagram, ends, ipLab, sendRaw, udp } from '../../../test/ip-lab.ts'
import { readU16 } from '../../net/bytes.ts'
import { ipv4ChecksumIsRight } from '../../net/ipv4.ts'
import { etherType } from '../../net/protocol.ts'
import { setMtu } from '../device/change.ts'
import { type Skb, skbFromPacket } from '../skb.ts'
import { fragmentPacket } from './fragment.ts'
import { reassemble } from './reassembly.ts'

const second = 1_000_000_000

function patterned(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7) & 255)
}

describe('fragments', () => {
  test('what was cut is put together again, in any order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 68, max: 1500 }),
        fc.nat(),
        (size, mtu, turn) => {
          const { b, b0 } = ipLab()
          const whole = datagram({
            from: '10.0.1.2',
            to: '10.0.2.2',
            payload: patterned(size),
            protocol: 200,
            ident: 9,
          })
          const pieces = fragmentPacket(skbFromPacket(b0, whole, etherType.ipv4), mtu)
          expect(
            pieces.every((piece) => piece.length <= mtu && ipv4ChecksumIsRight(piece.bytes, piece.data)),
          ).toBe(true)
          const at = turn % pieces.length
          const shuffled = [...pieces.slice(at), ...pieces.slice(0, at)].reverse()
          const answers = shuffled.map((piece) => reassemble(b, piece, 0))
          const joined = answers.at(-1)
          expect(answers.slice(0, -1).every((answer) => answer === undefined)).toBe(true)
          expect(joined?.bytes.slice(joined.data, joined.tail)).toEqual(whole)
          expect(b.ip.v4.fragments.size).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a fragment that is cut again keeps its offset and its flag', () => {
    const { b0 } = ipLab()
    const middle = datagram({
      from: '10.0.1.2',
      to: '10.0.2.2',
      payload: patterned(800),
      flags: 0x2000 | 100,
    })
    const words = fragmentPacket(skbFromPacket(b0, middle, etherType.ipv4), 420).map((piece) =>
      readU16(piece.bytes, piece.data + 6),
    )
    expect(words).toEqual([0x2000 | 100, 0x2000 | 150])
  })

  test('a router cuts what has no DF', () => {
    const lab = ipLab()
    setMtu(lab.rb, 600)
    const payload = udp(5000, 7000, 992)
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', payload, ident: 5 }), lab.ra.mac)
    expect(lab.seen.filter(({ place }) => place === 'B:b0:tap-in')).toHaveLength(2)
    expect(lab.seen.filter(({ place }) => place === 'B:INPUT').map(({ bytes }) => bytes.length)).toEqual([
      1020,
    ])
    expect([lab.r.counters.get('IpFragOKs'), lab.r.counters.get('IpFragCreates')]).toEqual([1, 2])
    expect(lab.b.counters.get('IpReasmOKs')).toBe(1)
  })

  test('an overlap ends the datagram, a copy only itself', () => {
    const { b, b0 } = ipLab()
    const part = (flags: number, size: number): Skb => {
      const bytes = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: patterned(size), flags, ident: 3 })
      return skbFromPacket(b0, bytes, etherType.ipv4)
    }
    expect(reassemble(b, part(0x2000, 16), 0)).toBeUndefined()
    expect(reassemble(b, part(0x2000, 16), 0)).toBeUndefined()
    expect(b.ip.v4.fragments.size).toBe(1)
    expect(reassemble(b, part(0x2001, 16), 0)).toBeUndefined()
    expect(b.ip.v4.fragments.size).toBe(0)
    expect(b.counters.get('IpReasmFails')).toBe(1)
    expect(b.counters.get('IpExtReasmOverlaps')).toBe(1)
  })

  test('after 30 s the sender of an unfinished datagram is told, if its start came', () => {
    const lab = ipLab()
    const start = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 7000, 8), flags: 0x2000 })
    sendRaw(lab.a0, start, lab.ra.mac)
    lab.machine.clock.advance(31 * second)
    const icmp = lab.seen.find(({ place, bytes }) => place === 'A:PREROUTING' && bytes[9] === 1)?.bytes
    expect([icmp?.[20], icmp?.[21]]).toEqual([11, 1])
    expect(lab.b.counters.get('IpReasmTimeout')).toBe(1)
    expect(ends(lab.machine)).toContain('p dropped B/b0/rx SKB_DROP_REASON_FRAG_REASM_TIMEOUT')
  })
})

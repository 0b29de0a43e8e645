import { describe, expect, test } from 'vitest'
import { ipLab } from '../../test/ip-lab.ts'
import { etherType, ipProtocol } from '../net/protocol.ts'
import { flowHash } from './flow-hash.ts'
import { skbFromFrame } from './skb.ts'

/** A UDP packet of IPv6 on its own, behind a header of eight bytes where one is asked for. */
function packet(
  label: number,
  sport: number,
  extension?: { readonly number: number; readonly bytes: number[] },
) {
  const { a0 } = ipLab()
  const own = extension?.bytes ?? []
  const bytes = new Uint8Array(14 + 48 + own.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(12, etherType.ipv6)
  view.setUint32(14, 0x6000_0000 + label)
  bytes.set([0, 8 + own.length, extension?.number ?? 17, 64], 18)
  bytes.set([0xfd, 1], 22)
  bytes.set([0xfd, 2], 38)
  bytes.set(own, 54)
  view.setUint16(54 + own.length, sport)
  view.setUint16(56 + own.length, 53)
  const skb = skbFromFrame(a0, bytes)
  skb.networkHeader = skb.start + 14
  skb.protocol = etherType.ipv6
  return { hash: flowHash(skb), isOfPorts: skb.l4Hash }
}

describe('the hash of an IPv6 flow', () => {
  test('is one of its ports', () => {
    expect(packet(0, 1000).hash).toBe(packet(0, 1000).hash)
    expect(packet(0, 1000).hash).not.toBe(packet(0, 1001).hash)
  })

  test('is one of its label instead where it has one, and is kept in a tunnel all the same', () => {
    expect(packet(5, 1000)).toEqual(packet(5, 1001))
    expect(packet(5, 1000).hash).not.toBe(packet(6, 1000).hash)
    expect(packet(5, 1000).hash).not.toBe(packet(0, 1000).hash)
    expect(packet(5, 1000).isOfPorts).toBe(true)
  })

  test('is the same behind options, in tunnels as recorded on 6.18', () => {
    const options = [17, 0, 1, 4, 0, 0, 0, 0]
    for (const number of [ipProtocol.hopByHop, ipProtocol.destinationOptions, ipProtocol.routing]) {
      expect(packet(0, 1000, { number, bytes: options })).toEqual(packet(0, 1000))
      expect(packet(0, 1001, { number, bytes: options })).toEqual(packet(0, 1001))
    }
  })

  test('is one of addresses and protocol for pieces, the first as well', () => {
    const piece = (sport: number) =>
      packet(0, sport, { number: ipProtocol.fragment, bytes: [17, 0, 0, 1, 0, 0, 0, 7] })
    expect(piece(1000)).toEqual(piece(1001))
    expect(piece(1000).isOfPorts).toBe(false)
  })
})

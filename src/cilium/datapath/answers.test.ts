// Packets that programs answer themselves: ARP, neighbour discovery, ICMP and ICMPv6 errors.
import { describe, expect, test } from 'vitest'
import { checksumOf, segmentChecksumIsRight } from '../../net/checksum.ts'
import { addressBytes, datapathLab, frame, hex } from '../test-support/lab.ts'
import { arpRequest, prepareArpReply } from './arp.ts'
import { drop } from './drop-reason.ts'
import { macBytesOf } from './ethernet.ts'
import { generateIcmp4Reply } from './icmp4-reply.ts'
import { tailHandleSolicitation } from './icmp6-ndp.ts'
import { tailSendTimeExceeded } from './icmp6-time-exceeded.ts'

const lxcMac = 0x0e00_0000_1001

describe('ARP (facts 2.18)', () => {
  const request = (destination: string, operation = '0001', hardware = '0001'): Uint8Array =>
    hex(`${destination} 0a0000001001 0806 ${hardware} 0800 0604 ${operation}
      0a0000001001 0a00010a 000000000000 0a000101`)

  const answer = (bytes: Uint8Array) =>
    datapathLab().run(bytes, (ctx) => {
      const asked = arpRequest(ctx, lxcMac)
      return asked === undefined ? undefined : prepareArpReply(ctx, asked, macBytesOf(lxcMac))
    })

  test('a broadcast request is turned into the reply', () => {
    const { result, frame: reply } = answer(request('ffffffffffff'))
    expect(result).toBe(0)
    expect(reply).toEqual(
      hex(`0a0000001001 0e0000001001 0806 0001 0800 0604 0002
        0e0000001001 0a000101 0a0000001001 0a00010a`),
    )
  })

  test.each([
    ['to another MAC', request('0e0000009999')],
    ['a reply', request('ffffffffffff', '0002')],
    ['no Ethernet', request('ffffffffffff', '0001', '0006')],
    ['cut off', request('ffffffffffff').slice(0, 40)],
  ])('not answered: %s', (_, bytes) => {
    expect(answer(bytes).result).toBeUndefined()
  })
})

describe('an ICMP error (recorded fact 14)', () => {
  const reply = (bytes: Uint8Array) => datapathLab().run(bytes, (ctx) => generateIcmp4Reply(ctx, 3, 13)).frame

  test('quotes as much as the frame was long, its end filled with zeros', () => {
    const syn = frame('10.0.1.10', '10.0.2.20', { kind: 'tcp', source: 1, destination: 2 })
    const bytes = reply(syn)
    expect(bytes.length).toBe(14 + 28 + 54)
    expect(bytes.slice(0, 12)).toEqual(hex('0a0000001001 0e0000001001'))
    expect([bytes.slice(26, 30), bytes.slice(30, 34)]).toEqual([
      addressBytes('10.0.2.20'),
      addressBytes('10.0.1.10'),
    ])
    expect(bytes.slice(42, 82)).toEqual(syn.slice(14))
    expect(bytes.slice(82)).toEqual(new Uint8Array(14))
    expect(checksumOf(bytes, 14, 34)).toBe(0)
    expect(checksumOf(bytes, 34, bytes.length)).toBe(0)
  })

  test('at most 64 bytes', () => {
    const payload = { kind: 'payload', bytes: new Uint8Array(500).fill(7) } as const
    const bytes = reply(frame('10.0.1.10', '10.0.2.20', { kind: 'udp', source: 1, destination: 2 }, payload))
    expect(bytes.length).toBe(14 + 28 + 64)
    expect(checksumOf(bytes, 34, bytes.length)).toBe(0)
  })
})

const icmp6Right = (bytes: Uint8Array): boolean =>
  segmentChecksumIsRight(bytes, { l3: 14, l4: 54, end: bytes.length, protocol: 58 })

describe('ICMPv6 time exceeded', () => {
  const lab = datapathLab({ values: { router_ipv6: addressBytes('fd00:1::1') } })
  const answer = (bytes: Uint8Array) =>
    lab.run(bytes, (ctx) => {
      ctx.setMeta(0, 14)
      ctx.setMeta(1, 2)
      return tailSendTimeExceeded.run(ctx)
    })

  test.each([
    [
      'TCP with its header',
      frame('fd00:1::10', 'fd00:2::10', { kind: 'tcp', source: 1, destination: 2 }),
      68,
    ],
    [
      'UDP with eight bytes',
      frame(
        'fd00:1::10',
        'fd00:2::10',
        { kind: 'udp', source: 1, destination: 2 },
        { kind: 'payload', bytes: new Uint8Array(99) },
      ),
      56,
    ],
  ])('%s', (_, bytes, payload) => {
    const { result, frame: reply } = answer(bytes)
    expect(result).toBe(7)
    expect(reply.length).toBe(54 + payload)
    expect([reply[54], reply[55]]).toEqual([3, 0])
    expect([reply.slice(22, 38), reply.slice(38, 54)]).toEqual([
      addressBytes('fd00:1::1'),
      addressBytes('fd00:1::10'),
    ])
    expect(reply.slice(62, 62 + payload - 8)).toEqual(bytes.slice(14, 14 + payload - 8))
    expect(icmp6Right(reply)).toBe(true)
  })

  test('other protocols are not quoted', () => {
    const bytes = frame('fd00:1::10', 'fd00:2::10', { kind: 'payload', bytes: new Uint8Array(20) })
    bytes[20] = 47
    // the tail call for the event is missing in this lab, which leaves the code
    expect(answer(bytes).result).toBe(2)
  })
})

describe('neighbour solicitation (facts 2.17)', () => {
  const lab = datapathLab({ values: { router_ipv6: addressBytes('fd00:1::1') } })
  const solicit = (target: string, option: string): Uint8Array => {
    const bytes = hex(`0e0000001001 0a0000001001 86dd 60000000 00${option === '' ? '18' : '20'} 3a ff
      fd000001000000000000000000000010 ff0200000000000000000001ff000001
      87 00 0000 00000000 ${target} ${option}`)
    let sum = 0
    const pseudo = bytes.slice(22)
    for (let at = 0; at < pseudo.length; at += 2) sum += ((pseudo[at] ?? 0) << 8) | (pseudo[at + 1] ?? 0)
    sum += bytes.length - 54 + 58
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    bytes[56] = (~sum >>> 8) & 0xff
    bytes[57] = ~sum & 0xff
    return bytes
  }
  const answer = (bytes: Uint8Array) =>
    lab.run(bytes, (ctx) => {
      ctx.setMeta(0, 14)
      ctx.setMeta(1, 2)
      return tailHandleSolicitation.run(ctx)
    })
  const router = 'fd000001000000000000000000000001'
  const pod = 'fd000001000000000000000000000011'

  test.each([
    ['with', '01010a0000001001'],
    ['without', ''],
  ])('for the router, %s a source address option', (_, option) => {
    const { result, frame: reply } = answer(solicit(router, option))
    expect(result).toBe(7)
    expect(reply.slice(54, 56)).toEqual(hex('8800'))
    expect(reply[58]).toBe(0xc0)
    expect(reply.slice(22, 38)).toEqual(hex(router))
    expect(reply.slice(78)).toEqual(hex('02010e0000001001'))
    expect(icmp6Right(reply)).toBe(true)
  })

  test('for a pod of this node the answer overrides', () => {
    const key = new Uint8Array(20)
    key.set(hex(pod), 0)
    key[16] = 2
    lab.maps.cilium_lxc.update(key, new Uint8Array(48), 0, 0)
    expect(answer(solicit(pod, '')).frame[58]).toBe(0x60)
  })

  test('the host answers for itself, and nobody for strangers', () => {
    const key = new Uint8Array(20)
    key.set(hex('fd010000000000000000000000000001'), 0)
    key[16] = 2
    const value = new Uint8Array(48)
    value[8] = 1
    lab.maps.cilium_lxc.update(key, value, 0, 0)
    expect(answer(solicit('fd010000000000000000000000000001', '')).result).toBe(0)
    expect(answer(solicit('fd000009000000000000000000000001', '')).result).toBe(2)
    expect(drop.UNKNOWN_TARGET).toBe(-150)
  })
})

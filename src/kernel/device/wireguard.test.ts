import { describe, expect, test } from 'vitest'
import { sendThrough, type TunnelLab, tunnelLab } from '../../../test/tunnel-lab.ts'
import type { Ipv4 } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { parsePrefix } from '../../net/prefix.ts'
import { decodeWireguard } from '../../net/wireguard.ts'
import { open, seal } from '../cipher.ts'
import { addWireguard, paddingFor } from './wireguard.ts'

/** Both hosts know each other as `192.168.7.1` and `.2`; each may have what `allowed` says. */
function wireguardLab(allowed: readonly [string, string] = ['10.7.0.2/32', '10.7.0.1/32']): TunnelLab {
  return tunnelLab((ns, far) => {
    const [first, second] = allowed
    const prefix = parsePrefix(ns.name === 'A' ? first : second)
    const peer = ns.name === 'A' ? 'B' : 'A'
    return addWireguard(ns, {
      name: 't0',
      mtu: 1420,
      publicKey: ns.name,
      port: 51_871,
      fwmark: 0xe00,
      peers: [
        {
          publicKey: peer,
          endpoint: { address: far as Ipv4, port: 51_871 },
          allowedIps: prefix === undefined ? [] : [prefix],
        },
      ],
    })
  })
}

describe('a device', () => {
  test('60 bytes and padding over the inner packet: IP, UDP, header, tag; nobody reads what is inside', () => {
    const lab = wireguardLab()
    expect(sendThrough(lab)).toBe(1)
    const packet = (lab.wire[0] ?? new Uint8Array(0)).subarray(14)
    // 33 bytes of IP become 48
    expect(packet.length).toBe(48 + 20 + 8 + 16 + 16)
    expect([readU16(packet, 20), readU16(packet, 22)]).toEqual([51_871, 51_871])
    expect(decodeWireguard(packet, 28)).toMatchObject({ counter: 0 })
    expect(packet[6]).toBe(0) // no DF
    expect([...packet.subarray(44, 92)].filter((byte) => byte === 0).length).toBeLessThan(6)
  })

  test('the outer packet passes OUTPUT and POSTROUTING, the inner one PREROUTING and INPUT behind the device', () => {
    const lab = wireguardLab()
    sendThrough(lab)
    expect(lab.seen).toEqual([
      'A:OUTPUT inner',
      'A:POSTROUTING inner',
      'A:t0 out',
      'A:OUTPUT outer',
      'A:POSTROUTING outer',
      'A:u0 out',
      'B:u0 in',
      'B:PREROUTING outer',
      'B:INPUT outer',
      'B:t0 in',
      'B:PREROUTING inner',
      'B:INPUT inner',
    ])
  })

  test('numbers count up', () => {
    const lab = wireguardLab()
    sendThrough(lab, { port: 1 })
    sendThrough(lab, { port: 2 })
    expect(lab.wire.map((frame) => decodeWireguard(frame, 42))).toMatchObject([
      { counter: 0 },
      { counter: 1 },
    ])
  })

  test('no peer has the destination: nothing leaves, the sender is told', () => {
    const lab = wireguardLab(['10.8.0.0/16', '10.7.0.1/32'])
    expect(sendThrough(lab)).toBe(0)
    expect(lab.wire).toEqual([])
    expect(lab.ta.counters.tx_dropped).toBe(1)
  })

  test('the peer may not have the source: it is lost behind the decryption', () => {
    const lab = wireguardLab(['10.7.0.0/24', '10.7.0.9/32'])
    expect(sendThrough(lab)).toBe(0)
    expect(lab.wire).toHaveLength(1)
    expect(lab.tb.counters.rx_dropped).toBe(1)
  })
})

describe('padding', () => {
  // calculate_skb_padding(): to a multiple of 16, never over the MTU
  test.each([
    [0, 1420, 0],
    [1, 1420, 15],
    [33, 1420, 15],
    [64, 1420, 0],
    [1409, 1420, 11],
    [1420, 1420, 0],
    [1421, 1420, 15],
    [33, 0, 15],
  ])('%i bytes at an MTU of %i: %i', (length, mtu, padding) => {
    expect(paddingFor(length, mtu)).toBe(padding)
  })
})

describe('what stands for encryption', () => {
  const sealed = (key: string, number: number) => {
    const bytes = new Uint8Array(64)
    for (let at = 0; at < 48; at += 1) bytes[at] = at
    seal(bytes, { start: 0, end: 48 }, { key, number })
    return bytes
  }
  test('comes back with key and number', () => {
    const bytes = sealed('a b', 7)
    expect(bytes.slice(0, 48)).not.toEqual(new Uint8Array(48).map((_, at) => at))
    expect(open(bytes, { start: 0, end: 48 }, { key: 'a b', number: 7 })).toBe(true)
    expect(bytes.slice(0, 48)).toEqual(new Uint8Array(48).map((_, at) => at))
  })
  test.each([
    ['another key', 'a c', 7, -1],
    ['another number', 'a b', 8, -1],
    ['a byte that changed', 'a b', 7, 20],
    ['a tag that changed', 'a b', 7, 50],
  ])('%s', (_, key, number, at) => {
    const bytes = sealed('a b', 7)
    if (at >= 0) bytes[at] = (bytes[at] as number) ^ 1
    expect(open(bytes, { start: 0, end: 48 }, { key, number })).toBe(false)
  })
  test('the same every time, and never twice the same', () => {
    expect(sealed('a b', 7)).toEqual(sealed('a b', 7))
    expect(sealed('a b', 7)).not.toEqual(sealed('a b', 8))
  })
})

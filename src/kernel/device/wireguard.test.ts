import { describe, expect, test } from 'vitest'
import { at, sendThrough, socketOn, type TunnelLab, tunnelLab, wholeWay } from '../../../test/tunnel-lab.ts'
import type { Ipv4 } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { type Prefix, parsePrefix } from '../../net/prefix.ts'
import { decodeWireguard } from '../../net/wireguard.ts'
import { open, seal } from '../cipher.ts'
import { addAddress, removeAddress } from '../ip/admin-address.ts'
import { addNeighbour } from '../ip/admin-neighbour.ts'
import { failed } from '../socket/errno.ts'
import { udpSend } from '../socket/udp.ts'
import { addTap } from './change.ts'
import { addWireguard, paddingFor, setWireguardPeers } from './wireguard.ts'
import { counterIsNew, peerFrom, peerOf, type WireguardConfig } from './wireguard-peers.ts'

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
    expect(lab.seen).toEqual(wholeWay)
  })

  test('both sides count messages: header, padding and tag', () => {
    const lab = wireguardLab()
    sendThrough(lab)
    expect(lab.ta.counters).toMatchObject({ tx_packets: 1, tx_bytes: 48 + 32, tx_errors: 0 })
    expect(lab.tb.counters).toMatchObject({ rx_packets: 1, rx_bytes: 48 + 32, rx_errors: 0 })
  })

  test('a message that the MTU keeps from a multiple of 16 arrives', () => {
    const lab = wireguardLab()
    // 1415 bytes of IP become 1420
    expect(sendThrough(lab, { bytes: 1415 - 28 })).toBe(1)
    expect((lab.wire[0] ?? new Uint8Array(0)).length).toBe(14 + 20 + 8 + 16 + 1420 + 16)
  })

  test('a sender without a peer hears ENOKEY, without its endpoint EDESTADDRREQ', () => {
    const refusedWith = (peers: WireguardConfig['peers']): string => {
      const lab = wireguardLab()
      setWireguardPeers(lab.ta, peers)
      const client = socketOn(lab.a, '10.7.0.1', 5000)
      const sent = udpSend(client, new Uint8Array(5), { to: { address: at('10.7.0.2'), port: 7000 } })
      return failed(sent) ? sent.errno : 'sent'
    }
    const allowedIps = [parsePrefix('10.7.0.2/32') as Prefix]
    expect(refusedWith([])).toBe('ENOKEY')
    expect(refusedWith([{ publicKey: 'C', allowedIps }])).toBe('EDESTADDRREQ')
  })

  test('an answer comes from the address at which the peer was asked, while there is one', () => {
    const lab = wireguardLab()
    addAddress(lab.b0, parsePrefix('192.168.7.9/24') as Prefix)
    lab.machine.clock.drain()
    const allowedIps = [parsePrefix('10.7.0.2/32') as Prefix]
    setWireguardPeers(lab.ta, [
      { publicKey: 'B', endpoint: { address: at('192.168.7.9') as Ipv4, port: 51_871 }, allowedIps },
    ])
    addNeighbour(lab.a0, at('192.168.7.9'), { mac: lab.b0.mac })
    sendThrough(lab)
    const answered: string[] = []
    addTap(lab.b0, (_dev, skb, direction) => {
      if (direction === 'out')
        answered.push([...skb.bytes.subarray(skb.start + 26, skb.start + 30)].join('.'))
    })
    const answer = (): void => {
      const server = socketOn(lab.b, '10.7.0.2', 7001, { reuseAddr: true })
      udpSend(server, new Uint8Array(1), { to: { address: at('10.7.0.1'), port: 5000 } })
      lab.machine.clock.drain()
    }
    answer()
    expect(answered).toEqual(['192.168.7.9'])
    removeAddress(lab.b0, parsePrefix('192.168.7.9/24') as Prefix)
    answer()
    expect(answered).toEqual(['192.168.7.9', '192.168.7.2'])
  })

  test('up, it switches redirects off, on the whole host', () => {
    const { a } = wireguardLab()
    expect(a.sysctls.get('net.ipv4.conf.t0.send_redirects')).toBe(0)
    expect(a.sysctls.get('net.ipv4.conf.all.send_redirects')).toBe(0)
    expect(a.sysctls.get('net.ipv4.conf.u0.send_redirects')).toBe(1)
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
    expect(lab.ta.counters).toMatchObject({ tx_errors: 1, tx_dropped: 0, tx_packets: 0 })
    // host unreachable
    expect(lab.a.counters.get('IcmpOutDestUnreachs')).toBe(1)
  })

  test('the peer may not have the source: it is lost behind the decryption', () => {
    const lab = wireguardLab(['10.7.0.0/24', '10.7.0.9/32'])
    expect(sendThrough(lab)).toBe(0)
    expect(lab.wire).toHaveLength(1)
    expect(lab.tb.counters).toMatchObject({ rx_errors: 1, rx_dropped: 0, rx_packets: 0 })
  })
})

describe('numbers', () => {
  const peer = (): ReturnType<typeof peerFrom> => peerFrom('A', { publicKey: 'B', allowedIps: [] }, [])
  // drivers/net/wireguard/selftest/counter.c: a window of 8128
  test.each([
    ['each once', [0, 1, 1, 9, 8, 7, 7, 0], [true, true, false, true, true, true, false, false]],
    ['the oldest of the window', [8128, 0, 0], [true, true, false]],
    ['older than the window', [8129, 0, 1], [true, false, true]],
    ['far ahead', [0, 100_000, 0, 100_000, 91_871, 91_872], [true, true, false, false, false, true]],
  ])('%s', (_, numbers, fresh) => {
    const one = peer()
    expect(numbers.map((number) => counterIsNew(one, number))).toEqual(fresh)
  })
})

describe('allowed IPs', () => {
  test('the longest prefix wins; of two the same the later peer has it', () => {
    const peerWith = (publicKey: string, prefixes: readonly string[]) =>
      peerFrom('A', { publicKey, allowedIps: prefixes.map((text) => parsePrefix(text) as Prefix) }, [])
    const state = {
      publicKey: 'A',
      port: 1,
      fwmark: 0,
      peers: [peerWith('B', ['10.0.0.0/8', '10.1.0.0/16']), peerWith('C', ['10.0.0.0/8', '::/0'])],
    }
    const found = (text: string) => peerOf(state, at(text))?.publicKey
    expect([found('10.1.0.1'), found('10.2.0.1'), found('fd00::1'), found('11.0.0.1')]).toEqual([
      'B',
      'C',
      'C',
      undefined,
    ])
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

// Facts: linux 1.7, 4.12, 9.3: what a sender is told when its own host drops a packet, which identification packets have,
// and what the error queue holds.
import { describe, expect, test } from 'vitest'
import { program } from '../../../test/lab.ts'
import { at, type SocketLab, socketLab, text } from '../../../test/socket-lab.ts'
import { readU16 } from '../../net/bytes.ts'
import { second } from '../clock.ts'
import { addNeighbour } from '../ip/admin-neighbour.ts'
import { attachTc } from '../tc/attach.ts'
import { icmpEcho } from './ping.ts'
import { openAndWait } from './program.ts'
import type { SocketOptions } from './socket.ts'
import { tcpOpen } from './tcp.ts'
import { udpBind, udpConnect, udpOpen, udpSend } from './udp.ts'
import type { UdpSocket } from './udp-socket.ts'

const far = { address: at('10.0.2.2'), port: 7000 }

function udp(lab: SocketLab, options: Partial<SocketOptions> = {}, port = 5000): UdpSocket {
  const opened = udpOpen({ ns: lab.a, family: 4, label: `f${port}`, options })
  if (!('ok' in opened)) throw new Error(opened.errno)
  expect(udpBind(opened.ok, { address: at('10.0.1.2'), port })).toEqual({ ok: true })
  return opened.ok
}

/** A knows its router: what it sends leaves at once. */
function warm(): SocketLab {
  const lab = socketLab()
  addNeighbour(lab.a0, at('10.0.1.1'), { mac: lab.ra.mac })
  return lab
}

/** A's device with a tc egress program that answers `code` for whatever it sees. */
function guarded(code: number): SocketLab {
  const lab = warm()
  const only4 = program('p', ({ skb }) => (skb?.protocol === 0x0800 ? code : -1))
  attachTc(lab.a0, 'egress', { kind: 'clsact', program: only4 })
  return lab
}

describe('a packet that tc egress of the own host stops', () => {
  test.each([
    ['SHOT', 2, false, { ok: 1 }, [1, 1]],
    ['SHOT', 2, true, { errno: 'ENOBUFS' }, [1, 1]],
    ['STOLEN', 4, true, { ok: 1 }, [0, 0]],
    ['TRAP', 8, true, { ok: 1 }, [0, 0]],
    ['REDIRECT without a target', 7, true, { ok: 1 }, [0, 0]],
  ] as const)('UDP, %s (%i), IP_RECVERR %s', (_what, code, recvErr, answer, [sndbuf, discards]) => {
    const lab = guarded(code)
    expect(udpSend(udp(lab, { recvErr }), text('x'), { to: far })).toEqual(answer)
    expect(lab.a.counters.get('UdpSndbufErrors') ?? 0).toBe(sndbuf)
    expect(lab.a.counters.get('IpOutDiscards') ?? 0).toBe(discards)
    expect(lab.a.counters.get('IpOutRequests')).toBe(1)
  })

  test('a raw socket is told nothing', () => {
    const lab = guarded(2)
    const answer = icmpEcho(lab.a, {
      destination: far.address,
      label: 'ping',
      identifier: 1,
      sequence: 1,
      data: text('x'),
    })
    expect(answer).toHaveProperty('ok')
    expect(lab.a0.counters.tx_packets).toBe(0)
  })

  test('a SYN is tried again after a second, then every half second, and connect times out', () => {
    const lab = warm()
    const times: number[] = []
    const refuse = program('p', ({ skb }) => {
      if (skb?.protocol !== 0x0800) return -1
      times.push(lab.machine.clock.now / second)
      return 2
    })
    attachTc(lab.a0, 'egress', { kind: 'clsact', program: refuse })
    const opened = tcpOpen({ ns: lab.a, family: 4, label: 't' })
    if (!('ok' in opened)) throw new Error(opened.errno)
    expect(openAndWait(opened.ok, { address: far.address, port: 80 }, 300 * second)).toEqual({
      errno: 'ETIMEDOUT',
    })
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    expect(gaps).toEqual(
      [1.02, ...Array.from({ length: 9 }, () => 0.512)].map((gap) => expect.closeTo(gap, 3)),
    )
  })
})

describe('identification', () => {
  function sent(lab: SocketLab): number[] {
    return (lab.machine.trace?.packets ?? [])
      .filter(({ name }) => /^f\d+\.data\d+$/.test(name))
      .map(({ first }) => readU16(first.bytes, 4))
  }

  test('unconnected sockets share a counter for each destination', () => {
    const lab = socketLab()
    const [one, two] = [udp(lab), udp(lab, {}, 5001)]
    for (const socket of [one, two, one]) udpSend(socket, text('x'), { to: far })
    udpSend(one, text('x'), { to: { address: at('10.0.2.77'), port: 1 } })
    const [first = 0, second_ = 0, third = 0, elsewhere] = sent(lab)
    expect([second_, third]).toEqual([(first + 1) & 0xffff, (first + 2) & 0xffff])
    expect(elsewhere).not.toBe((third + 1) & 0xffff)
  })

  test('a connected socket has a counter of its own', () => {
    const lab = socketLab()
    const listener = udpOpen({ ns: lab.b, family: 4, label: 'b' })
    if ('ok' in listener) udpBind(listener.ok, far)
    const [one, two] = [udp(lab), udp(lab, {}, 5001)]
    for (const socket of [one, two]) udpConnect(socket, far)
    for (const socket of [one, two, one]) udpSend(socket, text('x'))
    const [first = 0, other, next] = sent(lab)
    expect(next).toBe((first + 1) & 0xffff)
    expect(other).not.toBe(next)
  })

  test('an unconnected socket that demands DF sends 0', () => {
    const lab = socketLab()
    const socket = udp(lab, { mtuDiscover: 'do' })
    for (let n = 0; n < 2; n += 1) udpSend(socket, text('x'), { to: far })
    expect(sent(lab)).toEqual([0, 0])
  })
})

test.each([
  ['a closed port', {}, 10, { errno: 'ECONNREFUSED', type: 3, code: 3, offender: at('10.0.2.2') }],
  ['TTL exceeded', { ttl: 1 }, 10, { errno: 'EHOSTUNREACH', type: 11, code: 0, offender: at('10.0.1.1') }],
  [
    'fragmentation needed',
    { mtuDiscover: 'do' },
    1400,
    { errno: 'EMSGSIZE', type: 3, code: 4, info: 1300, offender: at('10.0.1.1') },
  ],
] as const)('the error queue after %s', (_what, options, bytes, entry) => {
  const lab = socketLab()
  lab.rb.mtu = 1300
  const socket = udp(lab, { ...options, recvErr: true })
  udpSend(socket, new Uint8Array(bytes), { to: far })
  lab.machine.clock.drain()
  expect(socket.errorQueue).toEqual([expect.objectContaining({ origin: 'icmp', ...entry })])
})

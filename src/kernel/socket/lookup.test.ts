import { describe, expect, test } from 'vitest'
import { at, socketLab } from '../../../test/socket-lab.ts'
import { lookupUdp, type Tuple } from './lookup.ts'
import { ephemeralPort } from './ports.ts'
import { udpBind, udpConnect, udpOpen } from './udp.ts'
import { createUdp } from './udp-socket.ts'

const kinds = {
  wildcard: { bind: '0.0.0.0' },
  dual: { bind: '::' },
  specific: { bind: '10.0.1.2' },
  connected: { bind: '10.0.1.2', peer: true },
  device: { bind: '0.0.0.0', device: true },
} as const

type Kind = keyof typeof kinds

/** Opens the sockets in order on one port and answers which of them a packet from 10.0.2.2:9 finds. */
function winner(order: readonly Kind[]): string | undefined {
  const { a, a0 } = socketLab()
  for (const kind of order) {
    const { bind, ...how } = kinds[kind]
    const device = 'device' in how ? a0.ifindex : 0
    const opened = udpOpen({
      ns: a,
      family: bind.includes(':') ? 6 : 4,
      label: kind,
      options: { reuseAddr: true, device },
    })
    if (!('ok' in opened)) throw new Error(opened.errno)
    expect(udpBind(opened.ok, { address: at(bind), port: 7000 })).toEqual({ ok: true })
    if ('peer' in how) udpConnect(opened.ok, { address: at('10.0.2.2'), port: 9 })
  }
  const tuple: Tuple = {
    local: at('10.0.1.2'),
    localPort: 7000,
    remote: at('10.0.2.2'),
    remotePort: 9,
    ifindex: a0.ifindex,
  }
  return lookupUdp(a, tuple)?.label
}

describe('lookupUdp', () => {
  test.each([
    [['wildcard', 'specific', 'connected', 'device', 'dual'], 'connected'],
    [['specific', 'wildcard', 'device'], 'specific'],
    [['device', 'wildcard'], 'device'],
    [['wildcard', 'dual'], 'wildcard'],
    [['dual', 'wildcard'], 'wildcard'],
    [['dual'], 'dual'],
    [[], undefined],
  ] as const)('%j: %s', (order, expected) => {
    expect(winner(order)).toBe(expected)
    expect(winner([...order].reverse())).toBe(expected)
  })

  test('a reuseport group shares flows by their hash, and always the same way', () => {
    const { a } = socketLab()
    const sockets = [0, 1, 2].map((n) => {
      const opened = udpOpen({ ns: a, family: 4, label: `s${n}`, options: { reusePort: true } })
      if (!('ok' in opened)) throw new Error(opened.errno)
      udpBind(opened.ok, { address: at('10.0.1.2'), port: 7000 })
      return opened.ok
    })
    const find = (remotePort: number): string | undefined =>
      lookupUdp(a, { local: at('10.0.1.2'), localPort: 7000, remote: at('10.0.2.2'), remotePort, ifindex: 2 })
        ?.label
    const chosen = new Set(Array.from({ length: 60 }, (_, n) => find(1000 + n)))
    expect(chosen.size).toBe(sockets.length)
    expect(find(1000)).toBe(find(1000))
  })
})

describe('ephemeralPort', () => {
  test('takes ports of one parity first with step 2, and every port of the range in the end', () => {
    const { a } = socketLab()
    a.sysctls.set('net.ipv4.ip_local_port_range.first', 40_000)
    a.sysctls.set('net.ipv4.ip_local_port_range.last', 40_009)
    const socket = createUdp({ ns: a, family: 4, label: 'f1' })
    for (const step of [1, 2] as const) {
      const used: number[] = []
      for (;;) {
        const port = ephemeralPort({
          socket,
          remote: at('10.0.2.2'),
          remotePort: 80,
          step,
          taken: (p) => used.includes(p),
        })
        if (port === undefined) break
        used.push(port)
      }
      expect([...used].sort()).toEqual(Array.from({ length: 10 }, (_, n) => 40_000 + n))
      if (step === 2) expect(used.slice(0, 5).every((port) => port % 2 === 0)).toBe(true)
    }
  })
})

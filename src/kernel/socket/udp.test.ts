import { describe, expect, test } from 'vitest'
import { at, names, type SocketLab, socketLab, string, text } from '../../../test/socket-lab.ts'
import { addRoute } from '../ip/admin-route.ts'
import type { Namespace } from '../namespace.ts'
import { attachSocketHook } from './hooks.ts'
import { serveUdp } from './program.ts'
import type { SocketOptions } from './socket.ts'
import { udpBind, udpClose, udpConnect, udpOpen, udpSend } from './udp.ts'
import { udpReceive } from './udp-read.ts'
import type { UdpSocket } from './udp-socket.ts'

function open(
  ns: Namespace,
  bind: readonly [string, number] | undefined,
  options: Partial<SocketOptions> & { readonly label?: string } = {},
): UdpSocket {
  const { label, ...rest } = options
  const family = bind === undefined || !bind[0].includes(':') ? 4 : 6
  const opened = udpOpen({ ns, family, label: label ?? 'u1', options: rest })
  if (!('ok' in opened)) throw new Error(opened.errno)
  if (bind !== undefined) {
    expect(udpBind(opened.ok, { address: at(bind[0]), port: bind[1] })).toEqual({ ok: true })
  }
  return opened.ok
}

function to(address: string, port: number) {
  return { address: at(address), port }
}

function received(socket: UdpSocket): string | undefined {
  const answer = udpReceive(socket)
  return 'ok' in answer ? string(answer.ok.data) : answer.errno
}

function run(lab: SocketLab): void {
  lab.machine.clock.drain()
}

describe('UDP', () => {
  test.each([
    ['10.0.1.2', '10.0.2.2'],
    ['fd00:1::2', 'fd00:2::2'],
  ])('asks and is answered: %s > %s', (own, far) => {
    const lab = socketLab()
    serveUdp(open(lab.b, [far, 53], { label: 'server' }), (datagram) => text(`re ${string(datagram.data)}`))
    const client = open(lab.a, [own, 5000], { label: 'f1' })
    expect(udpSend(client, text('q'), { to: to(far, 53) })).toEqual({ ok: 1 })
    run(lab)
    const answer = udpReceive(client)
    expect('ok' in answer && [string(answer.ok.data), answer.ok.sourcePort]).toEqual(['re q', 53])
    expect(names(lab.machine).filter((name) => name.includes('data'))).toEqual(
      expect.arrayContaining(['f1.data1', 'f1.rdata1']),
    )
  })

  test('a closed port: ECONNREFUSED for a connected socket, silence for an unconnected one', () => {
    const lab = socketLab()
    const connected = open(lab.a, ['10.0.1.2', 5000])
    udpConnect(connected, to('10.0.2.2', 7000))
    udpSend(connected, text('x'))
    run(lab)
    expect(received(connected)).toBe('ECONNREFUSED')
    expect(received(connected)).toBe('EAGAIN')
    const loose = open(lab.a, ['10.0.1.2', 5001])
    udpSend(loose, text('x'), { to: to('10.0.2.2', 7000) })
    run(lab)
    expect(received(loose)).toBe('EAGAIN')
    expect(lab.b.counters.get('UdpNoPorts')).toBe(2)
  })

  test.each([
    ['unreachable', '10.0.9.9', false, 'EAGAIN'],
    ['unreachable', '10.0.9.9', true, 'EHOSTUNREACH'],
    ['prohibit', '10.0.9.9', false, 'EHOSTUNREACH'],
    ['blackhole', '10.0.9.9', true, 'EAGAIN'],
    ['prohibit', 'fd00:9::9', false, 'EACCES'],
    ['unreachable', 'fd00:9::9', false, 'EAGAIN'],
    ['unreachable', 'fd00:9::9', true, 'ENETUNREACH'],
  ] as const)('a router with an %s route to %s, IP_RECVERR %s: %s', (type, far, recvErr, errno) => {
    const lab = socketLab()
    const address = at(far)
    const length = typeof address === 'number' ? 32 : 128
    addRoute(lab.r, { prefix: { address, length } as never, type, nextHops: [] })
    const own = typeof address === 'number' ? '10.0.1.2' : 'fd00:1::2'
    const client = open(lab.a, [own, 5000], { recvErr })
    udpConnect(client, to(far, 7000))
    expect(udpSend(client, text('x'))).toEqual({ ok: 1 })
    run(lab)
    expect(received(client)).toBe(errno)
  })

  test.each([
    ['blackhole', 'EINVAL'],
    ['unreachable', 'EHOSTUNREACH'],
    ['prohibit', 'EACCES'],
    ['throw', 'ENETUNREACH'],
  ] as const)('a local sender with an own %s route: %s', (type, errno) => {
    const lab = socketLab()
    addRoute(lab.r, { prefix: { address: at('10.9.0.0'), length: 16 } as never, type, nextHops: [] })
    expect(udpSend(open(lab.r, undefined), text('x'), { to: to('10.9.0.1', 1) })).toEqual({ errno })
  })

  test('a full path with DF: EMSGSIZE now, or at the send after the router complained', () => {
    const lab = socketLab()
    lab.rb.mtu = 1300
    const client = open(lab.a, ['10.0.1.2', 5000], { mtuDiscover: 'do' })
    udpConnect(client, to('10.0.2.2', 7000))
    expect(udpSend(client, new Uint8Array(1600))).toEqual({ errno: 'EMSGSIZE' })
    expect(udpSend(client, new Uint8Array(1400))).toEqual({ ok: 1400 })
    run(lab)
    expect(udpSend(client, new Uint8Array(10))).toEqual({ errno: 'EMSGSIZE' })
    expect(udpSend(client, new Uint8Array(1400))).toEqual({ errno: 'EMSGSIZE' })
    expect(udpSend(client, new Uint8Array(1272))).toEqual({ ok: 1272 })
  })

  test('a datagram longer than the MTU arrives whole, by fragments, over both families', () => {
    const lab = socketLab()
    for (const [own, far] of [
      ['10.0.1.2', '10.0.2.2'],
      ['fd00:1::2', 'fd00:2::2'],
    ] as const) {
      const server = open(lab.b, [far, 7000])
      const client = open(lab.a, [own, 5000])
      udpSend(client, new Uint8Array(3000).fill(9), { to: to(far, 7000) })
      run(lab)
      const answer = udpReceive(server)
      expect('ok' in answer && answer.ok.data.length).toBe(3000)
    }
    expect(lab.b.counters.get('IpReasmOKs')).toBe(1)
    expect(lab.b.counters.get('Ip6ReasmOKs')).toBe(1)
  })

  test('OUTPUT drops: EPERM', () => {
    const lab = socketLab()
    lab.a.netfilter.register({ family: 4, hook: 'OUTPUT', priority: 0, run: () => 'drop' })
    expect(udpSend(open(lab.a, undefined), text('x'), { to: to('10.0.2.2', 1) })).toEqual({ errno: 'EPERM' })
  })

  test('a full queue drops and counts', () => {
    const lab = socketLab()
    const server = open(lab.b, ['10.0.2.2', 7000], { receiveBufferBytes: 2000 })
    const client = open(lab.a, ['10.0.1.2', 5000])
    for (let n = 0; n < 4; n += 1) udpSend(client, text('x'), { to: to('10.0.2.2', 7000) })
    run(lab)
    expect(server.queue).toHaveLength(2)
    expect(lab.b.counters.get('UdpRcvbufErrors')).toBe(2)
  })

  test('bind: in use, not ours, shared, and free again after close', () => {
    const lab = socketLab()
    const first = open(lab.a, ['0.0.0.0', 7000])
    const bind = (options: Partial<SocketOptions>, address: string) => {
      const opened = udpOpen({ ns: lab.a, family: address.includes(':') ? 6 : 4, label: 'x', options })
      return 'ok' in opened ? udpBind(opened.ok, to(address, 7000)) : opened
    }
    expect(bind({}, '10.0.1.2')).toEqual({ errno: 'EADDRINUSE' })
    expect(bind({}, '::')).toEqual({ errno: 'EADDRINUSE' })
    expect(bind({ v6only: true }, '::')).toEqual({ ok: true })
    expect(bind({}, '10.0.2.2')).toEqual({ errno: 'EADDRNOTAVAIL' })
    first.options.reuseAddr = true
    expect(bind({ reuseAddr: true }, '10.0.1.2')).toEqual({ ok: true })
    udpClose(first)
    expect(lab.a.sockets.udp?.get(7000)).toHaveLength(2)
  })

  test('sendmsg and recvmsg programs: once per call, in both directions', () => {
    const lab = socketLab()
    serveUdp(open(lab.b, ['10.0.2.2', 7000], { label: 'server' }), (datagram) => datagram.data)
    attachSocketHook(lab.a.sockets, 'sendmsg', (context) => {
      context.address = at('10.0.2.2')
      context.port = 7000
      return 1
    })
    attachSocketHook(lab.a.sockets, 'recvmsg', (context) => {
      context.address = at('172.16.0.1')
      context.port = 53
      return 1
    })
    const client = open(lab.a, ['10.0.1.2', 5000])
    udpSend(client, text('x'), { to: to('172.16.0.1', 53) })
    run(lab)
    const answer = udpReceive(client, { withSource: true })
    expect('ok' in answer && [answer.ok.source, answer.ok.sourcePort]).toEqual([at('172.16.0.1'), 53])
  })
})

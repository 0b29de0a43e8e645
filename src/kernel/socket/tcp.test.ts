import { describe, expect, test } from 'vitest'
import { at, names, type SocketLab, socketLab, string, text } from '../../../test/socket-lab.ts'
import { readU16 } from '../../net/bytes.ts'
import { millisecond, second } from '../clock.ts'
import { setUp } from '../device/change.ts'
import { attachSocketHook } from './hooks.ts'
import { closeAndWait, openAndWait, receiveAndWait, sendAndWait, serveTcp } from './program.ts'
import { socketState } from './socket.ts'
import { tcpAccept, tcpBind, tcpClose, tcpConnect, tcpListen, tcpOpen, tcpReceive, tcpSend } from './tcp.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { runUntil } from './waiting.ts'

function open(lab: SocketLab, family: 4 | 6, label = 'f1', ns = lab.a): TcpSocket {
  const opened = tcpOpen({ ns, family, label })
  if (!('ok' in opened)) throw new Error(opened.errno)
  return opened.ok
}

/** A server in B that answers a request with its length many times over. */
function serve(
  lab: SocketLab,
  family: 4 | 6,
  answer: (request: Uint8Array) => Uint8Array | undefined,
): TcpSocket {
  const listener = open(lab, family, 'server', lab.b)
  expect(tcpBind(listener, { address: at(family === 4 ? '0.0.0.0' : '::'), port: 80 })).toEqual({ ok: true })
  expect(tcpListen(listener)).toEqual({ ok: true })
  serveTcp(listener, { received: (_connection, data) => answer(data) })
  return listener
}

const far = { 4: at('10.0.2.2'), 6: at('fd00:2::2') } as const

describe('a TCP connection', () => {
  test.each([[4], [6]] as const)('opens, asks, is answered and closes (IPv%i)', (family) => {
    const lab = socketLab()
    serve(lab, family, () => text('OK'))
    const client = open(lab, family)
    expect(openAndWait(client, { address: far[family], port: 80 }, second)).toEqual({ ok: true })
    expect(sendAndWait(client, text('GET'), second)).toEqual({ ok: 3 })
    const answer = receiveAndWait(client, 2, second)
    expect('ok' in answer && string(answer.ok)).toBe('OK')
    expect(closeAndWait(client, second)).toEqual({ ok: true })
    expect(lab.segments).toEqual([
      '0.00 > syn 0 len 0',
      '0.00 < syn+ack 0 len 0',
      '0.00 > ack 1 len 0',
      '0.00 > psh+ack 1 len 3',
      '0.00 < ack 1 len 0',
      '0.00 < psh+ack 1 len 2',
      '0.00 > ack 4 len 0',
      '0.00 > fin+ack 4 len 0',
      '0.00 < fin+ack 3 len 0',
      '0.00 > ack 5 len 0',
    ])
    const flow = names(lab.machine).filter((name) => name.startsWith('f1.') && name.split('.').length === 2)
    expect(flow).toEqual([
      'f1.syn',
      'f1.synack',
      'f1.ack',
      'f1.data1',
      'f1.ack2',
      'f1.rdata1',
      'f1.ack3',
      'f1.fin',
      'f1.fin2',
      'f1.ack4',
    ])
    expect(lab.b.sockets.tcpFlows?.size ?? 0).toBe(0)
    expect(client.state).toBe(socketState.timeWait)
    lab.machine.clock.advance(lab.machine.clock.now + 62 * second)
    expect(lab.a.sockets.tcpFlows?.size).toBe(0)
  })

  test.each([
    [4, 65_535, 1050],
    [6, 65_535, 1052],
  ] as const)('tells the recorded windows (IPv%i)', (family, syn, ack) => {
    const lab = socketLab()
    serve(lab, family, () => text('OK'))
    const client = open(lab, family)
    openAndWait(client, { address: far[family], port: 80 }, second)
    sendAndWait(client, text('GET'), second)
    const windows = (lab.machine.trace?.packets ?? [])
      .filter(({ name }) => name.startsWith('f1.') && name.split('.').length === 2)
      .map(({ first }) => readU16(first.bytes, (family === 4 ? 20 : 40) + 14))
    expect(windows.slice(0, 5)).toEqual([syn, syn, ack, ack, ack])
  })

  test('cuts a long answer into segments of the MSS, the last one with PSH', () => {
    const lab = socketLab()
    serve(lab, 4, () => new Uint8Array(4000).fill(7))
    const client = open(lab, 4)
    openAndWait(client, { address: far[4], port: 80 }, second)
    sendAndWait(client, text('GET'), second)
    const answer = receiveAndWait(client, 4000, second)
    expect('ok' in answer && answer.ok.length).toBe(4000)
    const data = lab.segments.filter((line) => line.includes('<') && !line.endsWith('len 0'))
    expect(data).toEqual([
      '0.00 < ack 1 len 1460',
      '0.00 < ack 1461 len 1460',
      '0.00 < psh+ack 2921 len 1080',
    ])
  })

  test('what a large write sends first is acknowledged before the rest goes out', () => {
    const lab = socketLab()
    serve(lab, 4, () => undefined)
    const client = open(lab, 4)
    openAndWait(client, { address: far[4], port: 80 }, second)
    sendAndWait(client, new Uint8Array(20_000), second)
    const ways = lab.segments.slice(3).map((line) => line.split(' ')[1])
    expect(ways.indexOf('<')).toBeLessThan(ways.lastIndexOf('>'))
    expect(ways.indexOf('<')).toBeGreaterThan(0)
  })

  test('100 kB arrive whole, whatever the congestion window', () => {
    const lab = socketLab()
    const whole = new Uint8Array(100_000).map((_byte, index) => index & 255)
    serve(lab, 6, () => whole)
    const client = open(lab, 6)
    openAndWait(client, { address: far[6], port: 80 }, second)
    sendAndWait(client, text('GET'), second)
    const answer = receiveAndWait(client, whole.length, 5 * second)
    expect('ok' in answer && Buffer.from(answer.ok).equals(Buffer.from(whole))).toBe(true)
  })

  test('three questions on one connection: who acknowledges when, as seen on Linux 6.18', () => {
    const lab = socketLab()
    const listener = open(lab, 4, 'server', lab.b)
    tcpBind(listener, { address: at('0.0.0.0'), port: 80 })
    tcpListen(listener)
    serveTcp(listener, {
      received: () => text('OK'),
      ended: (connection) => {
        lab.machine.clock.after(200 * millisecond, () => tcpClose(connection))
        return 'keep'
      },
    })
    const client = open(lab, 4)
    openAndWait(client, { address: far[4], port: 80 }, second)
    for (let question = 0; question < 3; question += 1) {
      tcpSend(client, text('GET'))
      receiveAndWait(client, 2, second)
    }
    lab.machine.clock.advance(100 * millisecond)
    tcpClose(client)
    lab.machine.clock.advance(second)
    expect(lab.segments.slice(3)).toEqual([
      '0.00 > psh+ack 1 len 3',
      '0.00 < ack 1 len 0',
      '0.00 < psh+ack 1 len 2',
      '0.00 > ack 4 len 0',
      '0.00 > psh+ack 4 len 3',
      '0.00 < psh+ack 3 len 2',
      '0.00 > psh+ack 7 len 3',
      '0.00 < psh+ack 5 len 2',
      '0.04 > ack 10 len 0',
      '0.10 > fin+ack 10 len 0',
      '0.14 < ack 7 len 0',
      '0.30 < fin+ack 7 len 0',
      '0.30 > ack 11 len 0',
    ])
  })

  test('a closed port refuses at once', () => {
    const lab = socketLab()
    for (const family of [4, 6] as const) {
      const client = open(lab, family, `f${family}`)
      expect(openAndWait(client, { address: far[family], port: 81 }, second)).toEqual({
        errno: 'ECONNREFUSED',
      })
    }
    expect(lab.b.counters.get('TcpOutRsts')).toBe(2)
    expect(lab.a.counters.get('TcpAttemptFails')).toBe(2)
  })

  test('SYNs follow the recorded schedule, then the connection times out', () => {
    const lab = socketLab()
    lab.r.netfilter.register({ family: 4, hook: 'FORWARD', priority: 0, run: () => 'drop' })
    const client = open(lab, 4)
    expect(openAndWait(client, { address: far[4], port: 80 }, 200 * second)).toEqual({ errno: 'ETIMEDOUT' })
    const times = lab.segments.map((line) => line.split(' ')[0])
    expect(times.slice(0, 9)).toEqual([
      '0.00',
      '1.02',
      '2.04',
      '3.06',
      '4.09',
      '5.11',
      '7.13',
      '11.22',
      '19.42',
    ])
    expect(times).toHaveLength(11)
    expect(names(lab.machine)).toContain('f1.syn.retry1')
  })

  test('lost data is sent again: a probe after 0.2 s, then doubling', () => {
    const lab = socketLab()
    serve(lab, 4, () => undefined)
    const client = open(lab, 4)
    openAndWait(client, { address: far[4], port: 80 }, second)
    let lost = true
    lab.r.netfilter.register({
      family: 4,
      hook: 'FORWARD',
      priority: 0,
      run: () => (lost ? 'drop' : 'accept'),
    })
    lab.segments.length = 0
    expect(sendAndWait(client, text('GET'), 4 * second)).toEqual({ errno: 'ETIMEDOUT' })
    const times = lab.segments.map((line) => Number(line.split(' ')[0]))
    expect(times.slice(0, 5)).toEqual([0, 0.2, 0.4, 0.81, 1.64].map((time) => expect.closeTo(time, 1)))
    lost = false
    expect(runUntil(lab.machine, () => client.sndUna === client.writeSeq, 20 * second)).toBe('done')
  })

  test.each([
    [4, 'ENETUNREACH', 0],
    [6, 'ENETUNREACH', 1.02],
  ] as const)('no route behind the router: IPv%i %s after %f s', (family, errno, seconds) => {
    const lab = socketLab()
    const nowhere = at(family === 4 ? '203.0.113.9' : 'fd00:9::9')
    const client = open(lab, family)
    const answer = openAndWait(client, { address: nowhere, port: 80 }, 4 * second)
    expect(answer).toEqual({ errno })
    expect(lab.machine.clock.now / second).toBeCloseTo(seconds, 1)
  })

  test('a neighbour that never answers: EHOSTUNREACH after 3 s, one SYN only', () => {
    const lab = socketLab()
    const client = open(lab, 4)
    const answer = openAndWait(client, { address: at('10.0.1.77'), port: 80 }, 10 * second)
    expect(answer).toEqual({ errno: 'EHOSTUNREACH' })
    expect(lab.machine.clock.now / second).toBeCloseTo(3, 0)
    expect(names(lab.machine).filter((name) => name.startsWith('f1.syn.retry'))).toEqual([])
  })

  test('a route that is gone fails the call itself', () => {
    const lab = socketLab()
    setUp(lab.a0)
    const client = open(lab, 4, 'f1', lab.r)
    expect(tcpConnect(client, { address: at('203.0.113.9'), port: 80 })).toEqual({ errno: 'ENETUNREACH' })
  })

  test('unread bytes turn close into a reset', () => {
    const lab = socketLab()
    serve(lab, 4, () => text('OK'))
    const client = open(lab, 4)
    openAndWait(client, { address: far[4], port: 80 }, second)
    sendAndWait(client, text('GET'), second)
    lab.machine.clock.drain()
    tcpClose(client)
    lab.machine.clock.drain()
    expect(lab.segments.at(-1)).toBe('0.00 > rst+ack 4 len 0')
    expect(lab.a.counters.get('TcpEstabResets')).toBe(1)
    expect(lab.b.sockets.tcpFlows?.size ?? 0).toBe(0)
  })

  test('a reset that was told once leaves the end of the stream behind', () => {
    const lab = socketLab()
    const listener = tcpOpen({ ns: lab.b, family: 4, label: 's' })
    if ('errno' in listener) throw new Error(listener.errno)
    tcpBind(listener.ok, { address: far[4], port: 80 })
    tcpListen(listener.ok)
    const client = open(lab, 4)
    openAndWait(client, { address: far[4], port: 80 }, second)
    sendAndWait(client, text('unread'), second)
    const child = tcpAccept(listener.ok)
    if ('errno' in child) throw new Error(child.errno)
    tcpClose(child.ok)
    lab.machine.clock.drain()
    expect(tcpReceive(client)).toEqual({ errno: 'ECONNRESET' })
    expect(tcpReceive(client)).toEqual({ ok: new Uint8Array(0) })
  })

  test('a smaller path MTU cuts what is out into smaller pieces', () => {
    const lab = socketLab()
    lab.rb.mtu = 1300
    let got = 0
    serve(lab, 4, (data) => {
      got += data.length
      return undefined
    })
    const client = open(lab, 4)
    openAndWait(client, { address: far[4], port: 80 }, second)
    expect(sendAndWait(client, new Uint8Array(3000), 3 * second)).toEqual({ ok: 3000 })
    expect(got).toBe(3000)
    expect(lab.segments.some((line) => line.endsWith('len 1260'))).toBe(true)
  })
})

describe('programs on the cgroup', () => {
  test('connect may be rewritten, and refused with an errno of its own', () => {
    const lab = socketLab()
    serve(lab, 4, () => undefined)
    attachSocketHook(lab.a.sockets, 'connect', (context) => {
      if (context.port === 1) return 0
      context.address = far[4]
      context.port = 80
      return 1
    })
    const client = open(lab, 4)
    expect(openAndWait(client, { address: at('172.16.0.1'), port: 8000 }, second)).toEqual({ ok: true })
    expect(client.remotePort).toBe(80)
    expect(tcpConnect(open(lab, 4, 'f2'), { address: far[4], port: 1 })).toEqual({ errno: 'EPERM' })
  })
})

describe('the same seed', () => {
  test('gives the same ports and sequence numbers, another seed others', () => {
    const run = (seed: number): readonly number[] => {
      const lab = socketLab({ seed })
      const client = open(lab, 4)
      tcpConnect(client, { address: far[4], port: 80 })
      lab.machine.clock.advance(10 * millisecond)
      return [client.localPort, client.iss]
    }
    expect(run(1)).toEqual(run(1))
    expect(run(1)).not.toEqual(run(2))
  })
})

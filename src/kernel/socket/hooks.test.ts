// Facts: linux 10.1 to 10.10: what programs on the cgroup make of socket calls, and the cookies that they see.
import { describe, expect, test } from 'vitest'
import { program, send as sendOut } from '../../../test/lab.ts'
import { at, type SocketLab, socketLab, text } from '../../../test/socket-lab.ts'
import { addNamespace } from '../namespace.ts'
import { attachTc } from '../tc/attach.ts'
import { attachSocketHook, type SocketAddressContext, type SocketHookName } from './hooks.ts'
import { serveUdp } from './program.ts'
import { tcpClose, tcpConnect, tcpOpen } from './tcp.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { peerName, udpBind, udpClose, udpConnect, udpOpen, udpSend } from './udp.ts'
import { udpReceive } from './udp-read.ts'
import type { UdpSocket } from './udp-socket.ts'

const vip = { address: at('10.96.0.1'), port: 53 }
const backend = { address: at('10.0.2.2'), port: 7000 }

function udp(lab: SocketLab, bind?: readonly [string, number], family: 4 | 6 = 4): UdpSocket {
  const opened = udpOpen({ ns: lab.a, family, label: 'f1' })
  if (!('ok' in opened)) throw new Error(opened.errno)
  if (bind !== undefined)
    expect(udpBind(opened.ok, { address: at(bind[0]), port: bind[1] })).toEqual({ ok: true })
  return opened.ok
}

function tcp(lab: SocketLab, family: 4 | 6 = 4): TcpSocket {
  const opened = tcpOpen({ ns: lab.a, family, label: 't1' })
  if (!('ok' in opened)) throw new Error(opened.errno)
  return opened.ok
}

/** B answers on 7000. */
function serve(lab: SocketLab): void {
  const opened = udpOpen({ ns: lab.b, family: 4, label: 'server' })
  if (!('ok' in opened)) throw new Error(opened.errno)
  udpBind(opened.ok, backend)
  serveUdp(opened.ok, ({ data }) => data)
}

/** Attaches a program that writes down each call, and answers the list. */
function log(lab: SocketLab, ...hooks: readonly SocketHookName[]): string[] {
  const calls: string[] = []
  for (const hook of hooks) {
    attachSocketHook(lab.a.sockets, hook, (context) => {
      calls.push(`${hook}${context.family}`)
      return 1
    })
  }
  return calls
}

const toBackend = (context: SocketAddressContext): number => {
  context.address = backend.address
  context.port = backend.port
  return 1
}

describe('the answer of a program', () => {
  test.each([
    ['0 refuses', 0, undefined, { errno: 'EPERM' }],
    ['1 goes on', 1, undefined, { ok: true }],
    ['0 with an errno of its own', 0, 'ECONNREFUSED', { errno: 'ECONNREFUSED' }],
    ['1 with an errno of its own', 1, 'EHOSTUNREACH', { errno: 'EHOSTUNREACH' }],
  ] as const)('%s', (_what, code, retval, answer) => {
    for (const hook of ['connect', 'bind'] as const) {
      const lab = socketLab()
      attachSocketHook(lab.a.sockets, hook, (context) => {
        context.retval = retval
        return code
      })
      const socket = udp(lab)
      const given =
        hook === 'bind'
          ? udpBind(socket, { address: at('0.0.0.0'), port: 5000 })
          : udpConnect(socket, backend)
      expect(given).toEqual(answer)
    }
  })

  test('sendmsg refuses the call, sock_create the socket', () => {
    const lab = socketLab()
    const socket = udp(lab)
    attachSocketHook(lab.a.sockets, 'sendmsg', () => 0)
    attachSocketHook(lab.a.sockets, 'sock_create', () => 0)
    expect(udpSend(socket, text('x'), { to: backend })).toEqual({ errno: 'EPERM' })
    expect(udpOpen({ ns: lab.a, family: 4, label: 'x' })).toEqual({ errno: 'EPERM' })
    expect(tcpOpen({ ns: lab.a, family: 4, label: 'x' })).toEqual({ errno: 'EPERM' })
  })

  test('all programs run although the first one denied, and later ones see what it rewrote', () => {
    const lab = socketLab()
    const ports: number[] = []
    attachSocketHook(lab.a.sockets, 'connect', (context) => {
      context.port = 99
      return 0
    })
    attachSocketHook(lab.a.sockets, 'connect', ({ port }) => {
      ports.push(port)
      return 1
    })
    expect(udpConnect(udp(lab), vip)).toEqual({ errno: 'EPERM' })
    expect(ports).toEqual([99])
  })
})

describe('when programs run', () => {
  test('before routes and sources: a destination without a route is no obstacle, and no packet ever has it', () => {
    const lab = socketLab()
    serve(lab)
    attachSocketHook(lab.a.sockets, 'connect', toBackend)
    const socket = udp(lab)
    expect(udpConnect(socket, { address: at('240.0.0.1'), port: 53 })).toEqual({ ok: true })
    expect(socket.localAddress).toBe(at('10.0.1.2'))
    expect(udpSend(socket, text('x'))).toEqual({ ok: 1 })
    lab.machine.clock.drain()
    expect(udpReceive(socket)).toHaveProperty('ok')
    const packets = lab.machine.trace?.packets ?? []
    const vips = packets.filter(({ first }) => first.bytes.slice(16, 20).join('.') === '240.0.0.1')
    expect([packets.length > 1, vips]).toEqual([true, []])
  })

  test('getpeername says the backend unless a program says otherwise', () => {
    const lab = socketLab()
    attachSocketHook(lab.a.sockets, 'connect', toBackend)
    const socket = udp(lab)
    udpConnect(socket, vip)
    expect(peerName(socket)).toEqual({ ok: backend })
    attachSocketHook(lab.a.sockets, 'getpeername', (context) => {
      Object.assign(context, vip)
      return 1
    })
    expect(peerName(socket)).toEqual({ ok: vip })
  })

  test('sendmsg for each call with an address, also on a connected socket; send and recv without one run nothing', () => {
    const lab = socketLab()
    serve(lab)
    const sources: string[] = []
    attachSocketHook(lab.a.sockets, 'sendmsg', ({ source }) => {
      sources.push(source === at('0.0.0.0') ? 'none' : 'own')
      return 1
    })
    const calls = log(lab, 'connect', 'sendmsg', 'recvmsg')
    const loose = udp(lab)
    udpSend(loose, text('x'), { to: backend })
    udpSend(loose, text('x'), { to: backend })
    expect(calls).toEqual(['sendmsg4', 'sendmsg4'])
    const connected = udp(lab)
    udpConnect(connected, backend)
    calls.length = 0
    udpSend(connected, text('x'))
    lab.machine.clock.drain()
    udpReceive(connected)
    expect(calls).toEqual([])
    udpSend(connected, text('x'), { to: backend })
    lab.machine.clock.drain()
    udpReceive(connected, { withSource: true })
    expect(calls).toEqual(['sendmsg4', 'recvmsg4'])
    expect(sources).toEqual(['none', 'none', 'own'])
  })

  test('without a recvmsg program the backend is seen', () => {
    const lab = socketLab()
    serve(lab)
    attachSocketHook(lab.a.sockets, 'sendmsg', toBackend)
    const socket = udp(lab)
    udpSend(socket, text('x'), { to: vip })
    lab.machine.clock.drain()
    expect(udpReceive(socket, { withSource: true })).toMatchObject({ ok: { source: backend.address } })
  })

  test('an AF_INET6 socket towards ::ffff:a.b.c.d is the business of connect6', () => {
    const lab = socketLab()
    const calls = log(lab, 'connect')
    udpConnect(udp(lab, undefined, 6), { address: at('::ffff:10.0.2.2'), port: 7000 })
    tcpConnect(tcp(lab, 6), { address: at('::ffff:10.0.2.2'), port: 80 })
    expect(calls).toEqual(['connect6', 'connect6'])
  })

  test('sock_create, connect, sock_release before the FIN; the implicit bind of connect runs no bind program', () => {
    const lab = socketLab()
    const listener = tcpOpen({ ns: lab.b, family: 4, label: 'server' })
    if (!('ok' in listener)) throw new Error(listener.errno)
    const calls = log(lab, 'sock_create', 'bind', 'connect')
    attachSocketHook(lab.a.sockets, 'sock_release', () => {
      calls.push(`sock_release4 after ${lab.segments.filter((line) => line.includes('fin')).length} FIN`)
      return 1
    })
    const socket = tcp(lab)
    tcpConnect(socket, { address: backend.address, port: 81 })
    tcpClose(socket)
    lab.machine.clock.drain()
    udpClose(udp(lab))
    expect(calls).toEqual([
      'sock_create4',
      'connect4',
      'sock_release4 after 0 FIN',
      'sock_create4',
      'sock_release4 after 0 FIN',
    ])
  })
})

describe('cookies', () => {
  test('a socket has one on first request, and tc on both ends of a veth pair reads the same', () => {
    const lab = socketLab()
    const seen: number[] = []
    const namespaces: number[] = []
    const look = program('look', ({ skb, kernel }) => {
      if (skb?.protocol === 0x0800) {
        seen.push(skb.socketCookie)
        namespaces.push(kernel.netnsCookie())
      }
      return -1
    })
    attachTc(lab.a0, 'egress', { kind: 'tcx', program: look })
    attachTc(lab.ra, 'ingress', { kind: 'tcx', program: look })
    const [first, second] = [udp(lab), udp(lab)]
    attachSocketHook(lab.a.sockets, 'sendmsg', ({ socket }) => {
      seen.push(socket.cookie)
      return 1
    })
    udpSend(second, text('x'), { to: backend })
    lab.machine.clock.drain()
    expect(new Set(seen)).toEqual(new Set([second.cookie]))
    expect(seen.length).toBeGreaterThanOrEqual(3)
    expect([second.cookie, first.cookie]).toEqual([1, 2])
    // the namespace is that of the sending socket, also in R
    expect(new Set(namespaces)).toEqual(new Set([lab.a.cookie]))
  })

  test('a namespace has its own; the first one has 3; a frame without a socket has that', () => {
    const lab = socketLab()
    expect(lab.a.cookie).toBe(3)
    const other = addNamespace(lab.machine, { name: 'X' })
    expect(new Set([lab.a, lab.r, lab.b, other].map(({ cookie }) => cookie)).size).toBe(4)
    let cookie = 0
    const look = program('look', ({ kernel }) => {
      cookie = kernel.netnsCookie()
      return 2
    })
    attachTc(lab.rb, 'egress', { kind: 'tcx', program: look })
    sendOut(lab.rb, new Uint8Array(60))
    expect(cookie).toBe(3)
  })
})

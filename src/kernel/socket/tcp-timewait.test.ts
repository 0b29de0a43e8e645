// What is left of a connection: FIN_WAIT2 without an owner, and TIME_WAIT (tcp_timewait_state_process()).
import { expect, test } from 'vitest'
import { at, socketLab } from '../../../test/socket-lab.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { second } from '../clock.ts'
import { openAndWait } from './program.ts'
import { socketState } from './socket.ts'
import { tcpAccept, tcpBind, tcpClose, tcpListen, tcpOpen, tcpSend } from './tcp.ts'

const far = { address: at('10.0.2.2'), port: 80 }

/** A connection of A with TTL 9 that A has closed and B has not. */
function halfClosed() {
  const lab = socketLab()
  const listener = tcpOpen({ ns: lab.b, family: 4, label: 's' })
  const client = tcpOpen({ ns: lab.a, family: 4, label: 'f1', options: { ttl: 9 } })
  if (!('ok' in listener) || !('ok' in client)) throw new Error('no sockets')
  tcpBind(listener.ok, far)
  tcpListen(listener.ok, 1)
  expect(openAndWait(client.ok, far, second)).toEqual({ ok: true })
  const server = tcpAccept(listener.ok)
  if (!('ok' in server)) throw new Error(server.errno)
  tcpClose(client.ok)
  lab.machine.clock.advance(second)
  return { lab, client: client.ok, server: server.ok }
}

test('the FIN that comes later is acknowledged with the TTL of the host', () => {
  const { lab, client, server } = halfClosed()
  expect(client.state).toBe(socketState.finWait2)
  // no data has come before it: the FIN is acknowledged in the next tick (2.5 ms on Linux 6.18), not after 40 ms
  expect(lab.segments.at(4)).toBe('0.00 < ack 1 len 0')
  tcpClose(server)
  lab.machine.clock.drain()
  expect(client.state).toBe(socketState.timeWait)
  expect(lab.segments.slice(-2)).toEqual(['1.00 < fin+ack 1 len 0', '1.00 > ack 2 len 0'])
  const last = lab.machine.trace?.packets.at(-1)
  expect([last?.name, last?.first.bytes[ipv4At.ttl]]).toEqual(['f1.ack3', 64])
})

test('data for nobody is answered with RST, and ends it', () => {
  const { lab, client, server } = halfClosed()
  tcpSend(server, new Uint8Array(3))
  lab.machine.clock.drain()
  expect(client.state).toBe(socketState.close)
  expect(lab.segments.at(-1)).toBe('1.00 > rst 2 len 0')
})

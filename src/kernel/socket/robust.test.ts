// Bytes from a wire never stop a run, whatever they are; and a connection survives segments that do not belong to it.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { at, socketLab, string, text } from '../../../test/socket-lab.ts'
import type { Ipv6 } from '../../net/address.ts'
import { concatBytes } from '../../net/bytes.ts'
import { writeSegmentChecksum } from '../../net/checksum.ts'
import { writeEthernet } from '../../net/ethernet.ts'
import { encodeIpv6 } from '../../net/ipv6.ts'
import { macFrom } from '../../net/mac.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { encodeTcp } from '../../net/tcp.ts'
import { born } from '../birth.ts'
import { second } from '../clock.ts'
import { skbFromFrame } from '../skb.ts'
import { sendFrame } from '../transmit.ts'
import { openAndWait, receiveAndWait, sendAndWait, serveTcp } from './program.ts'
import { tcpBind, tcpListen, tcpOpen } from './tcp.ts'
import type { TcpSocket } from './tcp-socket.ts'

type Lab = ReturnType<typeof socketLab>

function client(lab: Lab, family: 4 | 6): TcpSocket {
  const opened = tcpOpen({ ns: lab.a, family, label: 'f1' })
  if (!('ok' in opened)) throw new Error(opened.errno)
  return opened.ok
}

/** A dual-stack server in B on port 80 that says OK. */
function serve(lab: Lab): void {
  const opened = tcpOpen({ ns: lab.b, family: 6, label: 'server' })
  if (!('ok' in opened)) throw new Error(opened.errno)
  tcpBind(opened.ok, { address: at('::'), port: 80 })
  tcpListen(opened.ok)
  serveTcp(opened.ok, { received: () => text('OK') })
}

function inject(lab: Lab, body: Uint8Array, nextHeader: number): void {
  const header = encodeIpv6({
    trafficClass: 0,
    flowLabel: 0,
    payloadLength: body.length,
    nextHeader,
    hopLimit: 64,
    source: at('fd00:1::2') as Ipv6,
    destination: at('fd00:2::2') as Ipv6,
  })
  const packet = concatBytes([header, body])
  const sound = nextHeader === ipProtocol.tcp || nextHeader === ipProtocol.icmp6
  if (sound && body.length >= 20) {
    writeSegmentChecksum(packet, { l3: 0, l4: 40, end: packet.length, protocol: nextHeader })
  }
  const frame = new Uint8Array(14 + packet.length)
  const ends = { destination: macFrom(lab.ra.mac), source: macFrom(lab.a0.mac) }
  writeEthernet(frame, 0, { ...ends, type: etherType.ipv6 })
  frame.set(packet, 14)
  const skb = skbFromFrame(lab.a0, frame)
  born(skb, 'p1')
  sendFrame(skb)
  lab.machine.clock.drain()
}

test('random bodies behind an IPv6 header end somewhere, without an exception', () => {
  const lab = socketLab()
  serve(lab)
  const protocols = fc.constantFrom(0, 6, 17, 43, 44, 58, 59, 60, 200)
  fc.assert(
    fc.property(protocols, fc.uint8Array({ maxLength: 120 }), (protocol, body) => {
      inject(lab, body, protocol)
      for (const packet of lab.machine.trace?.packets.slice(-1) ?? []) {
        expect(packet.outcomes.length + packet.events.length).toBeGreaterThan(0)
      }
    }),
    { numRuns: 200, seed: 7 },
  )
})

test('a connection survives segments of its own ports with any numbers outside its window', () => {
  const segments = fc.record({
    flags: fc.integer({ min: 0, max: 63 }),
    offset: fc.integer({ min: 0x1000_0000, max: 0x7000_0000 }),
    data: fc.uint8Array({ maxLength: 20 }),
  })
  fc.assert(
    fc.property(fc.array(segments, { maxLength: 5 }), (list) => {
      const lab = socketLab()
      serve(lab)
      const socket = client(lab, 6)
      expect(openAndWait(socket, { address: at('fd00:2::2'), port: 80 }, second)).toEqual({ ok: true })
      for (const { flags, offset, data } of list) {
        const header = encodeTcp({
          source: socket.localPort,
          destination: 80,
          sequence: (socket.sndNxt + offset) >>> 0,
          acknowledgement: socket.rcvNxt,
          reserved: 0,
          flags,
          window: 500,
          checksum: 0,
          urgent: 0,
          options: [],
        })
        inject(lab, concatBytes([header, data]), ipProtocol.tcp)
      }
      sendAndWait(socket, text('GET'), second)
      const answer = receiveAndWait(socket, 2, second)
      expect('ok' in answer && string(answer.ok)).toBe('OK')
    }),
    { numRuns: 40, seed: 7 },
  )
})

test('an IPv6 wildcard listener is reached over IPv4, by way of a child with IPv4 addresses', () => {
  const lab = socketLab()
  serve(lab)
  const socket = client(lab, 4)
  expect(openAndWait(socket, { address: at('10.0.2.2'), port: 80 }, second)).toEqual({ ok: true })
  sendAndWait(socket, text('GET'), second)
  const answer = receiveAndWait(socket, 2, second)
  expect('ok' in answer && string(answer.ok)).toBe('OK')
})

test('loopback: a program talks to its own namespace', () => {
  const lab = socketLab()
  for (const [family, address] of [
    [4, '127.0.0.1'],
    [6, '::1'],
    [4, '10.0.2.2'],
  ] as const) {
    const inner = { ...lab, a: lab.b }
    if (family === 4 && address === '127.0.0.1') serve(lab)
    const socket = client(inner, family)
    expect(openAndWait(socket, { address: at(address), port: 80 }, second)).toEqual({ ok: true })
    sendAndWait(socket, text('GET'), second)
    const answer = receiveAndWait(socket, 2, second)
    expect('ok' in answer && string(answer.ok)).toBe('OK')
  }
})

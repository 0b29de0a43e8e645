import { describe, expect, test } from 'vitest'
import { foldSum, sumWords } from '../../net/checksum.ts'
import type { Backend } from '../maps/service.ts'
import { putService } from '../test-support/entries.ts'
import { frame } from '../test-support/lab.ts'
import { reverseNatByIndex } from './lb.ts'
import { client, lab, packetOf, tcp, vip, web } from './lb-backend.test-helper.ts'
import { lbDnatRequest } from './lb-backend.ts'

describe('translation of a service', () => {
  const ipAt = 14
  const sum = (bytes: Uint8Array): number => foldSum(sumWords(bytes, 0, bytes.length))
  const address = (packet: Uint8Array, at: number): string => [...packet.subarray(at, at + 4)].join('.')
  const port = (packet: Uint8Array, at: number): number =>
    ((packet[at] as number) << 8) | (packet[at + 1] as number)
  /** Sum over addresses, protocol, length and TCP. */
  const tcpSum = (packet: Uint8Array): number => {
    const segment = packet.subarray(ipAt + 20)
    const pseudo = new Uint8Array(12)
    pseudo.set(packet.subarray(ipAt + 12, ipAt + 20))
    pseudo[9] = 6
    pseudo[11] = segment.length
    return sum(Uint8Array.from([...pseudo, ...segment]))
  }
  const backend: Backend = { address: Uint8Array.of(10, 0, 1, 11), port: 8080, state: 0, clusterId: 0 }

  test('of a request: destination and port of the backend, both checksums right', () => {
    const { frame: sent, result } = lab().run(tcp(40_000), (ctx) => {
      const { tuple, place } = packetOf(ctx)
      return [lbDnatRequest(ctx, tuple, place, backend, false), [...tuple.daddr].join('.'), tuple.sport]
    })
    expect(result).toEqual([0, '10.0.1.11', 8080])
    expect([address(sent, 26), address(sent, 30), port(sent, 34), port(sent, 36)]).toEqual([
      client,
      '10.0.1.11',
      40_000,
      8080,
    ])
    expect(sum(sent.subarray(ipAt, ipAt + 20))).toBe(0xffff)
    expect(tcpSum(sent)).toBe(0xffff)
  })

  test('of a request that loops back: the loopback address is the source', () => {
    const { frame: sent } = lab().run(tcp(40_000), (ctx) => {
      const { tuple, place } = packetOf(ctx)
      return lbDnatRequest(ctx, tuple, place, backend, true)
    })
    expect([address(sent, 26), address(sent, 30)]).toEqual(['169.254.42.1', '10.0.1.11'])
    expect(tcpSum(sent)).toBe(0xffff)
  })

  test('of a reply: source and port of the service', () => {
    const on = lab()
    putService(on.maps, web)
    const reply = frame('10.0.1.11', client, { kind: 'tcp', source: 8080, destination: 40_000, flags: 18 })
    const undo = (index: number) =>
      on.run(reply, (ctx) => {
        const { tuple, place } = packetOf(ctx)
        // a packet's own direction: dport is where it comes from
        tuple.swapPorts()
        tuple.dport = 8080
        return reverseNatByIndex(ctx, tuple, place, { revNatIndex: index, loopback: false })
      })
    const { frame: sent, result } = undo(5)
    expect(result).toBe(0)
    expect([address(sent, 26), address(sent, 30), port(sent, 34), port(sent, 36)]).toEqual([
      vip,
      client,
      80,
      40_000,
    ])
    expect(tcpSum(sent)).toBe(0xffff)
    // without an entry it stays as it is
    expect(undo(99)).toMatchObject({ result: 0, frame: reply })
  })
})

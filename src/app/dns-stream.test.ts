import { expect, test } from 'vitest'
import { DnsStream, framedDns } from './dns-stream.ts'

test('messages of a stream that arrives byte by byte', () => {
  const stream = new DnsStream()
  const taken: Uint8Array[] = []
  for (const byte of [...framedDns(Uint8Array.of(1, 2, 3)), ...framedDns(Uint8Array.of(4)), 0, 9, 5]) {
    stream.push(Uint8Array.of(byte))
    for (let next = stream.take(); next !== undefined; next = stream.take()) taken.push(next)
  }
  expect(taken).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)])
})

test('two messages in one piece', () => {
  const stream = new DnsStream()
  stream.push(Uint8Array.of(0, 1, 7, 0, 2, 8, 9))
  expect([stream.take(), stream.take(), stream.take()]).toEqual([
    Uint8Array.of(7),
    Uint8Array.of(8, 9),
    undefined,
  ])
})

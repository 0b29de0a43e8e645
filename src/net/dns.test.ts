import { expect, test } from 'vitest'
import { bytesOfHex } from '../../test/bytes-of-hex.ts'
import { parseIp } from './address.ts'
import { dnsAnswer, dnsCode, dnsType, readDns, writeDns } from './dns.ts'
import { bytesToHex } from './hex.ts'

/** A query as the resolver of c-ares sends it, and an answer that it has read: 192.0.2.7 behind an alias, 30 s. */
const query = 'cf6f0100000100000000000003777777076578616d706c6503636f6d0000010001'
const answer =
  'cf6f8180000100020000000003777777076578616d706c6503636f6d000001000103777777076578616d706c6503636f6d00000500010000001e00120465646765076578616d706c65036e6574000465646765076578616d706c65036e657400000100010000003c0004c0000207'

test('a query of another implementation is read and written again', () => {
  const read = readDns(bytesOfHex(query))
  expect(read).toMatchObject({ id: 0xcf6f, name: 'www.example.com', type: dnsType.A, isResponse: false })
  expect(read && bytesToHex(writeDns(read))).toBe(query)
})

test('an answer that another implementation has read is written', () => {
  const asked = readDns(bytesOfHex(query))
  const address = parseIp('192.0.2.7')
  if (asked === undefined || address === undefined) throw new Error('no query')
  const made = dnsAnswer(asked, dnsCode.NOERROR, [
    { name: 'www.example.com', type: dnsType.CNAME, ttl: 30, target: 'edge.example.net' },
    { name: 'edge.example.net', type: dnsType.A, ttl: 60, address },
  ])
  expect(bytesToHex(writeDns(made))).toBe(answer)
  expect(readDns(bytesOfHex(answer))).toEqual(made)
})

test('names may be compressed', () => {
  const compressed = `${query.slice(0, 12)}0001${query.slice(16)}c00c000100010000003c0004c0000207`
  expect(readDns(bytesOfHex(compressed))?.answers).toEqual([
    { name: 'www.example.com', type: 1, ttl: 60, address: parseIp('192.0.2.7') },
  ])
})

test.each([
  ['too short', '00'],
  ['no question', `${query.slice(0, 8)}0000${query.slice(12)}`],
  ['cut off', query.slice(0, -2)],
  ['more than the message', `${query}00`],
  ['a name that points to itself', `${query.slice(0, 24)}c00c00010001`],
])('%s is no message', (_, hex) => {
  expect(readDns(bytesOfHex(hex))).toBeUndefined()
})

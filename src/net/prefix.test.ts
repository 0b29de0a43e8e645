import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatIp, ipv4From, parseIp } from './address.ts'
import {
  broadcastOf,
  covers,
  formatPrefix,
  isIpv4Prefix,
  networkOf,
  parsePrefix,
  prefixOf,
} from './prefix.ts'

const prefix = (text: string) => parsePrefix(text) ?? expect.fail(text)
const ip = (text: string) => parseIp(text) ?? expect.fail(text)

test.each([
  ['10.0.0.0/8', '10.1.2.3', true],
  ['10.0.0.0/8', '11.1.2.3', false],
  ['10.9.9.9/8', '10.1.2.3', true],
  ['0.0.0.0/0', '255.1.2.3', true],
  ['10.1.2.3/32', '10.1.2.3', true],
  ['10.1.2.3/32', '10.1.2.2', false],
  ['128.0.0.0/1', '200.0.0.1', true],
  ['fd00::/64', 'fd00::1', true],
  ['fd00::/64', 'fd00:0:0:1::1', false],
  ['fd00::/63', 'fd00:0:0:1::1', true],
  ['fd00::/127', 'fd00::2', false],
  ['::/0', 'ff02::1', true],
  ['::/0', '10.0.0.1', false],
  ['0.0.0.0/0', '::', false],
] as const)('%s covers %s: %s', (text, address, expected) => {
  expect(covers(prefix(text), ip(address))).toBe(expected)
})

test.each([
  ['10.1.2.3/24', '10.1.2.0/24', '10.1.2.255'],
  ['10.1.2.3/0', '0.0.0.0/0', '255.255.255.255'],
  ['10.1.2.3/31', '10.1.2.2/31', undefined],
  ['10.1.2.3/32', '10.1.2.3/32', undefined],
])('%s is in network %s with broadcast %s', (text, network, broadcast) => {
  const parsed = prefix(text)
  if (!isIpv4Prefix(parsed)) return expect.fail('family')
  expect(formatPrefix(networkOf(parsed))).toBe(network)
  const found = broadcastOf(parsed)
  expect(found === undefined ? undefined : formatIp(found)).toBe(broadcast)
})

test('an IPv6 network loses its host bits', () => {
  expect(formatPrefix(networkOf(prefix('fd00:1:2:3:4:5:6:7/70')))).toBe('fd00:1:2:3::/70')
})

test.each([
  '10.0.0.0',
  '10.0.0.0/33',
  'fd00::/129',
  '10.0.0.0/',
  '10.0.0.0/08',
  '10.0.0/8',
  '10.0.0.0/-1',
  '/8',
])('`%s` is no prefix', (text) => {
  expect(parsePrefix(text)).toBeUndefined()
})

test('a prefix covers an address exactly when the networks are equal', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(32), (own, other, length) => {
      const left = networkOf(prefixOf(ipv4From(own), length))
      const right = networkOf(prefixOf(ipv4From(other), length))
      return covers(prefixOf(ipv4From(own), length), ipv4From(other)) === (left.address === right.address)
    }),
  )
})

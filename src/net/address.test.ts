import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatIp,
  formatIpv6,
  type Ipv6,
  ipv4From,
  ipv6IsAt,
  isIpv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
  linkLocalOf,
  parseIp,
  parseIpv4,
  parseIpv6,
  readIpv6,
  sameIp,
  solicitedNode,
  writeIpv6,
} from './address.ts'
import { formatMac, isMulticastMac, macFrom, multicastMacOf4, multicastMacOf6, parseMac } from './mac.ts'

const word = fc.nat(0xffff_ffff)
const anyIpv6Value = fc.tuple(word, word, word, word)
const ip4 = (text: string) => parseIpv4(text) ?? expect.fail(text)
const ip6 = (text: string) => parseIpv6(text) ?? expect.fail(text)
const mac = (text: string) => parseMac(text) ?? expect.fail(text)

test('an IPv4 address is one number, first octet first', () => {
  expect(parseIpv4('10.0.0.1')).toBe(0x0a00_0001)
  expect(parseIpv4('255.255.255.255')).toBe(0xffff_ffff)
})

test.each([
  '10.0.1',
  '10.0.0.256',
  '10.0.0.01',
  '0x0a.0.0.1',
  '167772161',
  '',
  '1.2.3.4.5',
  ' 1.2.3.4',
  '-1.2.3.4',
])('`%s` is no IPv4 address', (text) => {
  expect(parseIpv4(text)).toBeUndefined()
})

test.each(['fe80::1%eth0', '1::2::3', 'fd00', 'g::', '1:2:3:4:5:6:7', ':::', ''])(
  '`%s` is no IPv6 address',
  (text) => {
    expect(parseIpv6(text)).toBeUndefined()
  },
)

// RFC 5952 sections 4.1 to 4.3
test.each([
  ['2001:0DB8::0001', '2001:db8::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['fd00:0:0:0:0:0:0:1', 'fd00::1'],
])('%s is written %s', (text, written) => {
  expect(formatIpv6(ip6(text))).toBe(written)
})

test('every address is read back from its text', () => {
  fc.assert(fc.property(word, (value) => parseIp(formatIp(ipv4From(value))) === value))
  fc.assert(fc.property(anyIpv6Value, (value) => sameIp(ip6(formatIpv6(value)), value)))
  fc.assert(fc.property(fc.nat(2 ** 48 - 1), (value) => parseMac(formatMac(macFrom(value))) === value))
})

test('every IPv6 address is read back from its bytes, and only where it stands', () => {
  fc.assert(
    fc.property(anyIpv6Value, fc.nat(8), (value, offset) => {
      const bytes = new Uint8Array(32)
      writeIpv6(bytes, offset, value)
      expect(readIpv6(bytes, offset)).toEqual(value)
      expect(ipv6IsAt(bytes, offset, value)).toBe(true)
      const other: Ipv6 = [value[0], value[1], value[2], (value[3] ^ 1) >>> 0]
      expect(ipv6IsAt(bytes, offset, other)).toBe(false)
    }),
  )
})

test('the families are never equal', () => {
  expect(sameIp(ipv4From(1), [0, 0, 0, 1])).toBe(false)
  expect(isIpv4(ipv4From(0))).toBe(true)
})

test.each([
  ['224.0.0.1', true, false, false],
  ['239.255.255.255', true, false, false],
  ['240.0.0.0', false, false, false],
  ['127.9.9.9', false, true, false],
  ['169.254.1.1', false, false, true],
  ['ff02::1', true, false, false],
  ['::1', false, true, false],
  ['fe80::1', false, false, true],
  ['febf::1', false, false, true],
  ['fec0::1', false, false, false],
] as const)('%s multicast %s loopback %s link-local %s', (text, multicast, loopback, linkLocal) => {
  const address = parseIp(text) ?? expect.fail(text)
  expect([isMulticast(address), isLoopback(address), isLinkLocal(address)]).toEqual([
    multicast,
    loopback,
    linkLocal,
  ])
})

test('derived addresses', () => {
  expect(formatIp(solicitedNode(ip6('fd00::12:3456:789a')))).toBe('ff02::1:ff56:789a')
  expect(formatIp(linkLocalOf(mac('02:00:00:00:00:0a')))).toBe('fe80::ff:fe00:a')
  expect(formatIp(linkLocalOf(mac('00:1b:21:aa:bb:cc')))).toBe('fe80::21b:21ff:feaa:bbcc')
  expect(formatMac(multicastMacOf4(ip4('239.129.2.3')))).toBe('01:00:5e:01:02:03')
  expect(formatMac(multicastMacOf6(ip6('ff02::1:ff56:789a')))).toBe('33:33:ff:56:78:9a')
})

test.each(['02:00:00:00:00', '02:00:00:00:00:0g', '020000000001', '02:00-00:00:00:01', ''])(
  '`%s` is no MAC',
  (text) => {
    expect(parseMac(text)).toBeUndefined()
  },
)

test('the group bit is the lowest bit of the first byte', () => {
  expect(isMulticastMac(mac('01:00:5e:00:00:01'))).toBe(true)
  expect(isMulticastMac(mac('ff:ff:ff:ff:ff:ff'))).toBe(true)
  expect(isMulticastMac(mac('02:01:01:01:01:01'))).toBe(false)
})

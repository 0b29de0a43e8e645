import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { data, ip4, ip6, mac, u8, u16, u24, u32 } from '../../test/arbitrary-headers.ts'
import { decodeArp, encodeArp } from './arp.ts'
import { decodeEthernet, encodeEthernet } from './ethernet.ts'
import { decodeGeneve, encodeGeneve } from './geneve.ts'
import { decodeIcmp, encodeIcmp } from './icmp.ts'
import { decodeIcmpv6, encodeIcmpv6 } from './icmpv6.ts'
import { decodeIpv4, encodeIpv4 } from './ipv4.ts'
import { decodeIpv6, encodeIpv6 } from './ipv6.ts'
import { decodeExtension, encodeExtension, type Ipv6Extension } from './ipv6-extensions.ts'
import { decodeNd, encodeNd } from './nd.ts'
import { decodeSctp, encodeSctp } from './sctp.ts'
import { decodeTcp, encodeTcp } from './tcp.ts'
import { decodeUdp, encodeUdp } from './udp.ts'
import { decodeVlan, encodeVlan } from './vlan.ts'
import { decodeVxlan, encodeVxlan } from './vxlan.ts'

const yes = fc.boolean()
const words = (maxLength: number) => data(maxLength).map((bytes) => bytes.slice(0, bytes.length & ~3))
const kind = <T extends string>(name: T) => fc.constant(name)

/** encode, then decode, gives the value back. */
function isUndone<T>(
  value: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
): void {
  fc.assert(
    fc.property(value, (header) => {
      expect(decode(encode(header))).toEqual(header)
    }),
    { numRuns: 60 },
  )
}

const ipv4Option = fc.oneof(
  fc.record({ kind: kind('nop') }),
  fc.record({ kind: kind('dsr'), address: ip4, port: u16 }),
  fc.record({ kind: kind('other'), type: fc.constantFrom(7, 68, 130, 148), data: data(6) }),
)

const tcpOption = fc.oneof(
  fc.record({ kind: kind('nop') }),
  fc.record({ kind: kind('mss'), value: u16 }),
  fc.record({ kind: kind('window-scale'), shift: u8 }),
  fc.record({ kind: kind('sack-permitted') }),
  fc.record({
    kind: kind('sack'),
    blocks: fc.array(fc.record({ start: u32, end: u32 }), { minLength: 1, maxLength: 1 }),
  }),
  fc.record({ kind: kind('timestamps'), value: u32, echo: u32 }),
  fc.record({ kind: kind('other'), type: fc.constantFrom(9, 34, 253), data: data(8) }),
)

const extension: fc.Arbitrary<readonly [number, Ipv6Extension]> = fc.oneof(
  fc.tuple(
    fc.constant(44),
    fc.record({
      kind: kind('fragment'),
      nextHeader: u8,
      fragmentOffset: u16.map((offset) => offset & 0xfff8),
      moreFragments: yes,
      identification: u32,
    }),
  ),
  fc.tuple(
    fc.constant(43),
    fc.record({
      kind: kind('routing'),
      nextHeader: u8,
      type: u8,
      segmentsLeft: u8,
      data: data(40).map((bytes) => new Uint8Array(4 + (bytes.length & ~7)).fill(7)),
    }),
  ),
  fc.tuple(
    fc.constantFrom(0, 60),
    fc.record({
      kind: kind('options'),
      nextHeader: u8,
      options: fc.constant([
        { kind: 'option' as const, type: 5, data: Uint8Array.of(0, 0) },
        { kind: 'pad1' as const },
        { kind: 'pad1' as const },
      ]),
    }),
  ),
)

const ndOption = fc.oneof(
  fc.record({ kind: fc.constantFrom('source-link' as const, 'target-link' as const), mac }),
  fc.record({ kind: kind('mtu'), mtu: u32 }),
  fc.record({ kind: kind('redirected'), data: data(40).map((bytes) => bytes.slice(0, bytes.length & ~7)) }),
  fc.record({
    kind: kind('prefix'),
    length: u8,
    onLink: yes,
    autonomous: yes,
    validSeconds: u32,
    preferredSeconds: u32,
    prefix: ip6,
  }),
)
const options = fc.array(ndOption, { maxLength: 3 })
const ndMessage = fc.oneof(
  fc.record({ kind: kind('router-solicitation'), options }),
  fc.record({
    kind: kind('router-advertisement'),
    hopLimit: u8,
    managed: yes,
    other: yes,
    moreFlags: fc.nat(0x3f),
    lifetimeSeconds: u16,
    reachableMilliseconds: u32,
    retransmitMilliseconds: u32,
    options,
  }),
  fc.record({ kind: kind('neighbour-solicitation'), target: ip6, options }),
  fc.record({
    kind: kind('neighbour-advertisement'),
    router: yes,
    solicited: yes,
    override: yes,
    target: ip6,
    options,
  }),
  fc.record({ kind: kind('redirect'), target: ip6, destination: ip6, options }),
)

describe('decoding undoes encoding', () => {
  test('ethernet', () =>
    isUndone(fc.record({ destination: mac, source: mac, type: u16 }), encodeEthernet, decodeEthernet))
  test('vlan', () =>
    isUndone(
      fc.record({ priority: fc.nat(7), dropEligible: yes, vid: fc.nat(4095), type: u16 }),
      encodeVlan,
      decodeVlan,
    ))
  test('arp', () =>
    isUndone(
      fc.record({ operation: u16, senderMac: mac, senderIp: ip4, targetMac: mac, targetIp: ip4 }),
      encodeArp,
      decodeArp,
    ))
  test('ipv4', () =>
    isUndone(
      fc.record({
        tos: u8,
        totalLength: fc.constant(60),
        identification: u16,
        reservedFlag: yes,
        dontFragment: yes,
        moreFragments: yes,
        fragmentOffset: fc.nat(0x1fff).map((units) => units * 8),
        ttl: u8,
        protocol: u8,
        checksum: u16,
        source: ip4,
        destination: ip4,
        options: fc.array(ipv4Option, { maxLength: 4 }),
      }),
      (header) => {
        const bytes = new Uint8Array(60)
        bytes.set(encodeIpv4(header))
        return bytes
      },
      decodeIpv4,
    ))
  test('ipv6', () =>
    isUndone(
      fc.record({
        trafficClass: u8,
        flowLabel: fc.nat(0xf_ffff),
        payloadLength: fc.constant(0),
        nextHeader: u8,
        hopLimit: u8,
        source: ip6,
        destination: ip6,
      }),
      encodeIpv6,
      decodeIpv6,
    ))
  test('ipv6 extension headers', () =>
    isUndone(
      extension,
      ([protocol, header]) => Uint8Array.of(protocol, ...encodeExtension(header)),
      (bytes) => [bytes[0]!, decodeExtension(bytes, 1, bytes.length, bytes[0]!)],
    ))
  test('tcp', () =>
    isUndone(
      fc.record({
        source: u16,
        destination: u16,
        sequence: u32,
        acknowledgement: u32,
        reserved: fc.nat(7),
        flags: fc.nat(0x1ff),
        window: u16,
        checksum: u16,
        urgent: u16,
        options: fc.array(tcpOption, { maxLength: 4 }),
      }),
      encodeTcp,
      decodeTcp,
    ))
  test('udp', () =>
    isUndone(
      fc.record({ source: u16, destination: u16, length: fc.constant(8), checksum: u16 }),
      encodeUdp,
      decodeUdp,
    ))
  test('icmp and icmpv6', () => {
    const header = fc.record({ type: u8, code: u8, checksum: u16, rest: u32 })
    isUndone(header, encodeIcmp, decodeIcmp)
    isUndone(header, encodeIcmpv6, decodeIcmpv6)
  })
  test('neighbour discovery', () => isUndone(ndMessage, encodeNd, decodeNd))
  test('sctp', () =>
    isUndone(
      fc.record({
        source: u16,
        destination: u16,
        verificationTag: u32,
        checksum: u32,
        chunks: fc.array(fc.record({ type: u8, flags: u8, value: data(9) }), { maxLength: 3 }),
      }),
      encodeSctp,
      decodeSctp,
    ))
  test('vxlan', () =>
    isUndone(
      fc.record({ flags: u8.map((flags) => flags | 8), group: u16, vni: u24 }),
      encodeVxlan,
      decodeVxlan,
    ))
  test('geneve', () =>
    isUndone(
      fc.record({
        control: yes,
        critical: yes,
        protocol: u16,
        vni: u24,
        options: fc.array(fc.record({ class: u16, type: u8, data: words(20) }), { maxLength: 3 }),
      }),
      encodeGeneve,
      decodeGeneve,
    ))
})

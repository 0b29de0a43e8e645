// What holds for every packet: decoding undoes encoding, no bytes crash anything, a rewrite repairs what it must.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Ipv6, ipv4From } from './address.ts'
import { decodeArp, encodeArp } from './arp.ts'
import { describeLayers } from './describe.ts'
import { diffPackets } from './difference.ts'
import { dissect } from './dissect.ts'
import { decodeEthernet, encodeEthernet } from './ethernet.ts'
import { allFieldPaths, parseFieldPath, readField } from './field-path.ts'
import type { FieldSpec, FieldValue } from './field-spec.ts'
import { sameFieldValue } from './field-spec.ts'
import { fieldNamed, layerFields } from './fields.ts'
import { newFlow, parseFrame, parseIp } from './flow.ts'
import { decodeGeneve, encodeGeneve } from './geneve.ts'
import { bytesToHex, hexToBytes } from './hex.ts'
import { decodeIcmp, encodeIcmp } from './icmp.ts'
import { decodeIcmpv6, encodeIcmpv6 } from './icmpv6.ts'
import { decodeIpv4, encodeIpv4 } from './ipv4.ts'
import { decodeIpv6, encodeIpv6 } from './ipv6.ts'
import { decodeExtension, encodeExtension, type Ipv6Extension } from './ipv6-extensions.ts'
import { macFrom } from './mac.ts'
import { isMalformed } from './malformed.ts'
import { decodeNd, encodeNd } from './nd.ts'
import { setField, writeChecksums, wrongChecksums } from './rewrite.ts'
import { decodeSctp, encodeSctp } from './sctp.ts'
import { summarise } from './summarise.ts'
import { decodeTcp, encodeTcp } from './tcp.ts'
import { decodeUdp, encodeUdp } from './udp.ts'
import { decodeVlan, encodeVlan } from './vlan.ts'
import { decodeVxlan, encodeVxlan } from './vxlan.ts'

const u8 = fc.nat(0xff)
const u16 = fc.nat(0xffff)
const u24 = fc.nat(0xff_ffff)
const u32 = fc.nat(0xffff_ffff)
const mac = fc.nat(2 ** 48 - 1).map(macFrom)
const ip4 = u32.map(ipv4From)
const ip6: fc.Arbitrary<Ipv6> = fc.tuple(u32, u32, u32, u32)
const yes = fc.boolean()
const data = (maxLength: number) => fc.uint8Array({ maxLength })
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

const fixture = new URL('./fixtures/scapy.json', import.meta.url)
const captures = (JSON.parse(readFileSync(fixture, 'utf8')) as { cases: { name: string; hex: string }[] })
  .cases
const captured = captures.map(({ hex }) => {
  const bytes = hexToBytes(hex)
  return isMalformed(bytes) ? expect.fail(bytes.malformed) : bytes
})
const paths = allFieldPaths().map((text) => parseFieldPath(text) ?? expect.fail(text))

/** Everything that looks at a packet, at once. */
function lookAtEverything(bytes: Uint8Array, start: 'ethernet' | 'ip'): void {
  const found = dissect(bytes, start)
  expect(summarise(found)).not.toMatch(/undefined|NaN/)
  expect(describeLayers(found).join()).not.toMatch(/undefined|NaN/)
  for (const layer of found.layers) {
    expect(layer.start).toBeLessThanOrEqual(layer.payload)
    expect(layer.payload).toBeLessThanOrEqual(layer.end)
    expect(layer.end).toBeLessThanOrEqual(bytes.length)
    const decoders = [
      decodeArp,
      decodeIpv4,
      decodeIpv6,
      decodeTcp,
      decodeUdp,
      decodeSctp,
      decodeIcmp,
      decodeNd,
    ]
    for (const decode of [...decoders, decodeGeneve, decodeVxlan]) decode(bytes, layer.start, layer.end)
  }
  for (const path of paths) readField(path, found)
  wrongChecksums(found)
  const changed = bytes.slice()
  writeChecksums(dissect(changed, start))
  diffPackets(found, dissect(changed, start))
  const flow = newFlow()
  const parsed =
    start === 'ethernet' ? parseFrame(bytes, 0, bytes.length, flow) : parseIp(bytes, 0, bytes.length, flow)
  if (found.layers.some((layer) => layer.depth === 0 && layer.kind.startsWith('ip')))
    expect(parsed).toBe(true)
}

describe('no bytes crash anything', () => {
  const start = fc.constantFrom('ethernet' as const, 'ip' as const)
  test('random bytes', () => {
    fc.assert(
      fc.property(data(120), start, (bytes, from) => lookAtEverything(bytes, from)),
      { numRuns: 300 },
    )
  })
  test('captured packets with random bytes in them, cut off anywhere', () => {
    const edits = fc.array(fc.tuple(fc.nat(119), u8), { minLength: 1, maxLength: 4 })
    const packet = fc.tuple(fc.constantFrom(...captured), edits, fc.nat(160))
    fc.assert(
      fc.property(packet, ([original, changes, length]) => {
        const bytes = original.slice(0, length)
        for (const [offset, value] of changes) if (offset < bytes.length) bytes[offset] = value
        lookAtEverything(bytes, 'ethernet')
      }),
      { numRuns: 800 },
    )
  })
  test('a thousand VLAN tags end as a named limit', () => {
    const bytes = new Uint8Array(4000)
    for (let offset = 12; offset < bytes.length; offset += 4) bytes.set([0x81, 0x00], offset)
    expect(dissect(bytes).malformed?.reason).toBe('packet: more than 32 headers')
  })
})

/** A value of a field's type. */
function arbitraryOf(spec: FieldSpec): fc.Arbitrary<FieldValue> {
  switch (spec.type) {
    case 'number':
    case 'flags': {
      const type = spec.type
      return fc.nat(spec.maximum).map((value) => ({ kind: type, value }))
    }
    case 'boolean':
      return yes.map((value) => ({ kind: 'boolean', value }))
    case 'ipv4':
      return ip4.map((value) => ({ kind: 'ipv4', value }))
    case 'ipv6':
      return ip6.map((value) => ({ kind: 'ipv6', value }))
    case 'mac':
      return mac.map((value) => ({ kind: 'mac', value }))
    case 'endpoint':
      return fc.record({ address: ip4, port: u16 }).map((value) => ({ kind: 'endpoint', value }))
    case 'bytes':
      return data(4).map((value) => ({ kind: 'bytes', value }))
  }
}

describe.each(captures)('a rewrite of $name', ({ hex }) => {
  const original = hexToBytes(hex)
  if (isMalformed(original)) return
  const headers = dissect(original).layers.filter((layer) => layer.kind !== 'ext')
  test('leaves every checksum as it would be computed anew', () => {
    for (const [index, layer] of headers.entries()) {
      if (layer.kind === 'ext') continue
      for (const name of layerFields[layer.kind]) {
        const spec = fieldNamed(layer.kind, name)!
        // The checksum of a datagram cannot be computed from its fragment.
        if (name === 'mf' || name === 'frag') continue
        if (spec.write === undefined || spec.checksum || spec.read(original, layer) === undefined) continue
        fc.assert(
          fc.property(arbitraryOf(spec), (value) => {
            const found = dissect(original.slice())
            const place = found.layers.filter((each) => each.kind !== 'ext')[index]!
            const before = spec.read(original, place)!
            const outcome = setField(found, place, spec, value)
            expect(outcome).toBe(sameFieldValue(before, value) ? 'unchanged' : 'changed')
            if (layer.kind !== 'icmp' && layer.kind !== 'icmp6') {
              expect(spec.read(found.bytes, place)).toEqual(value)
            }
            const anew = { ...found, bytes: found.bytes.slice() }
            writeChecksums(anew)
            expect([name, bytesToHex(found.bytes)]).toEqual([name, bytesToHex(anew.bytes)])
          }),
          { numRuns: 12 },
        )
      }
    }
  })
})

test('a rewrite does not heal a wrong checksum', () => {
  const bytes = captured[captures.findIndex(({ name }) => name === 'udp')]!.slice()
  bytes.set([0xde, 0xad], 40)
  bytes.set([0xbe, 0xef], 24)
  const found = dissect(bytes)
  expect(wrongChecksums(found).map((layer) => layer.kind)).toEqual(['ip', 'udp'])
  const ip = found.layers[1]!
  setField(found, ip, fieldNamed('ip', 'dst')!, { kind: 'ipv4', value: ipv4From(0x01020304) })
  expect(wrongChecksums(found).map((layer) => layer.kind)).toEqual(['ip', 'udp'])
})

test.each([
  ['ip', 'len', { kind: 'number', value: 1 }, 'read-only'],
  ['ip', 'ttl', { kind: 'number', value: 256 }, 'out-of-range'],
  ['ip', 'ttl', { kind: 'number', value: 1.5 }, 'out-of-range'],
  ['ip', 'ttl', { kind: 'boolean', value: true }, 'wrong-type'],
] as const)('%s.%s refuses %o: %s', (layer, name, value, outcome) => {
  const found = dissect(captured[captures.findIndex((each) => each.name === 'udp')]!.slice())
  const place = found.layers.find((each) => each.kind === layer)!
  expect(setField(found, place, fieldNamed(layer, name)!, value)).toBe(outcome)
})

// Our decoders against bytes that another implementation wrote, and against what it says about them.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { bytesOfHex } from '../../test/bytes-of-hex.ts'
import { decodeArp, encodeArp } from './arp.ts'
import { concatBytes } from './bytes.ts'
import { dissect } from './dissect.ts'
import { decodeEsp, espAt, writeEsp } from './esp.ts'
import { decodeEthernet, encodeEthernet } from './ethernet.ts'
import { formatFieldValue } from './field-spec.ts'
import { fieldNamed } from './fields.ts'
import { newFlow, parseFrame } from './flow.ts'
import { decodeGeneve, encodeGeneve } from './geneve.ts'
import { bytesToHex } from './hex.ts'
import { decodeIcmp, encodeIcmp } from './icmp.ts'
import { decodeIcmpv6, encodeIcmpv6, isNeighbourDiscovery } from './icmpv6.ts'
import { decodeIpv4, encodeIpv4 } from './ipv4.ts'
import { decodeIpv6, encodeIpv6 } from './ipv6.ts'
import { decodeExtension, encodeExtension } from './ipv6-extensions.ts'
import type { Dissection, FieldLayer, Layer } from './layer.ts'
import { isMalformed, type Malformed } from './malformed.ts'
import { plainNaming } from './naming.ts'
import { decodeNd, encodeNd } from './nd.ts'
import { writeChecksums, wrongChecksums } from './rewrite.ts'
import { decodeSctp, encodeSctp } from './sctp.ts'
import { summarise } from './summarise.ts'
import { decodeTcp, encodeTcp } from './tcp.ts'
import { decodeUdp, encodeUdp } from './udp.ts'
import { decodeVlan, encodeVlan } from './vlan.ts'
import { decodeVxlan, encodeVxlan } from './vxlan.ts'
import { decodeWireguard, wireguardAt, writeWireguard } from './wireguard.ts'

interface Case {
  readonly name: string
  readonly hex: string
  readonly layers: readonly {
    readonly layer: FieldLayer
    readonly fields: Readonly<Record<string, number | string | boolean>>
  }[]
}

const fixture = new URL('./fixtures/scapy.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { readonly cases: readonly Case[] }

const named = (name: string): Dissection => {
  const found = cases.find((each) => each.name === name) ?? expect.fail(name)
  return dissect(bytesOfHex(found.hex))
}

/** One header as a value and back. */
const codecs: Readonly<Record<Layer['kind'], (bytes: Uint8Array, layer: Layer) => Uint8Array | Malformed>> = {
  eth: (bytes, { start, end }) => through(decodeEthernet(bytes, start, end), encodeEthernet),
  vlan: (bytes, { start, end }) => through(decodeVlan(bytes, start, end), encodeVlan),
  arp: (bytes, { start, end }) => through(decodeArp(bytes, start, end), encodeArp),
  ip: (bytes, { start, end }) => through(decodeIpv4(bytes, start, end), encodeIpv4),
  ip6: (bytes, { start, end }) => through(decodeIpv6(bytes, start, end), encodeIpv6),
  ext: (bytes, { start, end, protocol }) =>
    through(decodeExtension(bytes, start, end, protocol), encodeExtension),
  tcp: (bytes, { start, end }) => through(decodeTcp(bytes, start, end), encodeTcp),
  udp: (bytes, { start, payload, end }) => {
    const whole = through(decodeUdp(bytes, start, end), encodeUdp)
    return isMalformed(whole) ? bytes.slice(start, payload) : whole // a fragment's length is the datagram's
  },
  sctp: (bytes, { start, end }) => through(decodeSctp(bytes, start, end), encodeSctp),
  icmp: (bytes, { start, end }) => through(decodeIcmp(bytes, start, end), encodeIcmp),
  icmp6: (bytes, { start, end }) => through(decodeIcmpv6(bytes, start, end), encodeIcmpv6),
  vxlan: (bytes, { start, end }) => through(decodeVxlan(bytes, start, end), encodeVxlan),
  geneve: (bytes, { start, end }) => through(decodeGeneve(bytes, start, end), encodeGeneve),
  wireguard: (bytes, { start, end }) =>
    through(decodeWireguard(bytes, start, end), (header) => {
      const out = new Uint8Array(wireguardAt.payload)
      writeWireguard(out, 0, header)
      return out
    }),
  esp: (bytes, { start, end }) =>
    through(decodeEsp(bytes, start, end), (header) => {
      const out = new Uint8Array(espAt.payload)
      writeEsp(out, 0, header)
      return out
    }),
}

function through<T extends object>(
  value: T | Malformed,
  encode: (value: T) => Uint8Array,
): Uint8Array | Malformed {
  return isMalformed(value) ? value : encode(value)
}

describe.each(cases)('$name', ({ hex, layers, name }) => {
  const bytes = bytesOfHex(hex)
  const found = dissect(bytes)
  const headers = found.layers.filter((layer) => layer.kind !== 'ext')

  test('has the headers that scapy found', () => {
    expect(found.malformed).toBeUndefined()
    expect(headers.map((layer) => layer.kind)).toEqual(layers.map((each) => each.layer))
  })

  test('has the values that scapy says', () => {
    layers.forEach(({ layer, fields }, index) => {
      const place = headers[index]!
      for (const [field, expected] of Object.entries(fields)) {
        const value = fieldNamed(layer, field)?.read(bytes, place)
        const ours = value?.kind === 'flags' ? value.value : value && formatFieldValue(value, plainNaming)
        expect([layer, field, String(ours)]).toEqual([layer, field, String(expected)])
      }
    })
  })

  test('has the checksums that scapy computed, and ours are the same', () => {
    expect(wrongChecksums(found)).toEqual([])
    const copy = dissect(bytes.slice())
    writeChecksums(copy)
    expect(bytesToHex(copy.bytes)).toBe(hex)
  })

  test('is written again byte by byte', () => {
    const parts = found.layers.map((layer) => {
      const part = codecs[layer.kind](bytes, layer)
      return isMalformed(part) ? expect.fail(`${name}: ${part.malformed}`) : part
    })
    const last = found.layers.at(-1)
    const rest = last?.kind === 'sctp' ? bytes.subarray(last.end) : bytes.subarray(found.payload.start)
    expect(bytesToHex(concatBytes([...parts, rest]))).toBe(hex)
  })

  test('is read the same way on the packet path', () => {
    const flow = newFlow()
    const ip = found.layers.find(
      (layer) => layer.depth === 0 && (layer.kind === 'ip' || layer.kind === 'ip6'),
    )
    expect(parseFrame(bytes, 0, bytes.length, flow)).toBe(ip !== undefined)
    if (ip === undefined) return
    const upper = found.layers.find((layer) => ['tcp', 'udp', 'sctp', 'icmp', 'icmp6'].includes(layer.kind))
    expect([flow.l3, flow.end]).toEqual([ip.start, ip.end])
    if (upper?.depth === 0) expect(flow.l4).toBe(upper.start)
    if (upper === undefined && name.includes('fragment')) expect(flow.l4).toBe(-1)
  })

  test('survives being cut off anywhere', () => {
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = dissect(bytes.subarray(0, length))
      expect(cut.payload.end).toBeLessThanOrEqual(length)
      expect(summarise(cut)).not.toContain('undefined')
    }
  })
})

test('neighbour discovery messages are written again byte by byte', () => {
  const messages = cases.filter(({ name }) => name.startsWith('nd '))
  expect(messages.length).toBe(5)
  for (const { hex } of messages) {
    const bytes = bytesOfHex(hex)
    const layer = dissect(bytes).layers.at(-1)!
    expect(isNeighbourDiscovery(bytes[layer.start]!)).toBe(true)
    const written = through(decodeNd(bytes, layer.start, layer.end), encodeNd)
    if (isMalformed(written)) return expect.fail(written.malformed)
    const expected = bytes.slice(layer.start)
    expected.fill(0, 2, 4) // the checksum needs the IPv6 header
    expect(bytesToHex(written)).toBe(bytesToHex(expected))
  }
})

test.each([
  ['arp request', 'arp who-has 10.0.0.1 tell 10.0.0.2'],
  ['arp reply', 'arp 10.0.0.1 is-at 02:00:00:00:00:0a'],
  ['tcp syn with options', 'tcp 10.1.0.50:4000 > 10.2.0.2:80 S ttl 61'],
  ['udp', 'udp 10.1.0.50:4000 > 10.2.0.2:53 ttl 61'],
  ['ipv6 udp', 'udp [fd00:1::50]:4000 > [fd00:2::2]:53 ttl 61'],
  ['icmp host unreachable', 'icmp host-unreachable 10.1.0.50 > 10.2.0.2 ttl 61'],
  ['icmp fragmentation needed', 'icmp frag-needed 10.1.0.50 > 10.2.0.2 mtu 1450 ttl 61'],
  ['icmp echo request', 'icmp echo-request 10.1.0.50 > 10.2.0.2 id 16962 seq 3 ttl 61'],
  ['icmpv6 packet too big', 'icmp6 packet-too-big fd00:1::50 > fd00:2::2 mtu 1280 ttl 61'],
  ['nd neighbour solicitation', 'nd who-has fd00:1::1 fd00:1::50 > ff02::1:ff00:1 ttl 255'],
  ['ipv4 last fragment', 'udp 10.0.0.1 > 10.0.0.2 frag 32 ttl 64'],
  ['ipv4 first fragment', 'udp 10.0.0.1:1 > 10.0.0.2:2 frag 0+ ttl 64'],
  ['sctp init', 'sctp 10.1.0.50:4000 > 10.2.0.2:9999 init ttl 61'],
  ['vxlan', 'vxlan vni 4521 192.168.5.11 > 192.168.5.12 tcp 10.0.1.10:40000 > 10.0.2.20:80 S ttl 63'],
  [
    'geneve with an option',
    'geneve vni 2 192.168.5.11 > 192.168.5.12 tcp 10.0.1.10:40000 > 10.0.2.20:80 S ttl 63',
  ],
  ['ipip', 'ipip 192.168.5.11 > 192.168.5.12 tcp 10.0.1.10:40000 > 10.0.2.20:80 S ttl 63'],
  ['ethernet with an unknown type', 'eth 02:00:00:00:00:0a > 02:00:00:00:00:0b lldp'],
])('%s reads `%s`', (name, expected) => {
  expect(summarise(named(name))).toBe(expected)
})

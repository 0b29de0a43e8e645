// A rewrite repairs what it must, and nothing else.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { data, ip4, ip6, mac, u16 } from '../../test/arbitrary-headers.ts'
import { capture, captures } from '../../test/captured-packets.ts'
import { ipv4From } from './address.ts'
import { dissect } from './dissect.ts'
import type { FieldSpec, FieldValue } from './field-spec.ts'
import { sameFieldValue } from './field-spec.ts'
import { fieldNamed, layerFields } from './fields.ts'
import { bytesToHex } from './hex.ts'
import { setField, writeChecksums, wrongChecksums } from './rewrite.ts'

/** A value of a field's type. */
function arbitraryOf(spec: FieldSpec): fc.Arbitrary<FieldValue> {
  switch (spec.type) {
    case 'number':
    case 'flags': {
      const type = spec.type
      return fc.nat(spec.maximum).map((value) => ({ kind: type, value }))
    }
    case 'boolean':
      return fc.boolean().map((value) => ({ kind: 'boolean', value }))
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

describe.each(captures)('a rewrite of $name', ({ bytes: original }) => {
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
  const bytes = capture('udp')
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
  const found = dissect(capture('udp'))
  const place = found.layers.find((each) => each.kind === layer)!
  expect(setField(found, place, fieldNamed(layer, name)!, value)).toBe(outcome)
})

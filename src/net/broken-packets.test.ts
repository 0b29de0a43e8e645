// No bytes crash anything that looks at packets.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { data, u8 } from '../../test/arbitrary-headers.ts'
import { captures } from '../../test/captured-packets.ts'
import { decodeArp } from './arp.ts'
import { describeLayers } from './describe.ts'
import { diffPackets } from './difference.ts'
import { dissect } from './dissect.ts'
import { allFieldPaths, parseFieldPath, readField } from './field-path.ts'
import { newFlow, parseFrame, parseIp } from './flow.ts'
import { decodeGeneve } from './geneve.ts'
import { decodeIcmp } from './icmp.ts'
import { decodeIpv4 } from './ipv4.ts'
import { decodeIpv6 } from './ipv6.ts'
import { decodeNd } from './nd.ts'
import { writeChecksums, wrongChecksums } from './rewrite.ts'
import { decodeSctp } from './sctp.ts'
import { summarise } from './summarise.ts'
import { decodeTcp } from './tcp.ts'
import { decodeUdp } from './udp.ts'
import { decodeVxlan } from './vxlan.ts'

const captured = captures.map(({ bytes }) => bytes)
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

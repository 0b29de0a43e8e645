import { describe, expect, test } from 'vitest'
import type { LayerSpec } from '../../net/layer-spec.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4, ipv6 } from '../datapath/family.ts'
import { wholePacket } from '../datapath/fragments.ts'
import { natTuple } from '../datapath/nat.ts'
import { newEntry } from '../datapath/nat-mapping.ts'
import { addressBytes, datapathLab, frame } from '../test-support/lab.ts'
import { walkHeaders } from './headers.ts'
import { type NatSide, rewriteSide } from './nat-rewrite.ts'

const pod = '10.0.1.10'
const world = '8.8.8.8'
const segment = { kind: 'tcp', source: 40_000, destination: 80 } as const

/** A packet of which one side was given another address and port. */
function rewritten(packet: Uint8Array, side: NatSide, to: readonly [address: string, port: number]) {
  return datapathLab({ legacy: true }).run(packet, (ctx) => {
    const family = addressBytes(to[0]).length === 4 ? ipv4 : ipv6
    const walk = walkHeaders(ctx, family, 14)
    if (typeof walk === 'number') throw new Error('headers')
    const tuple = natTuple(ctx, family, 14, walk.nexthdr, 0)
    const l4Offset = 14 + walk.length
    const at = tuple.nexthdr === family.icmp ? 4 : side === 'source' ? 0 : 2
    const port = ctx.packet.has(l4Offset + at, 2) ? ctx.packet.u16(l4Offset + at) : 0
    if (side === 'source') tuple.sport = port
    else tuple.dport = port
    const entry = newEntry(ctx, family, addressBytes(to[0]), to[1], false)
    return rewriteSide(ctx, tuple, { l3Offset: 14, l4Offset, fragment: wholePacket }, side, entry)
  })
}

const ethernetAnd = (layers: readonly LayerSpec[], source = pod, destination = world) =>
  frame(source, destination, ...layers)

describe('one side of a packet', () => {
  test.each([
    ['source', ['192.168.0.1', 50_000], frame('192.168.0.1', world, { ...segment, source: 50_000 })],
    ['destination', ['10.0.2.20', 8080], frame(pod, '10.0.2.20', { ...segment, destination: 8080 })],
    ['source', [pod, 40_000], frame(pod, world, segment)],
  ] as const)('%s becomes %s', (side, to, expected) => {
    const { result, frame: sent } = rewritten(ethernetAnd([segment]), side, to)
    expect(result).toBe(0)
    expect(sent).toEqual(expected)
  })

  test.each([
    ['an address alone', ['192.168.0.1', 7]],
    ['an identifier, too', ['192.168.0.1', 40_000]],
  ] as const)('of an echo: %s; its checksum knows nothing of addresses', (_, to) => {
    const echo = (id: number) => ({ kind: 'icmp', type: 8, code: 0, rest: id * 0x1_0000 + 1 }) as const
    const { result, frame: sent } = rewritten(ethernetAnd([echo(7)]), 'source', to)
    expect(result).toBe(0)
    expect(sent).toEqual(frame(to[0], world, echo(to[1])))
  })

  test('of an echo of IPv6: addresses are part of the checksum', () => {
    const echo = { kind: 'icmp6', type: 128, code: 0, rest: 0x0007_0001 } as const
    const packet = ethernetAnd([echo], 'fd00:1::10', '2001:db8::1')
    const { frame: sent } = rewritten(packet, 'source', ['fd01::1', 40_000])
    expect(sent).toEqual(frame('fd01::1', '2001:db8::1', { ...echo, rest: 40_000 * 0x1_0000 + 1 }))
  })
})

test('a segment without room for a checksum stays as it is', () => {
  const packet = ethernetAnd([segment]).slice(0, 34 + 8)
  const { result, frame: sent } = rewritten(packet, 'source', ['192.168.0.1', 50_000])
  expect(result).toBe(drop.CSUM_L4)
  expect(sent).toEqual(packet)
})

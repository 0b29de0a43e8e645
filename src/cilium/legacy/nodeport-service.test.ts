import { describe, expect, test } from 'vitest'
import { writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { ctDirection } from '../datapath/ct-state.ts'
import type { Define } from '../datapath/defines.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4, ipv6 } from '../datapath/family.ts'
import { wholePacket } from '../datapath/fragments.ts'
import { newTuple } from '../datapath/packet-tuple.ts'
import { serviceFlag } from '../maps/service.ts'
import { putEndpoint, putLegacyService } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  entryText,
  frame,
  keysOf,
  usualDefines,
} from '../test-support/lab.ts'
import { LegacyCtEntry } from './ct-entry.ts'
import { lbExtractKey, lbLookupService, newServiceKey } from './lb.ts'
import { serveNodeport } from './nodeport-service.ts'

const client = '203.0.113.7'
const node = '192.168.0.1'
const { NODEPORT, ROUTABLE, SOURCE_RANGE, HOSTPORT } = serviceFlag
const nodeport = NODEPORT | ROUTABLE
const behindTailCall = drop.MISSED_TAIL_CALL
const local = '10.0.1.11'
const remote = '10.0.2.12'

interface Options {
  readonly defines?: readonly Define[]
  readonly flags?: number
  readonly backend?: string
  readonly addresses?: readonly [client: string, node: string]
}

function lab({ defines = [], flags = nodeport, backend = local, addresses }: Options = {}): DatapathLab {
  const object = { kind: 'bpf_host', interface_ifindex: 10 } as const
  const on = datapathLab({ legacy: true, defines: [...usualDefines, ...defines], object })
  for (const pod of [local, 'fd00:1::11']) putEndpoint(on.maps, pod, { id: 102 })
  const address = addresses?.[1] ?? node
  const backends = [{ id: 3, address: backend, port: 8080 }]
  putLegacyService(on.maps, { address, port: 30_080, revNatIndex: 5, flags, backends })
  return on
}

const syn = (addresses: readonly [string, string] = [client, node]): Uint8Array =>
  frame(...addresses, { kind: 'tcp', source: 40_000, destination: 30_080 })

/** A packet for the service: what comes of it, and the words of skb->cb. */
function serve(on: DatapathLab, packet = syn()) {
  const family = packet[12] === 0x08 ? ipv4 : ipv6
  const l4Offset = 14 + family.headerBytes
  return on.run(packet, (ctx) => {
    const tuple = newTuple(ctx, family, 14, 6)
    const key = newServiceKey(tuple)
    lbExtractKey(ctx, tuple, l4Offset, ctDirection.EGRESS, key)
    const service = lbLookupService(ctx, key, false)
    if (service === undefined) throw new Error('no service')
    const place = { l3Offset: 14, l4Offset, fragment: wholePacket }
    const code = serveNodeport(ctx, tuple, place, key, service)
    return { code, words: [0, 1, 2, 3, 4].map((slot) => ctx.meta(slot)) }
  })
}

/** Every entry of conntrack: its tuple and what makes it one of a NodePort. */
function entries({ maps }: DatapathLab, version: 4 | 6 = 4): string[] {
  const map = version === 4 ? maps.cilium_ct4_global : maps.cilium_ct6_global
  return keysOf(map)
    .map((key) => {
      const entry = new LegacyCtEntry(map.lookup(key, 0) as Uint8Array)
      const kind = `rev ${entry.revNatIndex} nodeport ${entry.is('node_port')} if ${entry.ifindex}`
      return `${entryText(key)} ${kind} id ${entry.srcSecId}`
    })
    .sort()
}

describe('a backend of this node', () => {
  const expected = [
    '0 proto 6 203.0.113.7:40000 -> 10.0.1.11:8080 rev 5 nodeport true if 10 id 1',
    '1 proto 6 203.0.113.7:40000 -> 10.0.1.11:8080 rev 0 nodeport true if 10 id 1',
    '4 proto 6 192.168.0.1:30080 -> 203.0.113.7:40000 rev 5 nodeport false if 0 id 0',
  ]

  test('has two entries, of which the second translates nothing', () => {
    const on = lab()
    const { result, frame: sent } = serve(on)
    expect(result.code).toBe(0)
    expect(sent).toEqual(frame(client, local, { kind: 'tcp', source: 40_000, destination: 8080 }))
    expect(entries(on)).toEqual(expected)
    expect(keysOf(on.maps.cilium_nodeport_neigh4)).toEqual([addressBytes(client)])
  })

  test('gets the second one again where it is gone', () => {
    const on = lab()
    serve(on)
    const map = on.maps.cilium_ct4_global
    for (const key of keysOf(map)) if (key[13] === 1) map.delete(key)
    serve(on)
    expect(entries(on)).toEqual(expected)
  })

  test('of IPv6, too', () => {
    const addresses = ['2001:db8::7', 'fd01::1'] as const
    const on = lab({ backend: 'fd00:1::11', addresses })
    expect(serve(on, syn(addresses)).result.code).toBe(0)
    const kinds = entries(on, 6).map((text) => text.replace(/ proto.* rev/, ' rev'))
    expect(kinds).toEqual([
      '0 rev 5 nodeport true if 10 id 1',
      '1 rev 5 nodeport true if 10 id 1'.replace('rev 5', 'rev 0'),
      '4 rev 5 nodeport false if 0 id 0',
    ])
    expect(keysOf(on.maps.cilium_nodeport_neigh6)).toEqual([addressBytes('2001:db8::7')])
  })
})

describe('a backend of another node', () => {
  test('has one entry; NAT follows', () => {
    const on = lab({ backend: remote })
    const { code, words } = serve(on).result
    expect([code, words]).toEqual([behindTailCall, [0, 0, 0, 0, 0]])
    expect(entries(on)).toEqual([
      '0 proto 6 203.0.113.7:40000 -> 10.0.2.12:8080 rev 5 nodeport true if 10 id 1',
      '4 proto 6 192.168.0.1:30080 -> 203.0.113.7:40000 rev 5 nodeport false if 0 id 0',
    ])
  })

  test('by DSR has none; the words say the service', () => {
    const on = lab({ backend: remote, defines: ['ENABLE_DSR'] })
    const { code, words } = serve(on).result
    // 30080 and 192.168.0.1 in network order, as a little-endian machine reads them
    expect([code, words]).toEqual([behindTailCall, [0x8075, 0x0100_a8c0, 0, 0, 0]])
    expect(entries(on)).toHaveLength(1)
    expect(keysOf(on.maps.cilium_nodeport_neigh4)).toEqual([])
  })
})

describe('refused', () => {
  test('who may not ask, before anything is chosen', () => {
    const on = lab({ flags: nodeport | SOURCE_RANGE })
    expect(serve(on).result.code).toBe(drop.NOT_IN_SRC_RANGE)
    expect(entries(on)).toEqual([])
    const key = new Uint8Array(12)
    writeLe32(key, 0, 32 + 8)
    writeLe16(key, 4, 5)
    key.set(addressBytes('203.0.0.0'), 8)
    on.maps.cilium_lb4_source_range.update(key, new Uint8Array(1), 0, 0)
    expect(serve(on).result.code).toBe(0)
  })

  test('a service that is only for this cluster; the packet has its backend already', () => {
    const on = lab({ flags: 0 })
    const { result, frame: sent } = serve(on)
    expect(result.code).toBe(drop.IS_CLUSTER_IP)
    expect(entries(on)).toHaveLength(1)
    expect(sent.slice(30, 34)).toEqual(addressBytes(local))
  })

  test('a host port whose pod is elsewhere', () => {
    expect(serve(lab({ flags: nodeport | HOSTPORT, backend: remote })).result.code).toBe(drop.INVALID)
    expect(serve(lab({ flags: nodeport | HOSTPORT })).result.code).toBe(0)
  })
})

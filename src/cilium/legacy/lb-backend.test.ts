import { describe, expect, test } from 'vitest'
import type { ObjectKind } from '../datapath/config.ts'
import { ctDirection } from '../datapath/ct-state.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4 } from '../datapath/family.ts'
import { checksumOffset } from '../datapath/l4.ts'
import { newTuple } from '../datapath/packet-tuple.ts'
import { serviceFlag } from '../maps/service.ts'
import { putAffinityMatch, putLegacyService, type TestService } from '../test-support/entries.ts'
import { addressBytes, type DatapathLab, datapathLab, frame, keysOf } from '../test-support/lab.ts'
import { LegacyCtEntry } from './ct-entry.ts'
import { newCtState } from './ct-state.ts'
import { lbExtractKey, lbLookupService, newServiceKey } from './lb.ts'
import { lbLocal } from './lb-backend.ts'

const client = '203.0.113.7'
const vip = '10.96.0.10'
const backends = [
  { id: 1, address: '10.0.1.11', port: 8080 },
  { id: 2, address: '10.0.2.12', port: 8080 },
]
const web: TestService = { address: vip, port: 80, revNatIndex: 5, backends }
const choice = { random: 0 }

function lab(service: TestService = web, kind: ObjectKind = 'bpf_host'): DatapathLab {
  choice.random = 0
  const kernel = { random32: () => choice.random }
  const on = datapathLab({ legacy: true, object: { kind }, kernel })
  putLegacyService(on.maps, service)
  return on
}

const tcp = (source: string, destination: string, dport: number, sport = 40_000): Uint8Array =>
  frame(source, destination, { kind: 'tcp', source: sport, destination: dport })

/** A packet through lb4_local(). */
function sent(on: DatapathLab, source = client, sport = 40_000) {
  const { result, frame: packet } = on.run(tcp(source, vip, 80, sport), (ctx) => {
    const tuple = newTuple(ctx, ipv4, 14, 6)
    const key = newServiceKey(tuple)
    lbExtractKey(ctx, tuple, 34, ctDirection.EGRESS, key)
    const service = lbLookupService(ctx, key, false)
    if (service === undefined) throw new Error('no service')
    const state = newCtState()
    const place = { l4Offset: 34, checksum: checksumOffset(6), hasL4Header: true, skipL3: false }
    const packet = { key, service, ...place }
    const code = lbLocal(ctx, { tuple, packet, state, client: addressBytes(source) })
    return { code, loopback: state.loopback, destination: [...tuple.daddr].join('.') }
  })
  return { ...result, packet }
}

function entry(on: DatapathLab): LegacyCtEntry {
  const map = on.maps.cilium_ct4_global
  return new LegacyCtEntry(map.lookup(keysOf(map)[0] as Uint8Array, 0) as Uint8Array)
}

describe('a new connection', () => {
  test.each([
    [0, '10.0.1.11'],
    [3, '10.0.2.12'],
  ])('chance %i: %s', (random, backend) => {
    const on = lab()
    choice.random = random
    const { code, destination, packet } = sent(on)
    expect([code, destination]).toEqual([0, backend])
    expect(packet).toEqual(tcp(client, backend, 8080))
    // the entry has the backend where others count bytes
    expect([entry(on).rxBytes, entry(on).revNatIndex]).toEqual([random === 0 ? 1 : 2, 5])
  })

  test('keeps its backend, and gets another one where that is gone', () => {
    const on = lab()
    sent(on)
    choice.random = 1
    expect(sent(on).destination).toBe('10.0.1.11')
    on.maps.cilium_lb4_backends?.delete(Uint8Array.of(1, 0))
    expect(sent(on).destination).toBe('10.0.2.12')
    expect(entry(on).rxBytes).toBe(2)
  })

  test('of a service whose slots lead nowhere is dropped', () => {
    const on = lab()
    for (const id of [1, 2]) on.maps.cilium_lb4_backends?.delete(Uint8Array.of(id, 0))
    expect(sent(on).code).toBe(drop.NO_SERVICE)
  })

  test('of a client whom the service knows goes where he was sent before', () => {
    const on = lab({ ...web, flags: serviceFlag.AFFINITY, affinity: 10 })
    for (const { id } of backends) putAffinityMatch(on.maps, 5, id)
    sent(on)
    choice.random = 1
    expect(sent(on, client, 40_001).destination).toBe('10.0.1.11')
    on.seconds += 20
    expect(sent(on, client, 40_002).destination).toBe('10.0.2.12')
  })
})

describe('a backend that is the sender', () => {
  test('gets the loopback address as the source', () => {
    const { loopback, destination, packet } = sent(lab(web, 'bpf_lxc'), '10.0.1.11')
    expect([loopback, destination]).toEqual([true, vip])
    expect(packet).toEqual(tcp('169.254.42.1', '10.0.1.11', 8080))
  })

  test.each(['bpf_host', 'bpf_overlay', 'bpf_xdp'] as const)(
    'only in the programs of pods, not in %s',
    (kind) => {
      const { loopback, destination, packet } = sent(lab(web, kind), '10.0.1.11')
      expect([loopback, destination]).toEqual([false, '10.0.1.11'])
      expect(packet).toEqual(tcp('10.0.1.11', '10.0.1.11', 8080))
    },
  )
})

import { describe, expect, test } from 'vitest'
import { type Backend, lookupScope, serviceFlag, serviceFlag2 } from '../maps/service.ts'
import { putAffinityMatch, putBackend, putMaglev, putService } from '../test-support/entries.ts'
import { type DatapathLab, datapathLab, frame, keysOf } from '../test-support/lab.ts'
import { newCtState } from './ct-state.ts'
import { drop } from './drop-reason.ts'
import { ipv6 } from './family.ts'
import { lbFillKey, lbLookupService } from './lb.ts'
import { backends, flagAck, flagSyn, lab, packetOf, tcp, web } from './lb-backend.test-helper.ts'
import { lbLocal, lbSelection } from './lb-backend.ts'
import { hashFromTuple } from './tuple-hash.ts'

function local(on: DatapathLab, packet: Uint8Array): Backend | number {
  return on.run(packet, (ctx) => {
    const { tuple, place } = packetOf(ctx)
    const key = lbFillKey(tuple)
    const service = lbLookupService(ctx, key, false)
    if (service === undefined) throw new Error('no service')
    return lbLocal(ctx, tuple, { key, service, place }, newCtState())
  }).result
}

function chosen(on: DatapathLab, packet: Uint8Array): string | number {
  const backend = local(on, packet)
  return typeof backend === 'number' ? backend : [...backend.address].join('.')
}

describe('the service of a packet', () => {
  const lookup = (on: DatapathLab, eastWest: boolean) =>
    on.run(tcp(40_000), (ctx) => {
      const key = lbFillKey(packetOf(ctx).tuple)
      return lbLookupService(ctx, key, eastWest)?.revNatIndex
    }).result

  test('is found by address, port and protocol', () => {
    const on = lab()
    putService(on.maps, { ...web, protocol: 17 })
    expect(lookup(on, true)).toBe(undefined)
    putService(on.maps, web)
    expect(lookup(on, true)).toBe(5)
    expect(lookup(on, false)).toBe(5)
  })

  test('has another set of backends for pods where it has two scopes', () => {
    const on = lab()
    const flags2 = serviceFlag2.TWO_SCOPES
    putService(on.maps, { ...web, flags2 })
    expect(lookup(on, true)).toBe(undefined)
    putService(on.maps, { ...web, flags2, scope: lookupScope.INT, revNatIndex: 6 })
    expect(lookup(on, true)).toBe(6)
    expect(lookup(on, false)).toBe(5)
  })

  test('from outside is the wildcard entry of its address where no other is there', () => {
    const on = lab()
    putService(on.maps, { ...web, port: 0, protocol: 0, revNatIndex: 7, backends: [] })
    expect(lookup(on, true)).toBe(undefined)
    expect(lookup(on, false)).toBe(7)
    putService(on.maps, web)
    expect(lookup(on, false)).toBe(5)
  })
})

describe('the backend of a new connection', () => {
  test('at random: the slot behind the remainder', () => {
    const seen = [0, 1, 2, 3].map((random) => {
      const on = lab({ random })
      putService(on.maps, web)
      return chosen(on, tcp(40_000))
    })
    expect(seen).toEqual(['10.0.1.11', '10.0.2.12', '10.0.2.13', '10.0.1.11'])
  })

  test('draining backends stand behind the count and are never chosen', () => {
    const on = lab({ random: 2 })
    putService(on.maps, { ...web, count: 2 })
    expect(chosen(on, tcp(40_000))).toBe('10.0.1.11')
  })

  test('none: DROP_NO_SERVICE and nothing remembered', () => {
    const on = lab()
    putService(on.maps, { ...web, backends: [] })
    expect(local(on, tcp(40_000))).toBe(drop.NO_SERVICE)
    expect(keysOf(on.maps.cilium_ct4_global)).toEqual([])
  })

  test('a slot without a backend entry: DROP_NO_SERVICE', () => {
    const on = lab()
    putService(on.maps, web)
    on.maps.cilium_lb4_backends_v3.delete(Uint8Array.of(1, 0, 0, 0))
    expect(local(on, tcp(40_000))).toBe(drop.NO_SERVICE)
  })
})

describe('Maglev', () => {
  /** A table that tells the slot: as an id of a backend on port slot. */
  function table(on: DatapathLab, used: readonly number[]): void {
    putMaglev(
      on.maps,
      5,
      Array.from({ length: 16_381 }, (_, slot) => slot + 1),
    )
    for (const slot of used) putBackend(on.maps, { id: slot + 1, address: '10.0.9.9', port: slot })
  }

  // facts: services 5.5
  test.each([
    [40_001, 12_803],
    [40_002, 820],
    [40_003, 6574],
    [40_004, 13_828],
    [40_005, 15_814],
  ])('a client on port %i gets slot %i', (sport, slot) => {
    const on = lab({ values: { LB_SELECTION: lbSelection.MAGLEV } })
    putService(on.maps, web)
    table(on, [slot])
    expect(local(on, tcp(sport))).toMatchObject({ port: slot })
  })

  test.each([
    ['203.0.113.7', 13_959],
    ['203.0.113.8', 11_038],
    ['203.0.113.9', 8892],
  ])('with affinity the port of client %s does not count', (source, slot) => {
    const on = lab({ values: { LB_SELECTION: lbSelection.MAGLEV } })
    putService(on.maps, { ...web, flags: serviceFlag.AFFINITY, affinity: 100 })
    table(on, [slot])
    expect(local(on, tcp(40_001, flagSyn, source))).toMatchObject({ port: slot })
    expect(local(on, tcp(40_002, flagSyn, source))).toMatchObject({ port: slot })
  })

  test('without a table there is no backend', () => {
    const on = lab({ values: { LB_SELECTION: lbSelection.MAGLEV } })
    putService(on.maps, web)
    expect(local(on, tcp(40_001))).toBe(drop.NO_SERVICE)
  })

  test('bpf_lxc chooses at random all the same, unless the service wants Maglev', () => {
    const values = { LB_SELECTION: lbSelection.MAGLEV }
    const on = lab({ values, defines: ['LB_SELECTION_PER_SERVICE'], object: { kind: 'bpf_lxc' }, random: 1 })
    putService(on.maps, web)
    table(on, [820])
    expect(chosen(on, tcp(40_001))).toBe('10.0.2.12')
    putService(on.maps, { ...web, affinity: lbSelection.MAGLEV << 24 })
    expect(local(on, tcp(40_002))).toMatchObject({ port: 820 })
  })

  test('the hash of an IPv6 connection (facts: services 5.5)', () => {
    const packet = frame('2001:db8::7', 'fd00::10', {
      kind: 'tcp',
      source: 40_001,
      destination: 80,
      flags: flagSyn,
    })
    const hash = lab().run(packet, (ctx) => {
      const { tuple } = packetOf(ctx, ipv6)
      return [hashFromTuple(ctx, tuple, tuple.dport, tuple.sport), hashFromTuple(ctx, tuple, 0, tuple.sport)]
    }).result
    expect(hash).toEqual([0x0418_63ca, 0xdf6f_81bd])
  })
})

describe('a later packet of a connection', () => {
  function connected(): DatapathLab {
    const on = lab({ random: 0 })
    putService(on.maps, web)
    expect(chosen(on, tcp(40_000))).toBe('10.0.1.11')
    return on
  }

  test('keeps its backend, whatever the service now chooses', () => {
    const on = connected()
    putService(on.maps, { ...web, backends: backends.slice(1) })
    putBackend(on.maps, { id: 1, address: '10.0.1.11', port: 8080 })
    expect(chosen(on, tcp(40_000, flagAck))).toBe('10.0.1.11')
  })

  test('stays at a draining backend, a new SYN does not', () => {
    const on = connected()
    putService(on.maps, { ...web, backends: backends.slice(1) })
    putBackend(on.maps, { id: 1, address: '10.0.1.11', port: 8080 }, 1)
    expect(chosen(on, tcp(40_000, flagAck))).toBe('10.0.1.11')
    expect(chosen(on, tcp(40_000, flagSyn))).toBe('10.0.2.12')
    expect(chosen(on, tcp(40_000, flagAck))).toBe('10.0.2.12')
  })

  test('gets another backend where its own is gone, or none', () => {
    const on = connected()
    on.maps.cilium_lb4_backends_v3.delete(Uint8Array.of(1, 0, 0, 0))
    putService(on.maps, { ...web, backends: backends.slice(1) })
    expect(chosen(on, tcp(40_000, flagAck))).toBe('10.0.2.12')
    on.maps.cilium_lb4_backends_v3.delete(Uint8Array.of(2, 0, 0, 0))
    putService(on.maps, { ...web, backends: [] })
    expect(chosen(on, tcp(40_000, flagAck))).toBe(drop.NO_SERVICE)
  })
})

describe('affinity', () => {
  function twice(between: (on: DatapathLab) => void, affinity = 100): (string | number)[] {
    let random = 0
    const on = datapathLab({
      object: { kind: 'bpf_host' },
      kernel: { random32: () => random },
    })
    putService(on.maps, { ...web, flags: serviceFlag.AFFINITY, affinity })
    for (const { id } of backends) putAffinityMatch(on.maps, 5, id)
    const first = chosen(on, tcp(40_000))
    random = 1
    between(on)
    return [first, chosen(on, tcp(40_001))]
  }

  test('the next connection of a client goes where the last one went', () => {
    expect(twice(() => {})).toEqual(['10.0.1.11', '10.0.1.11'])
  })

  test('until the time is over', () => {
    const later = (seconds: number) =>
      twice((on) => {
        on.seconds += seconds
      })
    expect(later(99)).toEqual(['10.0.1.11', '10.0.1.11'])
    expect(later(100)).toEqual(['10.0.1.11', '10.0.2.12'])
  })

  test('or the backend does not belong to the service any more', () => {
    const removed = twice((on) => {
      on.maps.cilium_lb_affinity_match.delete(Uint8Array.of(1, 0, 0, 0, 5, 0, 0, 0))
    })
    expect(removed).toEqual(['10.0.1.11', '10.0.2.12'])
  })

  test('of a deleted backend does not count', () => {
    const removed = twice((on) => {
      on.maps.cilium_lb4_backends_v3.delete(Uint8Array.of(1, 0, 0, 0))
    })
    expect(removed).toEqual(['10.0.1.11', '10.0.2.12'])
  })
})

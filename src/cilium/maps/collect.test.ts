import { describe, expect, test } from 'vitest'
import type { BpfMap } from '../../bpf/maps/map.ts'
import { mapKeys } from '../../bpf/user.ts'
import { ipv4 } from '../datapath/family.ts'
import { createNodeMaps } from '../datapath/object.ts'
import { conntrackText, natText } from '../decode/state.ts'
import { conntrackTables, everything, type GcFilter, type Stale, staleEntries } from './collect.ts'
import { CtEntry } from './ct-entry.ts'
import { NatEntry } from './nat-entry.ts'
import { legacyOrphanedTranslations, orphanedTranslations } from './orphans.ts'
import { Tuple, tupleFlag } from './tuple.ts'

const tcp = 6
const pod = Uint8Array.of(10, 0, 1, 10)
const other = Uint8Array.of(10, 0, 1, 20)
const world = Uint8Array.of(8, 8, 8, 8)
const node = Uint8Array.of(192, 168, 0, 1)
const service = Uint8Array.of(192, 168, 0, 9)

function tuple(saddr: Uint8Array, daddr: Uint8Array, ports: readonly [number, number], flags: number): Tuple {
  const made = new Tuple(ipv4)
  made.saddr = saddr
  made.daddr = daddr
  made.sport = ports[0]
  made.dport = ports[1]
  made.nexthdr = tcp
  made.flags = flags
  return made
}

function put(map: BpfMap, key: Tuple, value: Uint8Array): void {
  expect(map.update(key.bytes, value, 0, 0)).toBe(0)
}

function connection(lifetime: number, dsr = false): Uint8Array {
  const entry = new CtEntry()
  entry.lifetime = lifetime
  entry.set('dsr_internal', dsr)
  return entry.raw
}

function translation(address: Uint8Array, port: number): Uint8Array {
  const entry = new NatEntry(ipv4)
  entry.toAddress = address
  entry.toPort = port
  return entry.raw
}

/** A node whose pod has talked to the world through a translation until 100, and whose other pod has until 200. */
function usedMaps() {
  const maps = createNodeMaps(1)
  const { cilium_ct4_global: ct, cilium_snat_v4_external: nat } = maps
  const track = (client: Uint8Array, port: number, lifetime: number): void => {
    // stored the other way round
    put(ct, tuple(world, client, [port, 443], tupleFlag.OUT), connection(lifetime))
    put(nat, tuple(client, world, [port, 443], tupleFlag.OUT), translation(node, port))
    put(nat, tuple(world, node, [443, port], tupleFlag.IN), translation(client, port))
  }
  track(pod, 40_000, 100)
  track(other, 40_001, 200)
  put(ct, tuple(pod, other, [50_000, 80], tupleFlag.IN), connection(100))
  return maps
}

/** The entry of a client that asked a DSR backend, and the translation of its answers, as each version makes them. */
function dsrMaps(legacy: boolean) {
  const maps = createNodeMaps(1)
  const asked = tuple(pod, world, [50_000, 80], legacy ? tupleFlag.IN : tupleFlag.OUT)
  put(maps.cilium_ct4_global, asked, connection(100, !legacy))
  const answers = tuple(pod, world, [80, 50_000], tupleFlag.OUT)
  put(maps.cilium_snat_v4_external, answers, translation(service, 8080))
  return maps
}

type Maps = ReturnType<typeof usedMaps>

function left(maps: Maps): readonly string[] {
  const { cilium_ct4_global: ct, cilium_snat_v4_external: nat } = maps
  const translations = mapKeys(nat).map((key) => natText(key, nat.peek(key, 0) ?? new Uint8Array()))
  return [
    ...mapKeys(ct).map((key) => conntrackText(key, new CtEntry().raw)),
    ...translations.map((text) => `nat ${text}`),
  ].sort()
}

function remove(entries: readonly Stale[]): void {
  for (const { map, key } of entries) expect(map.delete(key)).toBe(0)
}

function collect(maps: Maps, filter: GcFilter, legacy = false): void {
  remove(staleEntries(conntrackTables(maps), filter, legacy))
}

const ofOther = [
  'nat tcp 10.0.1.20:40001 > 8.8.8.8:443 egress -> 192.168.0.1:40001',
  'nat tcp 8.8.8.8:443 > 192.168.0.1:40001 ingress -> 10.0.1.20:40001',
  'tcp 10.0.1.20:40001 > 8.8.8.8:443 egress',
]

describe.each([false, true])(
  'connections go with both directions of their translation, 1.10: %s',
  (legacy) => {
    test('those from and to an address; those of others stay', () => {
      const maps = usedMaps()
      collect(maps, { addresses: [pod] }, legacy)
      expect(left(maps)).toEqual(ofOther)
    })
    test('those that have run out: a lifetime that is now is not over', () => {
      const maps = usedMaps()
      collect(maps, { expiredBefore: 100 }, legacy)
      expect(left(maps)).toHaveLength(7)
      collect(maps, { expiredBefore: 101 }, legacy)
      expect(left(maps)).toEqual(ofOther)
    })
    test('all', () => {
      const maps = usedMaps()
      collect(maps, everything, legacy)
      expect(left(maps)).toEqual([])
    })
    test('the entry of a DSR backend, with what translates its answers', () => {
      const maps = dsrMaps(legacy)
      collect(maps, { expiredBefore: 101 }, legacy)
      expect(left(maps)).toEqual([])
    })
  },
)

test('an address that nobody used leaves everything', () => {
  const filter = { addresses: [Uint8Array.of(10, 0, 1, 99), new Uint8Array(16)] }
  expect(staleEntries(conntrackTables(usedMaps()), filter, false)).toEqual([])
})

describe('translations whose connection is gone', () => {
  const pairOf = (maps: Maps) => {
    const [first, second] = conntrackTables(maps)
    if (first === undefined || second === undefined) throw new Error('a node has conntrack maps')
    return { tcp: first, any: second }
  }
  /** The connection of the pod was evicted. */
  const evicted = (): Maps => {
    const maps = usedMaps()
    maps.cilium_ct4_global.delete(tuple(world, pod, [40_000, 443], tupleFlag.OUT).bytes)
    maps.cilium_ct4_global.delete(tuple(pod, other, [50_000, 80], tupleFlag.IN).bytes)
    return maps
  }
  test.each([
    [orphanedTranslations, '1.19'],
    [legacyOrphanedTranslations, '1.10'],
  ])('both directions go, %o', (orphans) => {
    const maps = evicted()
    remove(orphans(pairOf(maps)))
    expect(left(maps)).toEqual(ofOther)
  })
  test('1.19: a way out without its replies goes too; 1.10 does not see it', () => {
    const maps = evicted()
    maps.cilium_snat_v4_external.delete(tuple(world, node, [443, 40_000], tupleFlag.IN).bytes)
    expect(legacyOrphanedTranslations(pairOf(maps))).toEqual([])
    remove(orphanedTranslations(pairOf(maps)))
    expect(left(maps)).toEqual(ofOther)
  })
  test('1.19: what translates a DSR backend’s answers stays for as long as the connection is one of DSR', () => {
    const maps = dsrMaps(false)
    expect(orphanedTranslations(pairOf(maps))).toEqual([])
    put(maps.cilium_ct4_global, tuple(pod, world, [50_000, 80], tupleFlag.OUT), connection(100, false))
    expect(orphanedTranslations(pairOf(maps))).toHaveLength(1)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mapDelete, mapFreeze, mapGet, mapKeys, mapUpdate } from '../user.ts'
import { createMap } from './create.ts'
import { layoutOf } from './layout.ts'
import { key, made, spec, value } from './made.test-helper.ts'
import type { BpfMap, MapSpec, MapType } from './map.ts'

// every row of the next two tables was observed on Linux 6.18
test.each<[MapType, Partial<MapSpec>, string]>([
  ['array', { maxEntries: 0 }, 'EINVAL'],
  ['array', { keySize: 8 }, 'EINVAL'],
  ['array', { valueSize: 0 }, 'EINVAL'],
  ['array', { flags: 1 }, 'EINVAL'],
  ['percpu_array', { valueSize: 32_769 }, 'E2BIG'],
  ['percpu_array', { valueSize: 32_768 }, 'made'],
  ['hash', { keySize: 513 }, 'made'],
  ['hash', { keySize: 0 }, 'EINVAL'],
  ['hash', { valueSize: 0 }, 'EINVAL'],
  ['hash', { flags: 2 }, 'EINVAL'],
  ['hash', { flags: 0x180 }, 'EINVAL'],
  ['hash', { flags: 0x18 }, 'EINVAL'],
  ['hash', { flags: 8 }, 'made'],
  ['percpu_hash', { valueSize: 32_769 }, 'E2BIG'],
  ['lru_hash', { flags: 1 }, 'ENOTSUPP'],
  ['lru_hash', { flags: 2 }, 'made'],
  ['lpm_trie', { keySize: 8 }, 'EINVAL'],
  ['lpm_trie', { keySize: 8, flags: 1 }, 'made'],
  ['lpm_trie', { keySize: 4, flags: 1 }, 'EINVAL'],
  ['lpm_trie', { keySize: 260, flags: 1 }, 'made'],
  ['lpm_trie', { keySize: 261, flags: 1 }, 'EINVAL'],
  ['prog_array', { valueSize: 8 }, 'EINVAL'],
  ['prog_array', { flags: 0x80 }, 'EINVAL'],
  ['ringbuf', { keySize: 0, valueSize: 0, maxEntries: 4096 }, 'made'],
  ['ringbuf', { keySize: 0, valueSize: 0, maxEntries: 5000 }, 'EINVAL'],
  ['ringbuf', { keySize: 0, valueSize: 0, maxEntries: 2048 }, 'EINVAL'],
  ['devmap', {}, 'made'],
  ['devmap', { valueSize: 8 }, 'made'],
  ['devmap', { valueSize: 6 }, 'EINVAL'],
  ['devmap', { flags: 0x80 }, 'EINVAL'],
  ['array_of_maps', {}, 'EINVAL'],
  ['array_of_maps', { inner: spec('prog_array') }, 'ENOTSUPP'],
  ['array_of_maps', { inner: spec('array_of_maps', { inner: spec('array') }) }, 'EINVAL'],
])('creating %s with %j: %s', (type, more, expected) => {
  const created = createMap(spec(type, more), { cpus: 2 })
  expect(created.kind === 'made' ? 'made' : created.errno).toBe(expected)
})

test.each<[MapType, string, (map: BpfMap) => number, number]>([
  ['array', 'update past the end', (m) => m.update(key(2), value(1), 0, 0), -7],
  ['array', 'update past the end with NOEXIST', (m) => m.update(key(2), value(1), 1, 0), -7],
  ['array', 'NOEXIST', (m) => m.update(key(0), value(1), 1, 0), -17],
  ['array', 'EXIST', (m) => m.update(key(0), value(1), 2, 0), 0],
  ['array', 'unknown flags', (m) => m.update(key(0), value(1), 4, 0), -22],
  ['array', 'delete', (m) => m.delete(key(0)), -22],
  ['hash', 'EXIST without an entry', (m) => m.update(key(7), value(1), 2, 0), -2],
  [
    'hash',
    'NOEXIST with an entry',
    (m) => m.update(key(7), value(1), 0, 0) || m.update(key(7), value(1), 1, 0),
    -17,
  ],
  ['hash', 'unknown flags', (m) => m.update(key(7), value(1), 3, 0), -22],
  ['hash', 'a third entry of two', (m) => [1, 2, 3].map((k) => m.update(key(k), value(1), 0, 0)).at(-1)!, -7],
  ['hash', 'delete without an entry', (m) => m.delete(key(7)), -2],
  [
    'percpu_hash',
    'a third entry of two',
    (m) => [1, 2, 3].map((k) => m.update(key(k), value(1), 0, 0)).at(-1)!,
    -7,
  ],
  [
    'lru_hash',
    'a third entry of two',
    (m) => [1, 2, 3].map((k) => m.update(key(k), value(1), 0, 0)).at(-1)!,
    0,
  ],
  ['devmap', 'NOEXIST', (m) => m.update(key(0), value(1), 1, 0), -17],
  ['devmap', 'EXIST', (m) => m.update(key(0), value(1), 2, 0), 0],
  ['devmap', 'update past the end', (m) => m.update(key(2), value(1), 0, 0), -7],
  ['devmap', 'delete an empty slot', (m) => m.delete(key(1)), 0],
  ['devmap', 'delete past the end', (m) => m.delete(key(2)), -22],
  ['devmap_hash', 'EXIST without an entry', (m) => m.update(key(5), value(1), 2, 0), 0],
  ['devmap_hash', 'ifindex 0', (m) => m.update(key(5), value(0), 0, 0), -22],
  [
    'devmap_hash',
    'NOEXIST with an entry',
    (m) => m.update(key(5), value(1), 0, 0) || m.update(key(5), value(1), 1, 0),
    -17,
  ],
  ['devmap_hash', 'delete without an entry', (m) => m.delete(key(5)), -2],
])('%s: %s', (type, _what, act, expected) => {
  expect(act(made(type) as BpfMap)).toBe(expected)
})

describe('an LRU hash', () => {
  test('evicts the entry whose last use is longest ago; a look from user space is no use', () => {
    const map = made('lru_hash', { maxEntries: 3 })
    for (const k of [1, 2, 3]) map.update(key(k), value(k), 0, 0)
    map.lookup(key(1), 0)
    mapGet(map, key(2), { cpus: 1 })
    map.update(key(4), value(4), 0, 0)
    expect([1, 2, 3, 4].map((k) => map.peek(key(k), 0)?.[0])).toEqual([1, undefined, 3, 4])
  })

  test("half a million inserts into a full map stay within the test's time", () => {
    const map = made('lru_hash', { maxEntries: 10_000 })
    for (let k = 0; k < 500_000; k += 1) map.update(key(k), value(k), 0, 0)
    expect(map.count).toBe(10_000)
  })
})

test('a hash agrees with a JavaScript Map, whatever the size of the keys', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.tuple(fc.nat(30), fc.constantFrom('update', 'delete'))),
      (keySize, steps) => {
        const map = made('hash', { keySize, maxEntries: 1000 })
        const model = new Map<number, number>()
        for (const [at, [k, step]] of steps.entries()) {
          const bytes = new Uint8Array(keySize).fill(k)
          if (step === 'update') {
            map.update(bytes, value(at), 0, 0)
            model.set(k, at)
          } else expect(map.delete(bytes)).toBe(model.delete(k) ? 0 : -2)
        }
        expect(map.count).toBe(model.size)
        for (const [k, v] of model) expect(map.lookup(new Uint8Array(keySize).fill(k), 0)).toEqual(value(v))
        expect(
          mapKeys(map)
            .map((bytes) => bytes[0])
            .sort(),
        ).toEqual([...model.keys()].sort())
      },
    ),
  )
})

test('a lookup answers a live view, the same each time', () => {
  const map = made('hash')
  map.update(key(1), value(1), 0, 0)
  const view = map.lookup(key(1), 0)
  if (view !== undefined) view[0] = 9
  expect(map.lookup(key(1), 0)).toBe(view)
  expect(map.peek(key(1), 0)?.[0]).toBe(9)
})

test('a per-CPU entry is zero on the other CPUs; user space sees all, eight bytes apart', () => {
  const map = made('percpu_hash', {}, 2)
  map.update(key(1), value(7), 0, 1)
  expect(mapGet(map, key(1), { cpus: 2 })).toEqual({
    kind: 'value',
    value: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0),
  })
  mapUpdate(map, key(1), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0), { cpus: 2 })
  expect([map.peek(key(1), 0)?.[0], map.peek(key(1), 1)?.[0]]).toEqual([1, 2])
})

test('a frozen map is read-only for user space and not for programs', () => {
  const map = made('hash')
  expect([mapFreeze(map), mapFreeze(map)]).toEqual([0, -1])
  expect(mapUpdate(map, key(1), value(1), { cpus: 1 })).toBe(-1)
  expect(mapDelete(map, key(1))).toBe(-1)
  expect(map.update(key(1), value(1), 0, 0)).toBe(0)
})

test.each([
  ['RDONLY', 8, -1, { kind: 'error', errno: -2 }],
  ['WRONLY', 16, 0, { kind: 'error', errno: -1 }],
])('BPF_F_%s binds user space', (_name, flags, updated, read) => {
  const map = made('hash', { flags })
  expect(mapUpdate(map, key(1), value(1), { cpus: 1 })).toBe(updated)
  expect(mapGet(map, key(1), { cpus: 1 })).toEqual(read)
})

describe('maps of maps', () => {
  const inner = spec('array')

  test('take only maps that look like the inner map; an array counts its length', () => {
    const outer = made('array_of_maps', { inner })
    expect(outer.update(key(0), made('array'), 0)).toBe(0)
    expect(outer.update(key(0), made('array', { maxEntries: 3 }), 0)).toBe(-22)
    expect(outer.update(key(0), made('hash'), 0)).toBe(-22)
    expect(outer.update(key(0), made('array'), 1)).toBe(-22)
    expect(outer.update(key(2), made('array'), 0)).toBe(-7)
    expect([outer.delete(key(0)), outer.delete(key(0))]).toEqual([0, -2])
  })

  test('a hash of maps does not count the length of inner hashes', () => {
    const outer = made('hash_of_maps', { inner: spec('hash') })
    expect(outer.update(key(5), made('hash', { maxEntries: 9 }), 0)).toBe(0)
    expect(outer.update(key(5), made('array'), 0)).toBe(-22)
    expect(outer.delete(key(5))).toBe(0)
  })

  test('an inner map lives as long as its slot', () => {
    const outer = made('array_of_maps', { inner })
    const map = made('array')
    outer.update(key(0), map, 0)
    map.references.releaseUser()
    expect(map.references.freed).toBe(false)
    outer.delete(key(0))
    expect(map.references.freed).toBe(true)
  })
})

test('a ring refuses a record when nobody reads, and takes it again after a read', () => {
  const ring = made('ringbuf', { keySize: 0, valueSize: 0, maxEntries: 4096 })
  ring.reader = 'none'
  const sizes = [4000, 80].map((size) => {
    const room = ring.reserve(size)
    if (room !== undefined) ring.submit(room)
    return room?.bytes.length
  })
  expect(sizes).toEqual([4000, undefined])
  expect(ring.read()).toHaveLength(1)
  expect(ring.reserve(80)?.bytes.length).toBe(80)
})

test('a perf event array of 0 entries gets one for each CPU', () => {
  const map = made('perf_event_array', { maxEntries: 0 }, 2)
  expect(map.spec.maxEntries).toBe(2)
  expect([map.output(0, 0, value(1)), map.output(1, 0, value(1)), map.output(2, 0, value(1))]).toEqual([
    0, -95, -7,
  ])
  map.close(0)
  expect(map.output(0, 0, value(1))).toBe(-2)
})

test('layouts are names for bytes', () => {
  expect(layoutOf('ip4')).toEqual([{ name: '', type: 'ip4', offset: 0 }])
})

// A trie that took another's entries over is the trie that has them all.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LpmTrie } from './lpm-trie.ts'
import { mapFlag } from './map.ts'

const spec = {
  name: 'm',
  type: 'lpm_trie',
  keySize: 6,
  valueSize: 1,
  maxEntries: 12,
  flags: mapFlag.BPF_F_NO_PREALLOC,
} as const

interface Entry {
  readonly length: number
  readonly data: number
  readonly value: number
}

const keyOf = ({ length, data }: Pick<Entry, 'length' | 'data'>): Uint8Array =>
  Uint8Array.of(length, 0, 0, 0, data >>> 8, data & 0xff)

/** Few lengths and few addresses, so that prefixes meet. */
const entry = fc.record({
  length: fc.constantFrom(0, 4, 8, 15, 16),
  data: fc.constantFrom(0x0000, 0x0a00, 0x0a01, 0x0aff, 0xffff),
  value: fc.integer({ min: 1, max: 255 }),
})

const step = fc.oneof(
  entry.map((one) => ({ kind: 'update' as const, ...one, flags: one.value % 3 })),
  entry.map((one) => ({ kind: 'delete' as const, ...one })),
)

function keysOf(trie: LpmTrie): string[] {
  const keys: string[] = []
  for (let key = trie.nextKey(undefined); key !== undefined; key = trie.nextKey(key)) keys.push(key.join('.'))
  return keys
}

test('reads, writes and walks as if the entries had been copied', () => {
  fc.assert(
    fc.property(fc.array(entry), fc.array(step), fc.array(entry), (shared, steps, questions) => {
      const base = new LpmTrie(spec)
      for (const one of shared) base.update(keyOf(one), Uint8Array.of(one.value), 0, 0)
      const adopting = new LpmTrie(spec)
      adopting.adopt(base)
      const copied = new LpmTrie(spec)
      for (const one of shared) copied.update(keyOf(one), Uint8Array.of(one.value), 0, 0)
      const before = keysOf(base)
      for (const one of steps) {
        const [left, right] = [adopting, copied].map((trie) =>
          one.kind === 'update'
            ? trie.update(keyOf(one), Uint8Array.of(one.value), one.flags, 0)
            : trie.delete(keyOf(one)),
        )
        expect(left).toBe(right)
        expect(adopting.count).toBe(copied.count)
      }
      for (const question of questions) {
        const key = keyOf({ ...question, length: 16 })
        expect(adopting.lookup(key, 0)?.[0]).toBe(copied.lookup(key, 0)?.[0])
        expect(adopting.entryKey(key)).toEqual(copied.entryKey(key))
        expect(adopting.peek(keyOf(question), 0)?.[0]).toBe(copied.peek(keyOf(question), 0)?.[0])
      }
      expect(keysOf(adopting)).toEqual(keysOf(copied))
      expect(keysOf(base)).toEqual(before)
    }),
  )
})

test('only an empty trie adopts, and only one like it', () => {
  const full = new LpmTrie(spec)
  full.update(keyOf({ length: 8, data: 0 }), Uint8Array.of(1), 0, 0)
  expect(() => full.adopt(new LpmTrie(spec))).toThrow('empty trie')
  expect(() => new LpmTrie(spec).adopt(new LpmTrie({ ...spec, valueSize: 2 }))).toThrow('like it')
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mapKeys } from '../user.ts'
import { made, value } from './made.test-helper.ts'

/** A key of an IPv4 trie. */
function prefix(text: string): Uint8Array {
  const [address = '', length = '32'] = text.split('/')
  return Uint8Array.from([Number(length), 0, 0, 0, ...address.split('.').map(Number)])
}

function prefixText(bytes: Uint8Array): string {
  return `${[...bytes.subarray(4)].join('.')}/${bytes[0]}`
}

describe('an LPM trie', () => {
  const more = { keySize: 8, flags: 1, maxEntries: 8 }

  test.each([
    ['10.0.1.5/32', 5],
    ['10.0.1.6/32', 4],
    ['10.0.1.0/24', 4],
    ['10.0.1.0/16', 2],
    ['10.9.9.9/32', 2],
    ['11.0.0.1/32', 1],
    ['0.0.0.0/0', 1],
    ['129.0.0.1/32', 6],
  ])('%s finds entry %i', (asked, found) => {
    const trie = made('lpm_trie', more)
    const entries = ['0.0.0.0/0', '10.0.0.0/8', '10.0.0.0/24', '10.0.1.0/24', '10.0.1.5/32', '128.0.0.0/1']
    for (const [at, text] of entries.entries()) trie.update(prefix(text), value(at + 1), 0, 0)
    expect(trie.lookup(prefix(asked), 0)?.[0]).toBe(found)
  })

  test('keys come in the order of the kernel: by bits, a prefix behind what it covers', () => {
    const trie = made('lpm_trie', more)
    const entries = [
      '0.0.0.0/0',
      '10.0.0.0/8',
      '10.0.0.0/24',
      '10.0.1.0/24',
      '10.0.1.5/32',
      '192.168.0.0/16',
      '128.0.0.0/1',
    ]
    for (const text of entries) trie.update(prefix(text), value(1), 0, 0)
    expect(mapKeys(trie).map(prefixText).join(' ')).toBe(
      '10.0.0.0/24 10.0.1.5/32 10.0.1.0/24 10.0.0.0/8 192.168.0.0/16 128.0.0.0/1 0.0.0.0/0',
    )
  })

  test.each([
    ['EXIST without an entry', '10.0.0.0/24', 2, -2],
    ['too long a prefix', '10.0.0.0/33', 0, -22],
    ['unknown flags', '10.0.0.0/24', 4, -22],
  ])('update: %s', (_what, text, flags, expected) => {
    expect(made('lpm_trie', more).update(prefix(text), value(1), flags, 0)).toBe(expected)
  })

  test('a full trie answers ENOSPC, not E2BIG', () => {
    const trie = made('lpm_trie', { ...more, maxEntries: 1 })
    expect(trie.update(prefix('10.0.0.0/8'), value(1), 0, 0)).toBe(0)
    expect(trie.update(prefix('10.0.0.0/8'), value(1), 1, 0)).toBe(-17)
    expect(trie.update(prefix('11.0.0.0/8'), value(1), 0, 0)).toBe(-28)
    expect(trie.delete(prefix('11.0.0.0/8'))).toBe(-2)
    expect(trie.delete(prefix('11.0.0.0/33'))).toBe(-22)
  })

  test('agrees with a search through a list', () => {
    const anyPrefix = fc.tuple(fc.nat(255), fc.nat(255), fc.integer({ min: 0, max: 16 }))
    const covers = (a: number, b: number, length: number): boolean =>
      (a ^ b) >>> (16 - length) === 0 || length === 0
    fc.assert(
      fc.property(fc.array(anyPrefix), fc.array(anyPrefix), fc.nat(0xffff), (added, removed, asked) => {
        const trie = made('lpm_trie', { keySize: 6, flags: 1, maxEntries: 1000 })
        const list = new Map<string, { word: number; length: number }>()
        const bytes = (a: number, b: number, length: number): Uint8Array =>
          Uint8Array.of(length, 0, 0, 0, a, b)
        const name = (word: number, length: number): string =>
          `${length === 0 ? 0 : word >>> (16 - length)}/${length}`
        for (const [a, b, length] of added) {
          trie.update(bytes(a, b, length), value((a << 16) | (b << 8) | length), 0, 0)
          list.set(name((a << 8) | b, length), { word: (a << 8) | b, length })
        }
        for (const [a, b, length] of removed) {
          trie.delete(bytes(a, b, length))
          list.delete(name((a << 8) | b, length))
        }
        const best = [...list.values()]
          .filter((entry) => covers(entry.word, asked, entry.length))
          .sort((left, right) => right.length - left.length)[0]
        expect(trie.lookup(bytes(asked >>> 8, asked & 255, 16), 0)?.[0]).toBe(best?.length)
        expect(trie.count).toBe(list.size)
      }),
    )
  })
})

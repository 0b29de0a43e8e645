// Flags by name: of a map when it is made (linux/bpf.h BPF_F_*), and of bpf_redirect_map.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { MapType, Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'

const numbers: Readonly<Record<string, number>> = {
  BPF_F_NO_PREALLOC: 1,
  BPF_F_NO_COMMON_LRU: 2,
  BPF_F_RDONLY: 8,
  BPF_F_WRONLY: 16,
  BPF_F_RDONLY_PROG: 128,
  BPF_F_WRONLY_PROG: 256,
  BPF_F_MMAPABLE: 1024,
  BPF_F_INNER_MAP: 4096,
}

const user: readonly string[] = ['BPF_F_RDONLY', 'BPF_F_WRONLY']
const all: readonly string[] = [...user, 'BPF_F_RDONLY_PROG', 'BPF_F_WRONLY_PROG']

/** What map_alloc_check() of each type lets pass. An LRU hash is always allocated beforehand. */
const allowed: Readonly<Partial<Record<MapType, readonly string[]>>> = {
  hash: ['BPF_F_NO_PREALLOC', ...all],
  'percpu-hash': ['BPF_F_NO_PREALLOC', ...all],
  'lru-hash': ['BPF_F_NO_COMMON_LRU', ...all],
  'lru-percpu-hash': ['BPF_F_NO_COMMON_LRU', ...all],
  array: ['BPF_F_MMAPABLE', 'BPF_F_INNER_MAP', ...all],
  'percpu-array': all,
  'lpm-trie': ['BPF_F_NO_PREALLOC', ...all],
  'prog-array': user,
  'perf-event-array': user,
  devmap: user,
  'devmap-hash': user,
}

/** The number of a map's flag; undefined after a message. */
export function mapFlagIn(word: Word, type: MapType, report: Report): number | undefined {
  const own = allowed[type] ?? []
  const number = Object.hasOwn(numbers, word.text) ? numbers[word.text] : undefined
  if (number !== undefined && own.includes(word.text)) return number
  const hint =
    own.length === 0 ? `a ${type} takes no flags` : (didYouMean(word.text, own) ?? `one of ${own.join(', ')}`)
  report(mistakeIn('S135', word, `a ${type} has no flag \`${word.text}\``, { hint }))
  return undefined
}

/** Flags of bpf_redirect_map beside the code of an empty slot. */
export const redirectMapFlags: Readonly<Record<string, number>> = {
  BPF_F_BROADCAST: 8,
  BPF_F_EXCLUDE_INGRESS: 16,
}

// Numbers made of names, so that an unrelated edit of a file changes nothing.

/** 32-bit FNV-1a of a text, with the final mixing of MurmurHash3 so that similar names lie far apart. */
export function hash32(text: string, seed: number): number {
  let hash = (0x811c_9dc5 ^ seed) >>> 0
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * A number of [first, last] for each name: a function of the name alone, but for the rare names that would share one. Of
 * those the one that is first in the alphabet keeps it, the next takes the next free number. `known` names keep theirs, and
 * nobody else gets one of those.
 */
export function numbersFor(
  names: Iterable<string>,
  first: number,
  last: number,
  taken: ReadonlySet<number> = new Set(),
  known: ReadonlyMap<string, number> = new Map(),
): ReadonlyMap<string, number> {
  const used = new Set([...taken, ...known.values()])
  const numbers = new Map<string, number>()
  for (const name of [...new Set(names)].sort()) {
    const own = known.get(name)
    if (own !== undefined) {
      numbers.set(name, own)
      continue
    }
    let number = first + (hash32(name, 0) % (last - first + 1))
    while (used.has(number)) number = number === last ? first : number + 1
    used.add(number)
    numbers.set(name, number)
  }
  return numbers
}

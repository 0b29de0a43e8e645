// Numbers from names, so that what is derived from a name does not depend on the order of creation.

/** A 32-bit number that depends on a name only (FNV-1a): the key of choices that names make. */
export function nameHash(name: string): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193)
  return hash >>> 0
}

// Small maps, for tests.
import { indexKey } from './array-map.ts'
import { createMap, type MapOf } from './create.ts'
import type { MapSpec, MapType } from './map.ts'

/** A map of two entries of four bytes each, unless said. */
export function spec<Type extends MapType>(
  type: Type,
  more: Partial<MapSpec> = {},
): MapSpec & { readonly type: Type } {
  return { name: 'm', keySize: 4, valueSize: 4, maxEntries: 2, ...more, type }
}

/** The map of such a specification. */
export function made<Type extends MapType>(type: Type, more: Partial<MapSpec> = {}, cpus = 1): MapOf<Type> {
  const created = createMap(spec(type, more), { cpus })
  if (created.kind === 'refused') throw new Error(created.errno)
  return created.map as MapOf<Type>
}

/** Keys and values of four bytes. */
export const key = indexKey
export const value = indexKey

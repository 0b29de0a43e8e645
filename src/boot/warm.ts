// A derived topology starts warm: whoever is on a link knows the others on it, REACHABLE and confirmed at time 0, not
// permanent. Nothing is stored until somebody asks: a namespace gets a function that knows the link.
import type { Machine } from '../kernel/machine.ts'
import type { World } from '../model/model.ts'
import { type WarmLookup, warmLookup } from '../model/warm.ts'

const lookups = new WeakMap<World, WarmLookup>()

/** Tells every warm namespace whom it knows; worked out once for all cases that share a world. */
export function warmNamespaces(machine: Machine, world: World): void {
  if (world.namespaces.every(({ neighbours }) => neighbours === 'cold')) return
  const lookup = lookups.get(world) ?? warmLookup(world)
  lookups.set(world, lookup)
  for (const { name, neighbours } of world.namespaces) {
    const ns = machine.namespaces.get(name)
    if (ns !== undefined && neighbours === 'warm')
      ns.ip.warm = (dev, address) => lookup(name, dev.name, address)
  }
}

// Names for addresses: what traces and messages print instead of numbers.

import type { World } from '../model/model.ts'
import { formatIp, type IpAddress } from '../net/address.ts'
import type { Binding } from '../trace/event.ts'

const known = new WeakMap<
  World,
  { readonly bindings: readonly Binding[]; readonly byText: ReadonlyMap<string, string> }
>()

/** Made once for all cases that share a world. */
function namesOf(world: World): {
  readonly bindings: readonly Binding[]
  readonly byText: ReadonlyMap<string, string>
} {
  const found = known.get(world)
  if (found !== undefined) return found
  const bindings = makeBindings(world)
  const byText = new Map<string, string>()
  for (const { name, addresses } of bindings)
    for (const text of addresses) if (!byText.has(text)) byText.set(text, name)
  const made = { bindings, byText }
  known.set(world, made)
  return made
}

/** The bindings of a world for its traces: every host by its first address of a family, then its other devices. */
export function bindingsOf(world: World): readonly Binding[] {
  return namesOf(world).bindings
}

function makeBindings(world: World): Binding[] {
  const bindings: Binding[] = world.bindings.map(({ name, addresses }) => ({
    name,
    addresses: addresses.map(formatIp),
    remarks: [],
  }))
  const named = new Set(
    bindings.flatMap(({ addresses }) => [
      addresses.find((text) => !text.includes(':')),
      addresses.find((text) => text.includes(':')),
    ]),
  )
  for (const namespace of world.namespaces) {
    for (const device of namespace.devices) {
      const rest = device.addresses.map(({ address }) => formatIp(address)).filter((text) => !named.has(text))
      if (rest.length > 0)
        bindings.push({ name: `${namespace.name}/${device.name}`, addresses: rest, remarks: [] })
    }
  }
  return bindings
}

/** The name of an address, or its text. */
export function nameAddresses(world: World): (address: IpAddress) => string {
  const { byText } = namesOf(world)
  return (address) => {
    const text = formatIp(address)
    return byText.get(text) ?? text
  }
}

// Names for addresses: what traces and messages print instead of numbers.

import type { World } from '../model/model.ts'
import { formatIp, type IpAddress } from '../net/address.ts'
import type { Binding } from '../trace/event.ts'

/** The bindings of a world for its traces: every host by its first address of a family, then its other devices. */
export function bindingsOf(world: World): Binding[] {
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
  const names = new Map<string, string>()
  for (const { name, addresses } of bindingsOf(world))
    for (const text of addresses) if (!names.has(text)) names.set(text, name)
  return (address) => {
    const text = formatIp(address)
    return names.get(text) ?? text
  }
}

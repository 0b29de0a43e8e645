// Namespaces and devices of a recorded case by their names; one that does not exist is an error.
import type { NetDevice } from '../../src/kernel/device/device.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'

export function namespaceOf(machine: Machine, name: string | undefined): Namespace {
  const found = machine.namespaces.get(name ?? '')
  if (found === undefined) throw new Error(`no such namespace: ${name}`)
  return found
}

export function deviceOf(ns: Namespace, name: string | undefined): NetDevice {
  const found = ns.devicesByName.get(name ?? '')
  if (found === undefined) throw new Error(`no such device: ${ns.name} ${name}`)
  return found
}

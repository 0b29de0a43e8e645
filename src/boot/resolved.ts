// Finding in a machine what the checks have resolved: a miss is our own mistake.
import { assert, present } from '../base/assert.ts'
import type { AdminResult } from '../kernel/device/change.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import type { Machine } from '../kernel/machine.ts'
import type { Namespace } from '../kernel/namespace.ts'

/** The namespace of a name that the checks have resolved. */
export function namespaceOf(machine: Machine, name: string): Namespace {
  return present(machine.namespaces.get(name), `namespace ${name} exists`)
}

/** The device of a name that the checks have resolved. */
export function deviceOf(ns: Namespace, name: string): NetDevice {
  return present(ns.devicesByName.get(name), `device ${ns.name}/${name} exists`)
}

/** An administrative call that the checks have made sure of. */
export function mustDo(result: AdminResult, what: string): void {
  assert(result.ok, `${what}: ${result.ok ? '' : result.errno}`)
}

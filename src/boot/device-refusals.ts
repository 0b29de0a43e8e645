// Devices that a node's kernel does not have yet, said before anything boots (EOPNOTSUPP: unknown device type).
import type { Diagnostic } from '../base/diagnostic.ts'
import type { DeviceModel } from '../model/device-model.ts'
import { mistake } from '../model/diagnose.ts'
import type { Model, World } from '../model/model.ts'
import { kernelNumber } from './boot.ts'

/** The release that a kind came with; the others are older than what is followed. */
const since: Readonly<Partial<Record<DeviceModel['kind'], string>>> = { netkit: '6.7' }

/** One diagnostic for each device that is too new for its kernel. */
export function deviceRefusals(model: Model): readonly Diagnostic[] {
  const worlds = new Set<World>(model.scenarios.flatMap(({ cases }) => cases.map(({ world }) => world)))
  const found = new Map<string, Diagnostic>()
  for (const { namespaces, cilium } of worlds) {
    // agents know what their kernel has
    if (cilium !== undefined) continue
    for (const { kernel, devices } of namespaces) {
      for (const { kind, span } of devices) {
        const wanted = since[kind]
        if (kernel === undefined || wanted === undefined || kernelNumber(kernel) >= kernelNumber(wanted))
          continue
        const message = `Linux ${kernel} has no ${kind} devices`
        found.set(
          `${span.start} ${message}`,
          mistake('S125', span, message, { hint: `they came with ${wanted}` }),
        )
      }
    }
  }
  return [...found.values()]
}

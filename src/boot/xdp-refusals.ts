// What the drivers of network cards refuse when an XDP program is attached (EOPNOTSUPP), said before anything boots.
// The model knows no drivers, so this is asked of a checked model.
import type { Diagnostic } from '../base/diagnostic.ts'
import { defaultDriver, driverSupport } from '../kernel/device/drivers.ts'
import type { AttachmentModel, DeviceModel } from '../model/device-model.ts'
import { mistake } from '../model/diagnose.ts'
import type { Model, NamespaceModel, World } from '../model/model.ts'
import { kernelNumber } from './boot.ts'

/** One diagnostic for each XDP program that its card cannot run in the mode asked for. */
export function xdpRefusals(model: Model): readonly Diagnostic[] {
  const worlds = new Set<World>(model.scenarios.flatMap(({ cases }) => cases.map(({ world }) => world)))
  const found = new Map<string, Diagnostic>()
  for (const { namespaces } of worlds) {
    for (const host of namespaces) {
      for (const device of host.devices) {
        for (const item of device.attachments) {
          const refusal = refusalOf(item, device, host)
          if (refusal !== undefined) found.set(`${item.span.start} ${refusal.message}`, refusal)
        }
      }
    }
  }
  return [...found.values()]
}

/** Linux 6.18, where the file names no kernel. */
const newestKernel = '6.18'

function refusalOf(item: AttachmentModel, device: DeviceModel, host: NamespaceModel): Diagnostic | undefined {
  const mode = item.mode ?? 'native'
  if (item.hook !== 'xdp' || mode === 'generic') return undefined
  if (device.kind !== 'phys' && mode === 'native') return undefined
  const driver = device.kind === 'phys' ? (device.driver ?? defaultDriver) : device.kind
  const version = host.kernel ?? newestKernel
  const since = device.kind === 'phys' ? driverSupport(driver)?.[mode] : undefined
  if (since !== undefined && kernelNumber(version) >= since) return undefined
  return mistake('S110', item.span, `${driver} has no ${mode} XDP on Linux ${version} (EOPNOTSUPP)`, {
    hint: 'write `xdp generic`, or name another `driver`',
  })
}

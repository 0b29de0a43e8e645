// A case before its first step: the machine is booted, and has the taps that its expectations ask about.
import { boot } from '../boot/boot.ts'
import type { CaseModel } from '../model/model.ts'
import { tappedDevices } from './expect/recording.ts'
import { Run } from './run-state.ts'

/** Boots a case. `full`: lookups, helper calls and the `full` stages are recorded. */
export function begin(model: CaseModel, options: { readonly seed: number; readonly full: boolean }): Run {
  const { seed, full } = options
  const run = new Run(boot(model.world, { seed, trace: { full } }), model)
  tap(run, model)
  return run
}

/** AF_PACKET sockets where the case asks for them; devices that a step makes have none. */
function tap({ machine }: Run, model: CaseModel): void {
  for (const { node, device } of tappedDevices(model)) {
    const dev = machine.namespaces.get(node)?.devicesByName.get(device)
    if (dev?.taps.length === 0) dev.taps.push(() => undefined)
  }
}

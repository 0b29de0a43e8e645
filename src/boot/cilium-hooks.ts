// Programs of Cilium's objects at the hooks of a node's devices: put there, replaced, taken away. pkg/datapath/loader attachSKBProgram(),
// detachSKBProgram().
import { present } from '../base/assert.ts'
import type { Program } from '../bpf/contract.ts'
import { type LoadedObject, programOf } from '../cilium/datapath/object.ts'
import type { AdminResult } from '../kernel/device/change.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import { attachNetkit, detachNetkit, replaceNetkit } from '../kernel/device/netkit.ts'
import { attachTc, detachTc, replaceTc } from '../kernel/tc/attach.ts'
import type { Stage } from '../trace/event.ts'
import type { RunningNode } from './cilium.ts'
import type { CiliumEra } from './cilium-era.ts'
import { deviceOf, mustDo } from './resolved.ts'

type Way = 'ingress' | 'egress'

/** Where the programs of a way are on a device: what leaves a pod passes the program at its end of a netkit pair. */
function stageOf(dev: NetDevice, way: Way): Stage {
  if (dev.kind === 'netkit') return way === 'ingress' ? 'netkit-peer' : 'netkit-primary'
  return way === 'ingress' ? 'tc-in' : 'tc-out'
}

/** Attaches with tcx, or on kernels without it as a direct-action filter of clsact; to a netkit pair with its own links. */
function attach({ agent, era }: RunningNode, dev: NetDevice, way: Way, program: Program): AdminResult {
  if (dev.kind === 'netkit') return attachNetkit(dev, way === 'ingress' ? 'peer' : 'primary', { program })
  if (agent.node.config.tcx) return attachTc(dev, way, { kind: 'tcx', program })
  const name = era.filterName(program.name, dev.name)
  return attachTc(dev, way, { kind: 'clsact', program, name, pref: 1, handle: 1 })
}

function replace(dev: NetDevice, way: Way, old: Program, program: Program): AdminResult {
  if (dev.kind === 'netkit') return replaceNetkit(dev, way === 'ingress' ? 'peer' : 'primary', old, program)
  return replaceTc(dev, way, old, program)
}

function detach(dev: NetDevice, way: Way, program: Program): AdminResult {
  if (dev.kind === 'netkit') return detachNetkit(dev, way === 'ingress' ? 'peer' : 'primary', program)
  return detachTc(dev, way, program)
}

/** Where a program of an object is attached. */
type AttachedHook = Exclude<keyof CiliumEra['symbols'], 'xdp' | 'policy' | 'egressPolicy' | 'hostPolicy'>

/** The symbol of the program for a hook, in the node's version. */
export function symbolOf({ era }: RunningNode, name: keyof CiliumEra['symbols']): string {
  return present(era.symbols[name], `this version has a program for ${name}`)
}

/** Puts a program at a hook of a device; in place of the one that the agent has there. */
export function hook(
  node: RunningNode,
  device: string,
  way: Way,
  object: LoadedObject,
  name: AttachedHook,
): void {
  const { ns, hooked } = node
  const dev = deviceOf(ns, device)
  const symbol = symbolOf(node, name)
  const program = programOf(object, symbol)
  const old = hooked.get(`${device} ${way}`)
  const done = old === undefined ? attach(node, dev, way, program) : replace(dev, way, old, program)
  mustDo(done, `${ns.name}/${device} takes ${symbol}`)
  hooked.set(`${device} ${way}`, program)
  node.objects.set(device, object)
  const what = old === undefined ? 'attach' : 'replace'
  node.onHook?.({ kind: 'program', what, device, stage: stageOf(dev, way), program: symbol })
}

/** Takes the programs of an endpoint from its device, which is about to go. */
export function unhookEndpoint(node: RunningNode, device: string): void {
  node.objects.delete(device)
  for (const way of ['ingress', 'egress'] as const) {
    const program = node.hooked.get(`${device} ${way}`)
    if (program === undefined) continue
    const dev = deviceOf(node.ns, device)
    mustDo(detach(dev, way, program), `${device} gives ${program.name} away`)
    node.hooked.delete(`${device} ${way}`)
    node.onHook?.({
      kind: 'program',
      what: 'detach',
      device,
      stage: stageOf(dev, way),
      program: program.name,
    })
  }
}

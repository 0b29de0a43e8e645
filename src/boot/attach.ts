// Programs at their hooks. A program has one instance in each namespace that uses it.
import { present } from '../base/assert.ts'
import type { Program } from '../bpf/contract.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import type { Machine } from '../kernel/machine.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { attachTc } from '../kernel/tc/attach.ts'
import { attachXdp } from '../kernel/xdp-attach.ts'
import type { AttachmentModel, DeviceModel, NamespaceModel, World } from '../model/model.ts'
import type { PinnedMaps } from './maps.ts'
import { type BootedProgram, bootProgram } from './programs.ts'
import { deviceOf, mustDo, namespaceOf } from './resolved.ts'
import type { AddressesByName } from './values.ts'

/** The programs of one namespace, made when first asked for. */
class Instances {
  readonly made = new Map<string, BootedProgram>()
  private readonly ns: Namespace
  private readonly world: World
  private readonly names: AddressesByName
  private readonly pins: PinnedMaps

  constructor(ns: Namespace, world: World, names: AddressesByName, pins: PinnedMaps) {
    this.ns = ns
    this.world = world
    this.names = names
    this.pins = pins
  }

  /** The instance of a program; a program that tail-calls itself gets a stand-in for the one being made. */
  of(name: string): BootedProgram {
    const known = this.made.get(name)
    if (known !== undefined) return known
    const model = present(
      this.world.programs.find((each) => each.name === name),
      `program ${name} exists`,
    )
    let target: Program | undefined
    const standIn: Program = {
      name,
      type: model.type === 'xdp' ? 'xdp' : 'sched_cls',
      run: (context) => present(target, 'the program is made by now').run(context),
    }
    this.made.set(name, { program: standIn, maps: new Map() })
    const booted = bootProgram(model, {
      names: this.names,
      pins: this.pins,
      deviceIndex: (device) => this.ns.devicesByName.get(device)?.ifindex ?? 0,
      other: (wanted) => this.of(wanted),
    })
    target = booted.program
    this.made.set(name, booted)
    return booted
  }
}

/** Attaches everything; answers the instances by namespace. */
export function attachPrograms(
  machine: Machine,
  world: World,
): Map<string, ReadonlyMap<string, BootedProgram>> {
  const all = new Map<string, ReadonlyMap<string, BootedProgram>>()
  if (world.programs.length === 0) return all
  const names: AddressesByName = new Map(world.bindings.map(({ name, addresses }) => [name, addresses]))
  const pinned = new Map<string, PinnedMaps>()
  const pinsOf = (node: string): PinnedMaps => {
    const known = pinned.get(node) ?? new Map()
    pinned.set(node, known)
    return known
  }
  for (const model of world.namespaces) {
    if (!hasPrograms(model)) continue
    const ns = namespaceOf(machine, model.name)
    const instances = new Instances(ns, world, names, pinsOf(model.node))
    for (const device of model.devices) attachDevice(deviceOf(ns, device.name), device, instances)
    all.set(model.name, instances.made)
  }
  return all
}

function hasPrograms(model: NamespaceModel): boolean {
  return model.devices.some(({ attachments }) => attachments.length > 0)
}

/** Without preferences the order written is the order of running; the kernel would run the last added first. */
function attachDevice(dev: NetDevice, model: DeviceModel, instances: Instances): void {
  let pref = 1
  for (const attachment of model.attachments) {
    const { program } = instances.of(attachment.program)
    const what = `${attachment.program} is attached to ${dev.ns.name}/${dev.name}`
    switch (attachment.hook) {
      case 'xdp':
        mustDo(attachXdp(dev, program, attachment.mode ?? 'native'), what)
        break
      case 'tc-in':
      case 'tc-out': {
        pref = attachment.pref ?? pref
        mustDo(
          attachTc(
            dev,
            attachment.hook === 'tc-in' ? 'ingress' : 'egress',
            filterOptions(attachment, program, pref, dev),
          ),
          what,
        )
        pref += 1
        break
      }
      case 'tcx-in':
      case 'tcx-out': {
        const direction = attachment.hook === 'tcx-in' ? 'ingress' : 'egress'
        mustDo(
          attachTc(dev, direction, { kind: 'tcx', program, ...tcxPosition(attachment, instances) }),
          what,
        )
        break
      }
    }
  }
}

function filterOptions(
  attachment: AttachmentModel,
  program: Program,
  pref: number,
  dev: NetDevice,
): Parameters<typeof attachTc>[2] {
  return {
    kind: 'clsact',
    program,
    pref,
    directAction: !attachment.classic,
    ...(attachment.handle === undefined ? {} : { handle: attachment.handle }),
    ...(attachment.protocol === undefined ? {} : { protocol: attachment.protocol }),
    ...(attachment.classid === undefined ? {} : { classid: attachment.classid }),
    ...(attachment.action === undefined ? {} : { actions: [tcAction(attachment.action, dev)] }),
  }
}

/** `action drop`, `action pass`, `action mirror DEV`, `action redirect DEV`. */
function tcAction(
  action: NonNullable<AttachmentModel['action']>,
  dev: NetDevice,
): NonNullable<Extract<Parameters<typeof attachTc>[2], { kind: 'clsact' }>['actions']>[number] {
  if (!('device' in action)) return { kind: action.kind }
  const ifindex = deviceOf(dev.ns, action.device).ifindex
  return { kind: 'mirred', mode: action.kind, direction: 'egress', ifindex }
}

function tcxPosition(
  attachment: AttachmentModel,
  instances: Instances,
): { readonly before?: Program | 'all'; readonly after?: Program | 'all' } {
  const { position } = attachment
  switch (position?.kind) {
    case undefined:
      return {}
    case 'first':
      return { before: 'all' }
    case 'last':
      return { after: 'all' }
    case 'before':
      return { before: instances.of(position.program).program }
    case 'after':
      return { after: instances.of(position.program).program }
  }
}

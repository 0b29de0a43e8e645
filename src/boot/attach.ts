// Programs at their hooks. A program has one instance in each namespace that uses it.
import { present } from '../base/assert.ts'
import type { Program } from '../bpf/contract.ts'
import { DevMap } from '../bpf/maps/devmap.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import { attachNetkit } from '../kernel/device/netkit.ts'
import type { Machine } from '../kernel/machine.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { attachCgroupSkb } from '../kernel/socket/cgroup-skb.ts'
import { attachTc } from '../kernel/tc/attach.ts'
import { attachXdp } from '../kernel/xdp-attach.ts'
import type { AttachmentModel, DeviceModel } from '../model/device-model.ts'
import type { NamespaceModel, World } from '../model/model.ts'
import type { PinnedMaps } from './maps.ts'
import { type BootedProgram, bootProgram, type ProgramPlan, planProgram } from './programs.ts'
import { deviceOf, mustDo, namespaceOf } from './resolved.ts'
import type { AddressesByName } from './values.ts'

/**
 * The programs of a world, translated for each namespace that uses them when one first does. Every case of the world has
 * the same devices under the same numbers, so all of them share these; a plan holds no state.
 */
class WorldPlans {
  private readonly world: World
  private readonly names: AddressesByName
  private readonly made = new Map<string, ProgramPlan>()

  constructor(world: World) {
    this.world = world
    this.names = new Map(world.bindings.map(({ name, addresses }) => [name, addresses]))
  }

  of(name: string, ns: Namespace): ProgramPlan {
    const key = `${ns.name} ${name}`
    const known = this.made.get(key)
    if (known !== undefined) return known
    const model = present(
      this.world.programs.find((each) => each.name === name),
      `program ${name} exists`,
    )
    const made = planProgram(model, {
      names: this.names,
      deviceIndex: (device) => ns.devicesByName.get(device)?.ifindex ?? 0,
    })
    this.made.set(key, made)
    return made
  }
}

const plansKnown = new WeakMap<World, WorldPlans>()

function plansOf(world: World): WorldPlans {
  const known = plansKnown.get(world)
  if (known !== undefined) return known
  const made = new WorldPlans(world)
  plansKnown.set(world, made)
  return made
}

/** The programs of one namespace, made when first asked for. */
class Instances {
  readonly made = new Map<string, BootedProgram>()
  private readonly ns: Namespace
  private readonly plans: WorldPlans
  private readonly pins: PinnedMaps

  constructor(ns: Namespace, plans: WorldPlans, pins: PinnedMaps) {
    this.ns = ns
    this.plans = plans
    this.pins = pins
  }

  /** The instance of a program; a program that tail-calls itself gets a stand-in for the one being made. */
  of(name: string): BootedProgram {
    const known = this.made.get(name)
    if (known !== undefined) return known
    const plan = this.plans.of(name, this.ns)
    let target: Program | undefined
    const standIn: Program = {
      name,
      type: plan.code.type,
      run: (context) => present(target, 'the program is made by now').run(context),
    }
    this.made.set(name, { program: standIn, maps: new Map() })
    const booted = bootProgram(plan, {
      pins: this.pins,
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
  const plans = plansOf(world)
  const pinned = new Map<string, PinnedMaps>()
  const pinsOf = (node: string): PinnedMaps => {
    const known = pinned.get(node) ?? new Map()
    pinned.set(node, known)
    return known
  }
  const made = new Map<string, Instances>()
  const instancesOf = (model: NamespaceModel): Instances => {
    const known = made.get(model.name)
    if (known !== undefined) return known
    const instances = new Instances(namespaceOf(machine, model.name), plans, pinsOf(model.node))
    made.set(model.name, instances)
    all.set(model.name, instances.made)
    return instances
  }
  for (const model of world.namespaces) {
    if (!hasPrograms(model)) continue
    const ns = namespaceOf(machine, model.name)
    for (const device of model.devices) attachDevice(deviceOf(ns, device.name), device, instancesOf(model))
  }
  for (const model of world.namespaces) attachCgroups(machine, world, model, instancesOf)
  followDevices(machine, all)
  return all
}

/** Maps of devices lose those that go. */
function followDevices(machine: Machine, all: ReadonlyMap<string, ReadonlyMap<string, BootedProgram>>): void {
  machine.notifiers.push((dev, change) => {
    if (change !== 'gone') return
    for (const { maps } of all.get(dev.ns.name)?.values() ?? [])
      for (const map of maps.values()) if (map instanceof DevMap) map.forget(dev.ifindex)
  })
}

/** The cgroup of a netns lies below that of its node: its own programs run first, then the node's. */
function attachCgroups(
  machine: Machine,
  world: World,
  model: NamespaceModel,
  instancesOf: (model: NamespaceModel) => Instances,
): void {
  const parent = world.namespaces.find(({ name }) => name === model.node && name !== model.name)
  for (const owner of [model, ...(parent === undefined ? [] : [parent])]) {
    for (const { hook, program: name } of owner.cgroup ?? []) {
      const { program } = instancesOf(owner).of(name)
      const direction = hook === 'cgroup/ingress' ? 'ingress' : 'egress'
      const what = `${name} is attached to ${hook} of ${owner.name}`
      mustDo(attachCgroupSkb(namespaceOf(machine, model.name), direction, program), what)
    }
  }
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
      case 'netkit-primary':
      case 'netkit-peer': {
        const which = attachment.hook === 'netkit-primary' ? 'primary' : 'peer'
        mustDo(attachNetkit(dev, which, { program, ...tcxPosition(attachment, instances) }), what)
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

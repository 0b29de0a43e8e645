// What goes and comes between packets on the real kernel: devices, namespaces, pods. A machine of the model takes the same
// steps beside it and meets no packet: it knows the numbers of new devices and the rules of a plugin.
import type { Booted } from '../boot/boot.ts'
import { arrivalOf } from '../boot/pods.ts'
import { iptablesSave } from '../kernel/netfilter/iptables.ts'
import type { DeviceModel } from '../model/device-model.ts'
import type { CaseModel } from '../model/model.ts'
import type { Step } from '../model/step.ts'
import { Run } from '../run/run-state.ts'
import { takeStep } from '../run/steps.ts'
import { changedTables } from './kept-counters.ts'
import type { RealWorld } from './world.ts'

/** Steps that send something, or only look. */
const traffic: ReadonlySet<Step['kind']> = new Set(['packet', 'flow', 'wait', 'show', 'run', 'reach'])

export class Changes {
  private readonly world: RealWorld
  private readonly shadow: Run

  /** `booted` is the machine that the world was built after. */
  constructor(world: RealWorld, booted: Booted, model: CaseModel) {
    this.world = world
    this.shadow = new Run(booted, model)
  }

  /** A step of the case: must be told before the same is done to the kernel. */
  note(step: Step): void {
    if (!traffic.has(step.kind)) takeStep(this.shadow, step)
  }

  /** A device with its far end. */
  deleteDevice(namespace: string, device: string): void {
    this.ip(namespace, [`link del ${device}`])
  }

  /** All devices of a namespace: lo cannot go, but go down. */
  deleteNamespace(namespace: string): void {
    const { namespaces } = this.world.ground
    const listed = namespaces.read(namespace, ['ip', '-br', 'link', 'show']) ?? ''
    const names = [...listed.matchAll(/^([^\s@]+)/gm)].map(([name]) => name)
    // one at a time: with a device its far end goes, and those on top of it
    for (const name of names) {
      const there = namespaces.within(namespace, () => this.world.ground.interfaceIndex(name)) !== 0
      if (there) this.ip(namespace, [name === 'lo' ? 'link set lo down' : `link del ${name}`])
    }
    this.giveRules()
  }

  /** A device that a host gets. */
  addDevice(namespace: string, device: DeviceModel): void {
    const host = this.world.ground.world.namespaces.find(({ name }) => name === namespace)
    if (host === undefined) return
    this.world.grow([
      { ...host, devices: [device], routes: [], rules: [], entries: [], fdb: [], sysctls: [], rulesets: [] },
    ])
  }

  /** A pod that its plugin connects; must be told before `note`. */
  addPod(step: Extract<Step, { readonly kind: 'add-pod' }>): void {
    const { shadow } = this
    if (shadow.cluster === undefined) return
    const { node, host } = arrivalOf(shadow.machine, shadow.cluster, step.name)
    takeStep(shadow, step)
    this.world.grow([node, host])
    this.giveRules()
    for (const listen of host.listens) this.world.listen(host.name, listen)
  }

  /** Rules that a plugin wants and that are not there, or the other way round; those that stay keep their counters. */
  private giveRules(): void {
    const { namespaces } = this.world.ground
    for (const { name } of this.shadow.cluster?.nodes ?? []) {
      const ns = this.shadow.machine.namespaces.get(name)
      if (ns === undefined) continue
      for (const family of [4, 6] as const) {
        const wanted = iptablesSave(ns, family, { counters: false })
        if (wanted === '') continue
        const tool = `${family === 4 ? 'iptables' : 'ip6tables'}-legacy`
        const text = changedTables(wanted, namespaces.read(name, [`${tool}-save`, '-c']) ?? '')
        if (text !== undefined) namespaces.pipe(name, [`${tool}-restore`, '-c'], text)
      }
    }
  }

  private ip(namespace: string, lines: readonly string[]): void {
    this.world.ground.namespaces.batch(namespace, ['ip'], lines)
  }
}

// The ground a scenario stands on, on the real kernel: namespaces with devices, addresses, neighbours, rules, routes and
// programs, each as the model's kernel has them. `close` lets it all go.
import { present } from '../base/assert.ts'
import type { Booted } from '../boot/boot.ts'
import type { SmallIr } from '../bpf/small/ir.ts'
import { sysctlDefaults } from '../kernel/sysctl.ts'
import type { DeviceModel } from '../model/device-model.ts'
import type { NamespaceModel, World } from '../model/model.ts'
import { type Bpf, bpfAttach, loadSmall } from './bpf.ts'
import { Cgroups } from './cgroups.ts'
import { ethtool, Interfaces } from './interfaces.ts'
import { Namespaces, sysctlPath } from './namespaces.ts'
import { KernelRefused, type Libc, type Memory } from './native.ts'
import { addClsact, addFilter, filterParent } from './netlink.ts'
import { RealPrograms } from './programs.ts'
import { waitForWorkers } from './ready.ts'
import { installRulesets } from './rulesets.ts'
import { muteProgram, passProgram, withoutReportsProgram } from './stand-ins.ts'
import { fdbLine, neighbourLine, routeLine, ruleLine, warmLines } from './table-lines.ts'
import { deviceLines, linkLines, portName, type Surroundings, switchLines, switchName } from './topology.ts'

/** What every world of one run shares. */
export interface Reach {
  readonly libc: Libc
  readonly bpf: Bpf
  /** Memory for structs. */
  readonly memory: Memory
  /** Milliseconds, from any start. */
  readonly clock: () => number
}

const nativeMode = 4
const rmem = 'net.ipv4.tcp_rmem'
const forwarding6 = 'net.ipv6.conf.DEV.forwarding'
/** Reports of groups are repeated after a random time up to this: longer than any case, a counter would count them. */
const neverMs = 1_000_000_000

function isBridge(model: NamespaceModel, device: string): boolean {
  return model.devices.some(({ name, kind }) => name === device && kind === 'bridge')
}

export class Ground {
  readonly namespaces: Namespaces
  readonly programs = new Map<string, RealPrograms>()
  readonly cgroups: Cgroups
  private readonly reach: Reach
  private readonly booted: Booted
  private readonly interfaces: Interfaces
  private readonly ipv6: boolean
  private readonly descriptors: number[] = []
  private known: World

  /** `booted` is a machine that gets every change of the set-up, but no packet; `ipv6` says whether the scenario speaks it. */
  constructor(reach: Reach, world: World, booted: Booted, ipv6: boolean) {
    this.reach = reach
    this.known = world
    this.booted = booted
    this.ipv6 = ipv6
    this.namespaces = new Namespaces(reach.libc)
    this.interfaces = new Interfaces(reach.libc, reach.memory)
    this.cgroups = new Cgroups(world)
  }

  /** The world with the hosts that have come. */
  get world(): World {
    return this.known
  }

  get around(): Surroundings {
    return {
      world: this.world,
      booted: (name) => present(this.booted.machine.namespaces.get(name), `namespace ${name} was booted`),
      path: (name) => this.namespaces.path(name),
    }
  }

  /** Builds everything. */
  build(): void {
    const { namespaces, world } = this
    namespaces.add(switchName)
    namespaces.sysctl(switchName, sysctlPath('net.ipv6.conf.default.disable_ipv6'), '1')
    // a wire does not look into frames: br_netfilter would drop what is no proper IP packet
    for (const key of ['net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'])
      namespaces.sysctl(switchName, sysctlPath(key), '0')
    this.links(world.namespaces)
    const wires = switchLines(world)
    namespaces.batch(switchName, ['ip'], wires.ip)
    namespaces.batch(switchName, ['bridge'], wires.bridge)
    for (const model of world.namespaces) this.devices(model)
    if (this.ipv6) this.quietSwitch()
    for (const model of world.namespaces) this.attach(model)
    this.entries(world.namespaces)
  }

  /** What comes later: hosts, and what hosts get that are there already. None of it is a card or has programs. */
  grow(models: readonly NamespaceModel[]): void {
    const fresh = models.filter(({ name }) => !this.namespaces.has(name))
    this.known = { ...this.known, namespaces: [...this.known.namespaces, ...fresh] }
    this.links(models)
    for (const model of models) this.devices(model)
    for (const model of fresh) if (model.mute) this.silence(model)
    this.entries(models)
  }

  /** Namespaces that are not there yet, and devices with both ends. */
  private links(models: readonly NamespaceModel[]): void {
    for (const { name } of models) {
      if (this.namespaces.has(name)) continue
      this.namespaces.add(name)
      this.defaults(name)
    }
    const made = new Set<string>()
    for (const which of ['alone', 'stacked'] as const)
      for (const model of models)
        this.namespaces.batch(model.name, ['ip'], linkLines(this.around, model, made, which))
  }

  /** Entries of bridges and neighbours. */
  private entries(models: readonly NamespaceModel[]): void {
    this.waitForWorkers(this.carriers(models))
    // a port takes no entries before it forwards
    for (const model of models) {
      const lines = model.fdb.map((entry) => fdbLine('add', entry, isBridge(model, entry.device)))
      this.namespaces.batch(model.name, ['bridge'], lines)
    }
    // last, so that neighbours are as young as in the model: an answer may change one only after locktime
    for (const model of models) {
      const entries = model.entries.map((entry) => neighbourLine('replace', entry))
      this.namespaces.batch(model.name, ['ip'], [...warmLines(this.around, model), ...entries])
    }
  }

  /** One question for each card that must have a carrier. */
  private carriers(models: readonly NamespaceModel[]): (() => boolean)[] {
    return models.flatMap(({ name, devices }) =>
      devices.flatMap((device) => {
        const dev = this.around.booted(name).devicesByName.get(device.name)
        const own = dev?.up === true && dev.carrier && device.kind !== 'lo'
        return [
          ...(own ? [() => this.hasCarrier(name, device.name)] : []),
          ...(device.kind === 'phys' && device.up
            ? [() => this.hasCarrier(switchName, portName(this.world, name, device.name))]
            : []),
        ]
      }),
    )
  }

  private waitForWorkers(carriers: readonly (() => boolean)[]): void {
    const { namespaces } = this
    const spoken = this.ipv6 ? this.world.namespaces.filter(({ name }) => namespaces.has(name)) : []
    waitForWorkers({
      clock: this.reach.clock,
      carriers,
      namespaces: spoken.map(
        ({ name }) =>
          (file: string) =>
            namespaces.procNet(name, file),
      ),
      // dev_ethtool holds rtnl_lock, as the workers do
      queueUp: () => this.ethtool(switchName, 'lo', ethtool.getTxChecksum, 0),
    })
  }

  /** Waits for the addresses of devices that were changed. */
  settle(): void {
    this.waitForWorkers([])
  }

  /** Whether a device has a carrier as far as the kernel has noticed: IFF_RUNNING. */
  hasCarrier(name: string, device: string): boolean {
    return this.namespaces.within(name, () => this.interfaces.isRunning(device))
  }

  /** Puts a device up or down. */
  link(name: string, device: string, up: boolean): void {
    const done = this.namespaces.within(name, () => this.interfaces.setUp(device, up))
    if (!done)
      throw new KernelRefused(`${device} in ${name} goes ${up ? 'up' : 'down'}`, this.reach.libc.errno())
  }

  /** A namespace starts with the values that the model's kernel starts with. */
  private defaults(name: string): void {
    const { sysctls } = this.around.booted(name)
    const write = (key: string, value: number | string): void => {
      this.namespaces.sysctl(name, sysctlPath(key), String(value))
    }
    for (const key of Object.keys(sysctlDefaults)) {
      if (key.endsWith('.last') || key.endsWith('disable_ipv6') || key.startsWith(rmem)) continue
      if (key === forwarding6) continue
      if (key.endsWith('.first')) {
        const range = key.slice(0, -'.first'.length)
        write(range, `${sysctls.get(key)} ${sysctls.get(`${range}.last`)}`)
      } else if (!key.includes('.DEV.')) write(key, sysctls.get(key))
      else
        for (const device of ['all', 'default'])
          write(key.replace('.DEV.', `.${device}.`), sysctls.device(key, device))
    }
    write(rmem, ['min', 'default', 'max'].map((part) => sysctls.get(`${rmem}.${part}`)).join(' '))
    for (const device of ['all', 'default']) {
      write(`net.ipv6.conf.${device}.disable_ipv6`, this.ipv6 ? 0 : 1)
      write(`net.ipv6.conf.${device}.accept_dad`, 0)
      write(`net.ipv6.conf.${device}.dad_transmits`, 0)
      write(`net.ipv6.conf.${device}.router_solicitations`, 0)
      write(`net.ipv6.conf.${device}.mldv2_unsolicited_report_interval`, neverMs)
    }
  }

  private devices(model: NamespaceModel): void {
    const { name } = model
    this.namespaces.batch(name, ['ip'], deviceLines(model))
    // only when a device is there to become a router, it joins all the groups of routers (dev_forward_change)
    const { sysctls } = this.around.booted(name)
    for (const device of ['all', 'default'])
      this.sysctl(name, forwarding6.replace('DEV', device), sysctls.device(forwarding6, device))
    for (const device of model.devices) {
      this.offloads(name, device)
      for (const { key, value } of device.sysctls) this.sysctl(name, key, value)
    }
    for (const { key, value } of model.sysctls) this.sysctl(name, key, value)
    installRulesets(this.namespaces, model)
    for (const family of [4, 6] as const) {
      const rules = model.rules.filter((rule) => rule.family === family)
      this.namespaces.batch(
        name,
        ['ip', `-${family}`],
        rules.map((rule) => ruleLine('add', rule)),
      )
    }
    this.namespaces.batch(
      name,
      ['ip'],
      model.routes.map((route) => routeLine('add', route)),
    )
  }

  /** A setting by its dotted name. */
  sysctl(name: string, key: string, value: number): void {
    this.namespaces.sysctl(name, sysctlPath(key), String(value))
  }

  /** `ethtool -K DEV tx off`: senders finish their checksums, as on a wire, unless they are to send large packets. */
  private offloads(name: string, device: DeviceModel): void {
    const whole = device.tso === true
    if (['veth', 'phys', 'bridge'].includes(device.kind) && !whole)
      this.ethtool(name, device.name, ethtool.setTxChecksum, 0)
    if (device.gro === true) this.ethtool(name, device.name, ethtool.setGro, 1)
  }

  private ethtool(name: string, device: string, command: number, value: number): void {
    this.namespaces.within(name, () => this.interfaces.ethtool(device, command, value))
  }

  private attach(model: NamespaceModel): void {
    const { libc, bpf } = this.reach
    const ifindex = (device: string): number => this.ifindex(model.name, device)
    const models = this.booted.programs.get(model.name)
    if (model.mute) this.silence(model)
    if (models === undefined) return
    for (const device of model.devices) {
      const native = device.attachments.some(({ hook, mode }) => hook === 'xdp' && mode !== 'generic')
      if (native && device.kind === 'phys') this.passAtSwitch(model.name, device.name)
    }
    const programs = new RealPrograms(libc, bpf, models)
    this.programs.set(model.name, programs)
    this.namespaces.within(model.name, () => programs.attach(model, ifindex))
    const folder = this.cgroups.folder(model.name)
    if (folder !== undefined) programs.attachCgroup(model, folder)
  }

  /** The far side of a veth needs a native program before frames can be sent to it from XDP. */
  private passAtSwitch(name: string, device: string): void {
    const { bpf } = this.reach
    const { program, scratch } = loadSmall(bpf, passProgram, [])
    this.descriptors.push(program, scratch)
    this.namespaces.within(switchName, () => {
      const index = this.interfaceIndex(portName(this.world, name, device))
      this.descriptors.push(bpf.link(program, index, bpfAttach.xdp, { flags: nativeMode }))
    })
  }

  /** Frames that come in by these devices pass a program first. */
  private filter(namespace: string, program: SmallIr, devices: readonly string[]): void {
    const { bpf, libc } = this.reach
    const loaded = loadSmall(bpf, program, [])
    this.descriptors.push(loaded.program, loaded.scratch)
    this.namespaces.within(namespace, () => {
      for (const device of devices) {
        const ifindex = this.interfaceIndex(device)
        addClsact(libc, ifindex)
        addFilter(libc, {
          ifindex,
          parent: filterParent.ingress,
          pref: 49_152,
          handle: 0,
          protocol: 3,
          program: loaded.program,
          name: program.name,
          direct: true,
        })
      }
    })
  }

  private silence({ name, devices }: NamespaceModel): void {
    const cards = devices.filter(({ kind }) => kind !== 'lo')
    this.filter(
      name,
      muteProgram,
      cards.map((device) => device.name),
    )
  }

  private quietSwitch(): void {
    const { world } = this
    const ports = world.namespaces.flatMap(({ name, devices }) =>
      devices.filter(({ kind }) => kind === 'phys').map((device) => portName(world, name, device.name)),
    )
    if (ports.length > 0) this.filter(switchName, withoutReportsProgram, ports)
  }

  private ifindex(name: string, device: string): number {
    return this.around.booted(name).devicesByName.get(device)?.ifindex ?? 0
  }

  /** SIOCGIFINDEX in the present namespace. */
  interfaceIndex(device: string): number {
    return this.interfaces.index(device)
  }

  close(): void {
    for (const programs of this.programs.values()) programs.close()
    for (const descriptor of this.descriptors) this.reach.libc.close(descriptor)
    this.cgroups.close()
    this.namespaces.close()
  }
}

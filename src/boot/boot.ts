// A checked world becomes a machine: namespaces, devices, addresses, routes, programs, sockets. The only bridge between
// the language and the simulated kernel; nothing right of here knows a word of the file, nothing left of here has state.
import { present } from '../base/assert.ts'
import type { InstalledCilium } from '../cilium/installed.ts'
import { addBridge, setMaster } from '../kernel/device/bridge.ts'
import { setArp, setMac, setMtu, setUp } from '../kernel/device/change.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import { addDummy } from '../kernel/device/dummy.ts'
import { addMacvlan } from '../kernel/device/macvlan.ts'
import { addNetkitPair } from '../kernel/device/netkit.ts'
import { addPhys } from '../kernel/device/phys.ts'
import { addSegment } from '../kernel/device/segment.ts'
import { addVethPair } from '../kernel/device/veth.ts'
import { addVlan } from '../kernel/device/vlan.ts'
import { addWireguard } from '../kernel/device/wireguard.ts'
import { addAddress } from '../kernel/ip/admin-address.ts'
import { addRule, removeRule } from '../kernel/ip/admin-rule.ts'
import { createMachine, type Limits, type Machine } from '../kernel/machine.ts'
import { addNamespace, type Namespace } from '../kernel/namespace.ts'
import { Fq, fqDefaults } from '../kernel/tc/fq.ts'
import { setQdisc } from '../kernel/transmit.ts'
import type { DeviceModel } from '../model/device-model.ts'
import type { NamespaceModel, RouteModel, World } from '../model/model.ts'
import { isLinkLocal } from '../net/address.ts'
import { etherType } from '../net/protocol.ts'
import { attachPrograms } from './attach.ts'
import { installCilium, type RunningCilium } from './cilium.ts'
import { ConntrackCollector } from './cilium-conntrack.ts'
import { watchIdentities } from './cilium-identities.ts'
import { startAllProxies } from './cilium-proxy.ts'
import { addEntry, addFdb, addRouteModel, addRuleModel } from './host-items.ts'
import { type Listener, mustListen } from './listeners.ts'
import type { BootedProgram } from './programs.ts'
import { deviceOf, mustDo, namespaceOf } from './resolved.ts'
import { attachRulesets } from './rulesets.ts'
import { createTunnel } from './tunnel-devices.ts'
import { warmNamespaces } from './warm.ts'

export interface BootOptions {
  readonly seed: number
  /** Absent: nothing is recorded. */
  readonly trace?: { readonly full: boolean }
  readonly limits?: Partial<Limits>
}

/** A machine with what the steps and claims need to find in it. */
export interface Booted {
  readonly machine: Machine
  /** Programs by namespace and name, with their maps. */
  readonly programs: ReadonlyMap<string, ReadonlyMap<string, BootedProgram>>
  /** Listening sockets by namespace. */
  readonly listeners: readonly Listener[]
  /** Where the world has a cluster with Cilium: what is read of it, and its agents. */
  readonly cilium?: InstalledCilium
  readonly agents?: RunningCilium
}

/** Boots a world. What the checks accepted the kernel accepts, or it is our mistake. */
export function boot(world: World, options: BootOptions): Booted {
  const machine = createMachine({
    seed: options.seed,
    trace: options.trace,
    limits: options.limits,
  })
  for (const { name } of world.segments) addSegment(machine, name)
  for (const model of world.namespaces) bootNamespace(machine, model)
  for (const model of world.namespaces) bootDevices(machine, model)
  for (const model of world.namespaces) bootLinks(namespaceOf(machine, model.name), model)
  for (const model of world.namespaces) bootHost(namespaceOf(machine, model.name), model)
  const agents = world.cilium === undefined ? undefined : installCilium(machine, world.cilium)
  if (agents !== undefined) {
    startAllProxies(agents)
    watchIdentities(machine, agents, agents.state)
    for (const [name, node] of agents.nodes) agents.conntrack.set(name, new ConntrackCollector(agents, node))
  }
  const programs = attachPrograms(machine, world)
  const listeners = world.namespaces.flatMap((model) =>
    model.listens.map((listen) => mustListen(namespaceOf(machine, model.name), listen)),
  )
  warmNamespaces(machine, world)
  machine.clock.drain()
  return {
    machine,
    programs,
    listeners,
    ...(agents === undefined ? {} : { cilium: agents.installed, agents }),
  }
}

/** Devices, addresses, routes and entries that a running machine gets: of namespaces that are there. */
export function bootLate(machine: Machine, models: readonly NamespaceModel[]): void {
  for (const model of models) bootDevices(machine, model)
  for (const model of models) bootLinks(namespaceOf(machine, model.name), model)
  for (const model of models) bootHost(namespaceOf(machine, model.name), model)
}

/** `5.4` as the kernel's number 5004. */
export function kernelNumber(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major * 1000 + minor
}

function bootNamespace(machine: Machine, model: NamespaceModel): void {
  addNamespace(machine, {
    name: model.name,
    mute: model.mute,
    ...(model.kernel === undefined ? {} : { kernelVersion: kernelNumber(model.kernel) }),
  })
}

/** Creates the devices of a namespace in order; a veth pair is made by whichever end is listed first. */
function bootDevices(machine: Machine, model: NamespaceModel): void {
  const ns = namespaceOf(machine, model.name)
  const done = new Set<string>()
  for (const device of model.devices) bootDevice(machine, ns, { model, device, done })
}

/** Kinds whose MAC address nobody sets. */
const unaddressed: ReadonlySet<DeviceModel['kind']> = new Set(['lo', 'ipip', 'wireguard'])

/** A device that is listed in front of its lower device is made after it. */
function bootDevice(
  machine: Machine,
  ns: Namespace,
  what: { readonly model: NamespaceModel; readonly device: DeviceModel; readonly done: Set<string> },
): void {
  const { model, device, done } = what
  if (done.has(device.name)) return
  done.add(device.name)
  const lower = model.devices.find((each) => each.name === device.lower)
  if (lower !== undefined) bootDevice(machine, ns, { model, device: lower, done })
  if (!ns.devicesByName.has(device.name)) createDevice(machine, ns, device)
  const made = deviceOf(ns, device.name)
  if (made.mac !== device.mac && !unaddressed.has(device.kind))
    mustDo(setMac(made, device.mac), `${ns.name}/${device.name} takes its MAC address`)
  if (made.mtu !== device.mtu) mustDo(setMtu(made, device.mtu), `${ns.name}/${device.name} takes its MTU`)
  if (device.noarp === true) setArp(made, false)
  for (const { key, value } of device.sysctls) ns.sysctls.set(key, value)
}

/** Creates one device (both ends of a veth pair); also for `add dev` steps. */
export function createDevice(machine: Machine, ns: Namespace, model: DeviceModel): void {
  const options = { name: model.name, mac: model.mac, mtu: model.mtu }
  const lower = (): NetDevice => deviceOf(ns, present(model.lower, `${model.name} has a lower device`))
  switch (model.kind) {
    case 'lo':
      return
    case 'phys': {
      const segment = model.segment === undefined ? undefined : machine.segments.get(model.segment)
      const { name, mac, mtu, driver } = model
      addPhys(ns, { name, mac, mtu, segment, driver })
      return
    }
    case 'veth': {
      const peer = present(model.peer, `${model.name} has a peer`)
      const { name, mac, mtu } = model
      addVethPair({ ns, name, mac, mtu }, { ns: namespaceOf(machine, peer.namespace), name: peer.device })
      return
    }
    case 'netkit':
      createNetkit(machine, ns, model)
      return
    case 'bridge':
      addBridge(ns, { ...options, ...(model.ageing === undefined ? {} : { ageing: model.ageing }) })
      return
    case 'dummy':
      addDummy(ns, options)
      return
    case 'vlan':
      addVlan(ns, {
        ...options,
        lower: lower(),
        id: model.vlanId ?? 0,
        protocol: model.vlanProtocol ?? etherType.vlan,
      })
      return
    case 'macvlan':
      addMacvlan(ns, { ...options, lower: lower(), mode: model.macvlanMode ?? 'vepa' })
      return
    case 'wireguard':
      createWireguard(ns, model)
      return
    case 'vxlan':
    case 'geneve':
    case 'ipip':
      createTunnel(ns, model)
      return
  }
}

/** `ip link add NAME type wireguard`, `wg set NAME ...`. */
function createWireguard(ns: Namespace, { name, mtu, wireguard }: DeviceModel): void {
  addWireguard(ns, { name, mtu, ...present(wireguard, `${name} has its peers`) })
}

/** A netkit pair, from whichever of its ends is listed first. */
function createNetkit(machine: Machine, ns: Namespace, model: DeviceModel): void {
  const far = present(model.peer, `${model.name} has a peer`)
  const pair = present(model.netkit, `${model.name} is of a netkit pair`)
  const own = { ns, name: model.name, mac: model.mac, mtu: model.mtu }
  const other = { ns: namespaceOf(machine, far.namespace), name: far.device }
  const [primary, peer] = pair.primary ? [own, other] : [other, own]
  const { mode, policy, scrub, peerPolicy, peerScrub } = pair
  addNetkitPair({ ...primary, mode, policy, scrub }, { ...peer, policy: peerPolicy, scrub: peerScrub })
}

/** `ip link set DEV master BRIDGE`, with the flags of `bridge link set`. */
export function joinBridge(dev: NetDevice, model: DeviceModel): void {
  const { master, hairpin, isolated, flood = true, learning = true } = model
  if (master === undefined) return
  const flags = { hairpin, isolated, flood, learning }
  mustDo(setMaster(dev, deviceOf(dev.ns, master), flags), `${dev.ns.name}/${dev.name} becomes a port`)
}

/** `tc qdisc replace dev DEV root fq ...`. */
export function bootQdisc(dev: NetDevice, { qdisc }: DeviceModel): void {
  if (qdisc === undefined) return
  const usual = fqDefaults(dev.mtu, dev.headerBytes)
  const settings = {
    limit: qdisc.limit ?? usual.limit,
    flowLimit: qdisc.flowLimit ?? usual.flowLimit,
    quantum: qdisc.quantum ?? usual.quantum,
    initialQuantum: qdisc.initialQuantum ?? usual.initialQuantum,
    maxRate: qdisc.maxRate ?? usual.maxRate,
    horizon: qdisc.horizon ?? usual.horizon,
    horizonDrop: qdisc.horizonDrop ?? usual.horizonDrop,
    pacing: qdisc.pacing ?? usual.pacing,
  }
  setQdisc(dev, new Fq(settings))
}

/** Ports, link state and addresses: what needs all devices of the machine to exist. */
function bootLinks(ns: Namespace, model: NamespaceModel): void {
  for (const { key, value } of model.sysctls) ns.sysctls.set(key, value)
  for (const device of model.devices) {
    const dev = deviceOf(ns, device.name)
    joinBridge(dev, device)
    if (device.tso !== undefined) dev.offloads.tso = device.tso
    if (device.gro !== undefined) dev.offloads.gro = device.gro
    bootQdisc(dev, device)
    if (device.up) setUp(dev)
  }
  for (const device of model.devices) {
    const dev = deviceOf(ns, device.name)
    for (const prefix of device.addresses) {
      const result = addAddress(dev, prefix)
      // A device that came up has made its link-local address itself.
      const isThere = !result.ok && result.errno === 'EEXIST' && isLinkLocal(prefix.address)
      if (!isThere) mustDo(result, `${ns.name}/${device.name} takes an address`)
    }
  }
}

/** Neighbours, rules, routes: what needs addresses. */
function bootHost(ns: Namespace, model: NamespaceModel): void {
  for (const entry of model.entries) addEntry(ns, entry)
  for (const entry of model.fdb) addFdb(ns, entry)
  attachRulesets(ns, model.rulesets ?? [])
  if (model.localRulePriority !== undefined) moveLocalRule(ns, model.localRulePriority)
  for (const rule of model.rules) mustDo(addRuleModel(ns, rule), `${ns.name} takes a rule`)
  for (const route of model.routes) mustDo(addRouteModel(ns, route), `${ns.name} takes a route`)
}

/** A route that a host's kernel does not take, with its errno. */
export interface RefusedRoute {
  readonly route: RouteModel
  readonly errno: string
}

/** The routes of a world that its hosts refuse, tried on a machine of its own. */
export function refusedRoutes(world: World): readonly RefusedRoute[] {
  const machine = createMachine({ seed: 0 })
  for (const { name } of world.segments) addSegment(machine, name)
  for (const model of world.namespaces) bootNamespace(machine, model)
  for (const model of world.namespaces) bootDevices(machine, model)
  for (const model of world.namespaces) bootLinks(namespaceOf(machine, model.name), model)
  return world.namespaces.flatMap((model) => {
    const ns = namespaceOf(machine, model.name)
    for (const rule of model.rules) addRuleModel(ns, rule)
    return model.routes.flatMap((route) => {
      const result = addRouteModel(ns, route)
      return result.ok ? [] : [{ route, errno: result.errno }]
    })
  })
}

const tableLocal = 255

/** `ip rule add pref P lookup local; ip rule del pref 0`, of both families: what an agent does so that its rules come first. */
function moveLocalRule(ns: Namespace, priority: number): void {
  for (const family of [4, 6] as const) {
    const action = { kind: 'lookup', table: tableLocal } as const
    mustDo(addRule(ns, { family, priority, action }), `${ns.name} takes a rule for local`)
    mustDo(removeRule(ns, { family, priority: 0 }), `${ns.name} gives its rule for local away`)
  }
}

// The world before the first packet, resolved: hosts with their devices, routes, sysctls and sockets. One world serves
// every case whose columns do not reach into the topology.
import { isLinkLocal, isLoopback } from '../../net/address.ts'
import type { Attachment, HostItem } from '../../syntax/ast.ts'
import type { ManifestText } from '../cluster.ts'
import type { CgroupModel, NamespaceModel, RouteModel, RuleModel, World } from '../model.ts'
import type { RulesetModel } from '../ruleset.ts'
import type { Step } from '../step.ts'
import { sysctlIn } from '../words/sysctls.ts'
import { podConnection } from '../world/cluster-devices.ts'
import { addressesOf, type Entities, type HostDraft } from '../world/entities.ts'
import { readCilium } from './cilium.ts'
import { readCluster } from './cluster.ts'
import { programNameOf, readDeviceModel } from './device.ts'
import { readFdb, readListen, readNeighbour } from './host-items.ts'
import { readIpvs } from './ipvs.ts'
import { isCgroupSkb, type ProgramDraft, readProgram } from './program.ts'
import { readRoute } from './route.ts'
import { readRule } from './rule.ts'
import { readRuleset } from './ruleset.ts'
import type { Scope } from './scope.ts'

export interface WorldDraft {
  readonly entities: Entities
  readonly scope: Scope
  readonly programs: readonly ProgramDraft[]
  readonly world: World
  /** Manifests that steps apply. */
  readonly applied: readonly ManifestText[]
}

/** Reads everything of a topology; programs are given with the variables of the case filled in. */
export function readWorld(
  scope: Scope,
  programs: readonly { name: string; syntax: ProgramDraft['syntax'] }[],
  manifests: readonly ManifestText[] = [],
  applied: readonly ManifestText[] = [],
): WorldDraft {
  const { entities } = scope
  const drafts = programs.map(({ name, syntax }) => readProgram(name, syntax, scope))
  const connected = podConnection(entities.clusters) !== undefined
  const hosts = [...entities.hosts.values()].filter((host) => host.kind !== 'pod' || connected)
  const defaults = readDefaults(scope)
  const all = hosts.map((host) => readNamespace(host, defaults, scope))
  const byName = new Map(all.map((host) => [host.name, host]))
  const cluster = readCluster(scope, byName)
  const cilium = readCilium(scope, byName, manifests)
  const late = new Set(entities.latePods.map((pod) => pod.name.text))
  const namespaces = late.size === 0 ? all : all.filter(({ name }) => !late.has(name))
  const named = [...entities.hosts.values()].map((host) => ({
    name: host.name,
    addresses: addressesOf(host).filter((address) => !isLoopback(address) && !isLinkLocal(address)),
  }))
  const world: World = {
    segments: [...entities.nets.values()].map(({ name, prefixes }) => ({ name, prefixes })),
    namespaces,
    programs: drafts.flatMap((draft) => draft.model ?? []),
    ...(cluster === undefined ? {} : { cluster }),
    ...(cilium === undefined ? {} : { cilium }),
    bindings: named.filter((binding) => binding.addresses.length > 0),
  }
  return { entities, scope, programs: drafts, world, applied }
}

type Setting = NamespaceModel['sysctls'][number]

function readNamespace(host: HostDraft, defaults: Defaults, scope: Scope): NamespaceModel {
  const routes: RouteModel[] = []
  const rules: RuleModel[] = []
  const entries: NamespaceModel['entries'][number][] = []
  const fdb: NamespaceModel['fdb'][number][] = []
  const listens: NamespaceModel['listens'][number][] = []
  const rulesets: RulesetModel[] = []
  const cgroup: CgroupModel[] = []
  const sysctls: Setting[] = host.kind === 'external' ? [] : [...defaults.sysctls]
  if (host.kind === 'node') sysctls.push(...defaults.cluster)
  for (const item of host.items) {
    if (item.kind === 'route') routes.push(...some(readRoute(item, host, scope)))
    else if (item.kind === 'rule') rules.push(...some(readRule(item, host, scope)))
    else if (item.kind === 'neigh') entries.push(...some(readNeighbour(item, host, scope)))
    else if (item.kind === 'fdb') fdb.push(...some(readFdb(item, host, scope)))
    else if (item.kind === 'ruleset') rulesets.push(...some(readRuleset(item, 'topology', scope.report)))
    else if (item.kind === 'ipvs') rulesets.push(readIpvs(item, 'topology', scope.report))
    else if (item.kind === 'attachment') cgroup.push(...some(readCgroup(item, scope)))
    else if (item.kind === 'listen') listens.push(...some(readListen(item, scope)))
    else if (item.kind === 'sysctl') sysctls.push(...settings(item, host.devices.keys(), scope))
  }
  const kernel = kernelOf(host, scope.entities, defaults)
  return {
    name: host.name,
    kind: host.kind === 'pod' ? 'netns' : host.kind,
    node: host.node,
    mute: host.kind === 'external' && listens.length === 0,
    neighbours: neighboursOf(host, scope.entities, defaults),
    devices: [...host.devices.values()].flatMap((device) => some(readDeviceModel(device, host, scope))),
    routes,
    rules,
    entries,
    fdb,
    sysctls,
    listens,
    ...(rulesets.length === 0 ? {} : { rulesets }),
    ...(cgroup.length === 0 ? {} : { cgroup }),
    span: host.word.span,
    ...(kernel === undefined ? {} : { kernel }),
  }
}

/** A program of the host's cgroup; those of sockets have no engine yet. */
function readCgroup({ hook, program: word, span }: Attachment, scope: Scope): CgroupModel | undefined {
  const program = programNameOf(word, scope)
  return program === undefined || !isCgroupSkb(hook) ? undefined : { hook, program, span }
}

function some<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value]
}

function settings(
  item: Extract<HostItem, { kind: 'sysctl' }>,
  devices: Iterable<string>,
  { report }: Scope,
): readonly Setting[] {
  return sysctlIn(item, { devices }, report).map(({ key, value }) => ({ key, value, span: item.span }))
}

/** What the topology says for all its hosts, read once. */
interface Defaults {
  readonly kernel: string | undefined
  readonly neighbours: 'warm' | 'cold' | undefined
  /** A `sysctl` of the topology holds on every node and netns, but not outside. */
  readonly sysctls: readonly Setting[]
  /** A `sysctl` of the cluster holds on its nodes. */
  readonly cluster: readonly Setting[]
}

function readDefaults(scope: Scope): Defaults {
  const { entities } = scope
  const stated =
    podConnection(entities.clusters) === undefined ? [] : entities.clusters.flatMap(({ items: own }) => own)
  const everywhere = [...entities.items, ...stated]
  const items = entities.items.filter((item) => item.kind === 'sysctl')
  const cluster = stated.filter((item) => item.kind === 'sysctl')
  const devices =
    items.length + cluster.length === 0
      ? []
      : [...entities.hosts.values()].flatMap((host) => [...host.devices.keys()])
  return {
    kernel: everywhere.findLast((item) => item.kind === 'kernel')?.version.text,
    neighbours: everywhere.findLast((item) => item.kind === 'neighbours')?.state,
    sysctls: items.flatMap((item) => settings(item, new Set(devices), scope)),
    cluster: cluster.flatMap((item) => settings(item, new Set(devices), scope)),
  }
}

/** The kernel of a host: its own statement, its node's, the topology's. */
function kernelOf(host: HostDraft, entities: Entities, defaults: Defaults): string | undefined {
  const own = (items: readonly HostItem[]): string | undefined =>
    items.findLast((item) => item.kind === 'kernel')?.version.text
  return own(host.items) ?? own(entities.hosts.get(host.node)?.items ?? []) ?? defaults.kernel
}

function neighboursOf(host: HostDraft, entities: Entities, defaults: Defaults): 'warm' | 'cold' {
  const own = (items: readonly HostItem[]): 'warm' | 'cold' | undefined =>
    items.findLast((item) => item.kind === 'neighbours')?.state
  return own(host.items) ?? own(entities.hosts.get(host.node)?.items ?? []) ?? defaults.neighbours ?? 'warm'
}

function speakersOf(step: Step): readonly string[] {
  if (step.kind === 'flow') return [step.from.namespace]
  return step.kind === 'reach' ? step.probes.map(({ from }) => from) : []
}

const voiced = new WeakMap<World, Map<string, World>>()

/** The same world in which an `external` that opens flows has sockets, though it listens nowhere. */
export function withVoices(world: World, steps: readonly Step[]): World {
  const speakers = new Set(steps.flatMap(speakersOf))
  const mute = world.namespaces.filter((each) => each.mute && speakers.has(each.name))
  if (mute.length === 0) return world
  const key = mute.map((each) => each.name).join(' ')
  const made = voiced.get(world) ?? new Map<string, World>()
  voiced.set(world, made)
  const known = made.get(key)
  if (known !== undefined) return known
  const namespaces = world.namespaces.map((each) => (mute.includes(each) ? { ...each, mute: false } : each))
  const changed: World = { ...world, namespaces }
  made.set(key, changed)
  return changed
}

const muted = new WeakMap<World, Map<string, World>>()

/**
 * The same world in which the senders of raw packets answer nothing: a namespace that is a mere source, not a node that
 * also forwards, and that listens nowhere. One object per set of senders, so that cases go on to share it.
 */
export function withMute(world: World, senders: ReadonlySet<string>): World {
  const quiet = world.namespaces.filter(
    (each) => each.kind === 'netns' && each.listens.length === 0 && senders.has(each.name),
  )
  if (quiet.length === 0) return world
  const key = quiet.map((each) => each.name).join(' ')
  const made = muted.get(world) ?? new Map<string, World>()
  muted.set(world, made)
  const known = made.get(key)
  if (known !== undefined) return known
  const namespaces = world.namespaces.map((each) => (quiet.includes(each) ? { ...each, mute: true } : each))
  const changed: World = { ...world, namespaces }
  made.set(key, changed)
  return changed
}

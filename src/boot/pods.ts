// Pods that come and go while a scenario runs: what the plugin does then, on a machine that is running. Only what differs
// between the two plans changes; rules that stay are the same rules, with their counters.
import { present } from '../base/assert.ts'
import type { Machine } from '../kernel/machine.ts'
import { addNamespace, type Namespace } from '../kernel/namespace.ts'
import { attachIptables, currentRuleset } from '../kernel/netfilter/iptables.ts'
import { parseRuleset } from '../kernel/netfilter/parse.ts'
import { printRule } from '../kernel/netfilter/print.ts'
import type { ChainSpec, RuleSpec, Ruleset, TableSpec } from '../kernel/netfilter/ruleset.ts'
import { failed } from '../kernel/socket/errno.ts'
import type { ClusterModel } from '../model/cluster.ts'
import type { NamespaceModel } from '../model/model.ts'
import type { RulesetModel } from '../model/ruleset.ts'
import { bootLate } from './boot.ts'
import { deployCluster } from './deploy.ts'
import { type Listener, startListener } from './listeners.ts'
import { namespaceOf } from './resolved.ts'

/** The cluster after a pod went; the host's end of its veth pair is gone already. Its node loses the pod's rules. */
export function withoutPod(
  machine: Machine,
  cluster: ClusterModel | undefined,
  name: string,
): ClusterModel | undefined {
  const pod = cluster?.pods.find((each) => each.name === name)
  if (cluster === undefined || pod === undefined) return cluster
  const rest = { ...cluster, pods: cluster.pods.filter((each) => each !== pod) }
  changeRules(machine, rest, pod.node)
  return rest
}

/** What comes with a pod: what its node gets, without rules, and the host itself. */
interface Arrival {
  readonly cluster: ClusterModel
  readonly node: NamespaceModel
  readonly host: NamespaceModel
}

/** What the plugin makes of a pod that a step adds, on a machine as it is before. */
export function arrivalOf(machine: Machine, cluster: ClusterModel, name: string): Arrival {
  const late = present(
    cluster.late.find(({ pod }) => pod.name === name),
    `pod ${name} is added by a step`,
  )
  const grown = { ...cluster, pods: [...cluster.pods, late.pod] }
  const { node } = late.pod
  const host = present(
    deployCluster(grown, [{ ...late.host, neighbours: 'cold' }])[0],
    `pod ${name} has a host`,
  )
  // a bridge stays where the last pod of its node went
  const { devicesByName } = namespaceOf(machine, node)
  const added = difference(hostOf(cluster, node), hostOf(grown, node))
  const devices = added.devices.filter((each) => !devicesByName.has(each.name))
  return { cluster: grown, node: { ...added, devices }, host }
}

/** The cluster with a pod that the scenario adds: its namespace, the host's side of it, and the sockets it listens on. */
export function withPod(
  machine: Machine,
  before: ClusterModel,
  name: string,
): { readonly cluster: ClusterModel; readonly listeners: readonly Listener[] } {
  const { cluster, node, host } = arrivalOf(machine, before, name)
  if (!machine.namespaces.has(name)) addNamespace(machine, { name, mute: host.mute })
  bootLate(machine, [node, host])
  changeRules(machine, cluster, node.name)
  const ns = namespaceOf(machine, name)
  const listeners = host.listens.flatMap((listen) => {
    const started = startListener(ns, listen)
    return failed(started) ? [] : [started.ok]
  })
  return { cluster, listeners }
}

/** What the plugin gives to a node, alone. Of a pod that has just come nobody has learned anything. */
function hostOf(cluster: ClusterModel, node: string): NamespaceModel {
  const found = present(
    cluster.nodes.find(({ name }) => name === node),
    `node ${node} is in the cluster`,
  )
  return present(
    deployCluster(cluster, [{ ...found.bare, neighbours: 'cold', rulesets: [] }])[0],
    `node ${node} is deployed`,
  )
}

/** Everything of `after` that `before` has not, without rules. */
export function difference(before: NamespaceModel, after: NamespaceModel): NamespaceModel {
  const fresh = <T>(old: readonly T[], all: readonly T[]): readonly T[] => {
    const known = new Set(old.map(textOf))
    return all.filter((each) => !known.has(textOf(each)))
  }
  const { rulesets: _, ...rest } = after
  return {
    ...rest,
    devices: fresh(before.devices, after.devices),
    routes: fresh(before.routes, after.routes),
    entries: fresh(before.entries, after.entries),
    fdb: fresh(before.fdb, after.fdb),
    sysctls: fresh(before.sysctls, after.sysctls),
    rules: [],
    listens: [],
  }
}

/** Equal items have equal text; where they stand in the file does not count. */
function textOf(item: unknown): string {
  return JSON.stringify(item, (key, value: unknown) => (key === 'span' ? undefined : value))
}

/** Gives a node the rules of its plan. */
function changeRules(machine: Machine, cluster: ClusterModel, node: string): void {
  const ns = namespaceOf(machine, node)
  const found = cluster.nodes.find(({ name }) => name === node)
  if (found === undefined) return
  const [host] = deployCluster(cluster, [found.bare])
  takeRulesets(ns, host?.rulesets ?? [])
}

/** Gives a namespace the rules of these texts and no others; those that stay are the same rules, with their counters. */
export function takeRulesets(ns: Namespace, rulesets: readonly RulesetModel[]): void {
  const sets = ns.netfilter.sets ?? new Map()
  for (const family of [4, 6] as const) {
    const wanted = family === 4 ? 'iptables' : 'ip6tables'
    const text = rulesets.find(({ tool }) => tool === wanted)?.text ?? ''
    const parsed = parseRuleset(text, family, { sets })
    if (parsed.ok) attachIptables(ns, family, keeping(ns, parsed.ruleset))
  }
}

/**
 * The tables that change, in which rules that are there already are the same objects; tables without rules are emptied. What a
 * plugin does not touch keeps the counters of its policies too.
 */
function keeping(ns: Namespace, wanted: Ruleset): Ruleset {
  const current = new Map(currentRuleset(ns, wanted.family).tables.map((table) => [table.name, table]))
  const tables = wanted.tables.flatMap((table) => {
    const old = current.get(table.name)
    const kept = keptTable(old, table)
    return old !== undefined && isSame(old, kept) ? [] : [kept]
  })
  const empty = [...current.values()]
    .filter(({ name }) => wanted.tables.every((table) => table.name !== name))
    .map(
      ({ name, chains }): TableSpec => ({
        name,
        chains: new Map(
          [...chains]
            .filter(([, { policy }]) => policy !== undefined)
            .map(([key, chain]) => [key, { ...chain, rules: [] }]),
        ),
      }),
    )
  return { family: wanted.family, tables: [...tables, ...empty] }
}

function isSame(one: TableSpec, two: TableSpec): boolean {
  if (one.chains.size !== two.chains.size) return false
  return [...one.chains].every(([name, { policy, rules }]) => {
    const other = two.chains.get(name)
    const same = other?.policy === policy && other?.rules.length === rules.length
    return same && rules.every((rule, index) => rule === other.rules[index])
  })
}

function keptTable(current: TableSpec | undefined, wanted: TableSpec): TableSpec {
  if (current === undefined) return wanted
  const chains = [...wanted.chains].map(([name, chain]): readonly [string, ChainSpec] => {
    const old = current.chains.get(name)
    return old === undefined
      ? [name, chain]
      : [name, { ...chain, rules: keptRules(name, old.rules, chain.rules) }]
  })
  return { name: wanted.name, chains: new Map(chains) }
}

function keptRules(
  chain: string,
  old: readonly RuleSpec[],
  wanted: readonly RuleSpec[],
): readonly RuleSpec[] {
  const left = [...old]
  return wanted.map((rule) => {
    const text = printRule(chain, rule)
    const at = left.findIndex((each) => printRule(chain, each) === text)
    return at === -1 ? rule : (left.splice(at, 1)[0] ?? rule)
  })
}

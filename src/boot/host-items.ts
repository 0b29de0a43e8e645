// Routes, rules and neighbours of the model, as the kernel's administrative calls take them. Also used by steps.
import { fdbAddLocal } from '../kernel/device/bridge-fdb.ts'
import { bridgeState } from '../kernel/device/bridge-state.ts'
import { type AdminResult, adminDone, refused } from '../kernel/device/change.ts'
import { addVxlanRemote } from '../kernel/device/vxlan-fdb.ts'
import { vxlanState } from '../kernel/device/vxlan-state.ts'
import { addNeighbour, addProxyNeighbour, deleteNeighbour } from '../kernel/ip/admin-neighbour.ts'
import { addRoute, removeRoute } from '../kernel/ip/admin-route.ts'
import { addRule, removeRule } from '../kernel/ip/admin-rule.ts'
import type { RuleSpec } from '../kernel/ip/rule.ts'
import type { Namespace } from '../kernel/namespace.ts'
import type { NeighbourState } from '../kernel/neighbour-table.ts'
import type { FdbModel, NeighbourModel, RouteModel, RuleModel } from '../model/model.ts'
import { deviceOf } from './resolved.ts'

/** `ip route add`. */
export function addRouteModel(
  ns: Namespace,
  route: RouteModel,
  mode: 'add' | 'replace' = 'add',
): AdminResult {
  return addRoute(
    ns,
    {
      prefix: route.prefix,
      type: route.type,
      table: route.table,
      tos: route.tos,
      nextHops: route.nexthops.map((hop) => ({
        weight: hop.weight,
        onlink: hop.onlink,
        ...(hop.device === undefined ? {} : { device: deviceOf(ns, hop.device) }),
        ...(hop.via === undefined ? {} : { gateway: hop.via }),
      })),
      ...(route.metric === 0 ? {} : { metric: route.metric }),
      ...(route.scope === undefined ? {} : { scope: route.scope }),
      ...(route.source === undefined ? {} : { source: route.source }),
      ...(route.mtu === undefined ? {} : { mtu: route.mtu }),
      ...(route.protocol === undefined ? {} : { protocol: route.protocol }),
    },
    mode,
  )
}

/** `ip route del`. */
export function removeRouteModel(ns: Namespace, route: RouteModel): AdminResult {
  const [hop] = route.nexthops
  return removeRoute(ns, {
    prefix: route.prefix,
    table: route.table,
    // a plain `del route PREFIX` takes a route of any type
    ...(route.type === 'unicast' ? {} : { type: route.type }),
    ...(hop?.device === undefined ? {} : { device: deviceOf(ns, hop.device) }),
    ...(hop?.via === undefined ? {} : { gateway: hop.via }),
    ...(route.metric === 0 ? {} : { metric: route.metric }),
  })
}

function ruleSpec(rule: RuleModel): RuleSpec {
  return {
    family: rule.family,
    action: rule.action,
    ...(rule.priority === undefined ? {} : { priority: rule.priority }),
    ...(rule.not ? { invert: true } : {}),
    ...(rule.from === undefined ? {} : { from: rule.from }),
    ...(rule.to === undefined ? {} : { to: rule.to }),
    ...(rule.mark === undefined ? {} : { fwmark: rule.mark.value, fwmask: rule.mark.mask }),
    ...(rule.inDevice === undefined ? {} : { iif: rule.inDevice }),
    ...(rule.outDevice === undefined ? {} : { oif: rule.outDevice }),
    ...(rule.tos === undefined ? {} : { tos: rule.tos }),
    ...(rule.protocol === undefined ? {} : { protocol: rule.protocol }),
    ...(rule.sport === undefined ? {} : { sport: [rule.sport.first, rule.sport.last] as const }),
    ...(rule.dport === undefined ? {} : { dport: [rule.dport.first, rule.dport.last] as const }),
    ...(rule.suppressPrefixLength === undefined ? {} : { suppressPrefixLength: rule.suppressPrefixLength }),
  }
}

/** `ip rule add`. */
export function addRuleModel(ns: Namespace, rule: RuleModel): AdminResult {
  return addRule(ns, ruleSpec(rule))
}

/** `ip rule del`. */
export function removeRuleModel(ns: Namespace, rule: RuleModel): AdminResult {
  return removeRule(ns, ruleSpec(rule))
}

/** `ip neigh replace`, `ip neigh add proxy`. */
export function addEntry(ns: Namespace, entry: NeighbourModel): void {
  const dev = deviceOf(ns, entry.device)
  if (entry.state === 'proxy') addProxyNeighbour(ns, entry.address, dev)
  else
    addNeighbour(dev, entry.address, {
      mac: entry.mac ?? 0,
      state: entry.state.toUpperCase() as NeighbourState,
    })
}

/** `ip neigh del`. */
export function removeEntry(ns: Namespace, entry: NeighbourModel): AdminResult {
  return deleteNeighbour(deviceOf(ns, entry.device), entry.address)
}

/** `bridge fdb del`; ENOENT when there is no such entry. */
export function removeFdb(ns: Namespace, entry: FdbModel): AdminResult {
  const dev = deviceOf(ns, entry.device)
  const remote = dev.kind === 'vxlan' && vxlanState(dev).fdb.delete(entry.mac)
  const bridge = dev.kind === 'bridge' ? dev : dev.master
  const local = bridge !== undefined && bridgeState(bridge).fdb.delete(entry.mac)
  return remote || local ? adminDone : refused('ENOENT')
}

/** `bridge fdb add MAC dev PORT master static`; an entry of the bridge itself is an address of this host. */
export function addFdb(ns: Namespace, entry: FdbModel): void {
  const dev = deviceOf(ns, entry.device)
  if (entry.remote !== undefined) {
    const { address, port, vni, via } = entry.remote
    const out = via === undefined ? 0 : deviceOf(ns, via).ifindex
    const { now } = ns.machine.clock
    addVxlanRemote(
      vxlanState(dev).fdb,
      entry.mac,
      { address, port, vni, via: out },
      { fixed: entry.permanent, now },
    )
    return
  }
  if (dev.kind === 'bridge') return fdbAddLocal(bridgeState(dev), entry.mac, undefined)
  if (dev.master === undefined) return
  const state = bridgeState(dev.master)
  const port = state.byDevice.get(dev)
  const updated = entry.permanent ? Number.POSITIVE_INFINITY : ns.machine.clock.now
  if (port !== undefined) state.fdb.set(entry.mac, { port, local: entry.own === true, updated })
}

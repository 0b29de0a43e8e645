// State of the machine in the form that claims ask for: counters, tables as words, map entries.
import { present } from '../base/assert.ts'
import { cpus } from '../boot/maps.ts'
import { isNetworkOrder, layoutBytes, type WordValue } from '../boot/values.ts'
import type { AnyMap } from '../bpf/maps/create.ts'
import { describeBytes } from '../bpf/maps/layout.ts'
import { mapGet, mapKeys } from '../bpf/user.ts'
import { bridgeState } from '../kernel/device/bridge-state.ts'
import type { NetDevice } from '../kernel/device/device.ts'
import { vxlanState } from '../kernel/device/vxlan-state.ts'
import { formatNeighbour, formatRoute, listNeighbours, listRoutes } from '../kernel/ip/list.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { ruleLines } from '../kernel/show/ip-rule.ts'
import { connectionLines } from '../kernel/show/ipvsadm.ts'
import type { Value } from '../model/claim.ts'
import type { MapModel } from '../model/program.ts'
import { formatIp } from '../net/address.ts'
import { formatMac, macFrom } from '../net/mac.ts'
import { conntrackLines, natLines } from './conntrack-lines.ts'
import type { StateView } from './expect/context.ts'
import type { Run } from './run-state.ts'

const plainCounters = [
  'rx_packets',
  'rx_bytes',
  'rx_errors',
  'rx_dropped',
  'tx_packets',
  'tx_bytes',
  'tx_errors',
  'tx_dropped',
] as const

function deviceCounter(dev: NetDevice, name: string): number | undefined {
  const plain = plainCounters.find((known) => known === name)
  if (plain !== undefined) return dev.counters[plain]
  if (name === 'tc_drops') return (dev.tcIngress?.drops ?? 0) + (dev.tcEgress?.drops ?? 0)
  return dev.counters.ethtool.get(name) ?? 0
}

function tableLines(ns: Namespace, table: string): string[] | undefined {
  switch (table) {
    case 'neigh':
      return [...listNeighbours(ns, 4), ...listNeighbours(ns, 6)].map(formatNeighbour)
    case 'route':
      return [...listRoutes(ns, { family: 4 }), ...listRoutes(ns, { family: 6 })].map(formatRoute)
    case 'rule':
      return [...ruleLines(ns, 4), ...ruleLines(ns, 6)].map((line) => line.replace('\t', ' '))
    case 'fdb':
      return fdbLines(ns)
    case 'link':
      return [...ns.devices.values()].map(
        (dev) => `${dev.name} ${dev.up ? 'up' : 'down'} mtu ${dev.mtu} ${formatMac(macFrom(dev.mac))}`,
      )
    case 'socket':
      return [...(ns.sockets.tcpFlows?.values() ?? [])]
        .flat()
        .map((socket) => `tcp ${socket.localPort} ${socket.remotePort}`)
    case 'conntrack':
      return conntrackLines(ns).map(({ text }) => text)
    case 'nat':
      return natLines(ns).map(({ text }) => text)
    case 'ipvs':
      return connectionLines(ns).map((line) => line.trim().replace(/ +/g, ' '))
    default:
      return undefined
  }
}

function fdbLines(ns: Namespace): string[] {
  const lines: string[] = []
  for (const dev of ns.devices.values()) {
    if (dev.kind === 'vxlan') lines.push(...vxlanLines(dev))
    if (dev.kind !== 'bridge') continue
    for (const [mac, entry] of bridgeState(dev).fdb) {
      lines.push(
        `${formatMac(macFrom(mac))} dev ${entry.port?.dev.name ?? dev.name} master ${dev.name}${entry.local ? ' permanent' : ''}`,
      )
    }
  }
  return lines
}

function vxlanLines(dev: NetDevice): string[] {
  return [...vxlanState(dev).fdb].flatMap(([mac, entry]) =>
    entry.remotes.map(
      ({ address }) =>
        `${formatMac(macFrom(mac))} dev ${dev.name} dst ${formatIp(address)}${entry.fixed ? ' permanent' : ''}`,
    ),
  )
}

/** A claim's value as the word of a program. */
function wordOf(value: Value): WordValue | undefined {
  switch (value.kind) {
    case 'number':
      return { kind: 'number', value: value.number }
    case 'flags':
      return { kind: 'number', value: value.flags }
    case 'mac':
      return { kind: 'number', value: value.mac }
    case 'prefix':
      return { kind: 'prefix', prefix: value.prefix }
    case 'addresses': {
      const [address] = value.addresses
      return address === undefined ? undefined : { kind: 'address', address }
    }
    default:
      return undefined
  }
}

/** The number in a map's value as claims compare it: host order, little-endian; addresses as they stand in a packet. */
function claimBytes(bytes: Uint8Array, layout: string): Uint8Array {
  return isNetworkOrder(layout) ? bytes.slice().reverse() : bytes
}

/** A look at the machine as it is now. */
export function stateView(run: Run): StateView {
  const { machine, booted, model } = run
  const find = (
    node: string,
    name: string,
  ): { readonly map: AnyMap; readonly declared: MapModel } | undefined => {
    for (const [program, { maps }] of booted.programs.get(node) ?? []) {
      const map = maps.get(name)
      const declared = model.world.programs
        .find((each) => each.name === program)
        ?.maps.find((each) => each.name === name)
      if (map !== undefined && declared !== undefined) return { map, declared }
    }
    return undefined
  }
  return {
    counter: ({ node, device }, name) => {
      const ns = present(machine.namespaces.get(node), `namespace ${node} exists`)
      if (device === undefined) return ns.counters.get(name) ?? 0
      const dev = ns.devicesByName.get(device)
      return dev === undefined ? undefined : deviceCounter(dev, name)
    },
    table: (node, table) => {
      const ns = machine.namespaces.get(node)
      return ns === undefined ? undefined : tableLines(ns, table)?.map((line) => line.split(' '))
    },
    mapEntry: (node, name, key) => {
      const found = find(node, name)
      const word = wordOf(key)
      if (found === undefined || word === undefined) return undefined
      const { map, declared } = found
      const bytes = layoutBytes(word, declared.keyType, declared.keyBytes)
      const got = mapGet(map, bytes, { cpus })
      if (got.kind === 'error') return { value: undefined, text: '' }
      const value = got.value.subarray(0, declared.valueBytes)
      return {
        value: claimBytes(value, declared.valueType),
        text: describeBytes(map.spec.valueLayout, value),
      }
    },
    mapSize: (node, name) => {
      const found = find(node, name)
      if (found === undefined) return undefined
      return 'peek' in found.map ? mapKeys(found.map).length : 0
    },
  }
}

// The fixed topology of the recorded runs: two nodes with two pods each and a client on a switch. Pods and client have no
// address on purpose, so that nothing answers by itself.

import { second } from '../../src/kernel/clock.ts'
import { addBridge, setMaster } from '../../src/kernel/device/bridge.ts'
import { fdbLearn } from '../../src/kernel/device/bridge-fdb.ts'
import { bridgeState } from '../../src/kernel/device/bridge-state.ts'
import { setArp, setUp } from '../../src/kernel/device/change.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import { addVethPair } from '../../src/kernel/device/veth.ts'
import { addVxlan } from '../../src/kernel/device/vxlan.ts'
import { addAddress } from '../../src/kernel/ip/admin-address.ts'
import { addNeighbour } from '../../src/kernel/ip/admin-neighbour.ts'
import { addRoute } from '../../src/kernel/ip/admin-route.ts'
import { addRule } from '../../src/kernel/ip/admin-rule.ts'
import { routeScope } from '../../src/kernel/ip/route.ts'
import { createMachine, type Machine } from '../../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../../src/kernel/namespace.ts'
import { failed } from '../../src/kernel/socket/errno.ts'
import { tcpBind, tcpListen, tcpOpen } from '../../src/kernel/socket/tcp.ts'
import { type IpAddress, parseIp } from '../../src/net/address.ts'
import { parseMac } from '../../src/net/mac.ts'
import { type Prefix, parsePrefix } from '../../src/net/prefix.ts'
import type { RecordedConfig } from './case.ts'
import { addFilters } from './filters.ts'

export const ifindex = {
  eth0: 10,
  cilium_host: 11,
  cilium_net: 12,
  cilium_vxlan: 13,
  lxc1: 21,
  lxc2: 22,
} as const

export interface Pod {
  readonly name: string
  readonly node: 1 | 2
  readonly address4: string
  readonly address6: string
  readonly endpointId: number
  readonly identity: number
  readonly ifindex: number
  readonly mac: string
  readonly nodeMac: string
}

function pod(node: 1 | 2, number: 1 | 2): Pod {
  const last = 9 + number
  return {
    name: `p${node}${number}`,
    node,
    address4: `10.0.${node}.${last}`,
    address6: `fd00:${node}::${last}`,
    endpointId: node * 1000 + number,
    identity: node * 10_000 + number,
    ifindex: number === 1 ? ifindex.lxc1 : ifindex.lxc2,
    mac: `0a:00:00:00:${node}0:0${number}`,
    nodeMac: `0e:00:00:00:${node}0:0${number}`,
  }
}

export const pods: readonly Pod[] = [pod(1, 1), pod(1, 2), pod(2, 1), pod(2, 2)]

/** MAC addresses by node. */
export const macs = {
  eth0: (node: number) => `02:00:00:00:00:0${node}`,
  ciliumHost: (node: number) => `02:00:00:00:${node}1:01`,
  ciliumNet: (node: number) => `02:00:00:00:${node}1:02`,
  client: '02:00:00:00:00:64',
} as const

export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(what)
  return value
}

export function ip(text: string): IpAddress {
  return must(parseIp(text), text)
}

export function mac(text: string): number {
  return must(parseMac(text), text)
}

function prefix(text: string): Prefix {
  return must(parsePrefix(text), text)
}

function accepted(result: { readonly ok: boolean; readonly errno?: string }, what: string): void {
  if (!result.ok) throw new Error(`${what}: ${result.errno}`)
}

/** The next device of the namespace gets this number. */
function numbered(ns: Namespace, number: number): Namespace {
  ns.nextIfindex = number
  return ns
}

function wire(
  ns: Namespace,
  number: number,
  address: string,
  underlay: Namespace,
  bridge: NetDevice,
): NetDevice {
  const [dev, port] = addVethPair(
    { ns: numbered(ns, number), name: 'eth0', mac: mac(address) },
    { ns: underlay, name: `to-${ns.name}` },
  )
  for (const each of [dev, port]) setUp(each)
  accepted(setMaster(port, bridge), 'master')
  // the switch has seen everybody before the recording starts
  const member = must(bridgeState(bridge).byDevice.get(port), 'port')
  fdbLearn(bridgeState(bridge), mac(address), member, 0)
  return dev
}

const nodeSysctls = {
  // the recording machine's TCP buffers, Linux's defaults
  'net.ipv4.tcp_rmem.default': 131_072,
  'net.ipv4.tcp_rmem.max': 33_554_432,
  'net.ipv4.ip_forward': 1,
  'net.ipv4.conf.all.rp_filter': 0,
  'net.ipv4.conf.default.rp_filter': 0,
  'net.ipv6.conf.all.forwarding': 1,
}

/** Addresses that a run alone knows: of the tunnel devices, by node. */
export type TunnelMacs = ReadonlyMap<number, number>

function addNode(
  number: 1 | 2,
  config: RecordedConfig,
  eth0: NetDevice,
  tunnelMac: number | undefined,
): void {
  const { ns } = eth0
  const { machine } = ns
  const [host, net] = addVethPair(
    { ns: numbered(ns, ifindex.cilium_host), name: 'cilium_host', mac: mac(macs.ciliumHost(number)) },
    { ns, name: 'cilium_net', mac: mac(macs.ciliumNet(number)) },
  )
  for (const dev of [host, net]) {
    setArp(dev, false)
    setUp(dev)
  }
  if (config.tunnel === true) {
    const overlay = addVxlan(numbered(ns, ifindex.cilium_vxlan), {
      name: 'cilium_vxlan',
      vni: 0,
      dstport: 8472,
      external: true,
      learning: true,
      udpcsum: false,
      ...(tunnelMac === undefined ? {} : { mac: tunnelMac }),
    })
    setUp(overlay)
  }
  for (const each of pods.filter(({ node }) => node === number)) {
    const inside = addNamespace(machine, { name: each.name })
    inside.sysctls.set('net.ipv6.conf.all.disable_ipv6', 1)
    const [lxc, far] = addVethPair(
      { ns: numbered(ns, each.ifindex), name: `lxc${each.name}`, mac: mac(each.nodeMac) },
      { ns: inside, name: 'eth0', mac: mac(each.mac) },
    )
    for (const dev of [lxc, far]) setUp(dev)
  }
  addTables(number, config, eth0, host)
}

function addTables(number: 1 | 2, config: RecordedConfig, eth0: NetDevice, host: NetDevice): void {
  const { ns } = eth0
  const other = number === 1 ? 2 : 1
  const families: readonly (4 | 6)[] = config.v6 === true ? [4, 6] : [4]
  for (const family of families) {
    const four = family === 4
    const node = (n: number): string => (four ? `192.168.0.${n}` : `fd01::${n}`)
    const router = (n: number): string => (four ? `10.0.${n}.1` : `fd00:${n}::1`)
    const podCidr = (n: number): Prefix => prefix(four ? `10.0.${n}.0/24` : `fd00:${n}::/64`)
    accepted(addAddress(eth0, prefix(`${node(number)}/${four ? 24 : 64}`)), 'node address')
    accepted(addAddress(host, prefix(`${router(number)}/${four ? 32 : 128}`)), 'router address')
    addNeighbour(eth0, ip(node(other)), { mac: mac(macs.eth0(other)) })
    addNeighbour(eth0, ip(four ? '192.168.0.100' : 'fd01::64'), { mac: mac(macs.client) })
    if (four) {
      accepted(
        addRoute(ns, {
          prefix: prefix(`${router(number)}/32`),
          nextHops: [{ device: host }],
          scope: routeScope.link,
        }),
        'router route',
      )
    }
    const viaHost = four ? { device: host, gateway: ip(router(number)) } : { device: host }
    accepted(
      addRoute(ns, { prefix: podCidr(number), nextHops: [viaHost], source: ip(router(number)) }),
      'pods',
    )
    const remote =
      config.tunnel === true
        ? { prefix: podCidr(other), nextHops: [viaHost], source: ip(router(number)), mtu: 1450 }
        : { prefix: podCidr(other), nextHops: [{ device: eth0, gateway: ip(node(other)) }] }
    accepted(addRoute(ns, remote), 'remote pods')
  }
}

/** What marks lead to the proxy: a rule, and a table that takes everything in. */
function addProxyRoute(ns: Namespace): void {
  const toProxy = { family: 4 as const, priority: 9, fwmark: 0x200, fwmask: 0xf00 }
  accepted(addRule(ns, { ...toProxy, action: { kind: 'lookup', table: 2004 } }), 'rule')
  const lo = must(ns.devicesByName.get('lo'), 'lo')
  setUp(lo)
  const everything = prefix('0.0.0.0/0')
  accepted(
    addRoute(ns, { prefix: everything, table: 2004, type: 'local', nextHops: [{ device: lo }] }),
    'local',
  )
}

/** The proxy of a node: a transparent listener whose answers carry the mark of an ingress proxy. */
function listen(ns: Namespace, port: number): void {
  const opened = tcpOpen({
    ns,
    family: 4,
    label: `proxy-${ns.name}`,
    options: { transparent: true, mark: 0xa00, reuseAddr: true },
  })
  if (failed(opened)) throw new Error(opened.errno)
  const bound = tcpBind(opened.ok, { address: ip('127.0.0.1'), port })
  if (failed(bound)) throw new Error(bound.errno)
  tcpListen(opened.ok)
}

/** Namespaces n1, n2, cl and the pods, wired and configured; no Cilium yet. */
export function buildTopology(
  config: RecordedConfig,
  version: 'v1.10' | 'v1.19',
  tunnelMacs: TunnelMacs = new Map(),
): Machine {
  const machine = createMachine({ seed: 1, trace: { full: false } })
  const underlay = addNamespace(machine, { name: 'underlay' })
  underlay.sysctls.set('net.ipv6.conf.all.disable_ipv6', 1)
  const bridge = addBridge(underlay, { name: 'switch', ageing: 1000 * second })
  setUp(bridge)
  for (const number of [1, 2] as const) {
    const ns = addNamespace(machine, { name: `n${number}` })
    for (const [name, value] of Object.entries(nodeSysctls)) ns.sysctls.set(name, value)
    if (config.v6 !== true) ns.sysctls.set('net.ipv6.conf.all.disable_ipv6', 1)
    const eth0 = wire(ns, ifindex.eth0, macs.eth0(number), underlay, bridge)
    addNode(number, config, eth0, tunnelMacs.get(number))
    addFilters(ns, number, config, version)
    addProxyRoute(ns)
    for (const port of config.tproxy ?? []) listen(ns, port)
  }
  const client = addNamespace(machine, { name: 'cl' })
  client.sysctls.set('net.ipv6.conf.all.disable_ipv6', 1)
  wire(client, ifindex.eth0, macs.client, underlay, bridge)
  machine.clock.drain()
  return machine
}

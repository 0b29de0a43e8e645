// A recorded topology as a machine: namespaces, devices in list order, addresses, routes, rules, neighbours, programs.
import { addBridge, setMaster } from '../../src/kernel/device/bridge.ts'
import { setMtu, setUp } from '../../src/kernel/device/change.ts'
import { addMacvlan, type MacvlanMode } from '../../src/kernel/device/macvlan.ts'
import { addVethPair } from '../../src/kernel/device/veth.ts'
import { addVxlan } from '../../src/kernel/device/vxlan.ts'
import { addVxlanRemote } from '../../src/kernel/device/vxlan-fdb.ts'
import { vxlanState } from '../../src/kernel/device/vxlan-state.ts'
import { addAddress } from '../../src/kernel/ip/admin-address.ts'
import { addNeighbour } from '../../src/kernel/ip/admin-neighbour.ts'
import { addRoute } from '../../src/kernel/ip/admin-route.ts'
import { addRule } from '../../src/kernel/ip/admin-rule.ts'
import { createMachine, type Machine } from '../../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../../src/kernel/namespace.ts'
import type { NeighbourState } from '../../src/kernel/neighbour-table.ts'
import { attachIptables } from '../../src/kernel/netfilter/iptables.ts'
import type { Skb } from '../../src/kernel/skb.ts'
import { attachTc } from '../../src/kernel/tc/attach.ts'
import { attachXdp } from '../../src/kernel/xdp-attach.ts'
import { parseMac } from '../../src/net/mac.ts'
import { parsePrefix } from '../../src/net/prefix.ts'
import type { RecordedCase, RecordedNamespace, RecordedProgram } from './case.ts'
import { markDevice, type Notebook, withMarkers } from './markers.ts'
import { deviceOf, namespaceOf } from './named.ts'
import { convertProgram } from './programs.ts'
import { address, hopOrTos, must, readWords, routeOf, ruleOf } from './words.ts'

function accepted(result: { readonly ok: boolean; readonly errno?: string }, what: string): void {
  if (!result.ok) throw new Error(`${what}: ${result.errno}`)
}

/** Settings of the recorder that change nothing which can be seen: fewer messages of its own, DAD, router advertisements. */
const unseen =
  /^net\.ipv4\.(igmp_link_local_mcast_reports)$|^net\.ipv6\.(conf\.\w+\.(accept_dad|accept_ra|router_solicitations)|auto_flowlabels)$/

function setSysctls(ns: Namespace, values: Readonly<Record<string, number>> | undefined): void {
  for (const [name, value] of Object.entries(values ?? {})) {
    if (!ns.sysctls.set(name, value) && !unseen.test(name)) throw new Error(`no such sysctl: ${name}`)
  }
}

function addDevices(machine: Machine, recorded: Readonly<Record<string, RecordedNamespace>>): void {
  for (const [name, each] of Object.entries(recorded)) {
    const ns = namespaceOf(machine, name)
    for (const device of each.devices) {
      const mac = parseMac(device.mac ?? '')
      const options = { name: device.name, ...(mac === undefined ? {} : { mac }) }
      if (device.kind === 'bridge') addBridge(ns, options)
      else if (device.kind === 'vxlan') addVxlanDevice(ns, device.opts ?? '', options)
      else if (device.kind === 'macvlan') {
        const lower = deviceOf(ns, device.lower)
        addMacvlan(ns, { ...options, lower, mode: (device.mode ?? 'vepa') as MacvlanMode })
      } else must(device.kind === 'veth' || device.kind === 'loopback' ? device : undefined, device.kind)
      if (device.kind !== 'veth' || ns.devicesByName.has(device.name)) continue
      const peer = must(device.peer, device.name)
      const far = must(
        recorded[peer.ns]?.devices.find((other) => other.name === peer.dev),
        peer.dev,
      )
      const farMac = must(parseMac(far.mac ?? ''), `mac of ${far.name}`)
      const pair = addVethPair(
        { ns, ...options },
        { ns: namespaceOf(machine, peer.ns), name: far.name, mac: farMac },
      )
      // a sender that finishes its checksums cuts large packets as well
      pair[0].offloads.tso = device.tx_csum !== 'off'
      pair[1].offloads.tso = far.tx_csum !== 'off'
    }
  }
}

const vxlanPairs = ['id', 'local', 'remote', 'dev', 'dstport', 'ttl', 'tos', 'df']
const ports = /\bsrcport (\d+) (\d+)\s*/
const vxlanFlags = ['nolearning', 'learning', 'noudpcsum', 'udpcsum', 'external', 'proxy', 'noproxy']

/** The words that follow `ip link add NAME type vxlan`. */
function addVxlanDevice(
  ns: Namespace,
  words: string,
  options: { readonly name: string; readonly mac?: number },
): void {
  const { given, flags } = readWords(words.replace(ports, '').trim().split(/\s+/), vxlanPairs, vxlanFlags)
  const [, first, last] = ports.exec(words) ?? []
  const local = given.get('local')
  const remote = given.get('remote')
  const lower = given.get('dev')
  const [ttl, tos] = [hopOrTos(given.get('ttl')), hopOrTos(given.get('tos'))]
  const df = given.get('df')
  addVxlan(ns, {
    ...options,
    vni: Number(given.get('id')),
    dstport: Number(given.get('dstport') ?? 8472),
    ...(local === undefined ? {} : { local: address(local) }),
    ...(remote === undefined ? {} : { remote: address(remote) }),
    ...(lower === undefined ? {} : { lower: deviceOf(ns, lower) }),
    ...(first === undefined ? {} : { srcport: { first: Number(first), last: Number(last) } }),
    learning: !flags.has('nolearning'),
    udpcsum: !flags.has('noudpcsum'),
    external: flags.has('external'),
    proxy: flags.has('proxy'),
    ...(ttl === undefined ? {} : { ttl }),
    ...(tos === undefined ? {} : { tos }),
    ...(df === undefined ? {} : { df: df as 'unset' | 'set' | 'inherit' }),
  })
}

function raiseDevices(ns: Namespace, recorded: RecordedNamespace): void {
  for (const device of recorded.devices) {
    const dev = deviceOf(ns, device.name)
    if (device.mtu !== undefined && device.mtu !== dev.mtu) accepted(setMtu(dev, device.mtu), 'mtu')
    if (device.up) setUp(dev)
    if (device.master === undefined) continue
    const flags = { hairpin: device.hairpin ?? false, isolated: device.isolated ?? false }
    accepted(setMaster(dev, deviceOf(ns, device.master), flags), 'master')
  }
}

function configure(ns: Namespace, recorded: RecordedNamespace): void {
  setSysctls(ns, recorded.dev_sysctls)
  for (const each of recorded.addresses ?? []) {
    const dev = deviceOf(ns, each.dev)
    accepted(addAddress(dev, must(parsePrefix(each.addr), each.addr)), `address ${each.addr}`)
  }
  for (const each of recorded.neighbours ?? []) {
    const state = each.state?.toUpperCase() as NeighbourState | undefined
    addNeighbour(deviceOf(ns, each.dev), address(each.ip), {
      mac: must(parseMac(each.mac), each.mac),
      ...(state === undefined ? {} : { state }),
    })
  }
  for (const line of recorded.routes ?? []) accepted(addRoute(ns, routeOf(ns, line)), `route ${line}`)
  for (const each of recorded.fdb ?? []) {
    const remote = { address: address(each.dst), port: undefined, vni: undefined, via: 0 }
    const { fdb } = vxlanState(deviceOf(ns, each.dev))
    addVxlanRemote(fdb, must(parseMac(each.mac), each.mac), remote, { fixed: true, now: 0 })
  }
  for (const line of recorded.rules ?? []) accepted(addRule(ns, ruleOf(line)), `rule ${line}`)
}

function addRulesets(notebook: Notebook, ns: Namespace, recorded: RecordedNamespace): void {
  attachIptables(ns, 4, withMarkers(notebook, ns, recorded.iptables ?? '', 4))
  const speaksIpv6 = recorded.sysctls?.['net.ipv6.conf.all.disable_ipv6'] === 0
  if (speaksIpv6) attachIptables(ns, 6, withMarkers(notebook, ns, recorded.ip6tables ?? '', 6))
}

function attach(ns: Namespace, program: RecordedProgram, notebook: Notebook): void {
  const dev = deviceOf(ns, program.dev)
  const place = `${ns.name}:${dev.name}:${program.hook}#${program.id}`
  const converted = convertProgram(program, ns, ({ skb, xdp }, matched) => {
    if (xdp === undefined) notebook.frame(place, skb as Skb, matched)
    else notebook.xdp(place, xdp.bytes.subarray(xdp.data, xdp.dataEnd), matched)
  })
  const [kind, way] = program.hook.split('-')
  if (kind === 'xdp') accepted(attachXdp(dev, converted, way as 'native' | 'generic'), program.id)
  else if (kind === 'tcx') {
    accepted(attachTc(dev, way as 'ingress' | 'egress', { kind: 'tcx', program: converted }), program.id)
  } else {
    const filter = { kind: 'clsact', pref: program.prio, program: converted } as const
    accepted(attachTc(dev, way as 'ingress' | 'egress', filter), program.id)
  }
}

/** The machine of a recorded case, with markers and programs in place. */
export function buildMachine(recorded: RecordedCase, notebook: Notebook): Machine {
  const machine = createMachine({ seed: 1, trace: { full: false } })
  const { namespaces, programs } = recorded.topology
  for (const [name, each] of Object.entries(namespaces)) {
    setSysctls(addNamespace(machine, { name }), each.sysctls)
  }
  addDevices(machine, namespaces)
  for (const [name, each] of Object.entries(namespaces)) raiseDevices(namespaceOf(machine, name), each)
  for (const [name, each] of Object.entries(namespaces)) configure(namespaceOf(machine, name), each)
  machine.clock.drain()
  for (const [name, each] of Object.entries(namespaces)) {
    if (each.traced === false) continue
    const ns = namespaceOf(machine, name)
    for (const dev of ns.devices.values()) markDevice(notebook, dev)
    addRulesets(notebook, ns, each)
  }
  for (const program of programs) attach(namespaceOf(machine, program.ns), program, notebook)
  return machine
}

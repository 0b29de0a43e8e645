// A recorded topology as a machine: namespaces, devices in list order, addresses, routes, rules, neighbours, programs.
import { addBridge, setMaster } from '../../src/kernel/device/bridge.ts'
import { setMtu, setUp } from '../../src/kernel/device/change.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import { addVethPair } from '../../src/kernel/device/veth.ts'
import { addVxlan } from '../../src/kernel/device/vxlan.ts'
import { addVxlanRemote } from '../../src/kernel/device/vxlan-fdb.ts'
import { vxlanState } from '../../src/kernel/device/vxlan-state.ts'
import { addAddress } from '../../src/kernel/ip/admin-address.ts'
import { addNeighbour } from '../../src/kernel/ip/admin-neighbour.ts'
import { addRoute } from '../../src/kernel/ip/admin-route.ts'
import { addRule } from '../../src/kernel/ip/admin-rule.ts'
import { type RouteType, routeScope } from '../../src/kernel/ip/route.ts'
import { createMachine, type Machine } from '../../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../../src/kernel/namespace.ts'
import { attachIptables } from '../../src/kernel/netfilter/iptables.ts'
import { type ParsedRuleset, parseRuleset } from '../../src/kernel/netfilter/parse.ts'
import type { Ruleset } from '../../src/kernel/netfilter/ruleset.ts'
import type { Skb } from '../../src/kernel/skb.ts'
import { attachTc } from '../../src/kernel/tc/attach.ts'
import { attachXdp } from '../../src/kernel/xdp-attach.ts'
import { type IpAddress, isIpv4, parseIp } from '../../src/net/address.ts'
import { parseMac } from '../../src/net/mac.ts'
import { type Prefix, parsePrefix, prefixOf } from '../../src/net/prefix.ts'
import type { RecordedCase, RecordedNamespace, RecordedProgram } from './case.ts'
import { markChains, markDevice, type Notebook } from './markers.ts'
import { convertProgram } from './programs.ts'

function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the recorded case names something unknown: ${what}`)
  return value
}

function accepted(result: { readonly ok: boolean; readonly errno?: string }, what: string): void {
  if (!result.ok) throw new Error(`${what}: ${result.errno}`)
}

export function address(text: string): IpAddress {
  return must(parseIp(text), text)
}

export function namespaceOf(machine: Machine, name: string | undefined): Namespace {
  return must(machine.namespaces.get(name ?? ''), String(name))
}

export function deviceOf(ns: Namespace, name: string | undefined): NetDevice {
  return must(ns.devicesByName.get(name ?? ''), String(name))
}

/** A prefix, or a bare address as one of full length; `default` needs the family. */
function prefix(text: string, family: 4 | 6): Prefix {
  if (text === 'default') return prefixOf(address(family === 4 ? '0.0.0.0' : '::'), 0)
  if (text.includes('/')) return must(parsePrefix(text), text)
  const host = address(text)
  return prefixOf(host, isIpv4(host) ? 32 : 128)
}

const routeTypes = new Set(['blackhole', 'unreachable', 'prohibit', 'throw'])

/** The words that follow `ip route add`. */
function addRouteLine(ns: Namespace, line: string): void {
  const words = line.split(' ')
  const type = routeTypes.has(words[0] ?? '') ? (words.shift() as RouteType) : undefined
  const target = words.shift() ?? ''
  const options = new Map<string, string>()
  const onlink = words.includes('onlink')
  const pairs = words.filter((word) => word !== 'onlink')
  for (let at = 0; at < pairs.length; at += 2) options.set(pairs[at] ?? '', pairs[at + 1] ?? '')
  const via = options.get('via')
  const dev = options.get('dev')
  const table = options.get('table')
  const family = (via ?? target).includes(':') ? 6 : 4
  const nextHop = {
    ...(via === undefined ? {} : { gateway: address(via) }),
    ...(dev === undefined ? {} : { device: deviceOf(ns, dev) }),
    onlink,
  }
  const spec = {
    prefix: prefix(target, family),
    ...(type === undefined ? {} : { type }),
    ...(table === undefined ? {} : { table: Number(table) }),
    ...(options.get('scope') === 'link' ? { scope: routeScope.link } : {}),
    nextHops: type === undefined ? [nextHop] : [],
  }
  accepted(addRoute(ns, spec), `route ${line}`)
}

/** The words that follow `ip rule add`. */
function addRuleLine(ns: Namespace, line: string): void {
  const words = line.split(' ')
  const value = (word: string): string | undefined => {
    const at = words.indexOf(word)
    return at === -1 ? undefined : words[at + 1]
  }
  const to = value('to')
  const [mark, mask] = value('fwmark')?.split('/') ?? []
  const lookup = value('lookup')
  const kind = ['blackhole', 'unreachable', 'prohibit'].find((word) => words.includes(word))
  const action =
    lookup === undefined
      ? { kind: must(kind, line) as 'blackhole' | 'unreachable' | 'prohibit' }
      : { kind: 'lookup' as const, table: Number(lookup) }
  const rule = {
    family: 4 as const,
    priority: Number(value('priority')),
    ...(to === undefined ? {} : { to: prefix(to, 4) }),
    ...(mark === undefined ? {} : { fwmark: Number(mark) }),
    ...(mask === undefined ? {} : { fwmask: Number(mask) }),
    action,
  }
  accepted(addRule(ns, rule), `rule ${line}`)
}

function setSysctls(ns: Namespace, values: Readonly<Record<string, number>> | undefined): void {
  for (const [name, value] of Object.entries(values ?? {})) ns.sysctls.set(name, value)
}

function addDevices(machine: Machine, recorded: Readonly<Record<string, RecordedNamespace>>): void {
  for (const [name, each] of Object.entries(recorded)) {
    const ns = namespaceOf(machine, name)
    for (const device of each.devices) {
      const mac = parseMac(device.mac ?? '')
      const options = { name: device.name, ...(mac === undefined ? {} : { mac }) }
      if (device.kind === 'bridge') addBridge(ns, options)
      if (device.kind === 'vxlan') addVxlanDevice(ns, device.opts ?? '', options)
      if (device.kind !== 'veth' || ns.devicesByName.has(device.name)) continue
      const peer = must(device.peer, device.name)
      const far = must(
        recorded[peer.ns]?.devices.find((other) => other.name === peer.dev),
        peer.dev,
      )
      const farMac = must(parseMac(far.mac ?? ''), `mac of ${far.name}`)
      addVethPair({ ns, ...options }, { ns: namespaceOf(machine, peer.ns), name: far.name, mac: farMac })
    }
  }
}

/** The words that follow `ip link add NAME type vxlan`. */
function addVxlanDevice(
  ns: Namespace,
  words: string,
  options: { readonly name: string; readonly mac?: number },
): void {
  const [given, flags] = vxlanWords(words)
  const local = given.get('local')
  const remote = given.get('remote')
  const lower = given.get('dev')
  addVxlan(ns, {
    ...options,
    vni: Number(given.get('id')),
    dstport: Number(given.get('dstport') ?? 8472),
    ...(local === undefined ? {} : { local: address(local) }),
    ...(remote === undefined ? {} : { remote: address(remote) }),
    ...(lower === undefined ? {} : { lower: deviceOf(ns, lower) }),
    learning: !flags.has('nolearning'),
    udpcsum: !flags.has('noudpcsum'),
    external: flags.has('external'),
  })
}

const vxlanFlags = new Set(['nolearning', 'learning', 'noudpcsum', 'udpcsum', 'external'])

function vxlanWords(text: string): [Map<string, string>, Set<string>] {
  const given = new Map<string, string>()
  const flags = new Set<string>()
  const words = text.split(' ')
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (vxlanFlags.has(word)) flags.add(word)
    else {
      given.set(word, words[at + 1] ?? '')
      at += 1
    }
  }
  return [given, flags]
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
    addNeighbour(deviceOf(ns, each.dev), address(each.ip), { mac: must(parseMac(each.mac), each.mac) })
  }
  for (const line of recorded.routes ?? []) addRouteLine(ns, line)
  for (const each of recorded.fdb ?? []) {
    const remote = { address: address(each.dst), port: undefined, vni: undefined, via: 0 }
    const { fdb } = vxlanState(deviceOf(ns, each.dev))
    addVxlanRemote(fdb, must(parseMac(each.mac), each.mac), remote, { fixed: true, now: 0 })
  }
  for (const line of recorded.rules ?? []) addRuleLine(ns, line)
}

/** Takes a ruleset that must be right. */
export function sound(parsed: ParsedRuleset): Ruleset {
  if (parsed.ok) return parsed.ruleset
  throw new Error(`the recorded rules are refused: ${JSON.stringify(parsed.problems)}`)
}

function addRulesets(ns: Namespace, recorded: RecordedNamespace): void {
  if (recorded.iptables) attachIptables(ns, 4, sound(parseRuleset(recorded.iptables, 4)))
  if (recorded.ip6tables) attachIptables(ns, 6, sound(parseRuleset(recorded.ip6tables, 6)))
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
    markChains(notebook, ns)
    for (const dev of ns.devices.values()) markDevice(notebook, dev)
  }
  // the markers stand at the head of every chain
  for (const [name, each] of Object.entries(namespaces)) addRulesets(namespaceOf(machine, name), each)
  for (const program of programs) attach(namespaceOf(machine, program.ns), program, notebook)
  return machine
}

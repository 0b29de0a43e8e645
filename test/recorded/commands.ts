// The commands of an administrator between the steps of a recorded case: iproute2, bridge, sysctl, iptables, conntrack. What the
// real tools answered is not compared; a command that is not known here is an error.
import { releaseMaster, setMaster, setPortFlags } from '../../src/kernel/device/bridge.ts'
import { setArp, setDown, setMac, setMtu, setUp } from '../../src/kernel/device/change.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import { removeDevice } from '../../src/kernel/device/remove.ts'
import { addVxlanRemote } from '../../src/kernel/device/vxlan-fdb.ts'
import { vxlanState } from '../../src/kernel/device/vxlan-state.ts'
import { addAddress, flushAddresses, removeAddress } from '../../src/kernel/ip/admin-address.ts'
import { addNeighbour, deleteNeighbour } from '../../src/kernel/ip/admin-neighbour.ts'
import { addRoute, removeRoute } from '../../src/kernel/ip/admin-route.ts'
import { addRule, removeRule } from '../../src/kernel/ip/admin-rule.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { findNeighbour } from '../../src/kernel/neighbour-entry.ts'
import type { NeighbourState } from '../../src/kernel/neighbour-table.ts'
import { attachIptables, currentRuleset } from '../../src/kernel/netfilter/iptables.ts'
import { parseRuleset } from '../../src/kernel/netfilter/parse.ts'
import type { Ruleset } from '../../src/kernel/netfilter/ruleset.ts'
import { formatIp } from '../../src/net/address.ts'
import { parseMac } from '../../src/net/mac.ts'
import { conntrack } from './commands-conntrack.ts'
import { deviceOf } from './named.ts'
import { address, must, prefixText, readWords, routeOf, ruleOf } from './words.ts'

/** Takes a ruleset that must be right. */
export function sound(parsed: ReturnType<typeof parseRuleset>): Ruleset {
  if (parsed.ok) return parsed.ruleset
  throw new Error(`the recorded rules are refused: ${JSON.stringify(parsed.problems)}`)
}

/** One command that is to be run: where, in which family, and its words behind the verb. */
interface Call {
  readonly ns: Namespace
  readonly family: 4 | 6
  readonly words: readonly string[]
}

function macOf(text: string): number {
  return must(parseMac(text), text)
}

const onOff: Readonly<Record<string, boolean>> = { on: true, off: false }

function switched(text: string | undefined): boolean {
  return must(onOff[text ?? ''], String(text))
}

const linkSettings: Readonly<Record<string, (dev: NetDevice, value: string) => unknown>> = {
  mtu: (dev, value) => setMtu(dev, Number(value)),
  address: (dev, value) => setMac(dev, macOf(value)),
  master: (dev, value) => setMaster(dev, deviceOf(dev.ns, value)),
  arp: (dev, value) => setArp(dev, switched(value)),
  // nothing that can be seen here depends on these
  promisc: () => undefined,
  txqueuelen: () => undefined,
}

/** `hairpin on isolated off ...` of a port. */
function setPort(dev: NetDevice, words: readonly string[]): void {
  const { given } = readWords(words, ['hairpin', 'isolated', 'learning', 'flood'], [])
  setPortFlags(dev, Object.fromEntries([...given].map(([name, text]) => [name, switched(text)])))
}

/** `ip link set [dev] DEV ...` */
function setLink({ ns, words }: Call): void {
  const [name, ...rest] = words[0] === 'dev' ? words.slice(1) : words
  const dev = deviceOf(ns, name)
  if (rest[0] === 'type' && rest[1] === 'bridge_slave') return setPort(dev, rest.slice(2))
  const { given, flags } = readWords(rest, Object.keys(linkSettings), ['up', 'down', 'nomaster'])
  if (flags.has('down')) setDown(dev)
  if (flags.has('nomaster')) releaseMaster(dev)
  for (const [word, value] of given) linkSettings[word]?.(dev, value)
  if (flags.has('up')) setUp(dev)
}

function addressWords({ ns, family, words }: Call) {
  const [text = '', ...rest] = words
  const { given } = readWords(rest, ['dev', 'scope', 'brd'], ['nodad'])
  return { dev: deviceOf(ns, given.get('dev')), prefix: prefixText(text, family) }
}

function neighbourWords({ ns, words }: Call) {
  const [text = '', ...rest] = words
  const { given } = readWords(rest, ['lladdr', 'dev', 'nud'], [])
  const state = given.get('nud')?.toUpperCase() as NeighbourState | undefined
  return { dev: deviceOf(ns, given.get('dev')), ip: address(text), mac: given.get('lladdr'), state }
}

function putNeighbour(call: Call): void {
  const { dev, ip, mac, state } = neighbourWords(call)
  const known = findNeighbour(dev, ip)?.mac
  const used = mac === undefined && known !== undefined && known >= 0 ? known : macOf(mac ?? '')
  addNeighbour(dev, ip, { mac: used, ...(state === undefined ? {} : { state }) })
}

/** `ip neigh add` refuses what is known, `ip neigh change` what is not. */
function putKnownNeighbour(call: Call, known: boolean): void {
  const { dev, ip } = neighbourWords(call)
  if ((findNeighbour(dev, ip) !== undefined) === known) putNeighbour(call)
}

/** `ip neigh flush [to ADDRESS] [dev DEV]` or `flush all`: what is not permanent. */
function flushNeighbours({ ns, words }: Call): void {
  const { given } = readWords(words, ['dev', 'to'], ['all'])
  const dev = given.get('dev')
  const to = given.get('to')
  for (const family of [ns.ip.v4, ns.ip.v6]) {
    for (const entry of [...(family?.neighbours.entries.values() ?? [])]) {
      const kept = entry.state === 'PERMANENT' || entry.state === 'NOARP'
      const meant = to === undefined || formatIp(entry.address) === to
      if (!kept && meant && (dev === undefined || entry.device.name === dev)) {
        deleteNeighbour(entry.device, entry.address)
      }
    }
  }
}

function deleteRoute({ ns, family, words }: Call): void {
  const { nextHops, scope: _scope, ...route } = routeOf(ns, words.join(' '), family)
  removeRoute(ns, { ...route, ...nextHops[0] })
}

/** `ip route flush cache` (what was learned about single destinations) or `flush PREFIX`. */
function flushRoutes({ ns, family, words: [what = ''] }: Call): void {
  if (what === 'cache') {
    const state = family === 4 ? ns.ip.v4 : ns.ip.v6
    for (const { destination } of [...state.exceptions.values()]) state.exceptions.delete(destination)
    state.generation += 1
    return
  }
  must(/^[\da-f.:]+(\/\d+)?$/.test(what) ? what : undefined, `ip route flush ${what}`)
  const prefix = prefixText(what, family)
  while (removeRoute(ns, { prefix }).ok);
}

/** `ip rule del`: what is not named does not matter. */
function deleteRule({ ns, family, words }: Call): void {
  const line = words.join(' ')
  if (/\b(lookup|table|goto|blackhole|unreachable|prohibit|nop)\b/.test(line)) {
    removeRule(ns, ruleOf(line, family))
    return
  }
  const { action: _action, ...match } = ruleOf(`${line} nop`, family)
  removeRule(ns, match)
}

const ipVerbs: Readonly<Record<string, (call: Call) => unknown>> = {
  'link set': setLink,
  'link del': ({ ns, words }) => removeDevice(deviceOf(ns, words.at(-1))),
  'addr add': (call) => {
    const { dev, prefix } = addressWords(call)
    addAddress(dev, prefix)
  },
  'addr del': (call) => {
    const { dev, prefix } = addressWords(call)
    removeAddress(dev, prefix)
  },
  'addr flush': ({ ns, family, words }) => flushAddresses(deviceOf(ns, words.at(-1)), family),
  'route add': ({ ns, family, words }) => addRoute(ns, routeOf(ns, words.join(' '), family)),
  'route replace': ({ ns, family, words }) => addRoute(ns, routeOf(ns, words.join(' '), family), 'replace'),
  'route change': ({ ns, family, words }) => addRoute(ns, routeOf(ns, words.join(' '), family), 'replace'),
  'route append': ({ ns, family, words }) => addRoute(ns, routeOf(ns, words.join(' '), family), 'append'),
  'route del': deleteRoute,
  'route flush': flushRoutes,
  'rule add': ({ ns, family, words }) => addRule(ns, ruleOf(words.join(' '), family)),
  'rule del': deleteRule,
  'neigh add': (call) => putKnownNeighbour(call, false),
  'neigh replace': putNeighbour,
  'neigh change': (call) => putKnownNeighbour(call, true),
  'neigh del': (call) => {
    const { dev, ip } = neighbourWords(call)
    deleteNeighbour(dev, ip)
  },
  'neigh flush': flushNeighbours,
}

const longNames: Readonly<Record<string, string>> = {
  address: 'addr',
  a: 'addr',
  r: 'route',
  l: 'link',
  n: 'neigh',
  neighbour: 'neigh',
  delete: 'del',
}

function ip(ns: Namespace, words: readonly string[]): void {
  const six = words.includes('-6')
  const [object = '', verb = '', ...rest] = words.filter((word) => word !== '-4' && word !== '-6')
  const name = `${longNames[object] ?? object} ${longNames[verb] ?? verb}`
  must(ipVerbs[name], `ip ${words.join(' ')}`)({ ns, family: six ? 6 : 4, words: rest })
}

/** `bridge fdb add|append MAC dev DEV dst ADDRESS` of a vxlan device, `bridge link set dev DEV ...`. */
function bridge(ns: Namespace, [object, verb, ...words]: readonly string[]): void {
  if (object === 'link' && verb === 'set') {
    const at = words.indexOf('dev')
    setPort(deviceOf(ns, words[at + 1]), words.toSpliced(at, 2))
    return
  }
  const [mac = '', ...rest] = words
  const { given } = readWords(rest, ['dev', 'dst'], ['self', 'permanent', 'static'])
  const { fdb } = vxlanState(deviceOf(ns, given.get('dev')))
  if (object !== 'fdb') throw new Error(`no such command: bridge ${object}`)
  if (verb === 'del') {
    fdb.delete(macOf(mac))
    return
  }
  must(['add', 'append', 'replace'].includes(verb ?? '') ? verb : undefined, `bridge fdb ${verb}`)
  if (verb === 'replace') fdb.delete(macOf(mac))
  const remote = { address: address(given.get('dst') ?? ''), port: undefined, vni: undefined, via: 0 }
  addVxlanRemote(fdb, macOf(mac), remote, { fixed: true, now: ns.machine.clock.now })
}

/** `echo VALUE > /proc/sys/...` */
function writeProc(ns: Namespace, command: string): void {
  const [, value = '', path] = must(/^echo (\d+) ?> ?\/proc\/sys\/(\S+)$/.exec(command) ?? undefined, command)
  sysctl(ns, [`${path?.replaceAll('/', '.')}=${value}`])
}

function sysctl(ns: Namespace, words: readonly string[]): void {
  for (const word of words.filter((each) => !each.startsWith('-'))) {
    const [name = '', value = ''] = word.split('=')
    must(ns.sysctls.set(name, Number(value)) ? name : undefined, `sysctl ${name}`)
  }
}

function iptables(ns: Namespace, family: 4 | 6, command: string): void {
  const [, table = 'filter', line] = must(
    /^\S+ (?:-w )?(?:-t (\S+) )?(.*)$/.exec(command) ?? undefined,
    command,
  )
  const text = `*${table}\n${line}\nCOMMIT`
  attachIptables(ns, family, sound(parseRuleset(text, family, { base: currentRuleset(ns, family) })))
}

function runOne(ns: Namespace, command: string): void {
  const [tool = '', ...words] = command.split(/\s+/)
  if (/^iptables/.test(tool)) iptables(ns, 4, command)
  else if (/^ip6tables/.test(tool)) iptables(ns, 6, command)
  else if (tool === 'ip') ip(ns, words)
  else if (tool === 'bridge') bridge(ns, words)
  else if (tool === 'sysctl') sysctl(ns, words)
  else if (tool === 'conntrack') conntrack(ns, words)
  else if (tool === 'echo') writeProc(ns, command)
  else throw new Error(`no such command: ${command}`)
}

/** Runs a command, or several behind each other, in a namespace. */
export function runCommand(ns: Namespace, line: string): void {
  for (const command of line.split(/&&|;|\|\|/)) {
    const text = command.replace(/\d?>\s*\/dev\/null/g, '').trim()
    if (text !== '' && text !== 'true') runOne(ns, text)
  }
}

// The commands of an administrator between the steps of a recorded case: iproute2, bridge, sysctl, iptables, conntrack. What the
// real tools answered is not compared; a command that is not known here is an error.
import { releaseMaster, setMaster } from '../../src/kernel/device/bridge.ts'
import { setArp, setDown, setMac, setMtu, setUp } from '../../src/kernel/device/change.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import { removeDevice } from '../../src/kernel/device/remove.ts'
import { addAddress, flushAddresses, removeAddress } from '../../src/kernel/ip/admin-address.ts'
import { addNeighbour, addProxyNeighbour, deleteNeighbour } from '../../src/kernel/ip/admin-neighbour.ts'
import { addRule } from '../../src/kernel/ip/admin-rule.ts'
import { familyState, type InterfaceAddress } from '../../src/kernel/ip/state.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { findNeighbour } from '../../src/kernel/neighbour-entry.ts'
import type { NeighbourState } from '../../src/kernel/neighbour-table.ts'
import { attachIptables, currentRuleset } from '../../src/kernel/netfilter/iptables.ts'
import { parseRuleset } from '../../src/kernel/netfilter/parse.ts'
import type { Ruleset } from '../../src/kernel/netfilter/ruleset.ts'
import { formatIp, isIpv4 } from '../../src/net/address.ts'
import { covers, prefixOf } from '../../src/net/prefix.ts'
import { bridge, setKind } from './commands-bridge.ts'
import { conntrack } from './commands-conntrack.ts'
import { deleteRoute, deleteRule, flushRoutes, flushRules, putRoute } from './commands-route.ts'
import { deviceOf } from './named.ts'
import {
  address,
  type Call,
  macOf,
  must,
  numberOf,
  prefixText,
  readWords,
  ruleOf,
  scopes,
  switched,
} from './words.ts'

/** Takes a ruleset that must be right. */
export function sound(parsed: ReturnType<typeof parseRuleset>): Ruleset {
  if (parsed.ok) return parsed.ruleset
  throw new Error(`the recorded rules are refused: ${JSON.stringify(parsed.problems)}`)
}

/** Of commands that take both families where none is named. */
function familiesOf(asked: 4 | 6 | undefined): readonly (4 | 6)[] {
  return asked === undefined ? [4, 6] : [asked]
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

/** `ip link set [dev] DEV ...` */
function setLink({ ns, words }: Call): void {
  const [name, ...rest] = words[0] === 'dev' ? words.slice(1) : words
  const dev = deviceOf(ns, name)
  if (rest[0] === 'type') return setKind(dev, rest.slice(1))
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

/** `ip addr flush [dev] DEV [scope SCOPE] [to PREFIX]`, of both families where none is named. */
function flushAddressesOf({ ns, asked, words }: Call): void {
  const named = ['dev', 'scope', 'to'].includes(words[0] ?? '')
  const { given } = readWords(named ? words : ['dev', ...words], ['dev', 'scope', 'to'], [])
  const dev = deviceOf(ns, given.get('dev'))
  const scope = given.get('scope')
  const to = given.get('to')
  const meant = (own: InterfaceAddress): boolean =>
    (scope === undefined || own.scope === numberOf(scope, scopes)) &&
    (to === undefined || covers(prefixText(to, isIpv4(own.address) ? 4 : 6), own.address))
  for (const family of familiesOf(asked)) {
    if (scope === undefined && to === undefined) flushAddresses(dev, family)
    else
      for (const own of familyState(ns, family).addresses.get(dev.ifindex) ?? [])
        if (meant(own)) removeAddress(dev, prefixOf(own.address, own.length))
  }
}

/** `ip neigh add|replace|del proxy ADDRESS [dev DEV]`; false where the words speak of no proxy. */
function setProxy({ ns, words }: Call, wanted: boolean): boolean {
  const { given } = readWords(words.includes('proxy') ? words : [], ['proxy', 'dev', 'nud'], [])
  const text = given.get('proxy')
  if (text === undefined) return false
  const ip = address(text)
  const name = given.get('dev')
  const dev = name === undefined ? undefined : deviceOf(ns, name)
  if (wanted) addProxyNeighbour(ns, ip, dev)
  else familyState(ns, isIpv4(ip) ? 4 : 6).neighbours.proxies.delete(ip, dev?.ifindex ?? 0)
  return true
}

function neighbourWords({ ns, words }: Call) {
  const [text = '', ...rest] = words
  const { given, flags } = readWords(rest, ['lladdr', 'dev', 'nud'], ['router'])
  const state = given.get('nud')?.toUpperCase() as NeighbourState | undefined
  return {
    dev: deviceOf(ns, given.get('dev')),
    ip: address(text),
    mac: given.get('lladdr'),
    state,
    router: flags.has('router'),
  }
}

function putNeighbour(call: Call): void {
  const { dev, ip, mac, state, router } = neighbourWords(call)
  const known = findNeighbour(dev, ip)?.mac
  const used = mac === undefined && known !== undefined && known >= 0 ? known : macOf(mac ?? '')
  addNeighbour(dev, ip, {
    mac: used,
    ...(router ? { router } : {}),
    ...(state === undefined ? {} : { state }),
  })
}

/** `ip neigh add` refuses what is known, `ip neigh change` what is not. */
function putKnownNeighbour(call: Call, known: boolean): void {
  const { dev, ip } = neighbourWords(call)
  if ((findNeighbour(dev, ip) !== undefined) === known) putNeighbour(call)
}

/** `ip neigh flush [to ADDRESS] [dev DEV]` or `flush all`: what is not permanent. */
function flushNeighbours({ ns, asked, words }: Call): void {
  const { given } = readWords(words, ['dev', 'to'], ['all'])
  const dev = given.get('dev')
  const to = given.get('to')
  for (const family of familiesOf(asked)) {
    for (const entry of [...familyState(ns, family).neighbours.entries.values()]) {
      const kept = entry.state === 'PERMANENT' || entry.state === 'NOARP'
      const meant = to === undefined || formatIp(entry.address) === to
      if (!kept && meant && (dev === undefined || entry.device.name === dev)) {
        deleteNeighbour(entry.device, entry.address)
      }
    }
  }
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
  'addr flush': flushAddressesOf,
  'route add': (call) => putRoute(call, 'add'),
  'route replace': (call) => putRoute(call, 'replace'),
  'route change': (call) => putRoute(call, 'replace'),
  'route append': (call) => putRoute(call, 'append'),
  'route del': deleteRoute,
  'route flush': flushRoutes,
  'rule add': ({ ns, family, words }) => addRule(ns, ruleOf(words.join(' '), family)),
  'rule del': deleteRule,
  'rule flush': flushRules,
  'neigh add': (call) => setProxy(call, true) || putKnownNeighbour(call, false),
  'neigh replace': (call) => setProxy(call, true) || putNeighbour(call),
  'neigh change': (call) => putKnownNeighbour(call, true),
  'neigh del': (call) => {
    if (setProxy(call, false)) return
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
  const asked = words.includes('-6') ? 6 : words.includes('-4') ? 4 : undefined
  const [object = '', verb = '', ...rest] = words.filter((word) => word !== '-4' && word !== '-6')
  const name = `${longNames[object] ?? object} ${longNames[verb] ?? verb}`
  must(
    ipVerbs[name],
    `ip ${words.join(' ')}`,
  )({
    ns,
    asked,
    family: asked ?? 4,
    words: rest,
  })
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

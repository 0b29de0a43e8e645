// arp, bridge, ss, nstat, tc, ethtool, sysctl: the words behind each.

import type { Namespace } from '../namespace.ts'
import { sysctlDefaults } from '../sysctl.ts'
import { showFdb, showPorts } from './bridge.ts'
import {
  deviceNamed,
  isDevice,
  isStray,
  type ShowContext,
  type Shown,
  shown,
  unknown,
  Words,
} from './command-words.ts'
import { showDriverStatistics } from './ethtool.ts'
import { showArp, showArpAll } from './ip-neigh.ts'
import { showCounters } from './nstat.ts'
import { showSockets } from './ss.ts'
import { showFilters, showQdiscs } from './tc.ts'

/** `arp [-n|-an|-a] [-i DEV]`. */
export function arpCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const rest = new Words(words, 1)
  const flags = rest.flags(['-n', '-an', '-a', '-na', '-e'])
  const options = rest.pairs(['-i'])
  if (isStray(options)) return unknown(options.word)
  const all = [...flags].some((flag) => flag.includes('a'))
  return shown((all ? showArpAll : showArp)(ns, options.get('-i')))
}

/** `bridge fdb`, `bridge link`. */
export function bridgeCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const rest = new Words(words, 1)
  const flags = rest.flags(['-d', '-details', '-s'])
  const isFdb = rest.takes('fdb')
  if (!isFdb && !rest.takes('link')) return unknown(rest.next() ?? 'bridge')
  rest.takes('show', 'list')
  const options = rest.pairs(isFdb ? ['dev', 'br', 'brport'] : ['dev'])
  if (isStray(options)) return unknown(options.word)
  const device = options.get('dev') ?? options.get('brport')
  for (const name of [device, options.get('br')]) {
    const found = name === undefined ? undefined : deviceNamed(ns, name)
    if (found !== undefined && !isDevice(found)) return found
  }
  if (isFdb) return shown(showFdb(ns, { device, bridge: options.get('br') }))
  return shown(showPorts(ns, { details: flags.size > 0, device }))
}

/** `ss -tunlap46`: letters in any order; without t and u both. */
export function ssCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const letters = new Set<string>()
  for (const word of words.slice(1)) {
    if (!/^-[tunlap46H]+$/.test(word)) return unknown(word)
    for (const letter of word.slice(1)) letters.add(letter)
  }
  const both = !letters.has('t') && !letters.has('u')
  const family = letters.has('4') ? 4 : letters.has('6') ? 6 : undefined
  const which = letters.has('l') ? 'listening' : letters.has('a') ? 'all' : 'connected'
  const text = showSockets(ns, {
    tcp: both || letters.has('t'),
    udp: both || letters.has('u'),
    which,
    family,
  })
  return shown(letters.has('H') ? text.slice(text.indexOf('\n') + 1) : text)
}

/** `nstat [-az]`: counters since the start of the namespace. */
export function nstatCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const [, flags = '-a', stray] = words
  if (stray !== undefined || !/^-[asz]+$/.test(flags)) return unknown(stray ?? flags)
  return shown(showCounters(ns, { zeros: flags.includes('z') }))
}

/** `tc filter show dev DEV ingress`, `tc qdisc show`. */
export function tcCommand(words: readonly string[], { ns, objects }: ShowContext): Shown {
  const rest = new Words(words, 1)
  const statistics = rest.flags(['-s', '-statistics']).size > 0
  if (rest.takes('qdisc')) {
    rest.takes('show', 'list')
    const options = rest.pairs(['dev'])
    if (isStray(options)) return unknown(options.word)
    const name = options.get('dev')
    if (name === undefined) return shown(showQdiscs([...ns.devices.values()], { statistics, named: false }))
    const dev = deviceNamed(ns, name)
    return isDevice(dev) ? shown(showQdiscs([dev], { statistics, named: true })) : dev
  }
  if (!rest.takes('filter')) return unknown(rest.next() ?? 'tc')
  rest.takes('show', 'list')
  if (!rest.takes('dev')) return unknown(rest.next() ?? 'filter')
  const name = rest.next()
  const direction = rest.next()
  if (name === undefined || (direction !== 'ingress' && direction !== 'egress'))
    return unknown(direction ?? 'dev')
  const dev = deviceNamed(ns, name)
  return isDevice(dev) ? shown(showFilters(dev, direction, objects)) : dev
}

/** `ethtool -S DEV`. */
export function ethtoolCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const [, flag, name, stray] = words
  if (flag !== '-S' || name === undefined || stray !== undefined) return unknown(stray ?? flag ?? 'ethtool')
  const dev = deviceNamed(ns, name)
  return isDevice(dev) ? shown(showDriverStatistics(dev)) : dev
}

/** `sysctl KEY ...`. */
export function sysctlCommand(words: readonly string[], { ns }: ShowContext): Shown {
  const keys = words.slice(1)
  if (keys.length === 0) return unknown('sysctl')
  const values = keys.map((key) => ({ key, parts: sysctlParts(ns, key) }))
  const stray = values.find(({ parts }) => parts.length === 0)
  if (stray !== undefined) {
    const path = `/proc/sys/${stray.key.replaceAll('.', '/')}`
    return { kind: 'missing', message: `sysctl: cannot stat ${path}: No such file or directory` }
  }
  return shown(
    values
      .map(({ key, parts }) => `${key} = ${parts.map((part) => ns.sysctls.get(part)).join('\t')}\n`)
      .join(''),
  )
}

/** The values that a sysctl has: several of a range and of three sizes, none of one that there is not. */
function sysctlParts({ sysctls, devicesByName }: Namespace, key: string): readonly string[] {
  const [, device] = /^net\.ipv[46]\.(?:conf|neigh)\.(.+)\.[a-z0-9_]+$/.exec(key) ?? []
  const ofNobody = device !== undefined && !['all', 'default'].includes(device) && !devicesByName.has(device)
  if (ofNobody) return []
  if (sysctls.knows(key)) return [key]
  return Object.keys(sysctlDefaults).filter(
    (name) => name.startsWith(`${key}.`) && !name.slice(key.length + 1).includes('.'),
  )
}

// `ip ...`: options, the object, and what to show of it.
import type { NetDevice } from '../device/device.ts'
import { type RouteType, routeTable } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
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
import { showAddresses } from './ip-addr.ts'
import { showLinks } from './ip-link.ts'
import { showNeighbours } from './ip-neigh.ts'
import { showRoutes } from './ip-route.ts'
import { showRules } from './ip-rule.ts'
import { showPolicies, showStates } from './ip-xfrm.ts'

type Flags = ReadonlySet<string>

const flagWords = ['-4', '-6', '-d', '-details', '-s', '-stats', '-statistics', '-br', '-brief']

function familyOf(flags: Flags): 4 | 6 | undefined {
  if (flags.has('-6')) return 6
  return flags.has('-4') ? 4 : undefined
}

const has = (flags: Flags, ...names: readonly string[]): boolean => names.some((name) => flags.has(name))

/** `ip [OPTIONS] OBJECT [show ...]`. */
export function ipCommand(words: readonly string[], context: ShowContext): Shown {
  const rest = new Words(words, 1)
  const flags = rest.flags(flagWords)
  if (rest.takes('link')) return links(rest, flags, context)
  if (rest.takes('address')) return addresses(rest, flags, context)
  if (rest.takes('route')) return routes(rest, flags, context)
  if (rest.takes('rule')) return rules(rest, flags, context)
  if (rest.takes('neighbour', 'neighbor')) return neighbours(rest, flags, context)
  if (rest.takes('xfrm')) return xfrm(rest, context)
  return unknown(rest.next() ?? 'ip')
}

/** The devices that `show [dev DEV | DEV] [master M] [type KIND] [up]` names. */
function devicesOf(rest: Words, ns: Namespace): readonly NetDevice[] | Shown {
  let devices: readonly NetDevice[] = [...ns.devices.values()]
  rest.takes('show', 'list', 'lst')
  for (let word = rest.next(); word !== undefined; word = rest.next()) {
    if (word === 'up') {
      devices = devices.filter(({ up }) => up)
      continue
    }
    const key = ['dev', 'master', 'type'].includes(word) ? word : 'dev'
    const value = key === word ? rest.next() : word
    if (value === undefined) return unknown(word)
    if (key === 'type') {
      devices = devices.filter(({ kind }) => kind === value)
      continue
    }
    const found = deviceNamed(ns, value)
    if (!isDevice(found)) return found
    devices = devices.filter((dev) => (key === 'dev' ? dev === found : dev.master === found))
  }
  return devices
}

function isList(found: readonly NetDevice[] | Shown): found is readonly NetDevice[] {
  return Array.isArray(found)
}

function links(rest: Words, flags: Flags, { ns, objects }: ShowContext): Shown {
  const devices = devicesOf(rest, ns)
  if (!isList(devices)) return devices
  const details = has(flags, '-d', '-details')
  const statistics = has(flags, '-s', '-stats', '-statistics')
  return shown(showLinks(devices, { details, statistics, brief: has(flags, '-br', '-brief'), objects }))
}

function addresses(rest: Words, flags: Flags, { ns, objects }: ShowContext): Shown {
  const devices = devicesOf(rest, ns)
  if (!isList(devices)) return devices
  return shown(
    showAddresses(devices, { family: familyOf(flags), brief: has(flags, '-br', '-brief'), objects }),
  )
}

const tables: Readonly<Record<string, number | 'all'>> = {
  main: routeTable.main,
  local: routeTable.local,
  default: routeTable.default,
  all: 'all',
}
const routeTypes: readonly string[] = [
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
]

function routes(rest: Words, flags: Flags, { ns }: ShowContext): Shown {
  rest.takes('show', 'list', 'lst')
  const options = rest.pairs(['table', 'dev', 'type'])
  if (isStray(options)) return unknown(options.word)
  const name = options.get('table') ?? 'main'
  const table = Object.hasOwn(tables, name) ? tables[name] : Number(name)
  if (table === undefined || Number.isNaN(table)) return unknown(name)
  const type = options.get('type')
  if (type !== undefined && !routeTypes.includes(type)) return unknown(type)
  const device = options.get('dev')
  const dev = device === undefined ? undefined : deviceNamed(ns, device)
  if (dev !== undefined && !isDevice(dev)) return dev
  const show = (family: 4 | 6): string =>
    showRoutes(ns, { family, table, device, type: type as RouteType | undefined })
  const family = familyOf(flags)
  // `table all` lists both families, IPv4 first; everything else is IPv4 unless -6 is given.
  if (table === 'all' && family === undefined) return shown(show(4) + show(6))
  return shown(show(family ?? 4))
}

function rules(rest: Words, flags: Flags, { ns }: ShowContext): Shown {
  rest.takes('show', 'list', 'lst')
  const stray = rest.next()
  return stray === undefined ? shown(showRules(ns, familyOf(flags) ?? 4)) : unknown(stray)
}

function xfrm(rest: Words, { ns }: ShowContext): Shown {
  const states = rest.takes('state')
  if (!states && !rest.takes('policy')) return unknown(rest.next() ?? 'xfrm')
  rest.takes('show', 'list', 'lst')
  const stray = rest.next()
  if (stray !== undefined) return unknown(stray)
  return shown(states ? showStates(ns) : showPolicies(ns))
}

function neighbours(rest: Words, flags: Flags, { ns }: ShowContext): Shown {
  rest.takes('show', 'list', 'lst')
  const proxies = rest.takes('proxy')
  const options = rest.pairs(['dev'])
  if (isStray(options)) return unknown(options.word)
  const device = options.get('dev')
  const dev = device === undefined ? undefined : deviceNamed(ns, device)
  if (dev !== undefined && !isDevice(dev)) return dev
  return shown(showNeighbours(ns, { family: familyOf(flags), device, proxies }))
}

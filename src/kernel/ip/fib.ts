// One routing table: longest-prefix match whose cost depends on how many prefix lengths are in use, never on how many
// routes there are. Each length has a hash table keyed by the masked address. Both families share it.
import { type IpAddress, ipv4From, isIpv4 } from '../../net/address.ts'
import { maskBits, networkOf } from '../../net/prefix.ts'
import type { NetDevice } from '../device/device.ts'
import { AddressMap } from './address-map.ts'
import { comparedTos, type FibRoute, type Flow, type NextHop } from './route.ts'

/** What a look-up in one table found. */
export interface FibMatch {
  readonly route: FibRoute
  readonly nextHop: NextHop
  readonly prefixLength: number
}

interface Level {
  readonly length: number
  /** Routes of one prefix: by tos (highest first), then metric, then age. */
  readonly prefixes: AddressMap<FibRoute[]>
}

const noRoutes: readonly FibRoute[] = []

/** A table of so many routes is quicker scanned than indexed. */
const scannedMax = 64

function index(overDevices: Map<NetDevice, Set<FibRoute>>, route: FibRoute): void {
  for (const { device } of route.nextHops) {
    if (device === undefined) continue
    const known = overDevices.get(device)
    if (known === undefined) overDevices.set(device, new Set([route]))
    else known.add(route)
  }
}

export class FibTable {
  readonly id: number
  /** Longest first. */
  private readonly levels: Level[] = []
  private count = 0
  /** Routes by the devices of their next hops, once a large table was asked for them: a device event then costs what it changes. */
  private overDevices: Map<NetDevice, Set<FibRoute>> | undefined

  constructor(id: number) {
    this.id = id
  }

  get size(): number {
    return this.count
  }

  /** All routes of a prefix. */
  at(address: IpAddress, length: number): readonly FibRoute[] {
    for (const level of this.levels) {
      if (level.length === length) return level.prefixes.get(masked(address, length)) ?? noRoutes
    }
    return noRoutes
  }

  /** Puts a route behind those of its prefix that are preferred to it or equal (`append`), or before its equals. */
  insert(route: FibRoute, position: 'first' | 'last' = 'first'): void {
    const level = this.level(route.prefix.length)
    const list = level.prefixes.get(route.prefix.address)
    this.count += 1
    if (this.overDevices !== undefined) index(this.overDevices, route)
    if (list === undefined) {
      level.prefixes.set(route.prefix.address, 0, [route])
      return
    }
    const at = list.findIndex((other) => {
      const order = compareRoutes(route, other)
      return order < 0 || (order === 0 && position === 'first')
    })
    if (at === -1) list.push(route)
    else list.splice(at, 0, route)
  }

  /** Takes a route out; false when it is not there. */
  remove(route: FibRoute): boolean {
    const index = this.levels.findIndex((level) => level.length === route.prefix.length)
    const level = this.levels[index]
    const list = level?.prefixes.get(route.prefix.address)
    if (level === undefined || list === undefined) return false
    const at = list.indexOf(route)
    if (at === -1) return false
    list.splice(at, 1)
    this.count -= 1
    if (this.overDevices !== undefined)
      for (const { device } of route.nextHops)
        if (device !== undefined) this.overDevices.get(device)?.delete(route)
    if (list.length === 0) level.prefixes.delete(route.prefix.address)
    if (level.prefixes.size === 0) this.levels.splice(index, 1)
    return true
  }

  /** Adds to `found` the routes that have a next hop over a device, in the order of `routes`. */
  routesOver(device: NetDevice, found: FibRoute[]): void {
    if (this.count > scannedMax) {
      const routes = [...(this.indexed().get(device) ?? noRoutes)]
      found.push(...routes.sort((left, right) => right.prefix.length - left.prefix.length))
      return
    }
    const gather = (list: readonly FibRoute[]): void => {
      for (const route of list)
        for (const nextHop of route.nextHops)
          if (nextHop.device === device) {
            found.push(route)
            break
          }
    }
    for (const level of this.levels) level.prefixes.forEach(gather)
  }

  private indexed(): Map<NetDevice, Set<FibRoute>> {
    if (this.overDevices === undefined) {
      this.overDevices = new Map()
      for (const route of this.routes()) index(this.overDevices, route)
    }
    return this.overDevices
  }

  /** Every route, longest prefixes first, in order of insertion. */
  *routes(): Generator<FibRoute> {
    for (const level of this.levels) for (const list of level.prefixes.values()) yield* list
  }

  /**
   * net/ipv4/fib_trie.c fib_table_lookup(): the first usable route of the longest prefix that has one. Types with an
   * error are answers too (their next hop has no device); `throw` as well, the caller goes on with the next rule.
   */
  lookup(flow: Flow, choose: (route: FibRoute, flow: Flow) => NextHop | undefined): FibMatch | undefined {
    for (const level of this.levels) {
      const list = level.prefixes.get(masked(flow.destination, level.length))
      if (list === undefined) continue
      for (const route of list) {
        if (route.tos !== 0 && route.tos !== comparedTos(flow)) continue
        if (route.scope < flow.scope) continue
        const nextHop = choose(route, flow)
        if (nextHop !== undefined) return { route, nextHop, prefixLength: level.length }
      }
    }
    return undefined
  }

  private level(length: number): Level {
    const { levels } = this
    let at = 0
    for (; at < levels.length; at += 1) {
      const level = levels[at]
      if (level === undefined || level.length < length) break
      if (level.length === length) return level
    }
    const made: Level = { length, prefixes: new AddressMap() }
    if (at === levels.length) levels.push(made)
    else levels.splice(at, 0, made)
    return made
  }
}

/** The address with its host bits cleared; allocates for IPv6 only when bits are cleared. */
function masked(address: IpAddress, length: number): IpAddress {
  if (isIpv4(address)) return ipv4From(address & maskBits(length))
  return length === 128 ? address : networkOf({ address, length }).address
}

function compareRoutes(left: FibRoute, right: FibRoute): number {
  return right.tos - left.tos || left.metric - right.metric
}

// What goes when a device stops to speak a family: net/ipv4/fib_frontend.c fib_disable_ip(), net/ipv6/route.c rt6_disable_ip().
import type { NetDevice } from '../device/device.ts'
import { forgetNeighbours } from '../neighbour.ts'
import { dropRoute } from './admin-route.ts'
import { type FibRoute, routeScope } from './route.ts'
import { familyState } from './state.ts'

/** The routes that have a next hop over a device. */
export function routesOver(dev: NetDevice, family: 4 | 6): FibRoute[] {
  const found: FibRoute[] = []
  if (family === 6 && !dev.ns.ip.asked6) return found // what waits to be made sees the device as it is then
  for (const table of familyState(dev.ns, family).tables.values()) table.routesOver(dev, found)
  return found
}

/** fib_sync_down_dev(): routes over the device vanish, unless another of their next hops still works. */
function removeRoutes(dev: NetDevice, family: 4 | 6): void {
  for (const route of routesOver(dev, family)) {
    for (const nextHop of route.nextHops) {
      if (nextHop.device === dev && nextHop.scope !== routeScope.nowhere) nextHop.dead = true
    }
    if (route.nextHops.every((nextHop) => nextHop.dead)) dropRoute(dev.ns, route)
  }
}

function forgetExceptions(dev: NetDevice, family: 4 | 6): void {
  const { exceptions } = familyState(dev.ns, family)
  if (exceptions.size > 0) exceptions.removeIf((exception) => exception.device === dev)
}

/** Routes, neighbours (permanent ones too) and exceptions of a device go: it is down, or its last IPv4 address was taken. */
export function disableIp(dev: NetDevice, family: 4 | 6): void {
  removeRoutes(dev, family)
  forgetNeighbours(dev, family)
  forgetExceptions(dev, family)
}

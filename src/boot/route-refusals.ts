// Routes that a host's kernel refuses because of its other routes and rules: what a gateway is found by is looked up, and that may
// lead elsewhere. Only a kernel knows, so a machine is asked, where there is something to doubt.
import type { Diagnostic } from '../base/diagnostic.ts'
import { mistake } from '../model/diagnose.ts'
import type { Model, NamespaceModel, World } from '../model/model.ts'
import { type RefusedRoute, refusedRoutes } from './boot.ts'

/** One diagnostic for each route that cannot be added. Clusters are left alone: their agents add routes of their own. */
export function routeRefusals(model: Model): readonly Diagnostic[] {
  const worlds = new Set<World>(model.scenarios.flatMap(({ cases }) => cases.map(({ world }) => world)))
  const found = new Map<string, Diagnostic>()
  for (const world of worlds) {
    if (world.cluster !== undefined || world.cilium !== undefined || !world.namespaces.some(isDoubtful))
      continue
    for (const refused of refusedRoutes(world)) {
      const diagnostic = diagnosticOf(refused)
      found.set(`${refused.route.span.start} ${diagnostic.message}`, diagnostic)
    }
  }
  return [...found.values()]
}

/** A gateway is somebody else's when another route or a rule says so. */
function isDoubtful({ routes, rules }: NamespaceModel): boolean {
  const others = routes.length > 1 || rules.length > 0
  return others && routes.some(({ nexthops }) => nexthops.some(({ via }) => via !== undefined))
}

const hints: Readonly<Record<string, string>> = {
  ENETUNREACH: 'the rules and routes of the host find no way to the gateway: `ip route get` it',
  EHOSTUNREACH: 'the rules and routes of the host find no neighbour of this address: `ip route get` it',
  EINVAL: 'a route to the gateway is no plain route to a neighbour on this device',
}

function diagnosticOf({ route, errno }: RefusedRoute): Diagnostic {
  const hint = hints[errno]
  const message = `the kernel refuses this route (${errno})`
  return mistake('S126', route.span, message, hint === undefined ? {} : { hint })
}

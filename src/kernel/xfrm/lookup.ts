// What policies make of a route: net/xfrm/xfrm_policy.c xfrm_lookup(), xfrm_bundle_create(). What enters is a flow with its
// route; what leaves is the route, one that transforms, or an error.
import { anyIpv4, anyIpv6, type IpAddress, isIpv4, isUnspecified } from '../../net/address.ts'
import { count } from '../counters.ts'
import { routeOutputKey } from '../ip/output-key.ts'
import { type Flow, type Route, routeScope } from '../ip/route.ts'
import { way6 } from '../ip6/way.ts'
import type { Namespace } from '../namespace.ts'
import type { Policy } from './policy.ts'
import { outputMark, stateMtu, type XfrmState } from './state.ts'

/** `EPERM`: a policy blocks; `EREMOTE`: there is no state to transform with; `ENETUNREACH`: no route for the outer packet. */
export type LookupError = 'EPERM' | 'EREMOTE' | 'ENETUNREACH'

/** xfrm_dst_lookup(): the way of the outer packet; a mark of the inner one counts only through the output mark. */
function outerRoute(
  ns: Namespace,
  flow: Flow,
  ends: { readonly source: IpAddress; readonly destination: IpAddress; readonly mark: number },
): Route | undefined {
  const family = isIpv4(ends.destination) ? 4 : 6
  const outer: Flow = {
    ...ends,
    family,
    oif: 0,
    iif: 1,
    tos: flow.family === 4 ? flow.tos : 0,
    protocol: 0,
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  }
  const answer = family === 4 ? routeOutputKey(ns, outer) : way6(ns, outer)
  return answer.kind === 'route' ? answer.route : undefined
}

/** xfrm_get_saddr(): the source that the route to the other end has. */
function sourceTowards(ns: Namespace, flow: Flow, destination: IpAddress): IpAddress {
  const source = isIpv4(destination) ? anyIpv4 : anyIpv6
  return outerRoute(ns, flow, { source, destination, mark: 0 })?.preferredSource ?? source
}

/** xfrm_tmpl_resolve(): a state for each template; undefined where one is missing that must be there. */
function statesFor(ns: Namespace, policy: Policy, flow: Flow): readonly XfrmState[] | undefined {
  const found: XfrmState[] = []
  let { source, destination } = flow
  for (const template of policy.templates) {
    if (template.mode === 'tunnel') {
      destination = template.destination
      source = isUnspecified(template.source) ? sourceTowards(ns, flow, destination) : template.source
    }
    const state = ns.xfrm?.states.find(policy, template, { source, destination, flow })
    if (state !== undefined) found.push(state)
    else if (!template.optional) return undefined
  }
  return found
}

/** xfrm_bundle_create(), xfrm_init_pmtu(): the first transformation in front; what leaves at the end says device and MTU. */
function bundle(ns: Namespace, flow: Flow, route: Route, states: readonly XfrmState[]): Route | LookupError {
  const steps: { readonly state: XfrmState; readonly route: Route }[] = []
  let towards = route
  for (const state of states) {
    steps.push({ state, route: towards })
    if (state.mode !== 'tunnel') continue
    const { source, destination } = state
    const mark = state.outputMark.mask === 0 ? 0 : outputMark(state, flow.mark)
    const outer = outerRoute(ns, flow, { source, destination, mark })
    if (outer === undefined) return 'ENETUNREACH'
    towards = outer
  }
  const { device } = towards
  let child = towards
  for (const step of steps.reverse()) {
    const mtu = Math.min(stateMtu(step.state, child.mtu), step.route.mtu)
    child = { ...step.route, device, mtu, xfrm: { ...step, child } }
  }
  return child
}

/** xfrm_lookup(). A route over lo is left alone with IPv4 (DST_NOXFRM). */
export function xfrmLookup(ns: Namespace, flow: Flow, route: Route): Route | LookupError {
  const { xfrm } = ns
  if (xfrm === undefined || !xfrm.policies.has('out')) return route
  if (route.family === 4 && route.device.kind === 'loopback') return route
  const policy = xfrm.policies.lookup('out', flow)
  if (policy === undefined) return route
  if (policy.action === 'block') {
    count(ns, 'XfrmOutPolBlock')
    return 'EPERM'
  }
  if (policy.templates.length === 0) return route
  const states = statesFor(ns, policy, flow)
  if (states === undefined) {
    count(ns, 'XfrmOutNoStates')
    return 'EREMOTE'
  }
  const made = states.length === 0 ? route : bundle(ns, flow, route, states)
  if (made === 'ENETUNREACH') count(ns, 'XfrmOutBundleGenError')
  return made
}

/** xfrm_lookup_route(): what cannot be transformed yet gets a route on which it is lost. */
export function xfrmLookupRoute(
  ns: Namespace,
  flow: Flow,
  route: Route,
): Route | Exclude<LookupError, 'EREMOTE'> {
  const found = xfrmLookup(ns, flow, route)
  return found === 'EREMOTE' ? { ...route, xfrm: 'unresolved' } : found
}

// The route of a packet that a protocol sends: net/ipv4/route.c ip_route_output_flow(), the tables' answer and what xfrm policies
// make of it.
import type { Namespace } from '../namespace.ts'
import { xfrmLookupRoute } from '../xfrm/lookup.ts'
import { routeOutputKey } from './output-key.ts'
import type { Flow, RouteAnswer } from './route.ts'

/**
 * ip_route_output_flow(): as `routeOutputKey`; EPERM where a policy blocks. A flow without a protocol asks for a route alone.
 */
export function routeOutput(
  ns: Namespace,
  flow: Flow,
  options: { readonly anySource?: boolean } = {},
): RouteAnswer {
  const answer = routeOutputKey(ns, flow, options)
  if (ns.xfrm === undefined || flow.protocol === 0 || answer.kind === 'error') return answer
  const { source, destination } = answer
  const route = xfrmLookupRoute(ns, { ...flow, source, destination }, answer.route)
  return typeof route === 'string' ? { kind: 'error', errno: route } : { ...answer, route }
}

// Whether a packet came as policies want it: net/xfrm/xfrm_policy.c __xfrm_policy_check(), for packets to this host (`in`) and
// for those that go on (`fwd`); and the transformation of what is forwarded, xfrm_route_forward().
import { ipProtocol } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import { drop } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { flowOf } from './flow.ts'
import { xfrmLookup } from './lookup.ts'
import { isAnyOr, type Policy, selectorMatches, type Template } from './policy.ts'
import type { XfrmState } from './state.ts'
import type { SecurityPath } from './tables.ts'

/** xfrm_state_ok(): the source of a tunnel counts, its other end is this host. */
function stateFits(template: Template, state: XfrmState): boolean {
  return (
    state.protocol === template.protocol &&
    (template.spi === 0 || template.spi === state.spi) &&
    (template.reqid === 0 || template.reqid === state.reqid) &&
    state.mode === template.mode &&
    (state.mode === 'transport' || isAnyOr(template.source, state.source))
  )
}

/** xfrm_policy_ok(): where the search goes on behind the state that fits a template; -1 where a template is not met. */
function behindTemplate(template: Template, path: SecurityPath, from: number): number {
  if (template.optional && template.mode === 'transport') return from
  for (let index = from; index < path.states.length; index += 1) {
    const state = path.states[index] as XfrmState
    if (stateFits(template, state)) return index + 1
    if (state.mode === 'transport' || index < path.verified) continue
    break
  }
  return template.optional ? from : -1
}

/** secpath_has_nontransport(): a tunnel from this place on. */
function hasTunnelBehind({ states }: SecurityPath, from: number): boolean {
  return states.slice(from).some(({ mode }) => mode !== 'transport')
}

function templatesMet(policy: Policy, path: SecurityPath): boolean {
  let at = 0
  for (const template of [...policy.templates].reverse()) {
    at = behindTemplate(template, path, at)
    if (at < 0) return false
  }
  if (hasTunnelBehind(path, at)) return false
  path.verified = at
  return true
}

/** Why a packet is refused, as /proc/net/xfrm_stat counts it. */
function refusal(skb: Skb, family: 4 | 6, direction: 'in' | 'fwd'): string | undefined {
  const { ns } = skb.dev
  const path = skb.securityPath
  const flow = flowOf(skb, family)
  for (const { selector } of path?.states ?? [])
    if (selector !== undefined && !selectorMatches(selector, flow)) return 'XfrmInStateMismatch'
  const policy = ns.xfrm?.policies.lookup(direction, flow)
  if (policy === undefined) return path !== undefined && hasTunnelBehind(path, 0) ? 'XfrmInNoPols' : undefined
  if (policy.action === 'block') return 'XfrmInPolBlock'
  return templatesMet(policy, path ?? { states: [], verified: 0 }) ? undefined : 'XfrmInTmplMismatch'
}

/** xfrm_policy_check(): whether the packet at `skb.networkHeader` may be received or forwarded; refusals are counted. */
export function policyCheck(skb: Skb, family: 4 | 6, direction: 'in' | 'fwd'): boolean {
  const { ns } = skb.dev
  if (ns.xfrm === undefined) return true
  if (skb.securityPath === undefined && !ns.xfrm.policies.has(direction)) return true
  const why = refusal(skb, family, direction)
  if (why === undefined) return true
  count(ns, why)
  return false
}

/** The end of a packet that `policyCheck` or `routeForward` refuses. */
export function dropByPolicy(skb: Skb, stage: 'route' | 'rx'): void {
  const device = stage === 'route' ? '' : skb.dev.name
  drop(skb, { device, stage, reason: 'SKB_DROP_REASON_XFRM_POLICY' })
}

/** Protocols ask for themselves whether policies accept a packet; ESP asks nobody. False when the packet is gone. */
export function isAccepted(skb: Skb, family: 4 | 6, protocol: number): boolean {
  const { ns } = skb.dev
  if (ns.xfrm === undefined || protocol === ipProtocol.esp || policyCheck(skb, family, 'in')) return true
  if (protocol === ipProtocol.udp) count(ns, family === 4 ? 'UdpInErrors' : 'Udp6InErrors')
  dropByPolicy(skb, 'rx')
  return false
}

/**
 * xfrm_route_forward(), and xfrm_lookup() once netfilter has changed a packet: its route becomes one that transforms it. False
 * where it may not go on.
 */
export function routeForward(ns: Namespace, skb: Skb, family: 4 | 6): boolean {
  if (ns.xfrm === undefined || skb.route === undefined) return true
  const found = xfrmLookup(ns, flowOf(skb, family), skb.route)
  if (typeof found === 'string') return false
  skb.route = found
  return true
}

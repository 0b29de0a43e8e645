// Whether a source address may arrive on a device: net/ipv4/fib_frontend.c fib_validate_source(). Strict and loose
// reverse path filtering, own addresses from outside, and whether the sender is on the link (for ICMP redirects).
import type { Ipv4 } from '../../net/address.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import type { NetDevice } from '../device/device.ts'
import { isLookupError, type Lookup, lookupRoute } from './lookup.ts'
import { type Flow, routeScope } from './route.ts'
import { addressesOf, isOwnAddress } from './source.ts'

/** `ok` with whether the sender is reached directly on that device, or why the packet must go. */
export type SourceVerdict =
  | { readonly kind: 'ok'; readonly onLink: boolean }
  | { readonly kind: 'invalid'; readonly reason: KernelDropReason }

const accepted: SourceVerdict = { kind: 'ok', onLink: false }
const acceptedOnLink: SourceVerdict = { kind: 'ok', onLink: true }
const reversePath: SourceVerdict = { kind: 'invalid', reason: 'SKB_DROP_REASON_IP_RPFILTER' }
const localSource: SourceVerdict = { kind: 'invalid', reason: 'SKB_DROP_REASON_IP_LOCAL_SOURCE' }
const invalidSource: SourceVerdict = { kind: 'invalid', reason: 'SKB_DROP_REASON_IP_INVALID_SOURCE' }

/** What is known of the packet whose source is in question. */
export interface SourceQuestion {
  readonly source: Ipv4
  /** 0 for broadcasts. */
  readonly destination: Ipv4
  readonly mark: number
  readonly tos: number
  /** The device the packet would leave by, 0 for local delivery. */
  readonly oif: number
  readonly protocol: number
}

function reverseFlow(question: SourceQuestion, mark: number, oif: number): Flow {
  return {
    family: 4,
    destination: question.source,
    source: question.destination,
    oif,
    iif: question.oif === 0 ? 1 : question.oif,
    mark,
    tos: question.tos,
    protocol: question.protocol,
    sport: 0,
    dport: 0,
    scope: routeScope.universe,
  }
}

/** The reverse next hop is on the link: its scope is host or nearer. */
function verdictOf(lookup: Lookup): SourceVerdict {
  if (isLookupError(lookup) || lookup.route.type !== 'unicast') return accepted
  return lookup.nextHop.scope >= routeScope.host ? acceptedOnLink : accepted
}

/** __fib_validate_source(): the look-up in the reverse direction. */
function fullCheck(dev: NetDevice, question: SourceQuestion, filter: number): SourceVerdict {
  const { ns } = dev
  const useMark = ns.sysctls.either('net.ipv4.conf.DEV.src_valid_mark', dev.name)
  const mark = useMark ? question.mark : 0
  const lastResort = filter > 0 ? reversePath : accepted
  const found = lookupRoute(ns, reverseFlow(question, mark, 0))
  if (isLookupError(found)) return lastResort
  const { type } = found.route
  if (type !== 'unicast') {
    if (type !== 'local') return invalidSource
    if (!ns.sysctls.either('net.ipv4.conf.DEV.accept_local', dev.name)) return localSource
  }
  const usesDevice = found.route.nextHops.some((nextHop) => nextHop.device === dev)
  if (usesDevice || (type === 'local' && dev.kind === 'loopback')) {
    return found.nextHop.scope >= routeScope.host ? acceptedOnLink : accepted
  }
  if (addressesOf(dev, 4).length === 0) return lastResort
  if (filter === 1) return reversePath
  return verdictOf(lookupRoute(ns, reverseFlow(question, mark, dev.ifindex)))
}

/**
 * fib_validate_source(). The effective rp_filter is the larger of `all` and the device's; with 0 only own addresses are
 * refused (unless accept_local), without a look-up.
 */
export function validateSource(dev: NetDevice, question: SourceQuestion): SourceVerdict {
  const { ns } = dev
  const filter = ns.sysctls.max('net.ipv4.conf.DEV.rp_filter', dev.name)
  const redirects =
    question.oif === dev.ifindex && ns.sysctls.either('net.ipv4.conf.DEV.send_redirects', dev.name)
  if (filter > 0 || redirects || ns.ip.v4.rules !== undefined) return fullCheck(dev, question, filter)
  if (ns.sysctls.either('net.ipv4.conf.DEV.accept_local', dev.name)) return accepted
  return isOwnAddress(ns, question.source) ? localSource : accepted
}

// bpf_fib_lookup() for both families: net/core/filter.c bpf_ipv4_fib_lookup(), bpf_ipv6_fib_lookup(). Facts: linux 3.10.

import { present } from '../../base/assert.ts'
import type { FibAnswer, FibLookup } from '../../bpf/contract.ts'
import { fibResult } from '../../bpf/fib-result.ts'
import { type IpAddress, ipv4From, isIpv4, isLinkLocal, isLoopback, isMulticast } from '../../net/address.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import { findNeighbour, isValid } from '../neighbour-entry.ts'
import type { FibMatch } from './fib.ts'
import { isLookupError, lookupInTable, lookupRoute } from './lookup.ts'
import { routeException } from './path-mtu.ts'
import { type Flow, routeScope, routeTable } from './route.ts'
import { sourceForRoute } from './source.ts'

/** BPF_FIB_LOOKUP_*. */
export const fibLookupFlag = {
  direct: 1,
  output: 2,
  skipNeighbour: 4,
  table: 8,
  source: 16,
  mark: 32,
} as const

const enodev = -19
const einval = -22

/** An address from the contract's words. */
function addressOf(family: 4 | 6, words: readonly number[]): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0] = words
  return family === 4 ? ipv4From(a) : [a >>> 0, b >>> 0, c >>> 0, d >>> 0]
}

function wordsOf(address: IpAddress): readonly number[] {
  return isIpv4(address) ? [address] : address
}

function answer(request: FibLookup, code: number, rest: Partial<FibAnswer> = {}): FibAnswer {
  return {
    code,
    ifindex: request.ifindex,
    gateway: request.destination,
    sourceMac: 0,
    destinationMac: 0,
    mtu: 0,
    metric: 0,
    preferredSource: request.source,
    ...rest,
  }
}

function flowOf(request: FibLookup, flags: number): Flow {
  const output = (flags & fibLookupFlag.output) !== 0
  return {
    family: request.family,
    destination: addressOf(request.family, request.destination),
    source: addressOf(request.family, request.source),
    oif: output ? request.ifindex : 0,
    iif: output ? 1 : request.ifindex,
    mark: (flags & fibLookupFlag.mark) !== 0 ? request.mark : 0,
    tos: request.tos & 0xfc,
    protocol: request.protocol,
    sport: request.sport,
    dport: request.dport,
    scope: routeScope.universe,
  }
}

function errorCode(errno: string): number {
  switch (errno) {
    case 'EINVAL':
      return fibResult.blackhole
    case 'EHOSTUNREACH':
      return fibResult.unreachable
    case 'EACCES':
      return fibResult.prohibit
    default:
      return fibResult.notForwarded
  }
}

/** ip_mtu_from_fib_result(). */
function mtuOf(ns: Namespace, found: FibMatch, destination: IpAddress, device: NetDevice): number {
  const base = found.route.mtu > 0 ? found.route.mtu : device.mtu
  const learned = routeException(ns, destination)
  return learned !== undefined && learned.mtu > 0 ? Math.min(learned.mtu, base) : base
}

function resolved(ns: Namespace, request: FibLookup, flags: number, found: FibMatch): FibAnswer {
  const destination = addressOf(request.family, request.destination)
  const device = present(found.nextHop.device, 'a unicast route has a device')
  const mtu = mtuOf(ns, found, destination, device)
  if (request.totalLength > mtu) return answer(request, fibResult.fragmentationNeeded, { mtu })
  const nextHop = found.nextHop.gateway ?? destination
  const wantsSource = (flags & fibLookupFlag.source) !== 0
  const source =
    wantsSource && request.family === 4 ? [sourceForRoute(found.route, found.nextHop)] : request.source
  const rest = {
    ifindex: device.ifindex,
    gateway: wordsOf(nextHop),
    metric: found.route.metric,
    preferredSource: source,
  }
  if ((flags & fibLookupFlag.skipNeighbour) !== 0) {
    return answer(request, fibResult.success, { ...rest, mtu })
  }
  const neighbour = findNeighbour(device, nextHop)
  if (neighbour === undefined || !isValid(neighbour.state)) {
    return answer(request, fibResult.noNeighbour, rest)
  }
  return answer(request, fibResult.success, {
    ...rest,
    mtu,
    sourceMac: device.mac,
    destinationMac: neighbour.mac,
  })
}

/** rt6_need_strict(): an address that means something on one link alone, so that IPv6 never forwards to or from it. */
function staysOnLink(address: IpAddress): boolean {
  return !isIpv4(address) && (isMulticast(address) || isLinkLocal(address) || isLoopback(address))
}

/**
 * bpf_fib_lookup() in a namespace. `code` is BPF_FIB_LKUP_RET_*, or -EINVAL for unknown flags and -ENODEV for a device
 * that is not there. With BPF_FIB_LOOKUP_DIRECT rules are not asked; `table` is for BPF_FIB_LOOKUP_TBID.
 */
export function bpfFibLookup(
  ns: Namespace,
  request: FibLookup & { readonly table?: number },
  flags: number,
): FibAnswer {
  if ((flags & ~63) !== 0) return answer(request, einval)
  const flow = flowOf(request, flags)
  if (staysOnLink(flow.destination) || staysOnLink(flow.source)) {
    return answer(request, fibResult.notForwarded)
  }
  const dev = ns.devices.get(request.ifindex)
  if (dev === undefined) return answer(request, enodev)
  const forwards = ns.sysctls.device(`net.ipv${request.family}.conf.DEV.forwarding`, dev.name) !== 0
  if (!forwards) return answer(request, fibResult.forwardingDisabled)
  const wanted = (flags & fibLookupFlag.table) !== 0 ? (request.table ?? 0) : routeTable.main
  const direct = (flags & fibLookupFlag.direct) !== 0
  const found = direct ? lookupInTable(ns, wanted, flow) : lookupRoute(ns, flow)
  if (isLookupError(found)) return answer(request, errorCode(found))
  if (found.route.type !== 'unicast') return answer(request, fibResult.notForwarded)
  return resolved(ns, request, flags, found)
}

// How often ICMP may speak: a token bucket per remote address and one for all (net/ipv4/inetpeer.c
// inet_peer_xrlim_allow(), net/ipv4/icmp.c icmp_global_allow()). Facts: linux 8.14.
import type { IpAddress } from '../../net/address.ts'
import { isIpv4 } from '../../net/address.ts'
import { millisecond, second } from '../clock.ts'
import type { Namespace } from '../namespace.ts'
import { familyState, type Peer } from './state.ts'

/** XRLIM_BURST_FACTOR: messages that may come at once. */
const burst = 6
/** net.ipv4.route.error_cost and error_burst: the second limiter of ip_error(), in the same bucket. */
const errorCost = second
const errorBurst = 5 * second
/** A new bucket behaves as if it had been idle for a minute. */
const idle = 60 * second

/** The buckets of a remote address (inet_getpeer). */
function peerOf(ns: Namespace, address: IpAddress): Peer {
  const { peers } = familyState(ns, isIpv4(address) ? 4 : 6)
  const known = peers.get(address)
  if (known !== undefined) return known
  const made: Peer = { tokens: 0, last: ns.machine.clock.now - idle, redirects: 0 }
  peers.set(address, 0, made)
  return made
}

/**
 * inet_peer_xrlim_allow(): takes one message's worth of time (`timeoutMs`) out of the bucket. 0 allows
 * every message, and empties the bucket once time has passed since it was last asked.
 */
export function peerAllows(ns: Namespace, address: IpAddress, timeoutMs: number): boolean {
  const timeout = timeoutMs * millisecond
  const peer = peerOf(ns, address)
  const { now } = ns.machine.clock
  if (now !== peer.last) peer.tokens = Math.min(peer.tokens + now - peer.last, burst * timeout)
  peer.last = now
  if (peer.tokens < timeout) return false
  peer.tokens -= timeout
  return true
}

/** The limiter in front of ip_error()'s messages (no route, unreachable, prohibit). */
export function routeErrorAllowed(ns: Namespace, address: IpAddress): boolean {
  const peer = peerOf(ns, address)
  const { now } = ns.machine.clock
  peer.tokens = Math.min(peer.tokens + now - peer.last, errorBurst)
  peer.last = now
  if (peer.tokens < errorCost) return false
  peer.tokens -= errorCost
  return true
}

/** How long the bucket of icmp_global_allow() stays empty at least (HZ / 50), and what it gains at most at once (HZ). */
const globalPause = 20 * millisecond
const globalGain = second

/**
 * icmp_global_allow(): whether icmp_msgs_per_sec and icmp_msgs_burst of the namespace let one more message go. The bucket is
 * filled only when it has become empty. The kernel takes 0, 1 or 2 by chance for each message, the model always 1.
 */
export function globalAllows({ ip, sysctls, machine }: Namespace): boolean {
  if (ip.icmpCredit > 0) return true
  const { now } = machine.clock
  const passed = Math.min(now - ip.icmpFilled, globalGain)
  if (passed < globalPause) return false
  const gained = Math.floor((sysctls.get('net.ipv4.icmp_msgs_per_sec') * passed) / second)
  if (gained === 0) return false
  ip.icmpFilled = now
  ip.icmpCredit = Math.min(ip.icmpCredit + gained, sysctls.get('net.ipv4.icmp_msgs_burst'))
  return true
}

/** icmp_global_consume(): the message that was allowed is really sent. */
export function consumeGlobal({ ip }: Namespace): void {
  ip.icmpCredit -= 1
}

/** ip_rt_redirect_silence, ip_rt_redirect_number, ip_rt_redirect_load. */
const redirectSilence = 20.48 * second
const redirectsMax = 9
const redirectLoad = 20 * millisecond

/** ip_rt_send_redirect(): whether one more redirect goes to a host; they become rarer, then stop. */
export function redirectAllowed(ns: Namespace, address: IpAddress): boolean {
  const peer = peerOf(ns, address)
  const { now } = ns.machine.clock
  if (now > peer.last + redirectSilence) {
    peer.tokens = 0
    peer.redirects = 0
  }
  if (peer.redirects >= redirectsMax) {
    peer.last = now
    return false
  }
  if (peer.redirects > 0 && now <= peer.last + redirectLoad * 2 ** peer.redirects) return false
  peer.last = now
  peer.redirects += 1
  return true
}

// Receive windows and segment sizes as Linux chooses them: net/ipv4/tcp_output.c tcp_select_initial_window(),
// tcp_select_window(), tcp_mtu_to_mss().
import type { Route } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'

export interface ReceiveSpace {
  /** tcp_full_space: what an empty buffer could take (bytes). */
  readonly full: number
  /** rcv_ssthresh: the largest window told, a multiple of the MSS. */
  readonly threshold: number
  readonly scale: number
}

/**
 * tcp_select_initial_window() for an MSS that leaves room for the options of every segment. Half of net.ipv4.tcp_rmem's default
 * is window (scaling ratio 128/256); its largest value sets the window scale. Linux's own defaults (131072, 33554432) give 64240
 * and a scale of 10.
 */
export function receiveSpace(ns: Namespace, mss: number): ReceiveSpace {
  const full = ns.sysctls.get('net.ipv4.tcp_rmem.default') >> 1
  const largest = ns.sysctls.get('net.ipv4.tcp_rmem.max')
  const scale = Math.min(14, Math.max(0, 31 - Math.clz32(largest) - 15))
  return { full, threshold: full > mss ? full - (full % mss) : full, scale }
}

/** Bytes of IP and TCP headers without options. */
function headerBytes(route: Route): number {
  return (route.family === 4 ? 20 : 40) + 20
}

/** xfrm_dst_path(): the route by which what was transformed leaves. */
function pathOf(route: Route): Route {
  return typeof route.xfrm === 'object' ? pathOf(route.xfrm.child) : route
}

/** The MSS to offer (dst_metric_advmss): from the MTU of the route, or of the one behind IPsec, at least 256 for IPv4 and 1220 for IPv6. */
export function offeredMss(route: Route): number {
  const room = pathOf(route).mtu - headerBytes(route)
  // ip_default_advmss(): an IPv4 packet has at most 65535 bytes with its headers (lo's MTU is greater)
  if (route.family === 4) return Math.min(65_535 - headerBytes(route), Math.max(256, room))
  return Math.min(65_535, Math.max(1220, room))
}

/** The payload of one segment on this path: MTU less headers, at most what the peer offered, less options. */
export function segmentSize(route: Route, peerMss: number, optionBytes: number): number {
  return Math.max(48, Math.min(route.mtu - headerBytes(route), peerMss) - optionBytes)
}

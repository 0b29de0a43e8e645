// What IPv4 and IPv6 have in common and where they differ, so that each part of the datapath is written once. Cilium's C
// has every function twice; here a `Family` says the sizes, the offsets in the header and the names of the maps.

import type { Ctx } from './ctx.ts'

/** Addresses are bytes as they stand in a packet: 4 or 16 of them. */
export type Address = Uint8Array

export interface Family {
  readonly version: 4 | 6
  readonly etherType: number
  readonly addressBytes: 4 | 16
  /** Without options or extension headers. */
  readonly headerBytes: 20 | 40
  /** Offsets in the IP header. */
  readonly sourceAt: number
  readonly destinationAt: number
  readonly ttlAt: number
  readonly protocolAt: number
  /** IPPROTO_ICMP or IPPROTO_ICMPV6. */
  readonly icmp: number
  /** Family byte in the keys of cilium_lxc and cilium_ipcache (ENDPOINT_KEY_IPV4, ENDPOINT_KEY_IPV6). */
  readonly endpointKey: 1 | 2
}

export const ipv4: Family = {
  version: 4,
  etherType: 0x0800,
  addressBytes: 4,
  headerBytes: 20,
  sourceAt: 12,
  destinationAt: 16,
  ttlAt: 8,
  protocolAt: 9,
  icmp: 1,
  endpointKey: 1,
}

export const ipv6: Family = {
  version: 6,
  etherType: 0x86dd,
  addressBytes: 16,
  headerBytes: 40,
  sourceAt: 8,
  destinationAt: 24,
  ttlAt: 7,
  protocolAt: 6,
  icmp: 58,
  endpointKey: 2,
}

export const protocolNumber = { ICMP: 1, IGMP: 2, TCP: 6, UDP: 17, ESP: 50, ICMPV6: 58, SCTP: 132 } as const

/** Whether two addresses of one family are the same. */
export function sameAddress(a: Address, b: Address): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false
  return true
}

/** The family of an ethertype that this node is compiled for. */
export function enabledFamily(ctx: Ctx, etherType: number): Family | undefined {
  if (etherType === ipv4.etherType && ctx.node.ENABLE_IPV4) return ipv4
  return etherType === ipv6.etherType && ctx.node.ENABLE_IPV6 ? ipv6 : undefined
}

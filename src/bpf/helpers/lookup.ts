// Helpers that ask the kernel's tables: routes, MTUs, sockets, hashes, cookies. net/core/filter.c bpf_skb_fib_lookup(),
// bpf_xdp_fib_lookup(), bpf_skb_check_mtu(), bpf_sk_lookup(), bpf_sk_assign(), bpf_get_hash_recalc()
import { readU16 } from '../../net/bytes.ts'
import { readLe32, writeLe32 } from '../context/byte-order.ts'
import {
  fibBytes,
  readFib,
  readWords,
  sockTupleBytes,
  writeFibMacs,
  writeFibMtu,
  writeFibTarget,
} from '../context/structs.ts'
import type { RunContext, SkbView, SocketHandle } from '../contract.ts'
import { errno } from '../errno.ts'
import { fibResult } from '../fib-result.ts'
import { skbLength, skbOf } from './subject.ts'

export const fibFlag = {
  BPF_FIB_LOOKUP_DIRECT: 1,
  BPF_FIB_LOOKUP_OUTPUT: 2,
  BPF_FIB_LOOKUP_SKIP_NEIGH: 4,
  BPF_FIB_LOOKUP_TBID: 8,
  BPF_FIB_LOOKUP_SRC: 16,
  BPF_FIB_LOOKUP_MARK: 32,
} as const

const fibFlags = 63
const ethernetBytes = 14
const vlanBytes = 4
const tcp = 6
const udp = 17

/** is_skb_forwardable(): the check of a tc program that gave no tot_len. What is cut later fits. */
function fitsDevice({ skb }: RunContext, mtu: number): boolean {
  return skb === undefined || skb.gsoSize > 0 || skbLength(skb) <= mtu + ethernetBytes + vlanBytes
}

/** skb_gso_validate_network_len(): whether the segments that a large packet is cut into fit, from the IP header on. */
function segmentsFit(skb: SkbView, mtu: number): boolean {
  const headers = (skb.wireLength - skbLength(skb)) / Math.max(1, skb.gsoSegs - 1)
  return headers - ethernetBytes + skb.gsoSize <= mtu
}

/**
 * bpf_fib_lookup on a struct bpf_fib_lookup (`writeFib`, `readFibResult`): BPF_FIB_LKUP_RET_*, or -EINVAL for a struct
 * that is too small or unknown flags, -EAFNOSUPPORT for another family.
 */
export function fibLookup(context: RunContext, params: Uint8Array, flags = 0): number {
  if (params.length < fibBytes || (flags & ~fibFlags) !== 0) return -errno.EINVAL
  const request = readFib(params)
  if (request === undefined) return -errno.EAFNOSUPPORT
  const marked = (flags & fibFlag.BPF_FIB_LOOKUP_MARK) !== 0
  const answer = context.kernel.fibLookup(marked ? request : { ...request, mark: 0 }, flags)
  const { code } = answer
  if (code === fibResult.fragmentationNeeded) writeFibMtu(params, answer.mtu)
  if (code !== fibResult.success && code !== fibResult.noNeighbour) return code
  writeFibTarget(params, answer)
  if (code === fibResult.noNeighbour) return code
  if ((flags & fibFlag.BPF_FIB_LOOKUP_SKIP_NEIGH) === 0) writeFibMacs(params, answer)
  if (request.totalLength !== 0) {
    writeFibMtu(params, answer.mtu)
    return code
  }
  const mtu = context.kernel.deviceMtu(answer.ifindex)
  if (context.skb === undefined || mtu === undefined) return code
  writeFibMtu(params, mtu)
  return fitsDevice(context, mtu) ? code : fibResult.fragmentationNeeded
}

/**
 * bpf_check_mtu: 0 fits, 1 (BPF_MTU_CHK_RET_FRAG_NEEDED) does not. `mtuLength` is a u32: 0 or the L3 length to check
 * instead of the packet's; on return the device's MTU. A packet that is cut later fits, and with BPF_MTU_CHK_SEGS is 2
 * (BPF_MTU_CHK_RET_SEGS_TOOBIG) where its segments do not. -ENODEV for an unknown device, -EINVAL for flags.
 */
export function checkMtu(
  context: RunContext,
  ifindex: number,
  mtuLength: Uint8Array,
  difference: number,
  flags = 0,
): number {
  const { skb, xdp } = context
  const segments = flags === 1 && skb !== undefined
  if (flags !== 0 && !segments) return -errno.EINVAL
  const asked = readLe32(mtuLength, 0)
  if (segments && (difference !== 0 || asked !== 0)) return -errno.EINVAL
  const mtu = context.kernel.deviceMtu(ifindex === 0 ? (skb?.ifindex ?? xdp?.ifindex ?? 0) : ifindex)
  if (mtu === undefined) return -errno.ENODEV
  const packet = skb !== undefined ? skbLength(skb) : xdp === undefined ? 0 : xdp.dataEnd - xdp.data
  const length = (asked === 0 ? packet : asked + ethernetBytes) + difference
  writeLe32(mtuLength, 0, mtu)
  if (length <= mtu + ethernetBytes) return 0
  if (skb === undefined || skb.gsoSize === 0) return 1
  return segments && !segmentsFit(skb, mtu) ? 2 : 0
}

function lookup(
  context: RunContext,
  tuple: Uint8Array,
  protocol: number,
  flags: number,
): SocketHandle | undefined {
  const family =
    tuple.length === sockTupleBytes.ipv4 ? 4 : tuple.length === sockTupleBytes.ipv6 ? 6 : undefined
  if (family === undefined || flags !== 0) return undefined
  const addressBytes = family === 4 ? 4 : 16
  return context.kernel.lookupSocket({
    family,
    protocol,
    source: readWords(tuple, 0, family),
    destination: readWords(tuple, addressBytes, family),
    sport: readU16(tuple, addressBytes * 2),
    dport: readU16(tuple, addressBytes * 2 + 2),
  })
}

/** TCP_LISTEN and the other full states; a request or time-wait socket has none of their fields. */
const timeWait = 6
const newSynRecv = 12

/** bpf_sk_lookup_tcp: a full socket for a struct bpf_sock_tuple (12 or 36 bytes) in the device's namespace, or nothing. */
export function skLookupTcp(
  context: RunContext,
  tuple: Uint8Array,
  _netns: number,
  flags = 0,
): SocketHandle | undefined {
  const found = lookup(context, tuple, tcp, flags)
  return found?.state === timeWait || found?.state === newSynRecv ? undefined : found
}

/** bpf_skc_lookup_tcp: the same, with request and time-wait sockets. */
export function skcLookupTcp(
  context: RunContext,
  tuple: Uint8Array,
  _netns: number,
  flags = 0,
): SocketHandle | undefined {
  return lookup(context, tuple, tcp, flags)
}

/** bpf_sk_lookup_udp. */
export function skLookupUdp(
  context: RunContext,
  tuple: Uint8Array,
  _netns: number,
  flags = 0,
): SocketHandle | undefined {
  return lookup(context, tuple, udp, flags)
}

/** bpf_sk_release: gives a socket back; nothing to do where sockets are not counted. */
export function skRelease(_context: RunContext, _socket: SocketHandle): number {
  return 0
}

/** bpf_sk_assign: the packet belongs to this socket from here on. -EOPNOTSUPP outside of ingress, -EINVAL for flags. */
export function skAssign(context: RunContext, socket: SocketHandle | undefined, flags = 0): number {
  if (flags !== 0) return -errno.EINVAL
  if (context.type === 'sched_cls' && context.direction !== 'ingress') return -errno.EOPNOTSUPP
  return context.kernel.assignSocket(socket)
}

/** bpf_get_hash_recalc: the flow hash, computed when there is none yet. */
export function getHashRecalc(context: RunContext): number {
  const skb = skbOf(context)
  if (skb.hash === 0) skb.hash = context.kernel.flowHash()
  return skb.hash >>> 0
}

/** bpf_set_hash_invalid. */
export function setHashInvalid(context: RunContext): number {
  skbOf(context).hash = 0
  return 0
}

/** bpf_set_hash. */
export function setHash(context: RunContext, hash: number): number {
  const skb = skbOf(context)
  skb.hash = hash >>> 0
  skb.l4Hash = true
  return 0
}

/** bpf_get_socket_cookie of the socket that owns the packet; 0 without one. */
export function getSocketCookie(context: RunContext): number {
  return skbOf(context).socketCookie
}

/** bpf_get_netns_cookie: the namespace of the sending socket, or init_net's. */
export function getNetnsCookie(context: RunContext): number {
  return context.kernel.netnsCookie()
}

/** bpf_get_retval: what the system call will answer, as a negative errno. */
export function getRetval(context: RunContext): number {
  return context.retval
}

/** bpf_set_retval. */
export function setRetval(context: RunContext, value: number): number {
  context.retval = value
  return 0
}

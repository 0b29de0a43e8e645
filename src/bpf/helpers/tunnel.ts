// Helpers on tunnel metadata (struct ip_tunnel_info beside an skb). net/core/filter.c bpf_skb_set_tunnel_key(),
// bpf_skb_get_tunnel_key(), bpf_skb_set_tunnel_opt(), bpf_skb_get_tunnel_opt()
import { readLe32 } from '../context/byte-order.ts'
import { readWords, tunnelKeyAt, tunnelKeyBytes, writeTunnelKey } from '../context/structs.ts'
import type { RunContext, TunnelKey } from '../contract.ts'
import { errno } from '../errno.ts'
import { skbOf } from './subject.ts'

export const tunnelFlag = {
  BPF_F_TUNINFO_IPV6: 1,
  BPF_F_ZERO_CSUM_TX: 2,
  BPF_F_DONT_FRAGMENT: 4,
  BPF_F_SEQ_NUMBER: 8,
  BPF_F_NO_TUNNEL_KEY: 16,
} as const

/** BPF_F_TUNINFO_FLAGS, for bpf_skb_get_tunnel_key. */
const wantFlags = 16
const setFlags = 31
const flowLabelMask = 0xf_ffff
const optionBytesMax = 255

/** Sizes that the struct had in older kernels; programs compiled then still work. */
const sizesKnown = [tunnelKeyBytes, 28, 24, 22, 8]

type Address = TunnelKey['remote']

function readAddress(bytes: Uint8Array, offset: number, flags: number): Address {
  if ((flags & tunnelFlag.BPF_F_TUNINFO_IPV6) === 0) return readLe32(bytes, offset)
  const [a = 0, b = 0, c = 0, d = 0] = readWords(bytes, offset, 6)
  return [a, b, c, d]
}

/**
 * bpf_skb_set_tunnel_key. `key` is a struct bpf_tunnel_key (`writeTunnelKey`), IPv4 addresses in host byte order (3.9 of
 * the observed facts). 0, or -EINVAL for unknown flags, a size no kernel ever had, or a flow label with IPv4.
 */
export function skbSetTunnelKey(context: RunContext, key: Uint8Array, flags = 0): number {
  if ((flags & ~setFlags) !== 0 || !sizesKnown.includes(key.length)) return -errno.EINVAL
  const whole = new Uint8Array(tunnelKeyBytes)
  whole.set(key)
  const label = readLe32(whole, tunnelKeyAt.tunnel_label)
  const ipv6 = (flags & tunnelFlag.BPF_F_TUNINFO_IPV6) !== 0
  if ((!ipv6 && label !== 0) || label > flowLabelMask) return -errno.EINVAL
  skbOf(context).tunnelKey = {
    id: readLe32(whole, tunnelKeyAt.tunnel_id),
    remote: readAddress(whole, tunnelKeyAt.remote, flags),
    local: readAddress(whole, tunnelKeyAt.local, flags),
    tos: whole[tunnelKeyAt.tunnel_tos] as number,
    ttl: whole[tunnelKeyAt.tunnel_ttl] as number,
    flags,
  }
  return 0
}

/** bpf_skb_get_tunnel_key: fills `to`. -EINVAL without a tunnel, -EPROTO for the other family; then `to` is zero. */
export function skbGetTunnelKey(context: RunContext, to: Uint8Array, flags = 0): number {
  const key = skbOf(context).tunnelKey
  to.fill(0)
  if (key === undefined || (flags & ~(tunnelFlag.BPF_F_TUNINFO_IPV6 | wantFlags)) !== 0) return -errno.EINVAL
  const ipv6 = (flags & tunnelFlag.BPF_F_TUNINFO_IPV6) !== 0
  if (ipv6 === (typeof key.remote === 'number')) return -errno.EPROTO
  if (!sizesKnown.includes(to.length)) return -errno.EINVAL
  to.set(writeTunnelKey(key).subarray(0, to.length))
  return 0
}

/** bpf_skb_set_tunnel_opt: Geneve options for a key that was set. 0, -EINVAL, -ENOMEM above 255 bytes. */
export function skbSetTunnelOpt(context: RunContext, options: Uint8Array): number {
  const skb = skbOf(context)
  if (skb.tunnelKey === undefined || (options.length & 3) !== 0) return -errno.EINVAL
  if (options.length > optionBytesMax) return -errno.ENOMEM
  skb.tunnelKey = { ...skb.tunnelKey, options: options.slice() }
  return 0
}

/** bpf_skb_get_tunnel_opt: the number of bytes; -ENOENT without options, -ENOMEM when `to` is too small. */
export function skbGetTunnelOpt(context: RunContext, to: Uint8Array): number {
  const options = skbOf(context).tunnelKey?.options
  to.fill(0)
  if (options === undefined || options.length === 0) return -errno.ENOENT
  if (to.length < options.length) return -errno.ENOMEM
  to.set(options)
  return options.length
}

// Closed lists of words that values may hold: return codes, stages, reasons. What is not in a list is a mistake.
import type { Stage } from '../../trace/event.ts'

/** enum xdp_action */
export const xdpCodes = ['XDP_ABORTED', 'XDP_DROP', 'XDP_PASS', 'XDP_TX', 'XDP_REDIRECT'] as const

/** TC_ACT_* of linux/pkt_cls.h */
export const tcCodes = [
  'TC_ACT_UNSPEC',
  'TC_ACT_OK',
  'TC_ACT_RECLASSIFY',
  'TC_ACT_SHOT',
  'TC_ACT_PIPE',
  'TC_ACT_STOLEN',
  'TC_ACT_QUEUED',
  'TC_ACT_REPEAT',
  'TC_ACT_REDIRECT',
  'TC_ACT_TRAP',
] as const

/** enum tcx_action_base */
export const tcxCodes = ['TCX_NEXT', 'TCX_PASS', 'TCX_DROP', 'TCX_REDIRECT'] as const

/** enum netkit_action */
export const netkitCodes = ['NETKIT_NEXT', 'NETKIT_PASS', 'NETKIT_DROP', 'NETKIT_REDIRECT'] as const

/** What a program of a cgroup says of a packet; at egress a notification of congestion may go with it. */
export const cgroupCodes = ['DENY', 'ALLOW', 'DENY_CN', 'ALLOW_CN'] as const

/** Verdicts of a netfilter chain. */
export const netfilterCodes = ['ACCEPT', 'DROP', 'REJECT', 'STOLEN', 'QUEUE', 'REPEAT'] as const

/** Stages of a device, as places name them. */
export const deviceStages = [
  'rx',
  'xdp',
  'tc-in',
  'tc-out',
  'netkit-primary',
  'netkit-peer',
  'tx',
  'xmit',
  'decap',
  'policy',
  'neigh',
  'nic',
  'irq',
  'napi',
  'alloc',
  'gro',
  'gso',
  'tap-in',
  'tap-out',
  'bridge',
  'qdisc',
] as const satisfies readonly Stage[]

/** Stages of a host itself. */
export const hostStages = [
  'nf',
  'route',
  'xfrm',
  'socket',
  'proxy',
  'cgroup',
] as const satisfies readonly Stage[]

export const outcomes = ['delivered', 'dropped', 'consumed', 'looped', 'unfinished'] as const

/** enum xdp, tc and other trace events that `event` may ask for. */
export const tracepoints = [
  'xdp_exception',
  'xdp_redirect',
  'xdp_redirect_err',
  'xdp_redirect_map',
  'xdp_redirect_map_err',
  'xdp_bulk_tx',
  'xdp_cpumap_enqueue',
  'xdp_cpumap_kthread',
  'xdp_devmap_xmit',
  'mem_disconnect',
  'kfree_skb',
  'net_dev_xmit',
  'neigh_update',
  'fdb_delete',
  'br_fdb_update',
  'br_fdb_add',
] as const

/** Tables of iptables. */
export const netfilterTables = ['raw', 'mangle', 'nat', 'filter', 'security'] as const

/** The errno names that a socket call may end with. */
export const errnos = [
  'EPERM',
  'EINTR',
  'EAGAIN',
  'EACCES',
  'EINVAL',
  'EPIPE',
  'EMSGSIZE',
  'EPROTO',
  'EPROTONOSUPPORT',
  'EOPNOTSUPP',
  'EAFNOSUPPORT',
  'EADDRINUSE',
  'EADDRNOTAVAIL',
  'ENETDOWN',
  'ENETUNREACH',
  'ECONNABORTED',
  'ECONNRESET',
  'ENOBUFS',
  'EISCONN',
  'ENOTCONN',
  'ETIMEDOUT',
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EALREADY',
  'EINPROGRESS',
  'ENOKEY',
  'EDESTADDRREQ',
  'ENODEV',
  'ENXIO',
] as const

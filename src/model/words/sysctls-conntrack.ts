// The sysctls of connection tracking, with the largest value that the kernel takes of each; the smallest is 0.

const switches = ['tcp_loose', 'tcp_be_liberal', 'tcp_ignore_invalid_rst', 'checksum', 'acct']

/** Seconds. */
const timeouts = [
  'generic_timeout',
  'icmp_timeout',
  'icmpv6_timeout',
  'gre_timeout',
  'gre_timeout_stream',
  'udp_timeout',
  'udp_timeout_stream',
  'tcp_timeout_syn_sent',
  'tcp_timeout_syn_recv',
  'tcp_timeout_established',
  'tcp_timeout_fin_wait',
  'tcp_timeout_close_wait',
  'tcp_timeout_last_ack',
  'tcp_timeout_time_wait',
  'tcp_timeout_close',
  'tcp_timeout_max_retrans',
  'tcp_timeout_unacknowledged',
  'sctp_timeout_closed',
  'sctp_timeout_cookie_wait',
  'sctp_timeout_cookie_echoed',
  'sctp_timeout_established',
  'sctp_timeout_shutdown_sent',
  'sctp_timeout_shutdown_recd',
  'sctp_timeout_shutdown_ack_sent',
  'sctp_timeout_heartbeat_sent',
]

/** proc_dointvec_jiffies() takes what fits into an int once it is jiffies, 250 a second. */
const secondsMax = 8_589_934

/** By name. */
export const conntrackLimits: ReadonlyMap<string, number> = new Map(
  [
    ...switches.map((name) => [name, 1] as const),
    ...timeouts.map((name) => [name, secondsMax] as const),
    ['tcp_max_retrans', 255] as const,
    ['max', 0x7fff_ffff] as const,
  ].map(([name, max]) => [`net.netfilter.nf_conntrack_${name}`, max]),
)

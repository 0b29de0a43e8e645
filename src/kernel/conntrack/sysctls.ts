// The sysctls of connection tracking (nf_conntrack_standalone.c) with their values in a fresh namespace.

const switches = {
  tcp_loose: 1,
  tcp_be_liberal: 0,
  tcp_ignore_invalid_rst: 0,
  checksum: 1,
  acct: 0,
}

const timeouts = {
  generic_timeout: 600,
  icmp_timeout: 30,
  icmpv6_timeout: 30,
  gre_timeout: 30,
  gre_timeout_stream: 180,
  udp_timeout: 30,
  udp_timeout_stream: 120,
  tcp_timeout_syn_sent: 120,
  tcp_timeout_syn_recv: 60,
  tcp_timeout_established: 432_000,
  tcp_timeout_fin_wait: 120,
  tcp_timeout_close_wait: 60,
  tcp_timeout_last_ack: 30,
  tcp_timeout_time_wait: 120,
  tcp_timeout_close: 10,
  tcp_timeout_max_retrans: 300,
  tcp_timeout_unacknowledged: 300,
  sctp_timeout_closed: 10,
  sctp_timeout_cookie_wait: 3,
  sctp_timeout_cookie_echoed: 3,
  sctp_timeout_established: 210,
  sctp_timeout_shutdown_sent: 3,
  sctp_timeout_shutdown_recd: 3,
  sctp_timeout_shutdown_ack_sent: 3,
  sctp_timeout_heartbeat_sent: 30,
}

function named(values: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`net.netfilter.nf_conntrack_${name}`, value]),
  )
}

/** By name; timeouts are seconds. */
export const conntrackSysctls: Readonly<Record<string, number>> = named({
  ...switches,
  ...timeouts,
  tcp_max_retrans: 3,
  max: 262_144,
})

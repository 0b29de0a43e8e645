// Why packets end: a sentence for each drop reason of the kernel part, with the place in Linux where it happens.

/** By name, without the prefix SKB_DROP_REASON_. */
export const dropPages: Readonly<Record<string, string>> = {
  NOT_SPECIFIED: 'The kernel freed the packet at a place that names no reason of its own.',
  NO_SOCKET:
    'No socket is bound to the destination (udp_unicast_rcv_skb, tcp_v4_rcv). A UDP sender gets ICMP port unreachable, a TCP sender an RST.',
  PKT_TOO_SMALL: 'The packet is shorter than the header that its protocol needs.',
  TCP_CSUM: 'The checksum of the TCP segment is wrong (tcp_checksum_complete).',
  UDP_CSUM: 'The checksum of the UDP datagram is wrong (udp_csum_pull_header).',
  ICMP_CSUM: 'The checksum of the ICMP message is wrong (icmp_rcv).',
  NETFILTER_DROP: 'A netfilter rule or a chain policy said DROP (nf_hook_slow).',
  OTHERHOST:
    "The frame is addressed to another host's MAC address: taps and tc see it, the IP layer does not take it (ip_rcv_core). Typical after a redirect that did not rewrite the MAC addresses.",
  IP_CSUM: 'The checksum of the IPv4 header is wrong (ip_rcv_core).',
  IP_INHDR: 'The IP header is wrong, or its TTL is used up (ip_rcv_core, ip_forward).',
  IP_RPFILTER:
    'The source address would not be reached by the device that the packet came from (rp_filter, fib_validate_source).',
  UNICAST_IN_L2_MULTICAST:
    'A unicast IP packet came in a broadcast or multicast frame, which the namespace does not accept.',
  IP_NOPROTO:
    'Nobody handles this IP protocol (ip_protocol_deliver_rcu); the sender gets ICMP protocol unreachable.',
  SOCKET_FILTER: 'A cgroup program at ingress denied the packet to its socket (sk_filter).',
  SOCKET_RCVBUFF: 'The receive buffer of the socket is full.',
  TCP_FLAGS: 'The flags of the segment make no sense in the state of the connection.',
  TCP_INVALID_SEQUENCE: 'The segment lies outside of the receive window (tcp_validate_incoming).',
  TCP_INVALID_SYN: 'A SYN inside an open connection; the answer is a challenge ACK.',
  TCP_RESET: 'An RST ended the connection.',
  TCP_CLOSE: 'The connection is closed.',
  IP_OUTNOROUTES: 'There is no route to send by (ip_queue_xmit).',
  IPV6DISABLED: 'IPv6 is switched off on the device (disable_ipv6).',
  NEIGH_CREATEFAIL: 'No neighbour entry could be made.',
  NEIGH_FAILED:
    'The next hop did not answer ARP or neighbour solicitations: three questions, one second apart (neigh_timer_handler).',
  NEIGH_QUEUEFULL:
    'Too many packets waited for the answer of a neighbour; the oldest go first (unres_qlen_bytes).',
  NEIGH_DEAD: 'The neighbour entry was being removed.',
  BPF_CGROUP_EGRESS:
    'A cgroup program at egress denied the packet; the sender sees EPERM (ip_finish_output).',
  TC_EGRESS: 'A tc program on egress returned TC_ACT_SHOT (sch_handle_egress).',
  TC_INGRESS: 'A tc program on ingress returned TC_ACT_SHOT (sch_handle_ingress).',
  QDISC_DROP: 'The queueing discipline had no room.',
  FQ_BAND_LIMIT: 'As many packets wait in the fq of the device as it may keep (`limit`).',
  FQ_HORIZON_LIMIT: 'The departure time (skb->tstamp) lies farther in the future than the horizon of fq.',
  FQ_FLOW_LIMIT: 'As many packets of this flow wait in fq as one flow may have (`flow_limit`).',
  XDP: 'Generic XDP dropped the packet.',
  UNHANDLED_PROTO: 'No handler is registered for this ethertype.',
  DEV_HDR: 'The link-layer header is wrong, or could not be made.',
  DEV_READY: 'The device is down or not ready.',
  FULL_RING: 'A ring between two devices has no room, or nobody empties it.',
  HDR_TRUNC: 'The packet ends inside a header.',
  INVALID_PROTO: 'The packet belongs to a protocol that is not handled here.',
  IP_INADDRERRORS: 'The destination is not ours and forwarding is off (ip_error, IpInAddrErrors).',
  IP_INNOROUTES: 'There is no route for a packet to forward (ip_error, IpExtInNoRoutes).',
  IP_LOCAL_SOURCE: "The source is one of this host's own addresses: a martian (ip_handle_martian_source).",
  IP_INVALID_SOURCE:
    'The source is an address that no packet may come from: loopback, broadcast, multicast, zero.',
  IP_LOCALNET: 'A loopback address came from the wire, and route_localnet is off.',
  IP_INVALID_DEST: 'The destination is an address that no packet may go to from here.',
  PKT_TOO_BIG: 'The packet does not fit the MTU of the way out and may not be fragmented.',
  DUP_FRAG: 'This fragment was there already, or overlaps another.',
  FRAG_REASM_TIMEOUT: 'Not all fragments came within 30 s.',
  NO_TX_TARGET: 'A bridge has no port that the frame could go to.',
  RECURSION_LIMIT: 'The packet was transmitted inside its own transmission too often (dev_xmit_recursion).',
  XDP_ABORTED:
    'The XDP program returned XDP_ABORTED or a code that XDP does not know; the tracepoint xdp:xdp_exception fires.',
  XDP_DROP: 'The XDP program returned XDP_DROP. No tap sees the packet.',
}

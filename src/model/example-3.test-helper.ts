// The language's third example, unchanged: a hand-made host with one XDP and one tc program.
export const example3 = `scn 1

doc "Return codes of one XDP and one tc program on a hand-made host. No Cilium, no Kubernetes."

topology {
  net lan 10.1.0.0/24
  external friend   on lan 10.1.0.50
  external attacker on lan 10.1.0.66

  node host {
    dev eth0 on lan 10.1.0.1 {
      xdp   native blocklist
      tc-in classify
    }
    dev veth0 10.2.0.1/24 peer app/eth0
    sysctl net.ipv4.ip_forward = 1
  }

  netns app on host {
    dev eth0 10.2.0.2/24 peer host/veth0
    route default via 10.2.0.1
    listen tcp 80
  }
}

prog blocklist xdp {
  map deny lpm-trie [10.1.0.66/32, 192.0.2.0/24]
  ip.src in deny        => XDP_DROP
  udp.dport == 7        => XDP_TX { swap eth ip udp }
  ip.ttl == 0           => XDP_ABORTED
  otherwise             => XDP_PASS
}

prog classify tc {
  tcp.dport == 22       => TC_ACT_SHOT
  udp.dport == 53       => TC_ACT_STOLEN
  tcp.dport == 8080     => TC_ACT_OK { set tcp.dport = 80 }
  tcp.dport == 80       => TC_ACT_REDIRECT { redirect-neigh veth0 }    # fills in the MAC addresses
  tcp.dport == 81       => TC_ACT_REDIRECT { redirect veth0 egress }   # does not: app's IP layer sees another host's frame
  otherwise             => TC_ACT_UNSPEC
}

scenario codes "port decides the code" {
  tags xdp tc

  cases {
    | id       | src      | l4  | dport | ttl | xdp         | tc              | end       | where           |
    | redirect | friend   | tcp | 80    | 64  | XDP_PASS    | TC_ACT_REDIRECT | delivered | app             |
    | wrongmac | friend   | tcp | 81    | 64  | XDP_PASS    | TC_ACT_REDIRECT | dropped   | app/eth0/rx     |
    | rewrite  | friend   | tcp | 8080  | 64  | XDP_PASS    | TC_ACT_OK       | delivered | app             |
    | shot     | friend   | tcp | 22    | 64  | XDP_PASS    | TC_ACT_SHOT     | dropped   | host/eth0/tc-in |
    | stolen   | friend   | udp | 53    | 64  | XDP_PASS    | TC_ACT_STOLEN   | consumed  | host/eth0/tc-in |
    | echo     | friend   | udp | 7     | 64  | XDP_TX      | -               | delivered | friend          |
    | blocked  | attacker | tcp | 80    | 64  | XDP_DROP    | -               | dropped   | host/eth0/xdp   |
    | aborted  | friend   | tcp | 80    | 0   | XDP_ABORTED | -               | dropped   | host/eth0/xdp   |
  }

  p1: packet $l4 $src:4000 > 10.2.0.2:$dport ttl $ttl on host/eth0

  expect p1 {
    verdict host/eth0/xdp   == $xdp
    verdict host/eth0/tc-in == $tc          # "-" asserts that the hook was not reached
    outcome $end $where
    [rewrite] at host/veth0/tx tcp.dport == 80
    [aborted] event xdp_exception on host/eth0
    [wrongmac] reason SKB_DROP_REASON_OTHERHOST
    [redirect] unchanged ip.ttl              # no routing happened on the way
  }
}

scenario blocked-flood "a dropped packet leaves no state behind" {
  tags xdp drop
  repeat $i in 1..100 { p: packet tcp attacker:$i > 10.2.0.2:80 on host/eth0 }

  expect p all verdict host/eth0/xdp == XDP_DROP
  state host conntrack empty
  golden minimal
}
`

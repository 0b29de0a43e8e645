// Texts that hold every construct of the language once, for the tests of this folder.

const topologySample = `scn 1

doc "Every statement of a topology."

import "lib/two-nodes.scn" as base

topology {
  use base
  kernel 6.1
  neighbours cold
  cluster cilium 1.19 {
    routing tunnel geneve
    kube-proxy-replacement on
    masquerade-all off
    native-routing-cidr 10.0.0.0/8
    lb-mode $mode
    session-affinity on
    dsr-dispatch opt; lb-algorithm maglev
    set bpf.hostLegacyRouting = true
    bpf.masquerade = true
    MTU = 1400
    --enable-ipv6=true
    kernel 5.4
  }
  net lan 10.1.0.0/24 fd00::/64   # two families
  external friend   on lan 10.1.0.50 mac 02:00:00:00:00:50 { listen udp 53 echo }
  external attacker on lan 10.1.0.66 fd00::66

  node host {
    kernel 5.4
    dev eth0 on lan 10.1.0.1 fd00::1 driver virtio mtu 1500 {
      xdp   native blocklist
      tc-in classify pref 2
      xdp $mode blocklist
      xdp $prog pref 3
      tc-out mark classic classid 1:1
      tcx-in a before b
      mtu 1400
      sysctl net.ipv4.conf.eth0.rp_filter = 1
    }
    dev veth0 10.2.0.1/24 peer app/eth0
    dev br0 bridge 10.3.0.1/24 mac 02:00:00:00:00:01 stp off ageing 300
    dev port1 veth peer app/eth1 master br0 hairpin on down
    dev eth0.100 vlan id 100 dev eth0
    dev vx0 vxlan vni 7 remote 10.1.0.2 local 10.1.0.1 dstport 8472 dev eth0 nolearning ttl inherit df set
    dev gnv0 geneve external
    route default via 10.2.0.1
    route table 100 10.9.0.0/16 via 10.2.0.2 dev veth0 metric 5 src 10.2.0.1 onlink
    route blackhole 10.8.0.0/16
    route 10.7.0.0/16 nexthop via 10.2.0.3 weight 1 nexthop via 10.2.0.4 weight 2
    rule pref 100 not from 10.0.0.0/8 fwmark 0x200/0xf00 lookup 200
    rule iif eth0 prohibit
    neigh 10.2.0.9 lladdr 02:00:00:00:00:09 dev veth0 permanent
    neigh 10.2.0.8 02:00:00:00:00:08 dev veth0
    neigh proxy 10.2.0.7 dev eth0
    fdb 02:00:00:00:00:07 dev vx0 dst 10.1.0.2 static
    sysctl net.ipv4.ip_forward = 1
    sysctl net.ipv4.ip_local_port_range = 32768 60999
    iptables """
*filter
COMMIT
"""
    ipvs { tcp 10.96.0.1:80 rr persistent 60 -> 10.0.0.1:80 masq weight 1, 10.0.0.2:80 }
    cgroup/connect4 sockets
    listen tcp 80 http on 10.1.0.1
    hostport tcp 8080 -> 80 on 10.1.0.1
  }

  netns app on host {
    dev eth0 10.2.0.2/24 peer host/veth0
    dev lo 127.0.0.2/8
    listen tcp 80
  }

  pod client on host 10.0.1.10 labels app=client,tier=front namespace web hostnetwork
  pod web    on host 10.0.1.20 labels app=web { listen tcp 8080 }
  service web NodePort 80:30080 -> app=web:8080, tcp 443:30443 -> app=web:8443 {
    session-affinity ClientIP 60s
    external-traffic-policy Local
    port udp 53 -> 10.0.0.9:53
  }
  service web6 ClusterIP [fd00::10]:80 -> app=web:8080
  policy web on app=web { ingress allow from app=client tcp 80, 443; egress deny to 192.0.2.0/24, world }
}

manifest "deploy/*.yaml"
manifest """
kind: Pod   # not a comment
metadata: { name: x }
"""
`

const programSample = `scn 1

prog blocklist xdp {
  map deny lpm-trie [10.1.0.66/32, 192.0.2.0/24]
  map hits percpu-array key u32 value u64 max-entries 256
  map ports hash { 80 -> 8080; 443 -> 8443 }
  ip.src in deny and not tcp.flags == syn+ack => XDP_DROP
  (udp.dport == 7 or udp.dport in [9, 19]) and vlan => XDP_TX { swap eth ip udp }
  ports[tcp.dport] != 0 => continue { set tcp.dport = ports[tcp.dport]; count hits[ip.proto] by 2 }
  meta & 0xff == 7 => 2
  ip.ttl == 0 => XDP_ABORTED {
    set meta = 7
    set ip.ttl = ip.ttl - 1
    update ports[22] = 23
    delete ports[22]
    tail-call jumps[ip.proto]
    tail other
    adjust-head -14
    push-vlan 100
    pop-vlan
    redirect-map devs[0] default XDP_PASS
    tunnel vni 7 remote 10.0.0.2
    emit events 7
  }
  otherwise => XDP_PASS
}

prog classify tc {
  tcp.dport == 80 => TC_ACT_REDIRECT { redirect-neigh veth0 via 10.2.0.9 }
  tcp.dport == 81 => TC_ACT_REDIRECT { redirect veth0 egress }
  otherwise       => TC_ACT_UNSPEC
}

prog object cgroup/connect4 from "x.o" section "cgroup/connect4"
`

const scenarioSample = `scn 1

scenario codes "port \${dport} decides \\"the code\\"" {
  tags xdp tc
  golden minimal
  let $port = 8080

  cases {
    | id  | src    | dport | note     |
    | one | friend | 80    | "a | b"  | # why
    | two | $x     | -     |          |
  }

  p1: packet $l4 $src:4000 > 10.2.0.2:$dport ttl $ttl flags syn+ack payload "abc" on host/eth0
  p2: packet eth { src 02:00:00:00:00:01 dst host } ip { src 10.0.0.1 dst 10.0.0.2 ttl 1; df } udp { sport 1 dport 2 } payload "x" on host/eth0
  p3: packet hex """
ff ff ff ff ff ff
""" on host/eth0
  p4: packet arp request 10.1.0.50 > 10.1.0.1 on host/eth0
  p5: packet icmp6 ns fd00::1 > [fd00::2] on host/eth0
  p6: packet udp [fd00::1]:80 > [fd00::2]:$dport hoplimit 3 on host/eth0
  repeat $i in 1..100 { p: packet tcp attacker:$i > 10.2.0.2:80 on host/eth0 }
  f1: tcp client:40000 > svc/web:80 { open send 100 recv 200; request GET /public?a=1&b=2 pipelined request POST /a body 10 chunked close }
  f2: http frontend:40001 > api:80 ttl 64
  f1 { send 100 }
  wait 30s
  choose svc/web = web-1
  link host/eth0 down
  delete pod web-1
  add pod web-1
  restart pod web
  add pod web-3 on n2 10.0.2.23 labels app=web
  set host/eth0 mtu 1400
  set host sysctl net.ipv4.ip_forward = 0
  set pod/web labels app=x
  scale web 3
  restart agent n1
  show n1 "cilium bpf ct list global"
  run n1 ct-nat-map-gc
  rotate ipsec key
  run n1 "cilium bpf ct flush global"
  reach tcp 80
  reach tcp 80 $dport, udp 53, icmp from pods client to all svc/web 192.0.2.1 fd00::1 {
    client other > web 192.0.2.1: denied ingress reason "Policy denied by denylist"
    tcp 80 all > web: $end; icmp web > all: lost reply reason SKB_DROP_REASON_NO_SOCKET
  }
  on host { route default via 10.2.0.9; del neigh 10.2.0.8 dev veth0; sysctl net.ipv4.ip_forward = 0 }
  [one] wait 1s

  expect p1 {
    delivered to web
    dropped at host/eth0/xdp reason "Policy denied"
    outcome $end $where
    reason SKB_DROP_REASON_OTHERHOST
    path client > n1/lxc-client > .. > \${reply}-x/eth0 > server
    unchanged ip.src ip.dst tcp.sport
    dnat svc/web:80 -> web-1:8080 at n1/nf/nat/PREROUTING by conntrack
    dnat none
    snat a -> b
    dsr n1:30080 geneve
    encap vxlan n1 > n2 vni identity.client at n1/cilium_vxlan/xmit
    verdict host/eth0/xdp   == $xdp
    verdict host/eth0/tc-in == -
    chain KUBE-SERVICES > KUBE-SVC-* > KUBE-SEP-*
    rule n1/nf/nat "-m recent --rcheck" matched
    policy allow ingress
    never to-proxy
    to-proxy at n1/lxc-api/policy
    reply ip.src == n1
    monitor from-endpoint to-overlay
    event xdp_exception on host/eth0
    reaches -
    icmp host-unreachable from n2 within 90s
    established
    connect errno ECONNREFUSED
    getpeername == svc/web:80
    counter host/eth0 rx_packets == 1
    capture $pport = proxy.port
    hops == 2
    at n1/eth0/tx outer.src == n1, outer.dst == n2, outer.udp.dport == 8472
    [one, two] at n2/eth0/rx ip.opt.dsr == n1:30080
    http.path matches "/public/.*"
    ip.src in 10.0.0.0/8
    never host/veth0/tx
    never chain KUBE-SVC-*
  }
  expect p all verdict host/eth0/xdp == XDP_DROP
  expect p[17].icmp delivered to attacker
  expect f1 closed

  never snat
  never drop
  state n1 conntrack empty
  state n1 neigh 10.0.0.2 == failed
  map n1/cilium_lb4_services 10.0.0.1:80 == 3
  map host/hits[6] >= 3
  metric n1 drop_count reason "Policy denied" direction ingress >= 1
  counter n1/eth0 rx_packets == 1
}
`

/** Every sample with a name. */
export const samples: readonly (readonly [string, string])[] = [
  ['topology', topologySample],
  ['program', programSample],
  ['scenario', scenarioSample],
]

// What `scn show` prints for a small world of every kind of table. The texts were compared with those of iproute2 6.1,
// net-tools 2.10, ethtool 6.1 and bpftool 7.1 on Linux 6.18 for the same topology; what a simulated kernel has none of
// (tags of instructions, load times, timers, multicast memberships) is what differs.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Workplace, workplace } from './support/command.ts'

const spec = `scn 1

doc "The topology of the recorded views."

topology {
  net lan 192.168.5.0/24 fd00::/64

  netns h {
    dev cni0 bridge 10.244.1.1/24 mac 02:00:00:00:00:01
    dev vethp peer p/eth0 master cni0 mac 02:00:00:00:00:02
    dev vethq peer q/eth0 master cni0 hairpin on isolated on mac 02:00:00:00:00:04
    dev up0 192.168.5.11/24 fd00::1/64 peer x/eth0 mac 02:00:00:00:00:06 {
      xdp native blocklist
      tc-in classify pref 10
      tc-out mirror pref 7 classic action mirror cni0
    }
    sysctl net.ipv4.ip_forward = 1
    route blackhole 10.244.9.0/24
    route 10.7.0.0/16 via 192.168.5.100 metric 50 mtu 1400 src 192.168.5.11
    route 10.8.0.0/16 nexthop via 192.168.5.100 dev up0 weight 1 nexthop via 10.244.1.10 dev cni0 weight 3
    route table 100 10.9.0.0/16 via 192.168.5.100
    route unreachable table 100 default metric 900
    route fd01::/64 via fd00::100
    route blackhole fd02::/64
    rule fwmark 0x100/0xff00 lookup 100 pref 100
    rule pref 99 from 10.244.1.0/24 to 10.9.0.0/16 iif cni0 lookup 100
    rule to 10.66.0.0/16 ipproto tcp prohibit pref 200
    rule not from 10.0.0.0/8 sport 53 lookup main suppress_prefixlength 0 pref 300
    rule pref 400 tos 0x10 oif up0 goto 32766
    neigh 10.244.1.88 02:00:00:00:00:88 dev cni0
    neigh proxy 10.1.1.1 dev cni0
    listen tcp 80
    listen udp 53 on 10.244.1.1
  }
  netns p { dev eth0 10.244.1.10/24 peer h/vethp mac 02:00:00:00:00:03; route default via 10.244.1.1 }
  netns q { dev eth0 10.244.1.11/24 peer h/vethq mac 02:00:00:00:00:05; route default via 10.244.1.1 }
  netns x { dev eth0 192.168.5.100/24 fd00::100/64 peer h/up0 mac 02:00:00:00:00:07; route 10.244.0.0/16 via 192.168.5.11; listen tcp 80 }
}

prog blocklist xdp {
  map hits array key u32 value u64 max-entries 4
  otherwise => XDP_PASS { count hits[0] }
}
prog classify tc { otherwise => TC_ACT_UNSPEC }
prog mirror tc { otherwise => 0 }

scenario s "one" {
  f1: udp p:40000 > 10.244.1.1:53 { send 5 }
  f2: tcp p:40001 > x:80 { open send 100 }
  link q/eth0 down
  wait 1s
}
`

let place: Workplace

beforeAll(() => {
  place = workplace({ 'world.scn': spec })
})

afterAll(() => place.remove())

/** Commands on the host, after all steps. */
const views: readonly (readonly [string, string])[] = [
  [
    'ip link',
    `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
2: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff
3: vethp@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master cni0 state UP mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff link-netns p
4: vethq@if2: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue master cni0 state DOWN mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:04 brd ff:ff:ff:ff:ff:ff link-netns q
5: up0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 xdp qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:06 brd ff:ff:ff:ff:ff:ff link-netns x
    prog/xdp id 1 name blocklist tag 1647ca43d662b532 
`,
  ],
  [
    'ip -s link show dev up0',
    `5: up0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 xdp qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:06 brd ff:ff:ff:ff:ff:ff link-netns x
    prog/xdp id 1 name blocklist tag 1647ca43d662b532 
    RX:  bytes packets errors dropped  missed   mcast           
           140       2      0       0       0       0 
    TX:  bytes packets errors dropped carrier collsns           
           306       3      0       0       0       0 
`,
  ],
  [
    'ip -d link show dev vethp',
    `3: vethp@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master cni0 state UP mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff link-netns p promiscuity 1  allmulti 1 minmtu 68 maxmtu 65535 
    veth 
    bridge_slave state forwarding priority 32 cost 2 hairpin off guard off root_block off fastleave off learning on flood on port_id 0x8001 port_no 0x1 designated_port 32769 designated_cost 0 designated_bridge 8000.2:0:0:0:0:1 designated_root 8000.2:0:0:0:0:1 hold_timer    0.00 message_age_timer    0.00 forward_delay_timer    0.00 topology_change_ack 0 config_pending 0 proxy_arp off proxy_arp_wifi off mcast_router 1 mcast_fast_leave off mcast_flood on bcast_flood on mcast_to_unicast off neigh_suppress off group_fwd_mask 0 group_fwd_mask_str 0x0 vlan_tunnel off isolated off locked off addrgenmode eui64 numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 
`,
  ],
  [
    'ip -br link',
    `lo               UNKNOWN        00:00:00:00:00:00 <LOOPBACK,UP,LOWER_UP> 
cni0             UP             02:00:00:00:00:01 <BROADCAST,MULTICAST,UP,LOWER_UP> 
vethp@if2        UP             02:00:00:00:00:02 <BROADCAST,MULTICAST,UP,LOWER_UP> 
vethq@if2        DOWN           02:00:00:00:00:04 <NO-CARRIER,BROADCAST,MULTICAST,UP> 
up0@if2          UP             02:00:00:00:00:06 <BROADCAST,MULTICAST,UP,LOWER_UP> 
`,
  ],
  [
    'ip -4 addr',
    `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
2: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    inet 10.244.1.1/24 scope global cni0
       valid_lft forever preferred_lft forever
5: up0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 xdp/id:1 qdisc noqueue state UP group default qlen 1000 link-netns x
    inet 192.168.5.11/24 scope global up0
       valid_lft forever preferred_lft forever
`,
  ],
  [
    'ip addr show dev up0',
    `5: up0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 xdp/id:1 qdisc noqueue state UP group default qlen 1000
    link/ether 02:00:00:00:00:06 brd ff:ff:ff:ff:ff:ff link-netns x
    inet 192.168.5.11/24 scope global up0
       valid_lft forever preferred_lft forever
    inet6 fd00::1/64 scope global 
       valid_lft forever preferred_lft forever
    inet6 fe80::ff:fe00:6/64 scope link 
       valid_lft forever preferred_lft forever
`,
  ],
  [
    'ip route',
    `10.7.0.0/16 via 192.168.5.100 dev up0 src 192.168.5.11 metric 50 mtu 1400 
10.8.0.0/16 
	nexthop via 192.168.5.100 dev up0 weight 1 
	nexthop via 10.244.1.10 dev cni0 weight 3 
10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1 
blackhole 10.244.9.0/24 
192.168.5.0/24 dev up0 proto kernel scope link src 192.168.5.11 
`,
  ],
  [
    'ip route show table local',
    `local 10.244.1.1 dev cni0 proto kernel scope host src 10.244.1.1 
broadcast 10.244.1.255 dev cni0 proto kernel scope link src 10.244.1.1 
local 127.0.0.0/8 dev lo proto kernel scope host src 127.0.0.1 
local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1 
broadcast 127.255.255.255 dev lo proto kernel scope link src 127.0.0.1 
local 192.168.5.11 dev up0 proto kernel scope host src 192.168.5.11 
broadcast 192.168.5.255 dev up0 proto kernel scope link src 192.168.5.11 
`,
  ],
  [
    'ip route show table 100',
    `unreachable default metric 900 
10.9.0.0/16 via 192.168.5.100 dev up0 
`,
  ],
  [
    'ip -6 route',
    `fd00::/64 dev up0 proto kernel metric 256 pref medium
fd01::/64 via fd00::100 dev up0 metric 1024 pref medium
blackhole fd02::/64 dev lo metric 1024 pref medium
fe80::/64 dev cni0 proto kernel metric 256 pref medium
fe80::/64 dev vethp proto kernel metric 256 pref medium
fe80::/64 dev vethq proto kernel metric 256 linkdown pref medium
fe80::/64 dev up0 proto kernel metric 256 pref medium
`,
  ],
  [
    'ip rule',
    `0:	from all lookup local
99:	from 10.244.1.0/24 to 10.9.0.0/16 iif cni0 lookup 100
100:	from all fwmark 0x100/0xff00 lookup 100
200:	from all to 10.66.0.0/16 ipproto tcp prohibit
300:	not from 10.0.0.0/8 sport 53 lookup main suppress_prefixlength 0
400:	from all tos 0x10 oif up0 goto 32766
32766:	from all lookup main
32767:	from all lookup default
`,
  ],
  [
    'ip -6 rule',
    `0:	from all lookup local
32766:	from all lookup main
`,
  ],
  [
    'ip neigh',
    `10.244.1.10 dev cni0 lladdr 02:00:00:00:00:03 REACHABLE 
10.244.1.88 dev cni0 lladdr 02:00:00:00:00:88 PERMANENT 
192.168.5.100 dev up0 lladdr 02:00:00:00:00:07 REACHABLE 
`,
  ],
  [
    'ip neigh show proxy',
    `10.1.1.1 dev cni0 proxy 
`,
  ],
  [
    'arp -n',
    `Address                  HWtype  HWaddress           Flags Mask            Iface
10.244.1.10              ether   02:00:00:00:00:03   C                     cni0
10.244.1.88              ether   02:00:00:00:00:88   CM                    cni0
192.168.5.100            ether   02:00:00:00:00:07   C                     up0
10.1.1.1                 *       <from_interface>    MP                    cni0
`,
  ],
  [
    'arp -an',
    `? (10.244.1.10) at 02:00:00:00:00:03 [ether] on cni0
? (10.244.1.88) at 02:00:00:00:00:88 [ether] PERM on cni0
? (192.168.5.100) at 02:00:00:00:00:07 [ether] on up0
? (10.1.1.1) at <from_interface> PERM PUB on cni0
`,
  ],
  [
    'bridge fdb',
    `02:00:00:00:00:01 dev cni0 master cni0 permanent
02:00:00:00:00:02 dev vethp master cni0 permanent
02:00:00:00:00:03 dev vethp master cni0 
02:00:00:00:00:04 dev vethq master cni0 permanent
`,
  ],
  [
    'bridge -d link',
    `3: vethp@cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master cni0 state forwarding priority 32 cost 2 
    hairpin off guard off root_block off fastleave off learning on flood on mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated off locked off 
4: vethq@cni0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 master cni0 state disabled priority 32 cost 2 
    hairpin on guard off root_block off fastleave off learning on flood on mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated on locked off 
`,
  ],
  [
    'tc filter show dev up0 egress',
    `filter protocol all pref 7 bpf chain 0 
filter protocol all pref 7 bpf chain 0 handle 0x1 mirror not_in_hw id 3 name mirror tag 70db4bf5e736713e 
	action order 1: mirred (Egress Mirror to device cni0) pipe
	index 1 ref 1 bind 1

`,
  ],
  [
    'tc qdisc show',
    `qdisc noqueue 0: dev lo root refcnt 2 
qdisc noqueue 0: dev cni0 root refcnt 2 
qdisc noqueue 0: dev vethp root refcnt 2 
qdisc noqueue 0: dev vethq root refcnt 2 
qdisc noqueue 0: dev up0 root refcnt 2 
qdisc clsact ffff: dev up0 parent ffff:fff1 
`,
  ],
  [
    'ss -tunl',
    `Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
udp   UNCONN 0      0         10.244.1.1:53        0.0.0.0:*          
tcp   LISTEN 0      128                *:80              *:*          
`,
  ],
  [
    'ss -tan',
    `State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
LISTEN 0      128                *:80              *:*          
`,
  ],
  [
    'nstat -a',
    `#kernel
IpInReceives                    6                  0.0
IpForwDatagrams                 5                  0.0
IpInDelivers                    1                  0.0
IpOutTransmits                  5                  0.0
`,
  ],
  [
    'ethtool -S up0',
    `NIC statistics:
     peer_ifindex: 2
     rx_queue_0_xdp_packets: 2
     rx_queue_0_xdp_bytes: 0
     rx_queue_0_drops: 0
     rx_queue_0_xdp_redirect: 0
     rx_queue_0_xdp_drops: 0
     rx_queue_0_xdp_tx: 0
     rx_queue_0_xdp_tx_errors: 0
     tx_queue_0_xdp_xmit: 0
     tx_queue_0_xdp_xmit_errors: 0
`,
  ],
  [
    'bpftool net show',
    `xdp:
up0(5) driver id 1

tc:
up0(5) clsact/ingress classify id 2
up0(5) clsact/egress mirror id 3 act [] 

flow_dissector:

`,
  ],
  [
    'bpftool prog show',
    `1: xdp  name blocklist  tag 1647ca43d662b532  gpl
	loaded_at 1970-01-01T00:00:00+0000  uid 0
	xlated 0B  not jited  memlock 4096B  map_ids 1
2: sched_cls  name classify  tag 561cfadb4d0ef4eb  gpl
	loaded_at 1970-01-01T00:00:00+0000  uid 0
	xlated 0B  not jited  memlock 4096B
3: sched_cls  name mirror  tag 70db4bf5e736713e  gpl
	loaded_at 1970-01-01T00:00:00+0000  uid 0
	xlated 0B  not jited  memlock 4096B
`,
  ],
  [
    'bpftool map show',
    `1: array  name hits  flags 0x0
	key 4B  value 8B  max_entries 4
`,
  ],
  [
    'bpftool map dump name hits',
    `[{
        "key": 0,
        "value": 2
    },{
        "key": 1,
        "value": 0
    },{
        "key": 2,
        "value": 0
    },{
        "key": 3,
        "value": 0
    }
]
`,
  ],
]

test.each(views)('%s', async (command, text) => {
  const { code, out, err } = await place.scn(['show', 'world.scn', command, '--node', 'h'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toBe(text)
})

test('without a node every namespace answers under its name', async () => {
  const { out } = await place.scn(['show', 'world.scn', 'ip rule'])
  expect(out.match(/^== .* ==$/gm)).toEqual(['== h ==', '== p ==', '== q ==', '== x =='])
})

test('a device that only one node has is no mistake', async () => {
  const { code, out } = await place.scn(['show', 'world.scn', 'ip -br link show dev cni0'])
  expect(code).toBe(0)
  expect(out.split('\n')[0]).toBe('== h ==')
})

describe('at a step', () => {
  const hits = async (words: readonly string[]): Promise<string | undefined> => {
    const { out } = await place.scn([
      'show',
      'world.scn',
      'bpftool map dump name hits',
      '--node',
      'h',
      ...words,
    ])
    return /"value": (\d+)/.exec(out)?.[1]
  }

  test('before the first one', async () => expect(await hits(['--before'])).toBe('0'))
  test('after a flow', async () => expect(await hits(['--after', 'f1'])).toBe('0'))
  test('after a packet of a flow', async () => expect(await hits(['--after', 'f2.syn'])).toBe('2'))
  test('after a number of steps', async () => expect(await hits(['--after', '2'])).toBe('2'))
})

const mistakes: readonly (readonly [string, readonly string[], string])[] = [
  ['an unknown tool', ['ipp route'], 'did you mean `ip`?'],
  ['an unknown object', ['ip rout3'], 'ip [-4|-6] route'],
  ['an unknown word behind a tool that is known', ['tc class show'], 'tc filter show dev DEV ingress|egress'],
  ['a node that is not there', ['ip link', '--node', 'hh'], 'did you mean `h`?'],
  ['a device that is not there', ['ip link show dev nope', '--node', 'h'], 'Device "nope" does not exist.'],
  ['a step that is not there', ['ip link', '--after', 'f3'], 'did you mean `f1`?'],
  ['no command', [], 'needs a command'],
]

test.each(mistakes)('%s is a mistake of the command line', async (_, words, said) => {
  const { code, err } = await place.scn(['show', 'world.scn', ...words])
  expect(code).toBe(2)
  expect(err).toContain(said)
})

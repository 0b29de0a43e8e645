// Mistakes in devices, routes, tunnels and rule sets. The marks `<|` `|>` stand around the words that are blamed.
import { file, type Row, send } from './row.test-helper.ts'

/** Tunnels and rule sets */
export const rulesets: readonly Row[] = [
  [
    'S145',
    'right',
    file({ topology: 'node n { iptables """\n*filter\n-A INPUT -j <|WRONG|>\nCOMMIT\n""" }' }),
  ],
  ['S145', undefined, file({ topology: 'node n { ipset """<|WRONG|>\nadd\n""" }' })],
  [
    'S125',
    '`vxlan id 42`, or `external` where programs set the tunnel key',
    file({ topology: 'node n { dev <|v0|> vxlan }' }),
  ],
  ['S125', undefined, file({ topology: 'node n { dev <|g0|> geneve id 1 }' })],
  ['S125', undefined, file({ topology: 'node n { dev t0 ipip <|id 4|> }' })],
  [
    'S125',
    'add `dst ADDRESS`',
    file({ topology: 'node n { dev v0 vxlan id 1; <|fdb 02:00:00:00:00:01 dev v0|> }' }),
  ],
  ['S103', 'did you mean `host`?', file({ topology: 'node n { dev v0 vxlan id 1 remote <|hots|> }' })],
  ['S103', undefined, file({ topology: 'node n { dev v0 vxlan id 1 dev <|eth9|> }' })],
]

/** Devices and routes */
export const devices: readonly Row[] = [
  [
    'S110',
    'xdp runs programs of type xdp',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { xdp <|p|> } }',
      rest: 'prog p <~tc~> { otherwise => TC_ACT_OK }',
    }),
  ],
  [
    'S110',
    'it is for tc-in and tc-out',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { xdp p <|pref 2|> } }',
      rest: 'prog p xdp { otherwise => XDP_PASS }',
    }),
  ],
  [
    'S110',
    'give it another `pref`',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { <~tc-in p protocol arp~>; <|tc-in q pref 1|> } }',
      rest: 'prog p tc { otherwise => TC_ACT_OK }\nprog q tc { otherwise => TC_ACT_OK }',
    }),
  ],
  [
    'S137',
    'did you mean `native`?',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { xdp <|$mode|> p } }',
      steps: 'let $mode = natve\n wait 1s',
      rest: 'prog p xdp { otherwise => XDP_PASS }',
    }),
  ],
  [
    'S110',
    'lower the MTU there, or write `xdp generic`',
    file({
      topology: 'node n { dev v mtu 3507 peer b/w }\n netns b { dev w peer n/v { <|xdp native p|> } }',
      rest: 'prog p xdp { otherwise => XDP_PASS }',
    }),
  ],
  [
    'S110',
    'write `xdp generic`',
    file({
      topology: 'node n { dev d dummy { <|xdp p|> } }',
      rest: 'prog p xdp { otherwise => XDP_PASS }',
    }),
  ],
  [
    'S110',
    'add `classic`',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { <|tc-in p action drop|> } }',
      rest: 'prog p tc { otherwise => TC_ACT_OK }',
    }),
  ],
  [
    'S103',
    'did you mean `eth0`?',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { tc-in p classic action mirror <|eth1|> } }',
      rest: 'prog p tc { otherwise => TC_ACT_OK }',
    }),
  ],
  [
    'S125',
    '`vlan dev eth0 id 100`',
    file({ topology: 'node n { dev eth0 on lan 10.1.0.9; dev <|v|> vlan dev eth0 }' }),
  ],
  [
    'S125',
    '`on NET`, `peer HOST/DEV`, or a kind such as `bridge` or `dummy`',
    file({ topology: 'node n { dev <|d0|> 10.9.0.1/24 }' }),
  ],
  ['S125', 'add `master BRIDGE`', file({ topology: 'node n { dev d0 dummy <|hairpin on|> }' })],
  [
    'S125',
    'the kernel allows 15 characters',
    file({ topology: 'node n { dev <|averyveryverylongname|> dummy }' }),
  ],
  [
    'S126',
    'no address of `n` shares a subnet with it',
    file({ topology: 'node n { dev eth0 on lan 10.1.0.9; route default via <|10.9.9.9|> }' }),
  ],
  [
    'S126',
    'an IPv6 gateway, and one with `onlink`, is somebody else: `ip route` answers EINVAL',
    file({ topology: 'node n { dev d0 dummy fd00::9/64; route fd01::/64 via <|fd00::9|> }' }),
  ],
  [
    'S126',
    'an IPv6 gateway, and one with `onlink`, is somebody else: `ip route` answers EINVAL',
    file({
      topology:
        'node n { dev eth0 on lan 10.1.0.9; route 10.8.0.0/16 via 10.1.0.9 dev eth0; route 10.9.0.0/16 via <|10.1.0.9|> dev eth0 onlink }',
    }),
  ],
  [
    'S126',
    'the route is one of IPv4',
    file({ topology: 'node n { dev eth0 on lan 10.1.0.9; route 10.8.0.0/16 dev eth0 src <|fd00::9|> }' }),
  ],
  [
    'S126',
    'the route is one of IPv6',
    file({
      topology:
        'node n { dev eth0 on lan 10.1.0.9; dev d0 dummy fd00::9/64; route default via fd00::1 src <|10.1.0.9|> }',
    }),
  ],
  [
    'S127',
    'a device runs one; join them by a tail call',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { <~xdp p~>; <|xdp q|> } }',
      rest: 'prog p xdp { otherwise => XDP_PASS }\nprog q xdp { otherwise => XDP_PASS }',
    }),
  ],
  [
    'S133',
    'it is a dummy device',
    file({ topology: 'node a { dev v peer <|b/d|> }\n node b { dev <~d~> dummy }' }),
  ],
  [
    'S133',
    'one end must name the other: `peer a/v`',
    file({
      topology: 'netns c { dev w peer b/v }\n node a { dev v peer <|b/v|> }\n node b { dev v peer c/w }',
    }),
  ],
  ['S133', undefined, file({ topology: 'node a { dev v peer <|a/v|> }' })],
  ['S118', 'did you mean `tc-in`?', file({ steps: `${send}\n  expect p1 dropped at host/eth0/<|tc-inn|>` })],
  ['S118', 'did you mean `eth0`?', file({ steps: `${send}\n  expect p1 dropped at host/<|eth1|>/xdp` })],
  [
    'S118',
    'did you mean `nat`?',
    file({ steps: `${send}\n  expect p1 dropped at host/nf/<|natt|>/PREROUTING` }),
  ],
  ['S118', 'write `host/eth0`', file({ steps: 'p1: packet tcp friend:1 > host:80 on <|host|>' })],
  [
    'S141',
    'did you mean `host/eth0/xdp`?',
    file({ steps: `${send}\n  expect p1 verdict <|host/eth0|> == XDP_DROP` }),
  ],
]

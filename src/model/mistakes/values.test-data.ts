// Values that are none, or lie outside of their range. The marks `<|` `|>` stand around the words that are blamed.
import { file, type Row, send } from './row.test-helper.ts'

/** Values */
export const values: readonly Row[] = [
  ['S108', 'the newest that is followed is 6.18', file({ topology: 'kernel <|6.19|>' })],
  ['S108', undefined, file({ topology: 'node n { kernel <|7.0|> }' })],
  ['S104', '`256` is above 255', file({ topology: 'node n { dev d0 dummy <|10.0.0.256|> }' })],
  ['S104', 'the length lies between 0 and 32', file({ topology: 'node n { dev d0 dummy <|10.0.0.1/33|> }' })],
  [
    'S104',
    undefined,
    file({ topology: 'node n { dev eth0 on lan 10.1.0.9; route <|10.5.0.1/24|> dev eth0 }' }),
  ],
  [
    'S105',
    'it must lie in 10.1.0.0/24',
    file({ topology: 'external c on lan <|10.2.0.5|>' }).replace(
      'net lan 10.1.0.0/24',
      '<~net lan 10.1.0.0/24~>',
    ),
  ],
  [
    'S106',
    'friend/eth0 has it; give `c/eth0` another address',
    file({ topology: 'external c on lan <|10.1.0.50|>' }).replace(
      'friend on lan 10.1.0.50',
      'friend on lan <~10.1.0.50~>',
    ),
  ],
  [
    'S106',
    'the kernel refuses a second one; remove it',
    file({ topology: 'netns n { <~listen tcp 80~>; listen udp 80; <|listen tcp 80|> }' }),
  ],
  [
    'S126',
    'the kernel refuses a second one; remove it',
    file({
      topology:
        'node n { dev eth0 on lan 10.1.0.9; <~route 10.9.0.0/16 dev eth0~>; <|route 10.9.0.0/16 via 10.1.0.1|> }',
    }),
  ],
  [
    'S110',
    'the kernel refuses a second one; remove it',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { <~tcx-in p~>; tcx-out p; <|tcx-in p|> } }',
      rest: 'prog p tc { otherwise => TC_ACT_OK }',
    }),
  ],
  [
    'S106',
    'n/d0 has it twice; one of them must go',
    file({ topology: 'node n { dev d0 dummy <~10.9.0.1/24~> <|10.9.0.1/24|> }' }),
  ],
  [
    'S107',
    'did you mean `TC_ACT_SHOT`?',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { tc-in p } }',
      rest: 'prog p tc { tcp.dport == 22 => <|TC_ACT_DROP|> }',
    }),
  ],
  [
    'S107',
    'did you mean `XDP_DROP`?',
    file({
      topology: 'node n { dev eth0 on lan 10.1.0.9 { xdp p } }',
      rest: 'prog p xdp { tcp.dport == 22 => <|TC_ACT_SHOT|> }',
    }),
  ],
  [
    'S107',
    'did you mean `XDP_PASS`?',
    file({ steps: `${send}\n  expect p1 verdict host/eth0/xdp == <|XDP_PAS|>` }),
  ],
  ['S108', 'a port lies between 0 and 65535', file({ topology: 'netns a { listen tcp <|70000|> }' })],
  [
    'S108',
    'a TTL lies between 0 and 255',
    file({ steps: 'p1: packet udp friend:1 > host:2 ttl <|256|> on host/eth0' }),
  ],
  ['S108', 'ip.ttl lies between 0 and 255', file({ steps: `${send}\n  expect p1 ip.ttl == <|300|>` })],
  [
    'S108',
    'did you mean `1..9`?',
    file({ steps: 'repeat $i in 9..<|1|> { p: packet udp friend:$i > host:2 on host/eth0 }' }),
  ],
  [
    'S109',
    'six pairs of hex digits, as in `02:00:00:00:00:01`',
    file({
      topology: 'external c on lan 10.1.0.5 mac <|$m|>',
      steps: 'let $m = 02:00:00:00:00:zz\n p1: packet udp friend:1 > host:2 on host/eth0',
    }),
  ],
  ['S121', 'ip.ttl holds a number up to 255', file({ steps: `${send}\n  expect p1 ip.ttl == <|friend|>` })],
  [
    'S121',
    'it holds an IPv4 address; use `==`, `!=` or `in`',
    file({ steps: `${send}\n  expect p1 <|ip.src < friend|>` }),
  ],
  [
    'S123',
    'did you mean `SKB_DROP_REASON_OTHERHOST`?',
    file({ steps: `${send}\n  expect p1 reason <|SKB_DROP_REASON_OTHER_HOST|>` }),
  ],
  [
    'S124',
    'did you mean `net.ipv4.ip_forward`?',
    file({ topology: 'node n { sysctl <|net.ipv4.ip_foward|> = 1 }' }),
  ],
  [
    'S136',
    'did you mean `tcp`?',
    file({
      steps:
        'cases {\n | id | l4 |\n | a | <|tpc|> |\n }\n p1: packet <~$l4~> friend:1 > host:2 on host/eth0',
    }),
  ],
  [
    'S137',
    'did you mean `delivered`?',
    file({
      steps: `cases {\n | id | end |\n | a | <|deliverd|> |\n }\n ${send}\n expect p1 outcome $end host`,
    }),
  ],
  [
    'S137',
    'did you mean `too-big`?',
    file({ steps: `cases {\n | id | says |\n | a | <|to-big|> |\n }\n ${send}\n expect p1 icmp $says` }),
  ],
  ['S142', 'a byte has two hex digits', file({ steps: 'p1: packet hex "02 <|0|> 1" on host/eth0' })],
  [
    'S143',
    'both ends must be IPv4 or both IPv6',
    file({ steps: 'p1: packet tcp friend:1 > <|[fd00::1]|>:80 on host/eth0' }),
  ],
  ['S144', 'did you mean `30s`?', file({ steps: `${send}\n  wait <|30|>` })],
  ['S144', 'write `friend:PORT`', file({ steps: 'p1: packet tcp <|friend|> > host:80 on host/eth0' })],
]

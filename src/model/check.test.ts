import { afterAll, describe, expect, test } from 'vitest'
import { textOf } from '../base/text.ts'
import { modelCodes } from './codes.ts'
import { checkText, expectMistake, unmark } from './marked.test-helper.ts'

/** A file around the part that a test is about. */
function file(parts: {
  readonly topology?: string
  readonly rest?: string
  readonly steps?: string
}): string {
  return `scn 1
topology {
  net lan 10.1.0.0/24
  external friend on lan 10.1.0.50
  node host { dev eth0 on lan 10.1.0.1 }
  ${parts.topology ?? ''}
}
${parts.rest ?? ''}
scenario s {
  ${parts.steps ?? 'p1: packet udp friend:1 > host:2 on host/eth0'}
}
`
}

const send = 'p1: packet tcp friend:1 > host:80 on host/eth0'

/** Every catalogue entry must be produced by one of the tables below. */
const produced = new Set<string>()
afterAll(() => {
  expect([...produced].toSorted()).toEqual(Object.keys(modelCodes).toSorted())
})

type Row = readonly [code: string, hint: string | undefined, marked: string]

function table(rows: readonly Row[]): void {
  test.each(rows.map((row) => [...row] as const))('%s %s', (code, hint, marked) => {
    produced.add(code)
    expectMistake(marked, hint === undefined ? { code } : { code, hint })
  })
}

describe('clusters of Cilium', () => {
  const cilium = (items: string, rest = ''): string =>
    file({ topology: `cluster cilium 1.19 { ${items} }`, rest })
  table([
    ['S146', undefined, cilium('', 'manifest """\nkind: <|WRONG|>\n"""')],
    ...(['S147', 'S148', 'S149', 'S150', 'S151'] as const).map(
      (code): Row => [code, undefined, cilium(`set <|wrong.${code}|> = true`)],
    ),
    [
      'S105',
      'the other pods of `host` are in 10.0.1.0/24',
      file({ topology: 'cluster cilium 1.19; pod a on host 10.0.1.10; pod b on host <|10.0.2.10|>' }),
    ],
    ['S143', undefined, file({ topology: 'cluster cilium 1.19; pod <|a|> on host' })],
  ])
})

describe('tunnels and rule sets', () => {
  table([
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
  ])
})

describe('names', () => {
  table([
    [
      'S102',
      'give one of them another name',
      file({ topology: 'netns <|host|>' }).replace('node host', 'node <~host~>'),
    ],
    ['S102', undefined, file({ topology: 'net <|lan|> 10.9.0.0/24' })],
    ['S102', undefined, file({ topology: 'node n { dev d0 dummy; dev <|d0|> dummy }' })],
    ['S102', undefined, file({ steps: `${send}\n  <|p1|>: packet udp friend:1 > host:2 on host/eth0` })],
    ['S102', undefined, `${file({})}scenario <|s|> { wait 1s }`],
    [
      'S104',
      'the length lies between 0 and 32',
      file({ topology: 'net wide <|10.9.0.0/99|>; external c on wide 10.9.0.1' }),
    ],
    ['S103', 'did you mean `lan`?', file({ topology: 'external c on <|lann|> 10.1.0.7' })],
    ['S103', 'did you mean `host`?', file({ topology: 'netns app on <|hots|>' })],
    ['S103', 'did you mean `friend`?', file({ steps: 'p1: packet tcp <|freind|>:1 > host:80 on host/eth0' })],
    [
      'S103',
      'did you mean `eth0`?',
      file({ topology: 'node n { dev eth0 on lan 10.1.0.9; route default dev <|eht0|> }' }),
    ],
    [
      'S103',
      'did you mean `drop`?',
      file({
        topology: 'node n { dev eth0 on lan 10.1.0.9 { xdp <|dorp|>; tc-in keep } }',
        rest: 'prog drop xdp { otherwise => XDP_DROP }\nprog keep tc { otherwise => TC_ACT_OK { tail keep } }',
      }).replace(
        'prog drop xdp { otherwise => XDP_DROP }',
        'prog drop xdp { otherwise => XDP_DROP { tail drop } }',
      ),
    ],
    [
      'S103',
      'did you mean `veth0`?',
      file({
        topology: 'netns a { dev e peer n/veth0 }\n node n { dev eth0 on lan 10.1.0.9 { tc-in r } }',
        rest: 'prog r tc { otherwise => TC_ACT_REDIRECT { redirect <|vteh0|> egress } }',
      }),
    ],
    [
      'S115',
      'did you mean `$ttl`?',
      file({
        steps: `cases {\n | id | ttl |\n | a | 64 |\n }\n ${send}\n expect p1 { ip.ttl == <|$tll|>; ip.ttl == $ttl }`,
      }),
    ],
    ['S116', 'remove it', file({ steps: `let <|$port|> = 80\n  ${send}` })],
    ['S119', 'did you mean `p1`?', file({ steps: `${send}\n  expect <|p2|> delivered to host` })],
    [
      'S120',
      'did you mean `syn`?',
      file({ steps: 'f1: tcp friend > host:80 { open }\n  expect f1.<|sin|> delivered to host' }),
    ],
    [
      'S138',
      'write `expect p all` or `p[1]`',
      file({
        steps:
          'repeat $i in 1..3 { p: packet udp friend:$i > host:2 on host/eth0 }\n  expect <|p|> delivered to host',
      }),
    ],
    [
      'S138',
      'it goes from p[1] to p[3]',
      file({
        steps:
          'repeat $i in 1..3 { p: packet udp friend:$i > host:2 on host/eth0 }\n  expect p[<|4|>] delivered to host',
      }),
    ],
    ['S140', 'write `xdp p` in a device', file({ rest: 'prog <|p|> xdp { otherwise => XDP_PASS }' })],
  ])
})

describe('values', () => {
  table([
    ['S104', '`256` is above 255', file({ topology: 'node n { dev d0 dummy <|10.0.0.256|> }' })],
    [
      'S104',
      'the length lies between 0 and 32',
      file({ topology: 'node n { dev d0 dummy <|10.0.0.1/33|> }' }),
    ],
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
  ])
})

describe('devices and routes', () => {
  table([
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
    [
      'S118',
      'did you mean `tc-in`?',
      file({ steps: `${send}\n  expect p1 dropped at host/eth0/<|tc-inn|>` }),
    ],
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
  ])
})

describe('programs', () => {
  const attach = (type: 'xdp' | 'tc', body: string): string =>
    file({
      topology: `node n { dev eth0 on lan 10.1.0.9 { ${type === 'xdp' ? 'xdp' : 'tc-in'} p } }`,
      rest: `prog p ${type} { ${body} }`,
    })
  table([
    [
      'S134',
      'it lies beside the packet in an skb, which XDP runs before',
      attach('xdp', '<|mark|> == 1 => XDP_DROP'),
    ],
    [
      'S134',
      'bpf_redirect_neigh exists for tc programs',
      attach('xdp', 'otherwise => XDP_REDIRECT { <|redirect-neigh eth0|> }'),
    ],
    [
      'S134',
      'bpf_xdp_adjust_head exists for xdp programs',
      attach('tc', 'otherwise => TC_ACT_OK { <|adjust-head -14|> }'),
    ],
    [
      'S134',
      'it is computed from the rest of the packet',
      attach('tc', 'otherwise => TC_ACT_OK { set <|ip.len|> = 40 }'),
    ],
    [
      'S135',
      'did you mean `deny`?',
      attach('xdp', 'map deny lpm-trie [10.0.0.0/8]; ip.src in <|denny|> => XDP_DROP'),
    ],
    [
      'S135',
      'its keys are of type u16',
      attach('xdp', 'map ports hash key u16 [<|70000|>]; tcp.dport in ports => XDP_DROP'),
    ],
    [
      'S135',
      'this needs devmap or devmap-hash or cpumap',
      attach('xdp', 'map m array; otherwise => XDP_REDIRECT { redirect-map <|m|>[0] }'),
    ],
    [
      'S135',
      'declare it as array key u32 value u32 max-entries 4',
      attach(
        'xdp',
        '<~map a array pinned shared max-entries 4~>; <|map b array pinned shared max-entries 8|>; otherwise => XDP_PASS',
      ),
    ],
    ['S103', 'did you mean `friend`?', attach('xdp', 'ip.src == <|frend|> => XDP_DROP')],
    ['S121', 'did you mean `friend`?', attach('xdp', 'ip.src & 0xff == <|frend|> => XDP_DROP')],
    [
      'S121',
      'a number, an address, a name of a host or a device',
      attach('tc', 'otherwise => TC_ACT_REDIRECT { redirect-neigh eth0 via <|10..1.0.2|> }'),
    ],
    [
      'S103',
      undefined,
      attach('xdp', 'map jumps prog-array { 0 -> <|nobody|> }; otherwise => XDP_PASS { tail-call jumps[0] }'),
    ],
    ['S121', 'a list stands behind `in`', attach('xdp', 'ip.ttl == <|[1, 2]|> => XDP_DROP')],
    [
      'S121',
      '`in` takes a map, a prefix or a list of values',
      attach('xdp', 'ip.ttl in [1, <|ip.proto|>] => XDP_DROP'),
    ],
    [
      'S121',
      'a number of bytes, as in `adjust-head -14`',
      attach('xdp', 'otherwise => XDP_PASS { adjust-head <|ip.ttl|> }'),
    ],
  ])
})

describe('tables and scenarios', () => {
  const cases = (rows: string, line = 'expect p1 ip.ttl == $ttl'): string =>
    file({ steps: `cases {\n${rows}\n  }\n  ${send}\n  ${line}` })
  table([
    [
      'S111',
      undefined,
      cases('| <|nr|> | ttl |\n| a | 64 |', 'expect p1 { ip.ttl == $ttl; payload == $nr }'),
    ],
    ['S112', 'an id is one word, as in `a-b`', cases('| id | ttl |\n| <|a b|> | 64 |')],
    ['S112', 'ids differ', cases('| id | ttl |\n| <|a|> | 64 |\n| <|a|> | 63 |').replace('<|a|>', 'a')],
    [
      'S113',
      'no cell for `ttl`',
      cases('| id | src | ttl |\n<|| a | friend ||>', 'expect p1 { ip.ttl == $ttl; ip.src == $src }'),
    ],
    [
      'S113',
      'no cell for `ttl`',
      cases('| id | src | ttl |\n<|| a | 64 ||>', 'expect p1 { ip.ttl == $ttl; ip.src == $src }'),
    ],
    [
      'S114',
      'write `$src` where its value belongs, or remove the column',
      cases('| id | <|src|> | ttl |\n| a | friend | 64 |'),
    ],
    [
      'S117',
      'did you mean `dsr`?',
      cases('| id | ttl |\n| dsr | 64 |', '[<|drs|>] expect p1 ip.ttl == $ttl'),
    ],
    [
      'S117',
      'this scenario has no case table',
      file({ steps: `${send}\n  expect p1 { [<|a|>] ip.ttl == 64 }` }),
    ],
    ['S130', 'move this line behind the step', file({ steps: `expect <|p1|> delivered to host\n  ${send}` })],
    ['S131', undefined, `${file({})}scenario <|idle|> { tags slow }`],
  ])
})

describe('constructs to come', () => {
  table([
    [
      'S190',
      'it is checked, but the file cannot be run',
      file({ topology: '<|cluster kube-proxy ipvs|> { cni flannel }' }),
    ],
    ['S190', undefined, file({ topology: 'node n { <|dev v0|> wireguard }' })],
    [
      'S190',
      undefined,
      file({
        rest: 'prog p xdp from <|"x.o" section "xdp"|>',
        topology: 'node n { dev eth0 on lan 10.1.0.9 { xdp p } }',
      }),
    ],
    ['S190', undefined, file({ topology: 'node n { <|ebtables|> """\n*filter\n""" }' })],
    ['S190', undefined, file({ steps: `${send}\n  <|restart node host|>` })],
    ['S190', undefined, file({ steps: 'f1: <|sctp|> friend:1 > host:2 { open }' })],
    ['S190', undefined, file({ steps: `${send}\n  expect p1 <|to-proxy|>` })],
    ['S190', undefined, file({ topology: 'cluster none', steps: `${send}\n  expect p1 <|policy allow|>` })],
    [
      'S190',
      undefined,
      file({ topology: 'cluster cilium 1.19', steps: `${send}\n  expect p1 <|dsr 10.0.0.1:80|>` }),
    ],
    ['S190', undefined, file({ steps: `${send}\n  expect p1 <|encap gre|>` })],
  ])

  test('are warnings: the file has a model that says so', () => {
    const checked = checkText(unmark(file({ topology: 'cluster kube-proxy iptables' })).text)
    expect(checked.ok && checked.value.unavailable.map((each) => [each.severity, textOf(each.span)])).toEqual(
      [['warning', 'cluster kube-proxy iptables']],
    )
  })
})

describe('imports', () => {
  const main =
    'scn 1\nimport "lib/base.scn" as base\ntopology { use base }\nscenario s { p1: packet udp friend:1 > host:2 on host/eth0 }\n'
  const base =
    'scn 1\ntopology {\n net lan 10.1.0.0/24\n external friend on lan 10.1.0.50\n node host { dev eth0 on lan 10.1.0.1 { xdp p } }\n}\nprog p xdp { otherwise => XDP_PASS }\n'

  test('bring a topology with its programs', () => {
    const checked = checkText(main, { 'lib/base.scn': base })
    expect(checked.diagnostics).toEqual([])
    expect(
      checked.ok && checked.value.scenarios[0]?.cases[0]?.world.namespaces.map((each) => each.name),
    ).toEqual(['friend', 'host'])
  })

  test.each([
    [
      'S129',
      'scn 1\nimport <|"lib/bse.scn"|> as base\n',
      { 'lib/base.scn': base },
      'did you mean `lib/base.scn`?',
    ],
    [
      'S139',
      'scn 1\nimport "lib/base.scn" as <|base|>\n',
      { 'lib/base.scn': base },
      'write `use base` in the topology',
    ],
    [
      'S103',
      'scn 1\nimport "lib/base.scn" as base\ntopology { use base; use <|bse|> }\n',
      { 'lib/base.scn': base },
      'did you mean `base`?',
    ],
  ] as const)('%s', (code, text, imports, hint) => {
    produced.add(code)
    expectMistake(text, { code, hint }, imports)
  })

  test('S128 a cycle is named', () => {
    produced.add('S128')
    const files = {
      'a.scn': 'scn 1\nimport "b.scn" as b\ntopology { use b }\n',
      'b.scn': 'scn 1\nimport "a.scn" as a\ntopology { use a }\n',
    }
    const checked = checkText('scn 1\nimport "a.scn" as a\ntopology { use a }\n', files)
    expect(checked.diagnostics.map((each) => [each.code, each.hint])).toEqual([
      ['S128', 'a.scn > b.scn > a.scn'],
    ])
  })
})

test('a mistake in a cell is reported once, at the cell, with the line that uses it', () => {
  const marked = file({
    steps: `cases {\n | id | tc |\n | a | TC_ACT_OK |\n | b | <|TC_ACT_DROP|> |\n }\n ${send}\n expect p1 verdict host/eth0/tc-in == <~$tc~>`,
  })
  const found = expectMistake(marked, { code: 'S107', hint: 'did you mean `TC_ACT_SHOT`?' })
  expect(found.notes?.map((note) => note.message)).toEqual([
    'XDP_DROP belongs to xdp programs; a tc program drops with TC_ACT_SHOT',
    'used here',
  ])
})

test('every mistake of a file is reported in one run', () => {
  const { diagnostics } = checkText(
    file({
      topology: 'external c on lan 10.2.0.5\n netns a on hst { listen tcp 70000 }',
      steps: `${send}\n expect p2 delivered to hos\n expect p1 ip.ttl == friend`,
    }),
  )
  expect(diagnostics.map((each) => each.code)).toEqual(['S105', 'S103', 'S108', 'S119', 'S103', 'S121'])
})

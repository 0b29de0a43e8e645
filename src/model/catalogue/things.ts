// Pages about devices, programs, tables and scenarios.
import type { CodePage } from '../../syntax/codes.ts'

export const thingCodes = {
  S110: {
    title: 'a program at a hook of another type',
    explanation:
      'XDP hooks run xdp programs; tc-in, tc-out, tcx-in and tcx-out run tc programs. Options belong to hooks as well: `pref` to filters, `before` to links.',
    example: 'dev eth0 on lan 10.0.0.1 { xdp classify }     # classify is a tc program',
    better: 'dev eth0 on lan 10.0.0.1 { tc-in classify }',
  },
  S111: {
    title: 'a table without ids',
    explanation:
      'The first column of a case table is `id`. Golden sections, guards and selectors name cases by it, so rows can move.',
    example: '| src | ttl |',
    better: '| id | src | ttl |',
  },
  S112: {
    title: 'a case without an id of its own',
    explanation:
      'Every row has an id of one word, and no two rows have the same one: golden sections, guards and selectors name cases by it.',
    example: '| a | 64 |\n| a | 63 |',
    better: '| a | 64 |\n| b | 63 |',
  },
  S113: {
    title: 'a row with the wrong number of cells',
    explanation:
      'A row has a cell for every column. `-` says that there is nothing; a cell that contains `|` or `#` is quoted.',
    example: '| id | src | ttl |\n| a  | n1  |',
    better: '| id | src | ttl |\n| a  | n1  | 64  |',
  },
  S114: {
    title: 'a column that nothing uses',
    explanation:
      'A column that no line of the scenario and nothing in the topology reads is a check that does not happen.',
    example: '| id | ttl |     # and no $ttl below',
    better: 'ip.ttl == $ttl',
  },
  S117: {
    title: 'a guard for no case',
    explanation: '`[id]` in front of a line keeps it to the cases named; each must be a row of the table.',
    example: '[drs] ip.ttl == 63',
    better: '[dsr] ip.ttl == 63',
  },
  S118: {
    title: 'a place that there is not',
    explanation:
      'A place is HOST, HOST/DEVICE or HOST/DEVICE/STAGE with a stage such as rx, xdp, tc-in, tc-out, tx, xmit; or HOST/nf/TABLE/CHAIN, ' +
      'HOST/route, HOST/socket, HOST/proxy/PORT, HOST/cgroup/HOOK. ' +
      'A step speaks of what is there when it is taken, and deletes only what software has made: neither lo nor a card.',
    example: 'dropped at host/eth0/tc-inn',
    better: 'dropped at host/eth0/tc-in',
  },
  S125: {
    title: 'a device or entry that is not whole',
    explanation:
      'Every kind of device has what it needs and nothing that it would ignore: a vlan has `dev` and `id`, a veth its peer, a port option a master.',
    example: 'dev eth0.7 vlan dev eth0',
    better: 'dev eth0.7 vlan dev eth0 id 7',
  },
  S126: {
    title: 'a route that leads nowhere',
    explanation:
      'A gateway is on-link: one of the host’s subnets or a route without gateway covers it, or the route says `onlink`. ' +
      'The kernel refuses other gateways (“Nexthop has invalid gateway”). A rule needs an action.',
    example: 'route default via 10.9.9.9',
    better: 'route default via 10.0.0.1',
  },
  S127: {
    title: 'two XDP programs on one device',
    explanation:
      'A device runs one XDP program; the kernel answers a second one with EBUSY. Programs are joined by tail calls.',
    example: 'dev eth0 on lan 10.0.0.1 { xdp a; xdp b }',
    better: 'dev eth0 on lan 10.0.0.1 { xdp a }',
  },
  S130: {
    title: 'an expectation before its step',
    explanation:
      'A scenario is read from top to bottom. An expectation stands behind the step that sends its packet.',
    example: 'expect p1 delivered to app\np1: packet ...',
    better: 'p1: packet ...\nexpect p1 delivered to app',
  },
  S131: {
    title: 'a scenario that proves nothing',
    explanation: 'Nothing is sent, or nothing is expected while the golden is off.',
    example: 'scenario s { tags slow }',
    better: 'scenario s { p1: packet udp a:1 > b:2 on host/eth0 }',
  },
  S133: {
    title: 'veth ends that disagree',
    explanation:
      'A veth pair has two ends that name each other. One end may stay unsaid; it is made where the other one says.',
    example: 'node a { dev v0 peer b/v0 }\nnode b { dev v0 peer c/v0 }',
    better: 'node a { dev v0 peer b/v0 }\nnode b { dev v0 peer a/v0 }',
  },
  S134: {
    title: 'what this type of program cannot do',
    explanation:
      'The verifier knows which helper and which field each program type has: an XDP program runs before there is an skb, ' +
      'so it has no mark and no bpf_redirect_neigh. Some fields are known to expectations only.',
    example: 'prog p xdp { otherwise => XDP_PASS { set mark = 1 } }',
    better: 'prog p tc { otherwise => TC_ACT_OK { set mark = 1 } }',
  },
  S135: {
    title: 'a map that is missing or does not fit',
    explanation:
      'A map is declared in the program that uses it. Keys and values fit its layout, and its type fits the use: redirect-map needs a devmap, tail-call a prog-array, emit a ring or perf buffer.',
    example: 'ip.src in denny => XDP_DROP',
    better: 'ip.src in deny => XDP_DROP',
  },
  S141: {
    title: 'a verdict where nothing decides',
    explanation:
      'Verdicts are given by programs (xdp, tc-in, tc-out, policy, cgroup/HOOK) and by netfilter chains (nf/TABLE/CHAIN).',
    example: 'verdict host/eth0 == XDP_DROP',
    better: 'verdict host/eth0/xdp == XDP_DROP',
  },
  S190: {
    title: 'not available yet',
    explanation:
      'The construct is part of the language and is checked, but the engine that carries it out does not exist yet. The ' +
      'file can be checked and formatted; `run` reports it as engine-not-available and exits 4.',
    example: 'cluster cilium 1.19 { }',
    better: 'node n1 { }',
  },
} as const satisfies Readonly<Record<string, CodePage>>

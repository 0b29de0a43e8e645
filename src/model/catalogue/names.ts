// Pages about names: what is there twice, what is not there, what is not used.
import type { CodePage } from '../../syntax/codes.ts'

export const nameCodes = {
  S102: {
    title: 'a name that is there already',
    explanation:
      'A name means one thing. Nodes, namespaces, externals and pods share one list, because expectations and traces name ' +
      'them all alike; nets, services, programs, maps, scenarios, labels and columns have their own. Two steps may share a ' +
      'label only when guards keep them in different cases.',
    example: 'node n1 { }\nnetns n1',
    better: 'node n1 { }\nnetns app',
  },
  S103: {
    title: 'a name that nothing has',
    explanation:
      'Hosts, nets, devices, programs and services are named where they are declared, and everything else refers to them. ' +
      'An unknown name is never ignored: a check that silently disappears is the worst failure of a test tool.',
    example: 'route default via 10.0.0.1 dev eht0',
    better: 'route default via 10.0.0.1 dev eth0',
  },
  S115: {
    title: 'a variable without a value',
    explanation:
      'A variable gets its value from a column of the case table, from `let`, from the `repeat` around it or from a ' +
      '`capture` of the scenario. A variable in the topology needs a value in every scenario of the file.',
    example: 'ip.ttl == $tll',
    better: 'ip.ttl == $ttl',
  },
  S116: {
    title: 'a variable that nobody reads',
    explanation:
      'A `let` whose variable stands nowhere has no effect. It is a warning: the file means the same without it.',
    example: 'let $port = 80',
    better: 'let $port = 80\nf1: tcp client > web:$port',
  },
  S119: {
    title: 'a packet or flow that no step declares',
    explanation:
      'Packets and flows are named by the label of the step that sends them: `p1: packet ...`, `f1: tcp ...`. In a file ' +
      'with a case table the step must also take part in every case in which the expectation stands.',
    example: 'expect p2 delivered to app',
    better: 'expect p1 delivered to app',
  },
  S120: {
    title: 'a packet name of no kind',
    explanation:
      'A packet is named by its cause: `f1.syn`, `f1.syn.retry1`, `f1.synack`, `f1.ack`, `f1.data1` (the client’s), ' +
      '`f1.rdata1` (the server’s), `f1.fin`, and `X.arp`, `X.icmp`, `X.rst` for what packet X caused.',
    example: 'expect f1.sin delivered to app',
    better: 'expect f1.syn delivered to app',
  },
  S128: {
    title: 'an import that leads back',
    explanation:
      'A file cannot import itself, nor a file that imports it: what such a file contains could not be said.',
    example: 'import "this-file.scn" as base',
    better: 'import "lib/two-nodes.scn" as base',
  },
  S129: {
    title: 'an import of a file that is not there',
    explanation:
      'The path of an import is taken from the folder of the file that imports, with `/` between folders.',
    example: 'import "lib/tow-nodes.scn" as base',
    better: 'import "lib/two-nodes.scn" as base',
  },
  S138: {
    title: 'one packet where there are many, or many where there is one',
    explanation:
      'Packets of a `repeat` are named `p[1]`, `p[2]` ...; `expect p all` asks every one of them. A packet outside of a ' +
      'repeat has no index, and a repeat cannot stand in another one.',
    example: 'expect p verdict host/eth0/xdp == XDP_DROP',
    better: 'expect p all verdict host/eth0/xdp == XDP_DROP',
  },
  S139: {
    title: 'an import that is not used',
    explanation:
      'An import brings names in; `use NAME` in a topology takes that file’s topology, `NAME.program` a program.',
    example: 'import "lib/two-nodes.scn" as base',
    better: 'import "lib/two-nodes.scn" as base\ntopology { use base }',
  },
  S140: {
    title: 'a program that is attached nowhere',
    explanation:
      'A program runs where a device attaches it, or where another program calls it. This one never runs.',
    example: 'prog p xdp { otherwise => XDP_PASS }',
    better: 'dev eth0 on lan 10.0.0.1 { xdp p }',
  },
} as const satisfies Readonly<Record<string, CodePage>>

// Names that are not there, or there twice. The marks `<|` `|>` stand around the words that are blamed.
import { file, type Row, send } from './row.test-helper.ts'

/** Names */
export const names: readonly Row[] = [
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
]

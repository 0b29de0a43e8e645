// Mistakes in programs and at their hooks. The marks `<|` `|>` stand around the words that are blamed.
import { file, type Row } from './row.test-helper.ts'

const attach = (type: 'xdp' | 'tc', body: string): string =>
  file({
    topology: `node n { dev eth0 on lan 10.1.0.9 { ${type === 'xdp' ? 'xdp' : 'tc-in'} p } }`,
    rest: `prog p ${type} { ${body} }`,
  })
/** Programs */
export const programs: readonly Row[] = [
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
]

// No word of the language is read and forgotten: for every option of the closed lists in grammar/, a file with it must
// differ from the file without it - in what is checked, in the world that is booted, or in the program that runs.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { planProgram } from '../src/boot/programs.ts'
import { isSmallField, isSmallLayer } from '../src/bpf/small/fields.ts'
import { check } from '../src/model/check.ts'
import { fieldInfo, isInPrograms } from '../src/model/words/fields.ts'
import { parse } from '../src/syntax/parse.ts'

const grammar = readdirSync('grammar')
  .filter((name) => name.endsWith('.peggy'))
  .map((name) => readFileSync(`grammar/${name}`, 'utf8'))
  .join('\n')

/** The option names of a rule of the grammar: `name:"a"` and `name:("a" / "b")`. */
function optionsOf(rule: string): string[] {
  const start = grammar.indexOf(`\n${rule}\n`)
  const inline = grammar.indexOf(`\n${rule} =`)
  const body = grammar.slice(start === -1 ? inline : start + 1).split(/\n\n|\n(?=[A-Z])/)
  const text = (start === -1 ? body[0] || body[1] : `${body[0]}`) ?? ''
  const names = [...text.matchAll(/(?:name|what|state|hook):(?:\(([^)]*)\)|("[^"]*"))/g)]
  return names.flatMap((match) =>
    [...`${match[1] ?? ''}${match[2] ?? ''}`.matchAll(/"([^"]+)"/g)].map((word) => word[1] ?? ''),
  )
}

/** What a file means: its messages, its model without places in the text, its programs as they run. */
function meaning(text: string): string {
  const parsed = parse({ name: 'x.scn', text })
  if (!parsed.ok)
    throw new Error(`does not parse: ${text}\n${parsed.diagnostics.map((each) => each.message).join('\n')}`)
  const checked = check({ main: parsed.value, imports: new Map() })
  const said: readonly string[] = checked.diagnostics.map(({ code, message }) => `${code} ${message}`)
  if (!checked.ok) return said.join('\n')
  const { scenarios } = checked.value
  const place = { names: new Map(), deviceIndex: (name: string) => name.length }
  const code = scenarios[0]!.cases[0]!.world.programs.map((program) => {
    const { ir, maps } = planProgram(program, place)
    return [ir, maps.map(({ spec }) => spec)]
  })
  return said.join('\n') + JSON.stringify([scenarios, code], withoutPlaces)
}

function withoutPlaces(key: string, value: unknown): unknown {
  if (key === 'span' || key === 'body') return undefined
  if (value instanceof Map) return [...value]
  return value instanceof Uint8Array ? [...value].join() : value
}

/** Words that only say the default. */
const defaults: ReadonlySet<string> = new Set([
  'learning',
  'udpcsum',
  // of an entry of a port, and of a vxlan device
  'port master',
  'port static',
  'port append',
  'vxlan self',
  'vxlan static',
  'vxlan local',
  'vxlan permanent',
  'vxlan append',
])

const values: Readonly<Record<string, string>> = {
  peer: 'o/e0',
  mac: '02:00:00:00:aa:01',
  mtu: '1300',
  srcport: '4000 5000',
  remote: '10.1.0.9',
  local: '10.1.0.1',
  group: '239.0.0.1',
  dev: 'none0',
  master: 'none0',
  driver: 'veth',
  mode: 'private',
  protocol: '802.1ad',
  policy: 'drop',
  scrub: 'none',
  name: 'other',
  flood: 'off',
  df: 'set',
  endpoint: '10.1.0.9:1',
  'allowed-ips': '10.1.0.0/24',
  ageing: '30s',
  via: '10.1.0.9',
  src: '10.1.0.1',
  table: '77',
  scope: 'host',
  proto: 'static',
  encap: 'ip',
  on: '10.1.0.1',
  from: '10.1.0.0/24',
  to: '10.1.0.0/24',
  iif: 'eth0',
  oif: 'eth0',
  ipproto: 'tcp',
  lookup: '100',
  fwmark: '0x1/0xff',
  dst: '10.1.0.9',
  classid: '1:2',
  before: 'q',
  after: 'q',
  action: 'drop',
  flags: 'syn+ack',
  'eth.src': '02:00:00:00:aa:01',
  'eth.dst': '02:00:00:00:aa:01',
  payload: '"abc"',
  hex: '"0a0b"',
  checksum: 'bad',
  frag: '8',
  len: '9',
  send: '12',
  recv: '12',
  wait: '3s',
  bind: '10.1.0.1:9',
  answer: 'web.example 10.1.0.7',
  for: '7s',
  request: 'GET /',
  value: 'u64',
  key: '3',
  ecn: '2',
  'max-pacing-rate': '1mbit',
  txtime: '2ms',
  dscp: '10',
}
const flagLike: ReadonlySet<string> = new Set(
  'down external learning nolearning udpcsum noudpcsum nopmtudisc proxy l2miss l3miss gbp v6only reuseport transparent onlink not blackhole unreachable prohibit self static dynamic local permanent append horizon_drop horizon_cap pacing nopacing classic first last df mf connected recverr from-host tcp chunked pipelined open close reset shutdown getpeername sack'.split(
    ' ',
  ),
)
const switches: ReadonlySet<string> = new Set([
  'hairpin',
  'isolated',
  'neigh-suppress',
  'stp',
  'vlan-filtering',
])

/** `option value`, where `local` of a tunnel has a value and `local` of an fdb entry has none. */
function written(option: string, own: Readonly<Record<string, string>> = {}): string {
  if (own[option] !== undefined) return `${option} ${own[option]}`.trim()
  if (switches.has(option)) return `${option} on`
  if (flagLike.has(option)) return option
  return `${option} ${values[option] ?? '7'}`
}

function file(host: string, steps = 'p1: packet udp x:1 > n:2 on n/eth0', rest = ''): string {
  return `scn 1
topology {
  net lan 10.1.0.0/24
  external x on lan 10.1.0.50
  netns o { dev e1 dummy }
  node n {
    dev eth0 on lan 10.1.0.1
    dev br0 bridge
    dev vx vxlan id 9
    ${host}
  }
}
${rest}
scenario s { ${steps} }
`
}

/** One list of options: the statement without and with an option, in every context where it may stand. */
interface List {
  readonly rule: string
  readonly names?: readonly string[]
  readonly contexts: Readonly<Record<string, (option: string) => string>>
  readonly own?: Readonly<Record<string, string>>
}

const dev =
  (head: string) =>
  (option: string): string =>
    file(`dev t0 ${head} ${option}`)
const flow =
  (protocol: string) =>
  (option: string): string =>
    file('listen tcp 80; listen udp 80', `f1: ${protocol} x > n${protocol === 'ping' ? '' : ':80'} ${option}`)
const packet =
  (content: string) =>
  (option: string): string =>
    file('', `p1: packet ${content} ${option} on n/eth0`)
const layer =
  (before: string, name: string) =>
  (option: string): string =>
    file('', `p1: packet ${before} ${name} { ${option} } on n/eth0`)
const program = (text: string): string =>
  file('dev d1 dummy { xdp generic pp }', undefined, `prog pp xdp { ${text}\n otherwise => XDP_PASS }`)

const lists: readonly List[] = [
  {
    rule: 'DeviceOption',
    own: { local: '10.1.0.1', df: 'set', offload: 'tso on' },
    contexts: {
      phys: dev('phys on lan 10.1.0.3'),
      veth: (option) => file(`dev t0 veth peer o/t1 ${option}`),
      bridge: dev('bridge'),
      port: dev('dummy master br0'),
      dummy: dev('dummy'),
      vlan: dev('vlan dev eth0 id 5'),
      macvlan: dev('macvlan dev eth0'),
      vxlan: dev('vxlan id 5'),
      geneve: dev('geneve id 5 remote 10.1.0.8'),
      ipip: dev('ipip'),
    },
  },
  {
    rule: 'QdiscOption',
    own: { maxrate: '1mbit', horizon: '2s' },
    contexts: { fq: (option) => file(`dev t0 dummy { qdisc fq ${option} }`) },
  },
  {
    rule: 'ListenOption',
    contexts: {
      tcp: (option) => file(`listen tcp 80 ${option}`),
      udp: (option) => file(`listen udp 80 ${option}`),
      'in a step': (option) =>
        file('', `on n { add listen tcp 80 ${option} }\n p1: packet udp x:1 > n:2 on n/eth0`),
    },
  },
  {
    rule: 'RouteOption',
    own: { dev: 'vx' },
    contexts: {
      unicast: (option) => file(`route 10.9.0.0/16 dev br0 ${option}`),
      blackhole: (option) => file(`route blackhole 10.9.0.0/16 ${option}`),
      leg: (option) => file(`route 10.9.0.0/16 nexthop via 10.1.0.8 ${option} nexthop via 10.1.0.7`),
    },
  },
  {
    rule: 'RuleOption',
    contexts: { rule: (option) => file(`rule lookup 77 ${option}`) },
  },
  {
    rule: 'FdbOption',
    own: { via: 'eth0', master: '' },
    contexts: {
      port: (option) => file(`dev t0 dummy master br0\n fdb 02:00:00:00:00:09 dev t0 ${option}`),
      vxlan: (option) => file(`fdb 02:00:00:00:00:09 dev vx dst 10.1.0.8 ${option}`),
    },
  },
  {
    rule: 'AttachmentOption',
    own: { protocol: 'ip', action: 'drop' },
    contexts: Object.fromEntries(
      ['tc-in', 'tcx-out', 'xdp'].map((hook) => [
        hook,
        (option: string) =>
          file(
            `dev d1 dummy { ${hook === 'xdp' ? 'xdp generic' : hook} p ${option}\n tcx-in q }`,
            undefined,
            `prog p ${hook === 'xdp' ? 'xdp' : 'tc'} { otherwise => ${hook === 'xdp' ? 'XDP_PASS' : 'TC_ACT_OK'} }
prog q tc { otherwise => TC_ACT_OK }`,
          ),
      ]),
    ),
  },
  {
    rule: 'MapOption',
    own: { flags: 'BPF_F_NO_PREALLOC', value: 'u32', pinned: 'there', key: 'u16', 'max-entries': '9' },
    contexts: {
      hash: (option) => program(`map m hash ${option}\n ip => XDP_DROP { count m[ip.proto] }`),
      array: (option) => program(`map m array ${option}\n ip => XDP_DROP { count m[ip.proto] }`),
    },
  },
  {
    rule: 'RedirectMapOption',
    own: { default: 'XDP_DROP', flags: 'BPF_F_BROADCAST' },
    contexts: {
      xdp: (option) =>
        program(`map m devmap { 0 -> d1 }\n ip => XDP_REDIRECT { redirect-map m[0] ${option} }`),
    },
  },
  {
    rule: 'TunnelOption',
    own: { local: '10.1.0.1', remote: '10.1.0.9' },
    contexts: {
      tc: (option) =>
        file(
          'dev d1 dummy { tc-out pp }',
          undefined,
          `prog pp tc { ip => TC_ACT_OK { tunnel vni 1 remote 10.1.0.8 ${option} }\n otherwise => TC_ACT_OK }`,
        ),
    },
  },
  {
    rule: 'FlowOption',
    own: { ttl: '7', mark: '7' },
    contexts: { tcp: flow('tcp'), udp: flow('udp'), ping: flow('ping') },
  },
  {
    rule: 'Operation',
    own: { request: 'GET /', ping: '4', respond: '200', connect: '10.1.0.1:9' },
    contexts: {
      tcp: (option) => flow('tcp')(`{ wait 1s ${option} }`),
      udp: (option) => flow('udp')(`{ wait 1s ${option} }`),
      ping: (option) => flow('ping')(`{ wait 1s ${option} }`),
    },
  },
  {
    rule: 'PacketOption',
    own: { vlan: '7', id: '7', code: '7', mark: '7' },
    contexts: {
      tcp: packet('tcp x:1 > n:2'),
      udp: packet('udp x:1 > n:2'),
      sctp: packet('sctp x:1 > n:2'),
      echo: packet('icmp x > n'),
      unreachable: packet('icmp host-unreachable x > n'),
      arp: packet('arp x > n'),
      esp: packet('esp x > n'),
      ip: packet('ip x > n'),
      'udp over IPv6': packet('udp [fd00::1]:1 > [fd00::2]:2'),
      solicitation: packet('icmp6 ns fd00::1 > fd00::2'),
    },
  },
  {
    rule: 'EthField',
    own: { type: '0x1234', src: '02:00:00:00:aa:01', dst: '02:00:00:00:aa:02' },
    contexts: { eth: layer('', 'eth') },
  },
  { rule: 'VlanField', own: { dei: '1' }, contexts: { vlan: layer('eth {}', 'vlan') } },
  {
    rule: 'ArpField',
    own: {
      op: 'reply',
      sha: '02:00:00:00:aa:01',
      tha: '02:00:00:00:aa:01',
      spa: '10.1.0.7',
      tpa: '10.1.0.7',
    },
    contexts: { arp: layer('', 'arp') },
  },
  {
    rule: 'IpOption',
    own: { src: '10.1.0.7', dst: '10.1.0.7', proto: '6', options: '"0101"', version: '7', checksum: '7' },
    contexts: { ip: layer('', 'ip') },
  },
  {
    rule: 'Ip6Option',
    own: { src: 'fd00::1', dst: 'fd00::2' },
    contexts: { ip6: layer('', 'ip6') },
  },
  {
    rule: 'TcpOption',
    own: { options: '"0101"', flags: 'fin', checksum: '7' },
    contexts: { tcp: layer('ip { src 10.1.0.7 dst 10.1.0.1 }', 'tcp') },
  },
  {
    rule: 'UdpOption',
    own: { checksum: '7' },
    contexts: { udp: layer('ip { src 10.1.0.7 dst 10.1.0.1 }', 'udp') },
  },
  {
    rule: 'SctpOption',
    own: { chunk: 'abort', checksum: '7' },
    contexts: { sctp: layer('ip { src 10.1.0.7 dst 10.1.0.1 }', 'sctp') },
  },
  {
    rule: 'IcmpOption',
    own: { type: '3', target: '10.1.0.7', gateway: '10.1.0.7', lladdr: '02:00:00:00:aa:01', checksum: '7' },
    contexts: {
      icmp: layer('ip { src 10.1.0.7 dst 10.1.0.1 }', 'icmp'),
    },
  },
  {
    rule: 'TunnelField',
    own: { options: '"00000000"', flags: '7', gbp: '7', proto: '0x86dd' },
    contexts: Object.fromEntries(
      ['vxlan', 'geneve', 'gre'].map((name) => [
        name,
        layer('ip { src 10.1.0.7 dst 10.1.0.1 } udp {}', name),
      ]),
    ),
  },
  {
    rule: 'ExtensionField',
    own: { options: '"0101"', offset: '8' },
    contexts: { hop: layer('ip6 {}', 'hop'), frag: layer('ip6 {}', 'frag') },
  },
]

describe.each(lists)('$rule', ({ rule, contexts, own }) => {
  const names = optionsOf(rule)
  test('the grammar has the list', () => expect(names.length).toBeGreaterThan(0))
  test.each(Object.keys(contexts))('%s', (context) => {
    const make = contexts[context]!
    const without = meaning(make(''))
    expect(without).toMatch(/^\[\[/)
    const forgotten = names
      .filter((name) => !defaults.has(name) && !(rule === 'FdbOption' && defaults.has(`${context} ${name}`)))
      .filter((name) => meaning(make(written(name, own))) === without)
    expect(forgotten).toEqual([])
  })
})

test('every part of the model is used by boot, run or the checks of what runs', () => {
  const used = ['src/boot', 'src/run']
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
    )
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n')
  const model = ['model', 'step', 'program']
    .map((name) => readFileSync(`src/model/${name}.ts`, 'utf8'))
    .join('\n')
  const parts = new Set([...model.matchAll(/readonly ([a-zA-Z0-9]+)\??:/g)].map((match) => match[1] ?? ''))
  // `request` and `respond` come with http; boot hands on what a tunnel has as a whole; nets are plugged in by name
  const later = new Set(['method', 'url', 'status', 'doc', 'unavailable', 'cell', 'prefixes', 'srcport'])
  const idle = [...parts].filter((part) => !later.has(part) && !new RegExp(`\\b${part}\\b`).test(used))
  expect(idle).toEqual([])
})

test('a field that a program may read is one that small programs know', () => {
  const text = grammar.slice(grammar.indexOf('\nLayered\n'))
  const words = [...text.matchAll(/"([a-z0-9]+)" \("\." \((.*)\)\)\?/g)].flatMap(([, layerName, fields]) => [
    layerName ?? '',
    ...[...(fields ?? '').matchAll(/"([^"]+)"/g)].map((match) => `${layerName}.${match[1]}`),
  ])
  expect(words.length).toBeGreaterThan(60)
  const wrong = words.filter((word) => {
    const info = fieldInfo(word)
    if (info === undefined || info.where === 'trace' || info.where === 'sock') return false
    return isInPrograms(info) !== (isSmallField(word) || isSmallLayer(word))
  })
  expect(wrong).toEqual([])
})

// Small programs with random tests, actions and codes, at random hooks.
import type { Dice } from './dice.ts'
import type { Draft, DraftDevice, DraftHost } from './host.ts'

const tests = [
  'udp.dport == 7000',
  'udp',
  'tcp',
  'icmp',
  'arp',
  'ip',
  'ip.ttl <= 2',
  'ip.frag',
  'packet.len > 100',
  'tcp.flags == syn',
  'ip.src in 10.1.0.0/24',
  'ip.dst == 10.2.0.2',
  'not udp',
  'ip.proto == 17',
  'ip.tos == 16',
  'udp.len > 30',
  'ip.df',
  'icmp.type == 8',
  'eth.type == 0x0806',
  'ip.ihl > 5',
  'udp and ip.ttl > 3',
  'tcp or icmp',
  'sctp',
  'ip6',
  'eth.dst == ff:ff:ff:ff:ff:ff',
  'ip.src in seen',
  'ip.src in deny',
  'hits[0] > 1',
]

const xdpActions = [
  'set ip.ttl = 9',
  'set ip.dst = 10.2.0.2',
  'set udp.dport = 7001',
  'swap eth',
  'swap eth ip',
  'swap eth ip udp',
  'count hits[0]',
  'adjust-tail 4',
  'set ip.tos = 16',
  'set eth.dst = 02:00:00:00:00:77',
  'adjust-meta 4',
  'adjust-head 4',
  // the bytes that it uncovers are whatever was there before: nobody may look at them
  'adjust-head -4; set eth.dst = 02:00:00:00:00:77',
  'adjust-tail -8',
  'update seen[ip.src] = 1',
  'delete seen[ip.src]',
  'set udp.sport = 4001',
  'set tcp.dport = 81',
]

const tcActions = [
  'set ip.ttl = 9',
  'set ip.dst = 10.2.0.2',
  'set udp.dport = 7001',
  'set mark = 1',
  'set mark = 2',
  'count hits[0]',
  'swap eth',
  'set ip.tos = 16',
  'push-vlan 5',
  'set eth.dst = 02:00:00:00:00:77',
  'set priority = 6',
  'swap eth ip udp',
  'set cb0 = 3',
  'set packet.type = 0',
  'set packet.type = 3',
  'set ip.src = 10.9.9.9',
  'pop-vlan',
  'adjust-room 8',
  'update seen[ip.src] = 1',
  'delete seen[ip.src]',
  'set tcp.dport = 81',
  'set tc_index = 3',
  'adjust-tail 4',
  'set packet.type = 1',
]

/** What only tc programs may ask. */
const tcTests = ['mark == 1', 'packet.type == 3', 'cb0 == 3', 'iif == 0', 'priority == 6', 'vlan.id == 5']

const codes = {
  xdp: ['XDP_PASS', 'XDP_PASS', 'XDP_DROP', 'XDP_TX', 'XDP_ABORTED', 'continue', '7'],
  tc: [
    'TC_ACT_OK',
    'TC_ACT_OK',
    'TC_ACT_UNSPEC',
    'TC_ACT_SHOT',
    'TC_ACT_PIPE',
    'TC_ACT_STOLEN',
    'TC_ACT_QUEUED',
    'TC_ACT_RECLASSIFY',
    'TC_ACT_TRAP',
    'continue',
    '9',
  ],
} as const

type ProgramType = keyof typeof codes

/** A rule that sends the packet elsewhere. A card has no peer in the model, the veth that stands for it has one. */
function redirect(dice: Dice, type: ProgramType, { name, kind }: DraftDevice): readonly [string, string] {
  if (type === 'tc')
    return [
      'TC_ACT_REDIRECT',
      dice.pick([
        `redirect ${name}`,
        `redirect ${name} ingress`,
        `redirect-neigh ${name}`,
        `redirect-neigh ${name} via 10.2.0.2`,
        ...(kind.startsWith('on ') ? [] : [`redirect-peer ${name}`]),
      ]),
    ]
  return [
    'XDP_REDIRECT',
    dice.pick([
      `redirect ${name}`,
      'redirect-map out[0]',
      'redirect-map out[1]',
      'redirect-map out[3] default XDP_PASS',
    ]),
  ]
}

/** The maps that a program names. */
function mapsOf(lines: readonly string[], type: ProgramType, each: DraftHost): string[] {
  const text = lines.join('\n')
  const ports = each.devices.filter(({ kind }) => /peer|on /.test(kind)).map(({ name }) => name)
  return [
    ...(text.includes('hits[') ? ['  map hits array key u32 value u64 max-entries 2'] : []),
    ...(/seen[[ \n]/.test(text) ? ['  map seen hash key ipv4 value u32 max-entries 4'] : []),
    ...(text.includes('in deny') ? ['  map deny lpm-trie [10.1.0.0/24, 10.2.0.2/32]'] : []),
    ...(type === 'xdp' && text.includes('out[')
      ? [`  map out devmap max-entries 4 { ${ports.map((port, index) => `${index} -> ${port}`).join('; ')} }`]
      : []),
  ]
}

/** What an IPv6 kernel sends by itself (reports of groups, which the model does not send) never matches these tests. */
const quietTests = /^(?:udp|tcp|icmp|arp|ip)(?!\w)/

/** The actions of a rule: where IPv6 is, a rule for any packet must not count those that only the kernel sends. */
function quietActions(actions: readonly string[], test: string, ipv6: boolean): readonly string[] {
  return ipv6 && !quietTests.test(test) ? actions.filter((action) => !action.startsWith('count ')) : actions
}

/** On a wire no frame grows past its MTU: the veth that stands for a card takes in none that is longer. */
function fittingActions(actions: readonly string[], wired: boolean): readonly string[] {
  return wired ? actions.filter((action) => action !== 'adjust-room 8') : actions
}

function body(dice: Dice, type: ProgramType, each: DraftHost, draft: Draft): string[] {
  const lines: string[] = []
  const other = dice.pick(each.devices)
  for (let left = dice.number(1, 3); left > 0; left -= 1) {
    const actions = dice.some(type === 'xdp' ? xdpActions : tcActions, 2)
    let code: string = dice.pick(codes[type])
    if (dice.once(5)) {
      const [elsewhere, action] = redirect(dice, type, other)
      code = elsewhere
      actions.push(action)
    } else if (type === 'tc' && dice.once(8))
      actions.push(`clone-redirect ${other.name}${dice.pick(['', ' ingress'])}`)
    const test = dice.pick(type === 'tc' ? [...tests, ...tcTests] : tests)
    const kept = fittingActions(quietActions(actions, test, draft.ipv6), draft.nets.length > 0)
    lines.push(`  ${test} => ${code}${kept.length === 0 ? '' : ` { ${kept.join('; ')} }`}`)
  }
  const end =
    type === 'xdp'
      ? dice.pick(['XDP_PASS', 'XDP_PASS', 'XDP_PASS', 'XDP_TX'])
      : dice.pick(['TC_ACT_OK', 'TC_ACT_UNSPEC'])
  lines.push(`  otherwise => ${end}`)
  return [...mapsOf(lines, type, each), ...lines]
}

/** How a program is attached at a hook: with a preference or a place in the list, now and then without direct action. */
function attachment(dice: Dice, hook: string, program: string): string {
  if (hook.startsWith('tcx')) return `${hook} ${program}${dice.pick(['', '', ' first', ' last'])}`
  if (!hook.startsWith('tc-')) return `${hook} ${program}`
  const word = dice.once(4) ? dice.pick(['ip', 'arp', 'ipv6', 'all']) : undefined
  const protocol = word === undefined ? '' : ` protocol ${word}`
  // filters of one preference are for one protocol
  const own = ['all', 'ip', 'arp', 'ipv6'].indexOf(word ?? 'all')
  const pref = dice.once(2) ? ` pref ${dice.number(0, 2) * 4 + own + 1}` : ''
  const kind = dice.once(8) ? dice.pick([' classic', ' classic classid 1:10']) : ''
  return `${hook} ${program}${pref}${protocol}${kind}`
}

/** Attaches one to four programs. */
export function programs(dice: Dice, draft: Draft, only: ReadonlySet<string>): void {
  const types = (['xdp', 'tc'] as const).filter((type) => only.size === 0 || only.has(type))
  const taken = new Set<string>()
  for (let number = dice.number(1, 4); number > 0; number -= 1) {
    const each = dice.once(3) ? dice.pick(draft.hosts) : (draft.hosts[1] as DraftHost)
    const type = dice.pick(types.length === 0 ? (['tc'] as const) : types)
    const device = dice.pick(each.devices)
    const hook =
      type === 'xdp'
        ? dice.pick(['xdp native', 'xdp generic'])
        : dice.pick(['tc-in', 'tc-out', 'tc-in', 'tc-out', 'tcx-in', 'tcx-out'])
    const place = `${each.name}/${device.name}/xdp`
    if (type === 'xdp' && (taken.has(place) || !/peer|on /.test(device.kind))) continue
    if (type === 'xdp') taken.add(place)
    device.inner.push(attachment(dice, hook, `p${number}`))
    draft.programs.push(`prog p${number} ${type} {`, ...body(dice, type, each, draft), '}', '')
  }
}

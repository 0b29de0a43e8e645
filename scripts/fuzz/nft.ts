// Rule sets of nft: base chains of every type at every hook, with priorities between those of iptables, and two chains to
// jump to. Every rule counts, so that each rule is compared.
import type { Dice } from './dice.ts'
import type { Draft, DraftHost } from './host.ts'

type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

interface Base {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: Hook
}

interface Where {
  readonly bases: readonly Base[]
  /** 0 in a base chain, 1 in `up`, 2 in `down`: a chain jumps to those behind it. */
  readonly level: number
  readonly family: 'ip' | 'ip6' | 'inet'
  readonly six: boolean
  readonly each: DraftHost
}

const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const
const priorities = {
  filter: ['raw', 'mangle', 'filter', 'security', 'filter + 10', 'filter - 5', '-250'],
  nat: ['-100', '100', 'filter', '-90'],
  route: ['mangle', 'filter', 'raw'],
} as const

/** What a text says about the protocols of its packets: nft refuses a rule whose parts disagree. */
const family4 = /\bip |\bicmp |ip to /
const family6 = /\bip6 |\bicmpv6 |ip6 to /
const transport =
  /\b(?:(udp|tcp) (?:dport|sport|length|flags|window)|l4proto (udp|tcp|sctp)|(icmp|icmpv6) type|with (tcp) reset)/

function protocolsOf(text: string, family: 'ip' | 'ip6' | 'inet'): ReadonlySet<string> {
  const found = transport.exec(text.replace('l4proto !=', ''))
  const upper = found?.slice(1).find((word) => word !== undefined)
  return new Set([
    ...(family === 'ip' || (!text.includes('with icmp') && family4.test(text)) || text.includes('with icmp ')
      ? ['ipv4']
      : []),
    ...(family === 'ip6' || family6.test(text) ? ['ipv6'] : []),
    ...(upper === undefined ? [] : [upper]),
  ])
}

/** Whether a further part may stand in a rule: one network protocol and one transport protocol at most. */
function fits(parts: readonly string[], more: string, family: 'ip' | 'ip6' | 'inet'): boolean {
  return [...parts, more]
    .flatMap((part) => [...protocolsOf(part, family)])
    .every((word, _index, all) => {
      const network = word.startsWith('ipv')
      return all.every((other) => other.startsWith('ipv') !== network || other === word)
    })
}

function only({ bases }: Where, ...allowed: readonly Hook[]): boolean {
  return bases.every(({ hook }) => allowed.includes(hook))
}

function sixOf(dice: Dice, { family }: Where): boolean {
  return family === 'ip6' || (family === 'inet' && dice.once(2))
}

function addressTest(dice: Dice, where: Where, not: string): string {
  return sixOf(dice, where)
    ? `ip6 ${dice.pick(['saddr', 'daddr'])} ${not}${dice.pick(['fd00:1::/64', 'fd00:2::2', '{ fd00:1::2, fd00:2::/64 }', 'fd00:1::1-fd00:1::9'])}`
    : `ip ${dice.pick(['saddr', 'daddr'])} ${not}${dice.pick(['10.1.0.0/24', '10.2.0.2', '{ 10.1.0.2, 10.2.0.0/25 }', '10.1.0.2-10.1.0.9', '@far'])}`
}

function headerTest(dice: Dice, where: Where, not: string): string {
  return sixOf(dice, where)
    ? dice.pick([
        `ip6 hoplimit ${not}64`,
        'ip6 hoplimit < 3',
        'ip6 nexthdr != { udp, tcp }',
        `ip6 dscp ${not}cs1`,
      ])
    : dice.pick([
        `ip ttl ${not}64`,
        'ip ttl < 3',
        'ip protocol != { udp, icmp }',
        `ip dscp ${not}ef`,
        `ip ecn ${not}not-ect`,
        'ip frag-off & 0x1fff == 0',
        'ip length > 100',
        'ip id 0',
        'ip saddr & 255.255.0.0 == 10.1.0.0',
      ])
}

function portTest(dice: Dice, not: string): string {
  return dice.pick([
    `udp dport ${not}7000`,
    `udp dport ${not}{ 53, 7000-7001 }`,
    `udp sport ${not}4000-4500`,
    'udp length > 30',
    `tcp dport ${not}80`,
    'tcp flags syn',
    'tcp flags & (fin | syn | rst | ack) == syn',
    `tcp flags ${not}ack`,
    'tcp flags != syn / syn,ack',
    'tcp window > 1000',
    `th dport ${not}80`,
    'meta l4proto != { tcp, udp }',
    'meta l4proto udp th dport { 53, 7000 }',
    'meta l4proto sctp',
  ])
}

function deviceTest(dice: Dice, where: Where, not: string): string {
  const { name } = dice.pick(where.each.devices)
  const inward = [
    `iifname ${not}"${name}"`,
    'iifname "r*"',
    'iif "lo"',
    'fib saddr type unicast',
    'fib saddr . iif type local',
  ]
  const outward = [`oifname ${not}"${name}"`, `oif ${not}"lo"`, 'fib daddr . oif type unicast']
  if (only(where, 'prerouting', 'input')) return dice.pick(inward)
  if (only(where, 'output', 'postrouting')) return dice.pick([...outward, 'meta skuid 0', 'meta skgid 0'])
  return dice.pick(['iifname "r*"', `oifname "${name}"`, `iifname "${name}"`])
}

function flowTest(dice: Dice, not: string): string {
  return `ct ${dice.pick([
    `state ${not}new`,
    'state established,related',
    'state { new, untracked }',
    'state invalid',
    `direction ${dice.pick(['original', 'reply'])}`,
    `mark ${not}1`,
    `status & ${dice.pick(['dnat', 'snat', 'seen-reply', 'assured'])} != 0`,
    'protocol != udp',
    'original ip daddr 10.2.0.2',
    'reply ip saddr 10.2.0.2',
  ])}`
}

function test(dice: Dice, where: Where): string {
  const not = dice.once(5) ? '!= ' : ''
  return dice.pick([
    () => addressTest(dice, where, not),
    () => headerTest(dice, where, not),
    () => portTest(dice, not),
    () => portTest(dice, not),
    () => deviceTest(dice, where, not),
    () => flowTest(dice, not),
    () =>
      dice.pick([
        `meta mark ${not}1`,
        'meta mark & 0x3 == 0x1',
        `meta pkttype ${not}${dice.pick(['host', 'unicast', 'broadcast', 'multicast'])}`,
        'meta length > 60',
        `fib daddr type ${not}${dice.pick(['local', 'unicast', 'broadcast'])}`,
        'icmp type echo-request',
        'icmp type { echo-reply, destination-unreachable }',
        'icmpv6 type echo-request',
      ]),
  ])()
}

function rejects(dice: Dice, { family }: Where): string[] {
  const four = `reject with icmp type ${dice.pick(['net-unreachable', 'host-unreachable', 'port-unreachable', 'admin-prohibited', 'prot-unreachable'])}`
  const six = `reject with icmpv6 type ${dice.pick(['no-route', 'admin-prohibited', 'addr-unreachable', 'port-unreachable'])}`
  const either = `reject with icmpx type ${dice.pick(['port-unreachable', 'admin-prohibited', 'no-route', 'host-unreachable'])}`
  const own = family === 'ip' ? [four] : family === 'ip6' ? [six] : [four, six, either]
  return ['reject', ...own, 'meta l4proto tcp reject with tcp reset']
}

function translations(dice: Dice, where: Where): string[] {
  if (where.bases.some(({ type }) => type !== 'nat')) return []
  const six = sixOf(dice, where)
  const told = where.family === 'inet' ? (six ? ' ip6' : ' ip') : ''
  const host = six ? 'fd00:2::2' : dice.pick(['10.2.0.2', '10.2.0.1', '10.1.0.3'])
  const withPort = six ? `[${host}]:7001` : `${host}:7001`
  if (only(where, 'prerouting', 'output'))
    return [
      `dnat${told} to ${host}`,
      `meta l4proto { tcp, udp } dnat${told} to ${withPort}`,
      'redirect',
      'meta l4proto { tcp, udp } redirect to :7001',
    ]
  const source = six ? 'fd00:2::5' : '10.2.0.5'
  const after = [`snat${told} to ${source}`, `snat${told} to ${source} persistent`]
  if (only(where, 'postrouting'))
    return [...after, 'masquerade', `meta l4proto { tcp, udp } masquerade to :5555`]
  return only(where, 'input') ? after : []
}

function changes(dice: Dice, where: Where): string[] {
  const six = sixOf(dice, where)
  return [
    `meta mark set ${dice.pick(['1', '2', 'mark or 0x1', 'ct mark'])}`,
    `ct mark set ${dice.pick(['1', 'mark'])}`,
    six ? 'ip6 hoplimit set 9' : 'ip ttl set 9',
    six ? 'ip6 dscp set cs1' : 'ip dscp set cs1',
    ...(six ? ['ip6 ecn set ect1'] : []),
    ...(six ? [] : ['ip ecn set ce', 'ip id set 7', 'ip daddr set 10.2.0.2']),
    'udp dport set 7001',
    'tcp dport set 81',
    'tcp window set 500',
  ]
}

function statement(dice: Dice, where: Where): string {
  const jumps = ['jump up', 'goto up', 'jump down', 'goto down'].slice(where.level * 2)
  const nat = where.bases.some(({ type }) => type === 'nat')
  const plain = ['accept', 'return', ...jumps, ...(nat ? [] : ['drop', 'drop'])]
  const rejecting =
    only(where, 'prerouting', 'input', 'forward', 'output') && !nat ? rejects(dice, where) : []
  const early = !nat && only(where, 'prerouting', 'output') ? ['notrack'] : []
  const verdicts = [
    'tcp dport vmap { 80 : accept, 81 : return }',
    'ct state vmap { new : accept, established : return }',
    ...(where.family === 'ip6' ? [] : ['add @known { ip saddr }', 'ip saddr @known accept']),
    `limit rate 1/hour burst ${dice.number(1, 3)} packets`,
    'numgen inc mod 2 vmap { 0 : accept, 1 : return }',
  ]
  return dice.pick(
    [
      plain,
      ...[rejecting, early, translations(dice, where), changes(dice, where), verdicts].filter(
        ({ length }) => length > 0,
      ),
    ].map((list) => dice.pick(list)),
  )
}

/** What never meets the reports of groups, which only an IPv6 kernel sends; what must not count them. */
const quietly = /^(?:udp|tcp|th|icmp|ip|meta l4proto udp|meta l4proto sctp) /
const counting = /limit|numgen/

function rule(dice: Dice, where: Where): string {
  const parts: string[] = []
  for (let left = dice.number(0, 2); left > 0; left -= 1) {
    const more = test(dice, where)
    if (fits(parts, more, where.family)) parts.push(more)
  }
  const end = statement(dice, where)
  const quiet = where.family === 'ip' || parts.some((part) => quietly.test(part))
  return [
    ...parts,
    ...(quiet || !where.six ? ['counter'] : []),
    fits(parts, end, where.family) && (quiet || !where.six || !counting.test(end)) ? end : 'return',
  ].join(' ')
}

function base(dice: Dice): Base {
  const type = dice.pick(['filter', 'filter', 'filter', 'nat', 'nat', 'route'] as const)
  if (type === 'route') return { type, hook: 'output' }
  return { type, hook: dice.pick(type === 'nat' ? hooks.filter((hook) => hook !== 'forward') : hooks) }
}

function rules(dice: Dice, where: Where, most: number): string[] {
  return Array.from({ length: dice.number(1, most) }, () => `    ${rule(dice, where)}`)
}

/** A table of a family with up to three base chains. */
function table(dice: Dice, { family, six, each }: Pick<Where, 'family' | 'six' | 'each'>): string[] {
  const bases = Array.from({ length: dice.number(1, 3) }, () => base(dice))
  const lines = bases.flatMap((one, index) => {
    const policy = one.type === 'filter' && dice.once(10) ? ' policy drop;' : ''
    return [
      `  chain c${index} {`,
      `    type ${one.type} hook ${one.hook} priority ${dice.pick(priorities[one.type])};${policy}`,
      ...rules(dice, { bases: [one], level: 0, family, six, each }, 4),
      '  }',
    ]
  })
  const sets =
    family === 'ip6'
      ? []
      : [
          '  set far { type ipv4_addr; flags interval; elements = { 10.1.0.3-10.1.0.9, 10.9.0.0/16 } }',
          '  set known { type ipv4_addr; size 10; flags dynamic; }',
        ]
  const up = { bases, level: 1, family, six, each }
  const down = { bases, level: 2, family, six, each }
  return [
    `table ${family} t {`,
    ...sets,
    '  chain down {',
    ...rules(dice, down, 2),
    '  }',
    '  chain up {',
    ...rules(dice, up, 2),
    '  }',
    ...lines,
    '}',
  ]
}

/** Rule sets of nft in the middle, seldom at the ends. */
export function nftables(dice: Dice, draft: Draft): void {
  for (const each of draft.hosts) {
    if (each.name !== 'R' && !dice.once(5)) continue
    const families = draft.ipv6
      ? dice.pick([['inet'], ['ip', 'ip6'], ['inet', 'ip']] as const)
      : dice.pick([['ip'], ['inet']] as const)
    each.lines.push(
      'nft """',
      ...families.flatMap((family) => table(dice, { family, six: draft.ipv6, each })),
      '"""',
    )
  }
}

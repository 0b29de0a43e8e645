// Rule sets of iptables and ip6tables: every table, the matches and targets whose answer does not hang on chance or time.
import type { Dice } from './dice.ts'
import type { Draft, DraftHost } from './host.ts'

const chains = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
} as const

type Table = keyof typeof chains

interface Where {
  readonly table: Table
  readonly chain: string
  readonly six: boolean
  readonly each: DraftHost
}

function matches(dice: Dice, { table, chain, six, each }: Where): string[] {
  const { name } = dice.pick(each.devices)
  const not = dice.once(5) ? '! ' : ''
  const early = chain === 'PREROUTING' || chain === 'INPUT' || chain === 'FORWARD'
  const late = chain === 'POSTROUTING' || chain === 'OUTPUT' || chain === 'FORWARD'
  const one = (): string[] =>
    dice.pick<string[]>([
      [],
      [`${not}-s ${six ? 'fd00:1::/64' : dice.pick(['10.1.0.0/24', '10.1.0.2/32', '10.2.0.2'])}`],
      [
        `${not}-d ${six ? 'fd00:2::2/128' : dice.pick(['10.2.0.0/24', '10.2.0.2/32', '10.1.0.1', '10.9.0.0/16'])}`,
      ],
      early ? [`${not}-i ${dice.pick([name, 'r+', 'br0'])}`] : [],
      late ? [`${not}-o ${dice.pick([name, 'r+'])}`] : [],
      [`-m mark ${not}--mark ${dice.pick(['0x1', '0x2/0xf', '0x0'])}`],
      [`-m connmark ${not}--mark ${dice.pick(['0x1', '0x0/0xff'])}`],
      [
        `-m conntrack ${not}--ctstate ${dice.pick(['NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'INVALID', 'UNTRACKED', 'DNAT', 'SNAT'])}`,
      ],
      [`-m conntrack --ctdir ${dice.pick(['ORIGINAL', 'REPLY'])}`],
      [
        `-m addrtype ${not}--${dice.pick(['src', 'dst'])}-type ${dice.pick(['LOCAL', 'UNICAST', 'BROADCAST', 'MULTICAST', 'BLACKHOLE'])}`,
      ],
      [`-m statistic --mode nth --every ${dice.number(2, 3)} --packet ${dice.number(0, 1)}`],
      [`-m comment --comment "x"`],
      six ? [] : [`${not}-f`],
      chain === 'PREROUTING' && !six && (table === 'raw' || table === 'mangle')
        ? [`-m rpfilter${dice.pick(['', ' --loose', ' --invert', ' --validmark'])}`]
        : [],
    ])
  return [...protocolMatch(dice, six), ...one(), ...(dice.once(3) ? one() : [])].filter(
    (text, index, all) => all.findIndex((other) => key(other) === key(text)) === index,
  )
}

/** An option may stand once in a rule. */
function key(text: string): string {
  return text
    .replace(/^! /, '')
    .split(' ')
    .slice(0, text.includes('-m ') ? 2 : 1)
    .join(' ')
}

function protocolMatch(dice: Dice, six: boolean): string[] {
  const icmp = six ? '-p ipv6-icmp' : '-p icmp'
  return dice.pick<string[]>([
    [],
    ['-p udp'],
    [`-p udp -m udp --dport ${dice.pick(['7000', '7001', '7000:7002', '53'])}`],
    [`-p udp -m multiport --dports ${dice.pick(['7000,53', '1:6999,7001'])}`],
    ['-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN'],
    [`-p tcp -m tcp --dport ${dice.pick(['80', '81'])}`],
    ['-p tcp'],
    [icmp],
    [
      six
        ? `${icmp} -m icmp6 --icmpv6-type 128`
        : `${icmp} -m icmp --icmp-type ${dice.pick(['8', '0', '3', '3/3', '11'])}`,
    ],
  ])
}

function target(dice: Dice, { table, chain, six }: Where, match: readonly string[]): string {
  const tcp = match.some((text) => text.startsWith('-p tcp'))
  const port = tcp || match.some((text) => text.startsWith('-p udp'))
  const common = ['ACCEPT', 'DROP', 'RETURN', 'X1', 'X2', '-g X1']
  if (table === 'filter') {
    const with4 = [
      'icmp-port-unreachable',
      'icmp-net-unreachable',
      'icmp-host-unreachable',
      'icmp-proto-unreachable',
      'icmp-admin-prohibited',
    ]
    const with6 = [
      'icmp6-port-unreachable',
      'icmp6-no-route',
      'icmp6-adm-prohibited',
      'icmp6-addr-unreachable',
    ]
    return dice.pick([
      ...common,
      `REJECT --reject-with ${dice.pick(six ? with6 : with4)}`,
      tcp ? 'REJECT --reject-with tcp-reset' : 'ACCEPT',
    ])
  }
  if (table === 'raw')
    return dice.pick(
      [...common, 'NOTRACK', 'CT --notrack', 'CT --notrack', 'MARK --set-xmark 0x1/0xffffffff'].slice(0, 8),
    )
  if (table === 'mangle')
    return dice.pick([
      ...common,
      `MARK --set-xmark ${dice.pick(['0x1/0xffffffff', '0x2/0xf', '0x3/0x0'])}`,
      'MARK --set-xmark 0x1/0xffffffff',
      `CONNMARK ${dice.pick(['--save-mark', '--restore-mark', '--set-xmark 0x1/0xffffffff'])}`,
      tcp &&
      chain !== 'PREROUTING' &&
      chain !== 'INPUT' &&
      match.some((text) => text.includes('SYN SYN') || text.includes('ACK SYN'))
        ? `TCPMSS ${dice.pick(['--set-mss 500', '--clamp-mss-to-pmtu'])}`
        : 'ACCEPT',
    ])
  const harmless = common.filter((action) => action !== 'DROP') // iptables refuses to filter in nat
  return natTarget(dice, { chain, six }, harmless, port)
}

function natTarget(
  dice: Dice,
  { chain, six }: Pick<Where, 'chain' | 'six'>,
  common: readonly string[],
  port: boolean,
): string {
  const [b, r, x] = six ? ['[fd00:2::2]', '[fd00:1::1]', '[fd00:9::9]'] : ['10.2.0.2', '10.1.0.1', '10.9.9.9']
  const bare = (text: string | undefined): string => (text ?? '').replace(/[[\]]/g, '')
  const before = [
    `DNAT --to-destination ${bare(b)}`,
    `DNAT --to-destination ${bare(r)}`,
    ...(port
      ? [`DNAT --to-destination ${b}:7000`, 'REDIRECT --to-ports 7000', `DNAT --to-destination ${r}:80`]
      : []),
    'REDIRECT',
  ]
  const after = [
    `SNAT --to-source ${bare(x)}`,
    `SNAT --to-source ${bare(r)}`,
    ...(port ? [`SNAT --to-source ${r}:5555`] : []),
  ]
  if (chain === 'PREROUTING' || chain === 'OUTPUT') return dice.pick([...common, ...before])
  return dice.pick([...common, ...after, ...(chain === 'POSTROUTING' ? ['MASQUERADE', 'MASQUERADE'] : [])])
}

function tableText(dice: Dice, table: Table, six: boolean, each: DraftHost): string[] {
  const lines: string[] = []
  const most = table === 'filter' || table === 'nat' ? 4 : 3
  for (let left = dice.number(1, most); left > 0; left -= 1) {
    const chain = dice.once(4) ? dice.pick(['X1', 'X2']) : dice.pick(chains[table])
    const where: Where = { table, chain, six, each }
    const match = matches(dice, where)
    let action = target(dice, where, match)
    // A chain of one's own may call X2 from X1 only: the kernel refuses loops; and what only some hooks allow stays out.
    if (chain.startsWith('X'))
      action = dice.pick([
        'ACCEPT',
        table === 'nat' ? 'ACCEPT' : 'DROP',
        'RETURN',
        ...(chain === 'X1' ? ['X2'] : []),
      ])
    lines.push(`-A ${chain} ${[...match, action.startsWith('-g') ? action : `-j ${action}`].join(' ')}`)
  }
  const policy = table !== 'nat' && dice.once(8) ? [`:${dice.pick(chains[table])} DROP [0:0]`] : []
  return [`*${table}`, ...policy, ':X1 - [0:0]', ':X2 - [0:0]', ...lines, 'COMMIT']
}

/** Rule sets in the middle, seldom at the ends. */
export function rulesets(dice: Dice, draft: Draft): void {
  for (const each of draft.hosts) {
    if (each.name !== 'R' && !dice.once(5)) continue
    for (const six of draft.ipv6 ? [false, true] : [false]) {
      if (six && dice.once(2)) continue
      const chosen = dice.some(['raw', 'mangle', 'nat', 'filter'] as const, 3)
      if (chosen.length === 0) continue
      const text = chosen.flatMap((table) => tableText(dice, table, six, each))
      each.lines.push(six ? 'ip6tables """' : 'iptables """', ...text, '"""')
    }
  }
}

// Matches of a random rule: every one whose answer does not hang on chance or the time of day, where the kernel lets it stand.
import type { Dice } from './dice.ts'
import type { DraftHost } from './host.ts'

export type Table = 'raw' | 'mangle' | 'nat' | 'filter'

/** Where a rule stands. `hooks` are the built-in chains that lead to its chain. */
export interface Where {
  readonly table: Table
  readonly chain: string
  readonly hooks: readonly string[]
  readonly six: boolean
  readonly each: DraftHost
  /** The number of the rule: names that two rules must not share end with it. */
  readonly number: number
}

/** Whether packets come to a rule from these hooks only. */
export function onlyFrom({ hooks }: Where, ...allowed: readonly string[]): boolean {
  return hooks.every((hook) => allowed.includes(hook))
}

const early = ['PREROUTING', 'INPUT', 'FORWARD']
const late = ['POSTROUTING', 'OUTPUT', 'FORWARD']

/** Sets that every host with rules has. */
export const setText = [
  'create s4 hash:ip family inet',
  'add s4 10.1.0.2',
  'add s4 10.2.0.2',
  'create p4 hash:ip,port family inet',
  'add p4 10.2.0.2,udp:7000',
  'add p4 10.2.0.2,tcp:80',
  'create n4 hash:net family inet',
  'add n4 10.1.0.0/24',
  'add n4 10.1.0.3/32 nomatch',
  'create seen hash:ip family inet',
  'create s6 hash:ip family inet6',
  'add s6 fd00:1::2',
]

/** Classic filters as `-m bpf` takes them: the protocol is UDP; the total length is above 100; IHL is 5. */
const bytecodes = [
  '4,48 0 0 9,21 0 1 17,6 0 0 1,6 0 0 0',
  '4,40 0 0 2,37 0 1 100,6 0 0 1,6 0 0 0',
  '4,48 0 0 0,21 0 1 69,6 0 0 1,6 0 0 0',
]

type Maker = (dice: Dice, where: Where, not: string) => string | undefined

function addressTypes(dice: Dice, where: Where, not: string): string {
  const four = ['BROADCAST', 'BLACKHOLE', 'LOCAL,BROADCAST']
  const types = ['LOCAL', 'UNICAST', 'MULTICAST', 'UNREACHABLE', 'ANYCAST', ...(where.six ? [] : four)]
  const limit = [
    '',
    '',
    ...(onlyFrom(where, ...early) ? [' --limit-iface-in'] : []),
    ...(onlyFrom(where, ...late) ? [' --limit-iface-out'] : []),
  ]
  return `-m addrtype ${not}--${dice.pick(['src', 'dst'])}-type ${dice.pick(types)}${dice.pick(limit)}`
}

function flowTest(dice: Dice, { six }: Where, not: string): string {
  const [a, b] = six ? ['fd00:1::2', 'fd00:2::2'] : ['10.1.0.2', '10.2.0.2']
  return `-m conntrack ${not}${dice.pick([
    `--ctstate ${dice.pick(['NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'INVALID', 'UNTRACKED', 'DNAT', 'SNAT'])}`,
    `--ctproto ${dice.pick(['udp', 'tcp', six ? '58' : '1'])}`,
    `--ctorigsrc ${a}`,
    `--ctorigdst ${b}`,
    `--ctreplsrc ${b}`,
    `--ctrepldst ${a}`,
    `--ctorigdstport ${dice.pick(['7000', '80:7000'])}`,
    `--ctreplsrcport ${dice.pick(['7000', '80'])}`,
    `--ctstatus ${dice.pick(['ASSURED', 'SEEN_REPLY', 'CONFIRMED', 'NONE'])}`,
  ])}`
}

function physdev(dice: Dice, where: Where, not: string): string {
  const port = dice.pick(['r0', 'r2', 'r+', 'r1'])
  const out = onlyFrom(where, 'PREROUTING', 'INPUT', 'FORWARD', 'POSTROUTING')
  return `-m physdev ${dice.pick([
    `${not}--physdev-in ${port}`,
    `${not}--physdev-is-in`,
    `${not}--physdev-is-bridged`,
    `--physdev-is-bridged ${not}--physdev-out ${port}`,
    ...(out ? [`${not}--physdev-out ${port}`, `${not}--physdev-is-out`] : []),
  ])}`
}

function recent(dice: Dice, { six }: Where, not: string): string {
  const name = dice.pick(['A', 'B'])
  const side = dice.pick(['--rsource', '--rdest'])
  const mask = dice.once(4) && !six ? '--mask 255.255.255.0 ' : ''
  return `-m recent ${not}${dice.pick([
    '--set',
    '--set',
    '--rcheck',
    '--update --seconds 60',
    '--rcheck --seconds 60 --hitcount 2',
    '--remove',
    '--update --hitcount 3',
    '--rcheck --rttl',
  ])} --name ${name} ${mask}${side}`
}

const makers: readonly Maker[] = [
  (dice, { six }, not) =>
    `${not}-s ${six ? dice.pick(['fd00:1::/64', 'fd00:2::2']) : dice.pick(['10.1.0.0/24', '10.1.0.2/32', '10.2.0.2', '10.0.0.2/255.0.0.255'])}`,
  (dice, { six }, not) =>
    `${not}-d ${six ? dice.pick(['fd00:2::2/128', 'ff00::/8']) : dice.pick(['10.2.0.0/24', '10.2.0.2/32', '10.1.0.1', '10.9.0.0/16'])}`,
  (dice, where, not) =>
    onlyFrom(where, ...early) && !where.chain.startsWith('X')
      ? `${not}-i ${dice.pick([dice.pick(where.each.devices).name, 'r+', 'br0'])}`
      : undefined,
  (dice, where, not) =>
    onlyFrom(where, ...late) && !where.chain.startsWith('X')
      ? `${not}-o ${dice.pick([dice.pick(where.each.devices).name, 'r+'])}`
      : undefined,
  (dice, _where, not) => `-m mark ${not}--mark ${dice.pick(['0x1', '0x2/0xf', '0x0'])}`,
  (dice, _where, not) => `-m connmark ${not}--mark ${dice.pick(['0x1', '0x0/0xff'])}`,
  flowTest,
  flowTest,
  (dice) => `-m conntrack --ctdir ${dice.pick(['ORIGINAL', 'REPLY'])}`,
  (dice, _where, not) => `-m state ${not}--state ${dice.pick(['NEW', 'ESTABLISHED', 'INVALID', 'RELATED'])}`,
  addressTypes,
  (dice, _where, not) =>
    `-m statistic --mode nth ${not}--every ${dice.number(2, 3)} --packet ${dice.number(0, 1)}`,
  () => '-m comment --comment "x"',
  (_dice, { six }, not) => (six ? undefined : `${not}-f`),
  (dice, where) =>
    onlyFrom(where, 'PREROUTING') && (where.table === 'raw' || where.table === 'mangle')
      ? `-m rpfilter${dice.pick(['', ' --loose', ' --invert', ' --validmark', ' --accept-local'])}`
      : undefined,
  recent,
  (dice, where, not) =>
    where.six
      ? `-m set ${not}--match-set s6 ${dice.pick(['src', 'dst'])}`
      : `-m set ${not}--match-set ${dice.pick(['s4 src', 's4 dst', 'p4 dst,dst', 'p4 src,src', 'n4 src', 'n4 dst', 'seen src'])}`,
  physdev,
  (dice, where) =>
    onlyFrom(where, 'PREROUTING', 'INPUT')
      ? `-m socket${dice.pick(['', ' --transparent', ' --nowildcard', ' --nowildcard --restore-skmark'])}`
      : undefined,
  (dice, where, not) =>
    onlyFrom(where, 'OUTPUT', 'POSTROUTING')
      ? `-m owner ${not}${dice.pick(['--uid-owner 0', '--gid-owner 0-9', '--socket-exists', '--uid-owner 7'])}`
      : undefined,
  (dice, { six }) => (six ? undefined : `-m bpf --bytecode "${dice.pick(bytecodes)}"`),
  (dice, _where, not) => `-m pkttype ${not}--pkt-type ${dice.pick(['unicast', 'broadcast', 'multicast'])}`,
  (dice, where, not) =>
    onlyFrom(where, ...early)
      ? `-m mac ${not}--mac-source ${dice.pick(['02:00:00:00:01:02', '02:00:00:00:00:77'])}`
      : undefined,
  (dice, { six }, not) =>
    `-m iprange ${not}--${dice.pick(['src', 'dst'])}-range ${six ? 'fd00:1::1-fd00:1::9' : '10.1.0.2-10.1.0.9'}`,
  (dice, _where, not) => `-m length ${not}--length ${dice.pick(['28', '0:60', '600:65535', '44:84'])}`,
  (dice, { six }, not) =>
    six
      ? `-m hl ${dice.pick([`${not}--hl-eq 64`, '--hl-lt 3', '--hl-gt 63'])}`
      : `-m ttl ${dice.pick([`${not}--ttl-eq 64`, '--ttl-lt 3', '--ttl-gt 63'])}`,
  (dice, _where, not) => `-m tos ${not}--tos ${dice.pick(['0x10', '0x00/0xff', '0xb8/0xfc'])}`,
  (dice, _where, not) => `-m dscp ${not}--dscp ${dice.pick(['0x04', '0x2e', '0x00'])}`,
  (dice) => `-m limit --limit 1/hour --limit-burst ${dice.number(1, 3)}`,
  (dice, { number }, not) =>
    `-m hashlimit ${not}--hashlimit-upto 1/hour --hashlimit-burst ${dice.number(1, 2)} --hashlimit-mode ${dice.pick(['srcip', 'dstip', 'srcip,dstport'])} --hashlimit-name h${number}`,
]

function protocolMatch(dice: Dice, six: boolean, not: string): string[] {
  const icmp = six ? '-p ipv6-icmp' : '-p icmp'
  return dice.pick<string[]>([
    [],
    [],
    [`${not}-p udp`],
    [`-p udp -m udp ${not}--dport ${dice.pick(['7000', '7001', '7000:7002', '53'])}`],
    [`-p udp -m udp ${not}--sport ${dice.pick(['4000:4500', '7000'])}`],
    [
      `-p udp -m multiport ${not}--${dice.pick(['dports', 'sports', 'ports'])} ${dice.pick(['7000,53', '1:6999,7001'])}`,
    ],
    ['-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN'],
    [
      `-p tcp -m tcp ${not}--tcp-flags ${dice.pick(['SYN,RST RST', 'ACK ACK', 'ALL SYN,ACK', 'FIN,SYN FIN,SYN'])}`,
    ],
    [`-p tcp -m tcp ${not}--tcp-option ${dice.pick(['2', '8'])}`],
    [`-p tcp -m tcp ${not}--dport ${dice.pick(['80', '81', '80:443'])}`],
    [`-p tcp -m multiport --dports 80,81`],
    ['-p tcp'],
    [icmp],
    [
      six
        ? `${icmp} -m icmp6 ${not}--icmpv6-type ${dice.pick(['128', '129', '1', '1/4'])}`
        : `${icmp} -m icmp ${not}--icmp-type ${dice.pick(['8', '0', '3', '3/3', '11', 'any'])}`,
    ],
    [`-p ${dice.pick(['gre', 'esp', 'sctp'])}`],
    [dice.pick(['-p sctp -m multiport --dports 80,81', '-p sctp -m sctp --dport 80'])],
  ])
}

/** Matches that count packets: over IPv6 they would count the kernel's own reports of groups, unless the rule is for these protocols. */
const counting = /^-m (?:statistic|limit|hashlimit|recent|connlimit)/
const quiet6 = /^-p (?:tcp|udp|sctp|gre|esp)/

/** An option may stand once in a rule. */
function key(text: string): string {
  return text
    .replace(/^! /, '')
    .split(' ')
    .slice(0, text.includes('-m ') ? 2 : 1)
    .join(' ')
}

/** The matches of a rule: its protocol, and up to two more. */
export function matches(dice: Dice, where: Where): string[] {
  const not = (): string => (dice.once(5) ? '! ' : '')
  const more = (): string[] => {
    if (dice.once(4)) return []
    const made = dice.pick(makers)(dice, where, not())
    return made === undefined ? [] : [made]
  }
  const protocol = protocolMatch(dice, where.six, not())
  const all = [...protocol, ...more(), ...(dice.once(3) ? more() : [])]
  const counts = !where.six || protocol.some((text) => quiet6.test(text))
  return all.filter(
    (text, index) =>
      all.findIndex((other) => key(other) === key(text)) === index && (counts || !counting.test(text)),
  )
}

// Targets of a random rule, where the kernel lets them stand.
import type { Dice } from './dice.ts'
import { onlyFrom, type Where } from './matches.ts'

const rejects4 = [
  'net-unreachable',
  'host-unreachable',
  'port-unreachable',
  'proto-unreachable',
  'net-prohibited',
  'host-prohibited',
  'admin-prohibited',
]
const rejects6 = [
  'no-route',
  'adm-prohibited',
  'addr-unreachable',
  'port-unreachable',
  'policy-fail',
  'reject-route',
]

/** What the matches of the rule let a target know. */
interface Known {
  readonly tcp: boolean
  readonly port: boolean
  /** TCP, UDP or SCTP. */
  readonly ports: boolean
  readonly syn: boolean
}

function known(match: readonly string[]): Known {
  const has = (pattern: RegExp): boolean => match.some((text) => pattern.test(text))
  return {
    tcp: has(/^-p tcp/),
    port: has(/^-p (?:tcp|udp)/),
    ports: has(/^-p (?:tcp|udp|sctp)/),
    syn: has(/ --tcp-flags (?:FIN,SYN,RST,ACK SYN|ALL SYN,ACK|FIN,SYN FIN,SYN)/) && !has(/! --tcp-flags/),
  }
}

/** The same in every table. */
function common(dice: Dice, { table, chain, six, number }: Where): string[] {
  const loggers = ['LOG --log-prefix x', `NFLOG --nflog-group 1`]
  const sets = six ? [] : [`SET --${dice.pick(['add-set', 'del-set'])} seen ${dice.pick(['src', 'dst'])}`]
  const jumps = chain === 'X2' ? [] : chain === 'X1' ? ['X2', '-g X2'] : ['X1', 'X2', '-g X1', '-g X2']
  const drop = table === 'nat' ? [] : ['DROP']
  return ['ACCEPT', ...drop, 'RETURN', ...jumps, number % 3 === 0 ? dice.pick([...loggers, ...sets]) : '']
}

function filterTargets(dice: Dice, { six }: Where, { tcp }: Known): string[] {
  const reject = six ? `icmp6-${dice.pick(rejects6)}` : `icmp-${dice.pick(rejects4)}`
  return [`REJECT --reject-with ${reject}`, `REJECT --reject-with ${tcp ? 'tcp-reset' : reject}`]
}

function rawTargets(dice: Dice): string[] {
  return [
    'NOTRACK',
    'CT --notrack',
    'CT --notrack',
    `CT --zone ${dice.number(1, 2)}`,
    'MARK --set-xmark 0x1/0xffffffff',
  ]
}

function mangleTargets(dice: Dice, where: Where, { syn, port }: Known): string[] {
  const { six } = where
  const hops = six
    ? ['HL --hl-set 9', 'HL --hl-dec 1', 'HL --hl-inc 3']
    : ['TTL --ttl-set 9', 'TTL --ttl-dec 1', 'TTL --ttl-inc 3']
  const clamp = onlyFrom(where, 'FORWARD', 'OUTPUT', 'POSTROUTING')
  return [
    `MARK --set-xmark ${dice.pick(['0x1/0xffffffff', '0x2/0xf', '0x3/0x0', '0x1/0xffffffff'])}`,
    `CONNMARK ${dice.pick(['--save-mark', '--restore-mark', '--set-xmark 0x1/0xffffffff', '--save-mark --nfmask 0xf --ctmask 0xf0'])}`,
    `TOS --set-tos ${dice.pick(['0x10/0xff', '0x04/0x1c'])}`,
    'DSCP --set-dscp 0x2e',
    dice.pick(hops),
    ...(syn
      ? [`TCPMSS ${clamp ? dice.pick(['--set-mss 500', '--clamp-mss-to-pmtu']) : '--set-mss 500'}`]
      : []),
    ...(port ? ['CHECKSUM --checksum-fill'] : []),
    ...(port && onlyFrom(where, 'PREROUTING')
      ? [`TPROXY --on-port ${dice.pick(['80', '7000'])} --tproxy-mark 0x1/0x1`]
      : []),
  ]
}

function natTargets(dice: Dice, where: Where, { ports }: Known): string[] {
  const [b, r, x] = where.six
    ? ['[fd00:2::2]', '[fd00:1::1]', '[fd00:9::9]']
    : ['10.2.0.2', '10.1.0.1', '10.9.9.9']
  const bare = (text: string | undefined): string => (text ?? '').replace(/[[\]]/g, '')
  const before = [
    `DNAT --to-destination ${bare(b)}`,
    `DNAT --to-destination ${bare(r)}`,
    ...(where.six
      ? []
      : ['DNAT --to-destination 10.2.0.1-10.2.0.4', 'DNAT --to-destination 10.2.0.1-10.2.0.4 --persistent']),
    ...(ports
      ? [
          `DNAT --to-destination ${b}:7000`,
          'REDIRECT --to-ports 7000',
          `DNAT --to-destination ${r}:80`,
          `DNAT --to-destination ${b}:7000-7001/${dice.pick(['7000', '7001', '4000'])}`,
        ]
      : []),
    'REDIRECT',
  ]
  const after = [
    `SNAT --to-source ${bare(x)}`,
    `SNAT --to-source ${bare(r)}`,
    ...(where.six
      ? []
      : ['SNAT --to-source 10.2.0.5-10.2.0.9', 'SNAT --to-source 10.2.0.5-10.2.0.9 --persistent']),
    ...(ports ? [`SNAT --to-source ${r}:5555`, `SNAT --to-source ${x}:4000-4999`] : []),
  ]
  if (onlyFrom(where, 'PREROUTING', 'OUTPUT')) return before
  if (onlyFrom(where, 'POSTROUTING'))
    return [...after, 'MASQUERADE', 'MASQUERADE', ...(ports ? ['MASQUERADE --to-ports 5555'] : [])]
  return onlyFrom(where, 'INPUT') ? after : []
}

/** A target; `-g CHAIN` for a goto, '' for none. */
export function target(dice: Dice, where: Where, match: readonly string[]): string {
  const facts = known(match)
  const own = {
    filter: filterTargets,
    raw: rawTargets,
    mangle: mangleTargets,
    nat: natTargets,
  }[where.table](dice, where, facts)
  return dice.pick(own.length > 0 && !dice.once(3) ? own : common(dice, where))
}

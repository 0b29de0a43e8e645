import { expect, test } from 'vitest'
import { createMachine } from '../machine.ts'
import { addNamespace } from '../namespace.ts'
import { attachIptables, currentRuleset, iptablesSave } from './iptables.ts'
import { type ParsedRuleset, parseRuleset } from './parse.ts'
import type { Ruleset } from './ruleset.ts'
import { parseSets } from './set/parse-set.ts'

function told(parsed: Extract<ParsedRuleset, { ok: false }>): string {
  return parsed.problems
    .map(
      ({ line, column, message, hint }) =>
        `${line}:${column} ${message}${hint === undefined ? '' : ` (${hint})`}`,
    )
    .join('\n')
}

function problems(...lines: readonly string[]): string[] {
  const parsed = parseRuleset(lines.join('\n'), 4)
  return parsed.ok ? [] : told(parsed).split('\n')
}

/** What `iptables-restore --noflush` makes of a rule set. */
function changed(base: Ruleset, ...lines: readonly string[]): ParsedRuleset {
  return parseRuleset(['*filter', ...lines, 'COMMIT'].join('\n'), 4, { base })
}

const filter = (...rules: readonly string[]): string[] => problems('*filter', ...rules, 'COMMIT')

test.each([
  [
    'unknown match',
    filter('-A INPUT -m conntrak --ctstate NEW -j DROP'),
    /2:13 there is no match `conntrak` \(did you mean `conntrack`/,
  ],
  [
    'unknown target',
    filter('-A INPUT -j REJET'),
    /2:13 .*no target or chain `REJET` \(did you mean `REJECT`/,
  ],
  ['unknown option', filter('-A INPUT -p tcp --dprt 80 -j DROP'), /2:17 .*option `--dprt`/],
  ['unknown chain', filter('-A INPTU -j DROP'), /2:4 .*no chain `INPTU` \(did you mean `INPUT`/],
  ['missing user chain', filter('-A INPUT -j KUBE-SVC'), /2:13 .*no target or chain `KUBE-SVC`/],
  ['goto to nowhere', filter('-A INPUT -g KUBE-SVC'), /2:13 .*no chain `KUBE-SVC`/],
  ['bad address', filter('-A INPUT -s 10.0.0.300 -j DROP'), /2:13 `10.0.0.300` is no IPv4 address/],
  ['bad port', filter('-A INPUT -p tcp --dport 70000 -j DROP'), /2:25 `70000` is no port/],
  ['port without protocol', filter('-A INPUT -m tcp --dport 80 -j DROP'), /`-m tcp` needs `-p tcp`/],
  ['unknown state', filter('-A INPUT -m state --state NWE -j DROP'), /no state `NWE` \(did you mean `NEW`/],
  ['malformed u32', filter('-A INPUT -m u32 --u32 "6&0xFF" -j DROP'), /2:23 a test is written/],
  ['limit of nothing', filter('-A INPUT -m connlimit -j DROP'), /needs `--connlimit-above`/],
  ['policy of no direction', filter('-A INPUT -m policy --dir up --pol none -j DROP'), /`in` or `out`/],
  ['queue too high', filter('-A INPUT -j NFQUEUE --queue-num 70000'), /2:33 `70000` is no number of a queue/],
  ['audit of nothing', filter('-A INPUT -j AUDIT --type pass'), /needs `--type accept`/],
  [
    'netmap without a prefix',
    problems('*nat', '-A PREROUTING -j NETMAP --to 10.0.0.0/40', 'COMMIT'),
    /is no address or prefix/,
  ],
  ['unknown table', problems('*fliter', 'COMMIT'), /1:1 there is no table `fliter` \(did you mean `filter`/],
  ['no COMMIT', problems('*filter', '-A INPUT -j DROP'), /1:1 table `filter` is not closed with COMMIT/],
  ['a `!` in front of a target', filter('-A INPUT ! -j DROP'), /2:12 `-j` cannot be negated/],
  ['a `!` in front of nothing', filter('-A INPUT -p tcp !'), /2:17 nothing follows this `!`/],
  ['rule number 0', filter('-I INPUT 0 -j DROP'), /2:10 a rule cannot be inserted at 0 .*place 1 alone/],
  ['a rule number behind the last', filter('-A INPUT', '-I INPUT 3'), /3:10 .*at 3 .*places 1 to 2/],
  ['no table', problems('-A INPUT -j DROP'), /1:1 a rule set begins with the name of a table/],
  ['open quote', filter('-A INPUT -m comment --comment "abc -j DROP'), /2:31 this quote is never closed/],
  ['negated flag', filter('-A INPUT -m socket ! --transparent -j DROP'), /`--transparent` cannot be negated/],
  ['twice', filter('-A INPUT -m mark --mark 1 --mark 2'), /`--mark` is given twice/],
  [
    'wrong table',
    filter('-A INPUT -j DNAT --to-destination 10.0.0.1'),
    /target `DNAT` is only valid in table nat/,
  ],
  [
    'wrong hook',
    problems('*nat', '-A POSTROUTING -j DNAT --to-destination 10.0.0.1', 'COMMIT'),
    /only valid in PREROUTING, OUTPUT, but packets come here from POSTROUTING/,
  ],
  [
    'wrong hook by a user chain',
    problems('*nat', ':X - [0:0]', '-A PREROUTING -j X', '-A X -j MASQUERADE', 'COMMIT'),
    /4:9 .*MASQUERADE.*from PREROUTING/,
  ],
  [
    'loop',
    filter(':A - [0:0]', ':B - [0:0]', '-A INPUT -j A', '-A A -j B', '-A B -j A'),
    /closes a loop: A -> B -> A/,
  ],
  ['missing set', filter('-A INPUT -m set --match-set blue src -j DROP'), /2:29 there is no set `blue`/],
  ['value missing', filter('-A INPUT -s'), /2:10 `-s` needs a value/],
  ['word without an option', filter('-A INPUT tcp'), /2:10 `tcp` stands where an option is expected/],
  ['nth out of range', filter('-A INPUT -m statistic --mode nth --every 3 --packet 3'), /must be smaller/],
  ['policy', filter(':INPUT REJECT [0:0]'), /ACCEPT or DROP/],
  [
    'match in a wrong table',
    filter('-A INPUT -m rpfilter -j DROP'),
    /2:13 match `rpfilter` is only valid in table raw or mangle/,
  ],
  [
    'match at a wrong hook',
    filter('-A INPUT -m owner --uid-owner 0'),
    /2:13 match `owner` is only valid in OUTPUT, POSTROUTING, but packets come here from INPUT/,
  ],
  [
    'option at a wrong hook',
    filter('-A INPUT -m addrtype --dst-type LOCAL --limit-iface-out'),
    /`--limit-iface-out` is only valid in FORWARD, OUTPUT, POSTROUTING/,
  ],
  [
    'port of a bridge that is not known yet',
    filter('-A OUTPUT -m physdev --physdev-out r0'),
    /`--physdev-out` without `--physdev-is-bridged` is only valid in/,
  ],
  [
    'MSS of any segment',
    filter('-A FORWARD -p tcp -j TCPMSS --set-mss 500'),
    /needs `-m tcp` with `--tcp-flags ... SYN`/,
  ],
  [
    'MSS of the path before it is known',
    filter('-A INPUT -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu'),
    /`--clamp-mss-to-pmtu` is only valid in FORWARD/,
  ],
  ['device where there is none', filter('-A INPUT -o eth0'), /2:10 `-o` cannot be used with INPUT/],
  [
    'filtering in nat',
    problems('*nat', '-A OUTPUT -j DROP', 'COMMIT'),
    /2:14 table `nat` is not for filtering/,
  ],
  ['two targets', filter('-A INPUT -j ACCEPT -j DROP'), /2:23 a rule has one target/],
  ['two sources', filter('-A INPUT -s 10.0.0.1 -s 10.0.0.2'), /2:22 `-s` is given twice/],
  ['tcp-reset without tcp', filter('-A INPUT -j REJECT --reject-with tcp-reset'), /needs `-p tcp`/],
])('%s', (_name, found, wanted) => {
  expect(found.join('\n')).toMatch(wanted)
})

test.each([
  ['an unknown protocol', filter('-A INPUT -p tpc --dport 80 -j DROP')],
  ['an unknown table', problems('*nt', '-A PREROUTING -j DNAT', 'COMMIT')],
  ['no table', problems('-A INPUT -j DROP', 'x')],
])('%s is one mistake', (_, found) => {
  expect(found).toHaveLength(1)
})

test('all mistakes come at once, in the order of the text', () => {
  const found = filter('-A INPUT -m nope -j DROP', '-A INPTU -j DROP', '-A INPUT -s x -j DROP')
  expect(found.map((line) => line.split(':')[0])).toEqual(['2', '3', '4'])
})

test('a changed rule leaves the counters of the others alone', () => {
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'n' })
  const parsed = parseRuleset(
    '*filter\n[5:50] -A INPUT -p tcp -j ACCEPT\n[6:60] -A INPUT -p udp -j ACCEPT\nCOMMIT',
    4,
  )
  if (!parsed.ok) throw new Error('refused')
  attachIptables(ns, 4, parsed.ruleset)
  const edited = changed(currentRuleset(ns, 4), '-R INPUT 2 -p icmp -j DROP')
  if (!edited.ok) throw new Error(JSON.stringify(edited.problems))
  attachIptables(ns, 4, edited.ruleset)
  expect(iptablesSave(ns, 4, { counters: true })).toContain(
    '[5:50] -A INPUT -p tcp -j ACCEPT\n[0:0] -A INPUT -p icmp -j DROP\n',
  )
})

test.each([
  ['-D INPUT 1', ''],
  ['-D INPUT -p tcp -j ACCEPT', ''],
  ['-I INPUT -j DROP', '-A INPUT -j DROP\n-A INPUT -p tcp -j ACCEPT\n'],
  ['-A INPUT -j DROP', '-A INPUT -p tcp -j ACCEPT\n-A INPUT -j DROP\n'],
  ['-F', ''],
  ['-R INPUT 1 -j DROP', '-A INPUT -j DROP\n'],
  ['-N A\n-A A -j DROP\n-I INPUT 2 -j A', '-A INPUT -p tcp -j ACCEPT\n-A INPUT -j A\n-A A -j DROP\n'],
  ['-N A\n-X A', '-A INPUT -p tcp -j ACCEPT\n'],
])('iptables %s', (command, rules) => {
  const parsed = parseRuleset('*filter\n-A INPUT -p tcp -j ACCEPT\nCOMMIT', 4)
  const edited = parsed.ok ? changed(parsed.ruleset, command) : parsed
  if (!edited.ok) throw new Error(JSON.stringify(edited.problems))
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'n' })
  attachIptables(ns, 4, edited.ruleset)
  expect(iptablesSave(ns, 4, { counters: false }).replace(/^[*:C].*\n/gm, '')).toBe(rules)
})

test.each([
  ['create a hash:ipp family inet', /1:10 there is no set type `hash:ipp` \(did you mean `hash:ip`/],
  ['add b 10.0.0.1', /1:5 there is no set `b`/],
  ['create a hash:ip\nadd a 10.0.0.x', /2:7 `10.0.0.x` is no member/],
  ['create a hash:ip\ncreate a hash:ip', /2:8 set `a` exists already/],
  ['create a hash:ip family inet7', /1:25 there is no family `inet7` \(`inet` or `inet6`/],
  ['create a hash:ip tiemout 5', /1:18 `tiemout` is no option here \(did you mean `timeout`/],
  ['create a hash:ip timeout x', /1:26 `x` is no number/],
  ['create a hash:ip netmask 24', /1:18 `netmask` of a set is not modelled/],
  ['create a bitmap:ip', /1:10 a bitmap needs its `range`/],
  ['create a hash:ip\nadd a 10.0.0.1 nomtch', /2:16 `nomtch` is no option here/],
])('ipset %j', (text, wanted) => {
  const parsed = parseSets(text)
  const found = parsed.ok
    ? []
    : parsed.problems.map(({ line, column, message, hint }) => `${line}:${column} ${message} (${hint})`)
  expect(found.join('\n')).toMatch(wanted)
})

test.each([
  ['-D INPUT 2', /2:10 chain `INPUT` has 1 rules/],
  ['-D INPUT -j DROP', /2:4 chain `INPUT` has no such rule/],
  ['-D INPT -j DROP', /2:4 table `filter` has no chain `INPT` \(did you mean `INPUT`/],
  ['-R INPUT -j DROP', /2:10 chain `INPUT` has 1 rules/],
  ['-N A\n-N A', /3:4 chain `A` exists already/],
  ['-X B', /2:4 table `filter` has no chain `B`/],
  ['-X INPUT', /2:4 a built-in chain stays/],
  ['-N A\n-A INPUT -j A\n-X A', /4:4 a rule jumps to this chain/],
  ['-N A\n-A A -j DROP\n-X A', /4:4 the chain has rules \(flush it with `-F A`/],
])('changing a rule set by %j is refused', (text, wanted) => {
  const parsed = parseRuleset('*filter\n-A INPUT -p tcp -j ACCEPT\nCOMMIT', 4)
  const edited = parsed.ok ? changed(parsed.ruleset, ...text.split('\n')) : parsed
  expect(edited.ok ? '' : told(edited)).toMatch(wanted)
})

test('a text that is deleted takes its rules along, each once', () => {
  const parsed = parseRuleset('*filter\n-A INPUT -j DROP\n-A INPUT -j ACCEPT\n-A INPUT -j DROP\nCOMMIT', 4)
  if (!parsed.ok) throw new Error('refused')
  const options = { base: parsed.ruleset, purpose: 'del' } as const
  const edited = parseRuleset('*filter\n-A INPUT -j DROP\nCOMMIT', 4, options)
  expect(edited.ok ? edited.ruleset.tables[0]?.chains.get('INPUT')?.rules.length : told(edited)).toBe(2)
  const wrong = parseRuleset('*filter\n:A - [0:0]\n-F INPUT\nCOMMIT', 4, options)
  expect(wrong.ok ? '' : told(wrong)).toMatch(/2:1 .*only the rules.*\n3:1 .*only the rules/)
})

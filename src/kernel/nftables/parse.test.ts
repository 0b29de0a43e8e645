import { expect, test } from 'vitest'
import { parseNft } from './parse.ts'

function problems(text: string): string[] {
  const parsed = parseNft(text)
  return parsed.ok
    ? []
    : parsed.problems.map(
        ({ line, column, message, hint }) =>
          `${line}:${column} ${message}${hint === undefined ? '' : ` (${hint})`}`,
      )
}

const base = 'type filter hook input priority 0'
const rule = (text: string): string[] => problems(`table ip t {\nchain c {\n${text}\n}\n}`)
const nat = (hook: string, text: string): string[] =>
  problems(`table ip t {\nchain c {\ntype nat hook ${hook} priority 0\n${text}\n}\n}`)

test.each([
  ['unknown command', problems('tabel ip t {\n}'), /^1:1 `tabel` begins no command.*did you mean `table`/],
  ['unknown family', problems('table foo t {\n}'), /^1:7 there is no family `foo` \(ip, ip6 or inet/],
  ['open block', problems('table ip t {\nchain c {\n}\n'), /^4:1 expected `}`, found the end of the text/],
  ['unknown type', problems('table ip t { set s { type ipv4_adr; } }'), /^1:27 there is no data type[^\n]*$/],
  ['unknown statement', rule('acept'), /^3:1 `acept` begins no statement.*did you mean `accept`/],
  ['unknown field', rule('ip dadr 10.0.0.1'), /^3:4 there is no field of `ip` `dadr`.*did you mean `daddr`/],
  ['unknown meta key', rule('meta marc 1'), /^3:6 there is no meta key `marc`/],
  ['unknown ct key', rule('ct stat new'), /^3:4 there is no ct key `stat`/],
  ['bad address', rule('ip daddr 10.0.0.300'), /^3:10 `10.0.0.300` is no value of type ipv4_addr/],
  ['bad port', rule('tcp dport 70000'), /^3:11 `70000` is no value of type inet_service/],
  ['unknown state', rule('ct state nwe'), /^3:10 `nwe` is no value of type ct_state \(one of invalid/],
  ['empty range', rule('tcp dport 90-80'), /^3:11 this range ends before it begins/],
  ['prefix too long', rule('ip daddr 10.0.0.0/33'), /^3:19 a prefix of ipv4_addr has at most 32 bits/],
  ['missing set', rule('ip daddr @nodes'), /^3:10 there is no set or map `nodes` in this table/],
  ['missing chain', rule('jump nowhere'), /^3:6 table `t` has no chain `nowhere`/],
  [
    'field that nobody sets',
    rule('ip checksum set 1'),
    /^3:13 setting `ip checksum` is not modelled.*`?ip ttl/,
  ],
  ['bad value of a field', rule('ip ttl set 300'), /^3:12 `300` is no value of type integer/],
  ['missing counter', rule('counter name hits'), /^3:14 there is no counter `hits`/],
  ['behind a verdict', rule('accept counter'), /^3:8 a statement behind a final one has no effect/],
  [
    'two protocols',
    rule('tcp dport 1 udp dport 2'),
    /^3:13 the rule is about another transport protocol already/,
  ],
  ['other family', rule('ip6 daddr ::1'), /^3:1 the rule or its table is about IPv4 already/],
  [
    'port without protocol',
    nat('prerouting', 'dnat to 10.0.0.1:80'),
    /^4:17 a port needs the transport protocol/,
  ],
  [
    'masquerade at input',
    nat('input', 'masquerade'),
    /^4:1 `masquerade` is only valid in chains of type nat at postrouting/,
  ],
  [
    'dnat in a filter chain',
    rule(`${base}\ndnat to 10.0.0.1`),
    /^4:1 `dnat` is only valid in chains of type nat/,
  ],
  [
    'reject at postrouting',
    problems('table ip t {\nchain c {\ntype filter hook postrouting priority 0\nreject\n}\n}'),
    /^4:1 `reject` is only valid in/,
  ],
  [
    'unknown way to reject',
    rule('reject with icmp type nobody'),
    /^3:23 there is no way to reject with `nobody`/,
  ],
  ['proxy without a protocol', rule('tproxy to :80'), /^3:1 `tproxy` needs the transport protocol/],
  ['proxy with a range', rule('tcp dport 1 tproxy to :80-90'), /^3:23 `tproxy` takes one port, no range/],
  ['proxy to nowhere', rule('tcp dport 1 tproxy to'), /^3:22 expected an address or `:PORT`/],
  ['proxy of the other family', rule('tcp dport 1 tproxy ip6 to :80'), /^3:20 this table has only the other/],
  [
    'proxy of no family',
    problems('table inet t {\nchain c {\ntcp dport 1 tproxy to 10.0.0.1\n}\n}'),
    /^3:23 in an inet table the family is written/,
  ],
  [
    'proxy at input',
    rule(`${base}\ntcp dport 1 tproxy to :80`),
    /^4:13 `tproxy` is only valid in prerouting/,
  ],
  ['not modelled', rule('queue num 1'), /^3:1 `queue` begins no statement that is modelled/],
  [
    'unknown hook',
    rule('type filter hook inpt priority 0'),
    /^3:18 there is no hook `inpt`.*did you mean `input`/,
  ],
  ['nat has no forward', nat('forward', 'accept'), /^3:15 a chain of type nat has no hook forward/],
  [
    'nat before conntrack',
    rule('type nat hook input priority -200'),
    /^3:1 a nat chain stands behind conntrack/,
  ],
  ['unknown priority', rule('type filter hook input priority dstnat'), /^3:33 there is no priority `dstnat`/],
  ['policy of a user chain', rule('policy drop'), /^3:1 only a base chain/],
  ['an unclosed quote', rule('accept comment "x'), /^3:16 this quote is never closed/],
  [
    'a loop',
    problems('table ip t {\nchain a { jump b; }\nchain b { jump a; }\n}'),
    /^3:16 this jump closes a loop: a -> b -> a/,
  ],
  [
    'a jump to a base chain',
    problems(`table ip t {\nchain a { ${base}; }\nchain b { jump a; }\n}`),
    /^3:16 `a` is a base chain/,
  ],
  [
    'element of another type',
    problems('table ip t {\nset s { type ipv4_addr; elements = { 80 . 1 }; }\n}'),
    /^2:38 `80` is no value of type ipv4_addr/,
  ],
  [
    'prefix in a plain set',
    problems('table ip t {\nset s { type ipv4_addr; elements = { 10.0.0.0/8 }; }\n}'),
    /^2:38 a set needs `flags interval`/,
  ],
  [
    'overlapping elements',
    problems(
      'table ip t {\nset s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 10.1.0.0/16 }; }\n}',
    ),
    /^2:66 `10.1.0.0\/16` overlaps `10.0.0.0\/8`/,
  ],
  [
    'unknown data type',
    problems('table ip t {\nset s { type ipv4_adr; }\n}'),
    /^2:14 there is no data type `ipv4_adr`.*did you mean `ipv4_addr`/,
  ],
  ['unknown table of a command', problems('add chain ip t c'), /^1:14 there is no table `ip t`/],
  [
    'family that is not modelled',
    problems('table bridge t {\n}'),
    /^1:7 tables of family bridge are not modelled/,
  ],
  [
    'a name that is a word of nft',
    problems('table ip t {\nchain dnat {\n}\n}'),
    /^2:7 `dnat` is a word of nft: no chain can/,
  ],
  ['brace too many', problems('table ip t {\n}\n}'), /^3:1 this `}` closes nothing/],
])('%s', (_name, found, wanted) => {
  expect(found[0]).toMatch(wanted)
})

const table =
  'table ip t {\nset s { type inet_service; elements = { 80 }; }\nmap m { type inet_service : verdict; elements = { 80 : jump d }; }\nchain c { tcp dport vmap @m; }\nchain d { accept; }\n}\n'

test.each([
  ['an element that is not there', 'delete element ip t s { 81 }', /^7:25 `@s` has no such element/],
  ['a chain that is in use', 'delete chain ip t d', /^7:19 something still leads to chain `d`/],
  ['a set that is not there', 'flush set ip t z', /^7:16 there is no set `z`/],
  [
    'another value for a key',
    'add element ip t m { 80 : accept }',
    /^7:22 `@m` has another value for this key: jump d/,
  ],
  [
    'a rule by a handle that none has',
    'delete rule ip t c handle 50',
    /chain `c` has no rule with handle 50/,
  ],
  ['a rule without its handle', 'delete rule ip t c', /expected `handle`/],
  ['a rule by its index', 'add rule ip t c index 0 accept', /`index` is not modelled/],
])('what cannot go: %s', (_name, command, wanted) => {
  expect(problems(`${table}${command}\n`)[0]).toMatch(wanted)
})

test('what is no longer led to can go, in one text', () => {
  const commands =
    'delete element ip t m { 80 }\ndelete chain ip t d\nadd element ip t s { 80, 81 }\nflush chain ip t c\ndelete map ip t m\n'
  expect(problems(`${table}${commands}`)).toEqual([])
})

test('every mistake of a text is told', () => {
  expect(rule('ip dadr 1\nacept\ntcp dport 80 accept\njump').map((line) => line.split(' ')[0])).toEqual([
    '3:4',
    '4:1',
    '6:5',
  ])
})

test('numbers are decimal or hexadecimal, ports too', () => {
  expect(rule('udp sport & 0xd419 == 0x10 accept')).toEqual([])
})

test('a set may stand behind the rules that name it', () => {
  expect(problems('table ip t {\nchain c { ip daddr @s accept; }\nset s { type ipv4_addr; }\n}')).toEqual([])
})

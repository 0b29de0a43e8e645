// Options that iptables 1.8.9 or Linux 6.18 refuse, each tried with the real tool: where the mistake is shown, and how it is told.
import { describe, expect, test } from 'vitest'
import { parseRuleset } from './parse.ts'

function told(table: string, rule: string, family: 4 | 6 = 4): string {
  const parsed = parseRuleset(`*${table}\n${rule}\nCOMMIT`, family)
  if (parsed.ok) return ''
  return parsed.problems.map(({ column, message }) => `${column} ${message}`).join('\n')
}

describe('matches', () => {
  test.each([
    ['connbytes ! --connbytes 10:20', '13 `-m connbytes` needs `--connbytes-dir`'],
    ['connbytes --connbytes 9 --connbytes-dir both', '13 `-m connbytes` needs `--connbytes-mode`'],
    [
      'connbytes --connbytes 20:10 --connbytes-dir both --connbytes-mode bytes',
      '35 20 should be less than 10',
    ],
    [
      'connbytes --connbytes 9 --connbytes-dir up --connbytes-mode bytes',
      '53 `--connbytes-dir` is one of original, reply, both',
    ],
    [
      'connbytes --connbytes 9 --connbytes-dir both --connbytes-mode bits',
      '75 `--connbytes-mode` is one of packets, bytes, avgpkt',
    ],
    ['ecn', '13 `-m ecn` needs `--ecn-tcp-cwr`, `--ecn-tcp-ece` or `--ecn-ip-ect`'],
    ['ecn --ecn-tcp-cwr', '17 `--ecn-tcp-cwr` needs `-p tcp`'],
    ['ecn --ecn-ip-ect 4', '30 `4` is no number from 0 to 3'],
    ['cpu', '13 `-m cpu` needs `--cpu`'],
    ['cpu --cpu x', '23 `x` is no number of a CPU'],
    ['quota', '13 `-m quota` needs `--quota`'],
    ['quota --quota -1', '27 `-1` is no number of bytes'],
    ['realm --realm foo', '27 `foo` is no number of a realm'],
    ['string --string abc', '13 `-m string` needs `--algo`'],
    ['string --algo bm', '13 `-m string` needs `--string` or `--hex-string`'],
    ['string --algo fsm --string a', '27 an algorithm is `bm` or `kmp`'],
    ['string --algo bm --string ""', '39 an empty pattern is refused by the kernel'],
    ['string --algo bm --string a --from 70 --to 30', '41 `--from` lies behind `--to`'],
    ['string --algo bm --string a --to 70000', '46 `70000` is no number from 0 to 65535'],
    [
      'string --algo bm --string a --hex-string "|00|"',
      '41 `--string` and `--hex-string` cannot be used together',
    ],
    ['string --algo bm --hex-string "ab|0a"', '43 this block of hexadecimal digits is never closed by `|`'],
    ['string --algo bm --hex-string "ab|0g|"', '43 `|0g|` is no row of hexadecimal bytes, as `|47 45 54|`'],
    ['helper', '13 `-m helper` needs `--helper`'],
    ['time --timestart 09:00', '13 match `time` is not modelled'],
    ['hl --hl-eq 3', '13 there is no match `hl` for IPv4'],
    ['strng --string a', '13 there is no match `strng`'],
  ])('-m %s', (options, wanted) => {
    expect(told('filter', `-A INPUT -m ${options}`)).toBe(wanted)
  })

  test('realm is of IPv4, and not of PREROUTING', () => {
    expect(told('filter', '-A INPUT -m realm --realm 1', 6)).toBe('13 there is no match `realm` for IPv6')
    expect(told('mangle', '-A PREROUTING -m realm --realm 1')).toMatch(/^18 match `realm` is only valid in/)
  })
})

describe('targets', () => {
  test.each([
    ['filter', 'FORWARD', 'TEE', '15 `-j TEE` needs `--gateway`'],
    ['filter', 'FORWARD', 'TEE --gateway 0.0.0.0', '29 a gateway is the address of a host'],
    ['filter', 'FORWARD', 'TEE --gateway fd00::1', '29 `fd00::1` is no IPv4 address'],
    ['mangle', 'FORWARD', 'ECN', '15 `-j ECN` needs `--ecn-tcp-remove` or another option'],
    ['mangle', 'FORWARD', 'ECN --ecn-tcp-remove', '15 what `-j ECN` writes into TCP needs `-p tcp`'],
    ['mangle', 'FORWARD', 'ECN --ecn-ip-ect 4', '32 `4` is no number from 0 to 3'],
    ['filter', 'FORWARD', 'ECN --ecn-ip-ect 1', '15 target `ECN` is only valid in table mangle'],
    ['mangle', 'POSTROUTING', 'TCPOPTSTRIP --strip-options mss', '19 `-j TCPOPTSTRIP` needs `-p tcp`'],
    ['mangle', 'POSTROUTING', 'TCPOPTSTRIP --strip-options mms', '47 `mms` is no list of TCP options'],
    ['mangle', 'FORWARD', 'MARK --set-mrk 4', '20 no match or target of this rule has an option `--set-mrk`'],
    ['filter', 'FORWARD', 'ACCEPT --mark', '22 no match or target of this rule has an option `--mark`'],
    ['filter', 'FORWARD', 'MAKR --set-mark 4', '15 there is no target `MAKR`'],
    ['mangle', 'PREROUTING', 'HMARK --hmark-mod 2', '18 target `HMARK` is not modelled'],
    ['nat', 'PREROUTING', 'SYNPROXY', '18 target `SYNPROXY` is not modelled'],
  ] as const)('%s: -A %s -j %s', (table, chain, options, wanted) => {
    expect(told(table, `-A ${chain} -j ${options}`)).toBe(wanted)
  })

  test('ECN is of IPv4', () => {
    expect(told('mangle', '-A FORWARD -j ECN --ecn-ip-ect 1', 6)).toContain(
      '15 there is no target `ECN` for IPv6',
    )
  })
})

import { expect, test } from 'vitest'
import { datagram, ipLab, sendRaw } from '../../../test/ip-lab.ts'
import { second } from '../clock.ts'
import { attachIpset, ipsetSave } from './ipset.ts'
import { attachIptables } from './iptables.ts'
import { pinMatchProgram } from './match/bpf.ts'
import { parseRuleset } from './parse.ts'

const text = [
  'create hosts hash:ip family inet',
  'add hosts 10.0.1.2',
  'create nets hash:net family inet',
  'add nets 10.0.0.0/16',
  'add nets 10.0.1.0/24 nomatch',
  'create ends hash:ip,port family inet',
  'add ends 10.0.2.2,tcp:80',
  'create ports bitmap:port range 0-1023',
  'add ports 53',
  'create six hash:net family inet6',
  'add six fd00::/64',
  'create all list:set',
  'add all nets',
  '',
].join('\n')

test('sets are printed as they were written', () => {
  const { r } = ipLab()
  expect(attachIpset(r, text)).toEqual([])
  expect(ipsetSave(r)).toBe(text)
})

function forward(rule: string): ReturnType<typeof ipLab> {
  const lab = ipLab()
  attachIpset(lab.r, 'create seen hash:ip family inet timeout 5')
  const parsed = parseRuleset(`*mangle\n-A FORWARD -i ra ${rule}\nCOMMIT`, 4, {
    sets: lab.r.netfilter.sets ?? new Map(),
  })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(lab.r, 4, parsed.ruleset)
  return lab
}

test('SET adds what it sees, for as long as the set says', () => {
  const lab = forward('-j SET --add-set seen src')
  sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2' }), lab.ra.mac)
  expect(ipsetSave(lab.r)).toContain('add seen 10.0.1.2\n')
  lab.machine.clock.advance(6 * second)
  expect(ipsetSave(lab.r)).not.toContain('add seen')
})

test('a member goes by its own timeout, or by that of its set', () => {
  const { r, machine } = ipLab()
  machine.clock.advance(3 * second)
  const text = [
    'create s hash:ip timeout 5',
    'add s 10.0.0.1',
    'add s 10.0.0.2 timeout 9',
    'add s 10.0.0.3 timeout 0',
  ]
  expect(attachIpset(r, text.join('\n'))).toEqual([])
  const members = (): readonly string[] =>
    [...ipsetSave(r).matchAll(/^add s 10.0.0.(\d)$/gm)].map(([, last]) => last ?? '')
  machine.clock.advance(7 * second)
  expect(members()).toEqual(['1', '2', '3'])
  machine.clock.advance(9 * second)
  expect(members()).toEqual(['2', '3'])
  machine.clock.advance(13 * second)
  expect(members()).toEqual(['3'])
})

test('SET names no time to a set that was made without', () => {
  const lab = ipLab()
  attachIpset(lab.r, 'create seen hash:ip family inet')
  const parsed = parseRuleset('*mangle\n-A FORWARD -i ra -j SET --add-set seen src --timeout 5\nCOMMIT', 4, {
    sets: lab.r.netfilter.sets ?? new Map(),
  })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(lab.r, 4, parsed.ruleset)
  sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2' }), lab.ra.mac)
  lab.machine.clock.advance(60 * second)
  expect(ipsetSave(lab.r)).toContain('add seen 10.0.1.2\n')
})

// tried with ipset 7.17 on 6.18
test.each([
  ['create s hash:ip', 'add s 10.0.0.1 timeout 10', 'the set was made without `timeout`'],
  ['create s hash:ip timeout 0', 'add s 10.0.0.1 timeout 10', undefined],
  ['create s hash:ip', 'add s 10.0.0.1 comment x', 'the set was made without `comment`'],
  ['create s hash:ip comment', 'add s 10.0.0.1 comment x', undefined],
  ['create s hash:ip', 'add s 10.0.0.1 packets 1', 'the set was made without `counters`'],
  ['create s hash:ip', 'add s 10.0.0.1 nomatch', '`nomatch` is no option here'],
  ['create s hash:net', 'add s 10.0.0.0/8 nomatch', undefined],
  ['create s hash:ip', 'add s 10.0.0.1\nadd s 10.0.0.1', '`10.0.0.1` is in the set already'],
  ['create s hash:ip timeout 3000000', '', 'a timeout has 2147483 seconds at most'],
  ['create s bitmap:ip range 10.0.0.0/24 forceadd', '', '`forceadd` is no option here'],
])('%s, %s: %s', (create, add, message) => {
  const { r } = ipLab()
  expect(attachIpset(r, `${create}\n${add}`)[0]?.message).toBe(message)
})

test.each([0, 1])('a pinned program that answers %i', (answer) => {
  const lab = forward('-m bpf --object-pinned /sys/fs/bpf/x')
  pinMatchProgram(lab.r, '/sys/fs/bpf/x', ({ bytes, start }) => (bytes[start] === 0x45 ? answer : 9))
  sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2' }), lab.ra.mac)
  const rule = lab.r.netfilter.tables?.[4].get('mangle')?.chains.get('FORWARD')?.rules[0]
  expect(rule?.counters.packets).toBe(answer)
})

// Each match as a rule that only counts: does a packet from A through R to B raise its counter?
import { expect, test } from 'vitest'
import { datagram, type IpLab, ipLab, sendRaw, udp } from '../../../test/ip-lab.ts'
import { second } from '../clock.ts'
import { writeSegment } from '../socket/tcp-segment.ts'
import { attachIpset } from './ipset.ts'
import { attachIptables } from './iptables.ts'
import { parseRuleset } from './parse.ts'

const none = new Uint8Array(0)

function tcp(options: { flags: number; sport?: number; dport?: number; mss?: number }): Uint8Array {
  const { flags, sport = 4000, dport = 80, mss } = options
  const bytes = mss === undefined ? none : Uint8Array.of(2, 4, mss >> 8, mss & 255)
  return writeSegment({
    sport,
    dport,
    sequence: 1,
    acknowledgement: 0,
    flags,
    window: 1000,
    options: bytes,
    data: none,
  })
}

const packets = {
  udp: datagram({ from: '10.0.1.2', to: '10.0.2.2' }),
  syn: datagram({ from: '10.0.1.2', to: '10.0.2.2', protocol: 6, payload: tcp({ flags: 2, mss: 1460 }) }),
  ack: datagram({ from: '10.0.1.2', to: '10.0.2.2', protocol: 6, payload: tcp({ flags: 16, dport: 443 }) }),
  later: datagram({ from: '10.0.1.2', to: '10.0.2.2', flags: 5, payload: new Uint8Array(16) }),
}

/** B answers nothing, so that R sees one packet for each that A sends. */
function quietLab(options: Parameters<typeof ipLab>[0] = {}): IpLab {
  const lab = ipLab(options)
  const silent = parseRuleset('*filter\n:INPUT DROP [0:0]\nCOMMIT', 4)
  if (silent.ok) attachIptables(lab.b, 4, silent.ruleset)
  return lab
}

function attach(lab: IpLab, rules: string, sets?: string): void {
  if (sets !== undefined) expect(attachIpset(lab.r, sets)).toEqual([])
  const parsed = parseRuleset(rules, 4, { sets: lab.r.netfilter.sets ?? new Map() })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(lab.r, 4, parsed.ruleset)
}

function hits(lab: IpLab, table: 'mangle' | 'filter' = 'mangle'): number {
  const chain = lab.r.netfilter.tables?.[4].get(table)?.chains.get('FORWARD')
  return chain?.rules[0]?.counters.packets ?? 0
}

test.each<[string, keyof typeof packets, number]>([
  ['-s 10.0.1.0/24', 'udp', 1],
  ['! -s 10.0.1.2', 'udp', 0],
  ['-d 10.0.2.2 -i ra -o rb', 'udp', 1],
  ['-i rb', 'udp', 0],
  ['-i r+', 'udp', 1],
  ['! -o rb', 'udp', 0],
  ['-p udp', 'udp', 1],
  ['! -p udp', 'udp', 0],
  ['-f', 'later', 1],
  ['-f', 'udp', 0],
  ['-p udp --dport 7000', 'udp', 1],
  ['-p udp --dport 6999:7001 --sport 5000', 'udp', 1],
  ['-p udp ! --dport 7000', 'udp', 0],
  ['-p udp --dport 7000', 'later', 0],
  ['-p tcp --syn', 'syn', 1],
  ['-p tcp --syn', 'ack', 0],
  ['-p tcp ! --syn', 'ack', 1],
  ['-p tcp --tcp-flags ALL ACK', 'ack', 1],
  ['-p tcp --tcp-option 2', 'syn', 1],
  ['-p tcp --tcp-option 2', 'ack', 0],
  ['-p tcp -m tcpmss --mss 1400:1500', 'syn', 1],
  ['-p tcp -m tcpmss --mss 1400:1500', 'ack', 0],
  ['-p tcp -m multiport --dports 80,443', 'ack', 1],
  ['-p tcp -m multiport --sports 80,443', 'ack', 0],
  ['-p tcp -m multiport --ports 1:10,443', 'ack', 1],
  ['-m conntrack --ctstate NEW', 'syn', 1],
  ['-m conntrack --ctstate NEW --ctorigdst 10.0.2.0/24 --ctorigdstport 80', 'syn', 1],
  ['-m conntrack --ctstate NEW --ctorigdstport 81', 'syn', 0],
  ['-m conntrack --ctdir REPLY', 'syn', 0],
  ['-m state --state ESTABLISHED', 'syn', 0],
  ['-m ttl --ttl-eq 63', 'udp', 1],
  ['-m ttl --ttl-lt 63', 'udp', 0],
  ['-m length --length 33', 'udp', 1],
  ['-m length --length 34:', 'udp', 0],
  ['-m mac --mac-source 02:00:00:00:00:a0', 'udp', 1],
  ['-m pkttype --pkt-type unicast', 'udp', 1],
  ['-m tos --tos 0', 'udp', 1],
  ['-m dscp --dscp 1', 'udp', 0],
  ['-m iprange --src-range 10.0.1.1-10.0.1.3', 'udp', 1],
  ['-m addrtype --dst-type LOCAL', 'udp', 0],
  ['-m addrtype --dst-type UNICAST', 'udp', 1],
  ['-m addrtype ! --src-type LOCAL', 'udp', 1],
  ['-m bpf --bytecode "4,48 0 0 9,21 0 1 17,6 0 0 1,6 0 0 0"', 'udp', 1],
  ['-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"', 'udp', 0],
  ['-m statistic --mode random --probability 1', 'udp', 1],
  ['-m statistic --mode random --probability 0', 'udp', 0],
  ['-m set --match-set hosts src', 'udp', 1],
  ['-m set ! --match-set hosts dst', 'udp', 1],
  ['-m set --match-set nets dst', 'udp', 1],
  ['-m set --match-set nets src', 'udp', 0],
  ['-m set --match-set pairs dst,dst', 'udp', 1],
  ['-m set --match-set pairs dst,src', 'udp', 0],
  ['-m set --match-set ports dst', 'udp', 1],
  ['-m set --match-set loop dst,dst,src', 'udp', 1],
  ['-m set --match-set all dst', 'udp', 1],
  ['-m mark --mark 0', 'udp', 1],
  ['-m comment --comment "x y"', 'udp', 1],
  ['-m physdev --physdev-is-bridged', 'udp', 0],
])('%s: %s %i', (rule, packet, wanted) => {
  const lab = quietLab()
  const sets = [
    'create hosts hash:ip family inet',
    'add hosts 10.0.1.2',
    'create nets hash:net family inet',
    'add nets 10.0.0.0/16',
    'add nets 10.0.1.0/24 nomatch',
    'create pairs hash:ip,port family inet',
    'add pairs 10.0.2.2,udp:7000',
    'create ports bitmap:port range 0-65535',
    'add ports 7000',
    'create loop hash:ip,port,ip family inet',
    'add loop 10.0.2.2,udp:7000,10.0.1.2',
    'create all list:set size 8',
    'add all nets',
  ]
  attach(lab, `*mangle\n-A FORWARD ${rule}\nCOMMIT`, sets.join('\n'))
  sendRaw(lab.a0, packets[packet], lab.ra.mac)
  expect(hits(lab)).toBe(wanted)
})

test('statistic nth takes turns as the facts say (linux 8.8)', () => {
  const lab = quietLab()
  attach(
    lab,
    [
      '*mangle',
      ':ONE - [0:0]',
      ':TWO - [0:0]',
      ':THREE - [0:0]',
      '-A FORWARD -m statistic --mode nth --every 3 --packet 0 -j ONE',
      '-A FORWARD -m statistic --mode nth --every 2 --packet 0 -j TWO',
      '-A FORWARD -j THREE',
      '-A ONE -j ACCEPT',
      '-A TWO -j ACCEPT',
      '-A THREE -j ACCEPT',
      'COMMIT',
    ].join('\n'),
  )
  const order: string[] = []
  const chains = lab.r.netfilter.tables?.[4].get('mangle')?.chains
  for (let i = 0; i < 6; i += 1) {
    const before = ['ONE', 'TWO', 'THREE'].map((name) => chains?.get(name)?.rules[0]?.counters.packets ?? 0)
    sendRaw(lab.a0, packets.udp, lab.ra.mac)
    const names = ['ONE', 'TWO', 'THREE'].filter(
      (name, index) => (chains?.get(name)?.rules[0]?.counters.packets ?? 0) > (before[index] ?? 0),
    )
    order.push(...names)
  }
  expect(order).toEqual(['ONE', 'TWO', 'THREE', 'ONE', 'TWO', 'THREE'])
})

test('statistic random is a function of the flow, not of the order of packets', () => {
  const chosen = (ports: readonly number[]): Map<number, boolean> => {
    const lab = quietLab({ traced: false })
    attach(lab, '*mangle\n-A FORWARD -m statistic --mode random --probability 0.5\nCOMMIT')
    const result = new Map<number, boolean>()
    for (const port of ports) {
      const before = hits(lab)
      sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(port, 7000, 1) }), lab.ra.mac)
      result.set(port, hits(lab) > before)
    }
    return result
  }
  const ports = Array.from({ length: 200 }, (_, index) => 2000 + index)
  const forth = chosen(ports)
  const back = chosen([...ports].reverse())
  for (const port of ports) expect(back.get(port)).toBe(forth.get(port))
  const yes = [...forth.values()].filter(Boolean).length
  expect(yes).toBeGreaterThan(70)
  expect(yes).toBeLessThan(130)
})

test('recent remembers for as long as it is told to', () => {
  const lab = quietLab()
  attach(
    lab,
    '*mangle\n-A FORWARD -m recent --rcheck --seconds 10 --name AFF\n-A FORWARD -m recent --set --name AFF\nCOMMIT',
  )
  const { clock } = lab.machine
  const found = [0, 5, 16, 20].map((at) => {
    clock.advance(at * second)
    const before = hits(lab)
    sendRaw(lab.a0, packets.udp, lab.ra.mac)
    return hits(lab) > before
  })
  expect(found).toEqual([false, true, false, true])
})

test('limit lets a burst pass and then one packet in each interval', () => {
  const lab = quietLab()
  attach(lab, '*mangle\n-A FORWARD -m limit --limit 1/second --limit-burst 3\nCOMMIT')
  for (let i = 0; i < 6; i += 1) sendRaw(lab.a0, packets.udp, lab.ra.mac)
  expect(hits(lab)).toBe(3)
  lab.machine.clock.advance(2 * second)
  for (let i = 0; i < 6; i += 1) sendRaw(lab.a0, packets.udp, lab.ra.mac)
  expect(hits(lab)).toBe(5)
})

test('goto does not come back to the chain it was in', () => {
  const lab = quietLab()
  attach(
    lab,
    '*mangle\n:SUB - [0:0]\n-A FORWARD -g SUB\n-A FORWARD -j MARK --set-mark 1\n-A SUB -j RETURN\nCOMMIT',
  )
  sendRaw(lab.a0, packets.udp, lab.ra.mac)
  const rules = lab.r.netfilter.tables?.[4].get('mangle')?.chains.get('FORWARD')
  expect(rules?.rules[1]?.counters.packets).toBe(0)
  expect(rules?.counters.packets).toBe(1)
})

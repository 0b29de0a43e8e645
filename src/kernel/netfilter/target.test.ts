// What targets do to packets from A through R to B, and what a trace says of it.
import { describe, expect, test } from 'vitest'
import { datagram, ends, type IpLab, ipLab, sendRaw } from '../../../test/ip-lab.ts'
import { formatIp, readIpv4 } from '../../net/address.ts'
import { readMss } from '../../net/tcp-options.ts'
import { conntrackEntries } from '../conntrack/text.ts'
import { addTap, setMtu } from '../device/change.ts'
import type { NetDevice } from '../device/device.ts'
import { writeSegment } from '../socket/tcp-segment.ts'
import { attachIptables } from './iptables.ts'
import { parseRuleset } from './parse.ts'

function rules(ns: IpLab['r'], text: string): void {
  const parsed = parseRuleset(text, 4)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(ns, 4, parsed.ruleset)
}

/** The packets that arrive at a device, from their IP headers on, with the mark that R gave them last. */
function arrivals(dev: NetDevice): Uint8Array[] {
  const seen: Uint8Array[] = []
  addTap(dev, (_dev, { bytes, start, tail }, direction) => {
    if (direction === 'in') seen.push(bytes.slice(start + 14, tail))
  })
  return seen
}

function targetLab(text: string): IpLab & { readonly atA: Uint8Array[]; readonly atB: Uint8Array[] } {
  const lab = ipLab()
  for (const ns of [lab.a, lab.b]) rules(ns, '*filter\n:INPUT DROP [0:0]\nCOMMIT')
  rules(lab.r, text)
  return { ...lab, atA: arrivals(lab.a0), atB: arrivals(lab.b0) }
}

const none = new Uint8Array(0)
function syn(options = Uint8Array.of(2, 4, 5, 180)): Uint8Array {
  return writeSegment({
    sport: 4000,
    dport: 80,
    sequence: 7,
    acknowledgement: 0,
    flags: 2,
    window: 1000,
    options,
    data: none,
  })
}
const udpPacket = datagram({ from: '10.0.1.2', to: '10.0.2.2' })
const synPacket = datagram({ from: '10.0.1.2', to: '10.0.2.2', protocol: 6, payload: syn() })
const source = (packet: Uint8Array | undefined): string => formatIp(readIpv4(packet ?? none, 12))

describe('REJECT', () => {
  test.each([
    ['', 3, 3],
    ['--reject-with icmp-host-unreachable', 3, 1],
    ['--reject-with icmp-net-unreachable', 3, 0],
    ['--reject-with icmp-proto-unreachable', 3, 2],
    ['--reject-with icmp-net-prohibited', 3, 9],
    ['--reject-with icmp-host-prohibited', 3, 10],
    ['--reject-with icmp-admin-prohibited', 3, 13],
  ])('%s answers with ICMP %i/%i from this host', (option, type, code) => {
    const lab = targetLab(`*filter\n-A FORWARD -j REJECT ${option}\nCOMMIT`)
    sendRaw(lab.a0, udpPacket, lab.ra.mac)
    const [answer] = lab.atA
    expect(source(answer)).toBe('10.0.1.1')
    expect([answer?.[20], answer?.[21]]).toEqual([type, code])
    // the quoted TTL has been decremented already
    expect(answer?.[28 + 8]).toBe(63)
    expect(lab.atB).toEqual([])
    expect(ends(lab.machine)).toContain('p dropped R//nf SKB_DROP_REASON_NETFILTER_DROP')
  })

  test('a reset comes from the address that was asked', () => {
    const lab = targetLab('*filter\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT')
    sendRaw(lab.a0, synPacket, lab.ra.mac)
    const [answer] = lab.atA
    expect(source(answer)).toBe('10.0.2.2')
    expect(answer?.[33]).toBe(0x14)
    expect(answer?.slice(28, 32)).toEqual(Uint8Array.of(0, 0, 0, 8))
    expect(lab.machine.trace?.packets.map(({ name }) => name)).toContain('p.rst')
  })
})

test.each([
  ['--set-xmark 0xf0/0xff', 0x12f0],
  ['--set-mark 0xf0/0xf', 0x12f0],
  ['--and-mark 0xff', 0x34],
  ['--or-mark 0x1', 0x1235],
  ['--xor-mark 0xff', 0x12cb],
])('MARK %s', (option, wanted) => {
  const lab = targetLab(
    `*mangle\n-A PREROUTING -j MARK --set-mark 0x1234\n-A FORWARD -j MARK ${option}\nCOMMIT`,
  )
  let mark = -1
  lab.r.netfilter.register({
    family: 4,
    hook: 'POSTROUTING',
    priority: 500,
    run: (_ns, skb) => {
      mark = skb.mark
      return 'accept'
    },
  })
  sendRaw(lab.a0, udpPacket, lab.ra.mac)
  expect(mark).toBe(wanted)
})

test('CONNMARK carries a mark from one packet of a flow to the next', () => {
  const lab = targetLab(
    '*mangle\n-A PREROUTING -j CONNMARK --restore-mark\n-A PREROUTING -m mark --mark 0x5\n-A POSTROUTING -j MARK --set-mark 5\n-A POSTROUTING -j CONNMARK --save-mark\nCOMMIT',
  )
  sendRaw(lab.a0, udpPacket, lab.ra.mac)
  sendRaw(lab.a0, udpPacket, lab.ra.mac)
  expect(conntrackEntries(lab.r)[0]?.mark).toBe(5)
  expect(
    lab.r.netfilter.tables?.[4].get('mangle')?.chains.get('PREROUTING')?.rules[1]?.counters.packets,
  ).toBe(1)
})

describe('fields', () => {
  test.each<[string, (packet: Uint8Array) => number | undefined, number]>([
    ['-A FORWARD -j TTL --ttl-set 9', (packet) => packet[8], 9],
    ['-A FORWARD -j TTL --ttl-inc 5', (packet) => packet[8], 68],
    ['-A FORWARD -j TTL --ttl-dec 3', (packet) => packet[8], 60],
    ['-A FORWARD -j TOS --set-tos 0x10', (packet) => packet[1], 0x10],
    ['-A FORWARD -j DSCP --set-dscp-class EF', (packet) => packet[1], 0xb8],
    ['-A FORWARD -p tcp --syn -j TCPMSS --set-mss 1000', (packet) => readMss(packet, 20), 1000],
    ['-A FORWARD -p tcp --syn -j TCPMSS --set-mss 9000', (packet) => readMss(packet, 20), 1460],
    ['-A FORWARD -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu', (packet) => readMss(packet, 20), 1260],
  ])('%s', (rule, field, wanted) => {
    const lab = targetLab(`*mangle\n${rule}\nCOMMIT`)
    setMtu(lab.rb, 1300)
    sendRaw(lab.a0, synPacket, lab.ra.mac)
    expect(field(lab.atB[0] ?? none)).toBe(wanted)
  })

  test('TCPMSS adds the option where there is none, 536 at most', () => {
    const lab = targetLab('*mangle\n-A FORWARD -p tcp --syn -j TCPMSS --set-mss 1000\nCOMMIT')
    sendRaw(
      lab.a0,
      datagram({ from: '10.0.1.2', to: '10.0.2.2', protocol: 6, payload: syn(none) }),
      lab.ra.mac,
    )
    expect(readMss(lab.atB[0] ?? none, 20)).toBe(536)
    expect(lab.atB[0]?.length).toBe(44)
  })
})

test('a trace shows each built-in chain with the rules that matched', () => {
  const lab = targetLab(
    '*filter\n:SUB - [0:0]\n-A FORWARD -p udp -j SUB\n-A SUB -s 10.0.1.0/24 -j DROP\nCOMMIT',
  )
  sendRaw(lab.a0, udpPacket, lab.ra.mac)
  const event = lab.machine.trace?.packets[0]?.events.find(({ stage }) => stage === 'nf')
  expect(event).toMatchObject({
    node: 'R',
    device: '',
    chain: 'filter/FORWARD',
    actor: 'kernel',
    decision: { code: 'DROP' },
  })
  expect(event?.facts).toEqual([
    { kind: 'kernel', word: 'rule', text: '-A FORWARD -p udp -j SUB' },
    { kind: 'kernel', word: 'rule', text: '-A SUB -s 10.0.1.0/24 -j DROP' },
    { kind: 'drop', reason: 'SKB_DROP_REASON_NETFILTER_DROP' },
  ])
})

// Facts: linux 8.9 to 8.11, played with single packets through a router that tracks.
import { describe, expect, test } from 'vitest'
import { datagram, echoRequest, type IpLab, ipLab, sendRaw, udp } from '../../../test/ip-lab.ts'
import { second } from '../clock.ts'
import { stateText } from '../netfilter/chain-trace.ts'
import { attachIptables } from '../netfilter/iptables.ts'
import { parseRuleset } from '../netfilter/parse.ts'
import { writeSegment } from '../socket/tcp-segment.ts'
import { conntrackText, deleteConntrack } from './text.ts'

const none = new Uint8Array(0)
const [F, S, R, A] = [1, 2, 4, 16]

interface TrackLab extends IpLab {
  readonly states: string[]
}

function rules(ns: IpLab['r'], text: string): void {
  const parsed = parseRuleset(text, 4)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(ns, 4, parsed.ruleset)
}

/** A and B answer nothing; R says at FORWARD what each packet is to its flow. */
function trackLab(extra = ''): TrackLab {
  const lab = ipLab()
  for (const ns of [lab.a, lab.b]) rules(ns, '*filter\n:INPUT DROP [0:0]\nCOMMIT')
  rules(lab.r, `${extra}*filter\n-A FORWARD -m conntrack --ctstate NEW\nCOMMIT`)
  const states: string[] = []
  const observe = (skb: Parameters<typeof stateText>[0]): 'accept' => {
    states.push(stateText(skb))
    return 'accept'
  }
  lab.r.netfilter.register({ family: 4, hook: 'FORWARD', priority: 1000, run: (_ns, skb) => observe(skb) })
  return { ...lab, states }
}

interface Seg {
  readonly from: 'A' | 'B'
  readonly flags: number
  readonly seq?: number
  readonly ack?: number
  readonly size?: number
  readonly wrong?: boolean
}

function send(lab: TrackLab, { from, flags, seq = 0, ack = 0, size = 0, wrong = false }: Seg): void {
  const forth = from === 'A'
  const [sport, dport] = forth ? [4000, 80] : [80, 4000]
  const payload = writeSegment({
    sport,
    dport,
    sequence: seq,
    acknowledgement: ack,
    flags,
    window: 8000,
    options: none,
    data: new Uint8Array(size),
  })
  const ends = forth ? { from: '10.0.1.2', to: '10.0.2.2' } : { from: '10.0.2.2', to: '10.0.1.2' }
  const packet = datagram({ ...ends, protocol: 6, payload })
  if (wrong) packet[36] = (packet[36] ?? 0) ^ 1
  if (forth) sendRaw(lab.a0, packet, lab.ra.mac)
  else sendRaw(lab.b0, packet, lab.rb.mac)
}

const open: readonly Seg[] = [
  { from: 'A', flags: S, seq: 1000 },
  { from: 'B', flags: S | A, seq: 9000, ack: 1001 },
  { from: 'A', flags: A, seq: 1001, ack: 9001 },
]

describe('what a single TCP segment is', () => {
  test.each<[string, readonly Seg[], readonly string[]]>([
    ['SYN', [{ from: 'A', flags: S }], ['NEW']],
    ['SYN-ACK without SYN', [{ from: 'B', flags: S | A }], ['INVALID']],
    [
      'ACK when the SYN-ACK went another way',
      [
        { from: 'A', flags: S, seq: 1000 },
        { from: 'A', flags: A, seq: 1001 },
      ],
      ['NEW', 'INVALID'],
    ],
    [
      'lone ACK and its answer',
      [
        { from: 'A', flags: A, seq: 5, ack: 9 },
        { from: 'B', flags: A, seq: 9, ack: 5 },
      ],
      ['NEW', 'ESTABLISHED'],
    ],
    ['lone RST', [{ from: 'A', flags: R }], ['INVALID']],
    ['lone FIN-ACK', [{ from: 'A', flags: F | A }], ['INVALID']],
    ['SYN and FIN', [{ from: 'A', flags: S | F }], ['INVALID']],
    ['no flags', [{ from: 'A', flags: 0 }], ['INVALID']],
    ['wrong checksum', [{ from: 'A', flags: S, wrong: true }], ['INVALID']],
    ['handshake', open, ['NEW', 'ESTABLISHED', 'ESTABLISHED']],
    [
      'segment far out of the window',
      [...open, { from: 'A', flags: A, seq: 900_000_000, ack: 9001, size: 10 }],
      ['NEW', 'ESTABLISHED', 'ESTABLISHED', 'INVALID'],
    ],
    [
      'RST far out of the window',
      [...open, { from: 'B', flags: R, seq: 5 }],
      ['NEW', 'ESTABLISHED', 'ESTABLISHED', 'INVALID'],
    ],
    [
      'data in the window',
      [...open, { from: 'A', flags: A, seq: 1001, ack: 9001, size: 10 }],
      ['NEW', 'ESTABLISHED', 'ESTABLISHED', 'ESTABLISHED'],
    ],
  ])('%s', (_name, segments, states) => {
    const lab = trackLab()
    for (const segment of segments) send(lab, segment)
    expect(lab.states).toEqual(states)
  })

  test('tcp_loose=0 picks up nothing in the middle', () => {
    const lab = trackLab()
    lab.r.sysctls.set('net.netfilter.nf_conntrack_tcp_loose', 0)
    send(lab, { from: 'A', flags: A, seq: 5, ack: 9 })
    expect(lab.states).toEqual(['INVALID'])
  })

  test('be_liberal lets segments out of the window pass', () => {
    const lab = trackLab()
    lab.r.sysctls.set('net.netfilter.nf_conntrack_tcp_be_liberal', 1)
    for (const segment of open) send(lab, segment)
    send(lab, { from: 'A', flags: A, seq: 900_000_000, ack: 9001, size: 10 })
    expect(lab.states.at(-1)).toBe('ESTABLISHED')
  })
})

const tuples = 'src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=80'
const answers = 'src=10.0.2.2 dst=10.0.1.2 sport=80 dport=4000'

test.each<[string, readonly Seg[], string]>([
  ['SYN_SENT', open.slice(0, 1), `tcp      6 120 SYN_SENT ${tuples} [UNREPLIED] ${answers} mark=0 use=1\n`],
  ['SYN_RECV', open.slice(0, 2), `tcp      6 60 SYN_RECV ${tuples} ${answers} mark=0 use=1\n`],
  ['ESTABLISHED', open, `tcp      6 432000 ESTABLISHED ${tuples} ${answers} [ASSURED] mark=0 use=1\n`],
  [
    'FIN_WAIT',
    [...open, { from: 'A', flags: F | A, seq: 1001, ack: 9001 }],
    `tcp      6 120 FIN_WAIT ${tuples} ${answers} [ASSURED] mark=0 use=1\n`,
  ],
  [
    'CLOSE_WAIT',
    [
      ...open,
      { from: 'A', flags: F | A, seq: 1001, ack: 9001 },
      { from: 'B', flags: A, seq: 9001, ack: 1002 },
    ],
    `tcp      6 60 CLOSE_WAIT ${tuples} ${answers} [ASSURED] mark=0 use=1\n`,
  ],
  [
    'LAST_ACK',
    [
      ...open,
      { from: 'A', flags: F | A, seq: 1001, ack: 9001 },
      { from: 'B', flags: F | A, seq: 9001, ack: 1002 },
    ],
    `tcp      6 30 LAST_ACK ${tuples} ${answers} [ASSURED] mark=0 use=1\n`,
  ],
  [
    'TIME_WAIT',
    [
      ...open,
      { from: 'A', flags: F | A, seq: 1001, ack: 9001 },
      { from: 'B', flags: F | A, seq: 9001, ack: 1002 },
      { from: 'A', flags: A, seq: 1002, ack: 9002 },
    ],
    `tcp      6 120 TIME_WAIT ${tuples} ${answers} [ASSURED] mark=0 use=1\n`,
  ],
  [
    'CLOSE',
    [...open, { from: 'B', flags: R, seq: 9001 }],
    `tcp      6 10 CLOSE ${tuples} ${answers} [ASSURED] mark=0 use=1\n`,
  ],
  [
    'refused: the entry is gone at once',
    [
      { from: 'A', flags: S, seq: 1000 },
      { from: 'B', flags: R | A, seq: 0, ack: 1001 },
    ],
    '',
  ],
  [
    'picked up in the middle',
    [{ from: 'A', flags: A, seq: 5, ack: 9 }],
    `tcp      6 300 ESTABLISHED ${tuples} [UNREPLIED] ${answers} mark=0 use=1\n`,
  ],
])('the entry in %s', (_name, segments, text) => {
  const lab = trackLab()
  for (const segment of segments) send(lab, segment)
  expect(conntrackText(lab.r)).toBe(text)
})

function udpBothWays(lab: TrackLab): void {
  sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 53, 1) }), lab.ra.mac)
  sendRaw(lab.b0, datagram({ from: '10.0.2.2', to: '10.0.1.2', payload: udp(53, 5000, 1) }), lab.rb.mac)
}

test('UDP is a stream only when it is alive after two seconds', () => {
  const lab = trackLab()
  sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 53, 1) }), lab.ra.mac)
  expect(conntrackText(lab.r)).toMatch(/^udp {6}17 30 .*\[UNREPLIED\]/)
  udpBothWays(lab)
  expect(conntrackText(lab.r)).toMatch(/^udp {6}17 30 (?!.*UNREPLIED)(?!.*ASSURED)/)
  lab.machine.clock.advance(3 * second)
  udpBothWays(lab)
  expect(conntrackText(lab.r)).toMatch(/^udp {6}17 120 .*\[ASSURED\]/)
  lab.machine.clock.advance(200 * second)
  expect(conntrackText(lab.r)).toBe('')
})

test('a packet that FORWARD drops leaves no entry', () => {
  const lab = trackLab('*mangle\n-A FORWARD -p udp -j DROP\nCOMMIT\n')
  udpBothWays(lab)
  expect(conntrackText(lab.r)).toBe('')
})

test('ICMP echo is a flow of 30 seconds by its identifier; an answer without a question is INVALID', () => {
  const lab = trackLab()
  const ping = echoRequest()
  sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', protocol: 1, payload: ping }), lab.ra.mac)
  expect(conntrackText(lab.r)).toBe(
    'icmp     1 30 src=10.0.1.2 dst=10.0.2.2 type=8 code=0 id=77 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 type=0 code=0 id=77 mark=0 use=1\n',
  )
  const pong = echoRequest()
  pong[0] = 0
  sendRaw(lab.b0, datagram({ from: '10.0.2.2', to: '10.0.1.2', protocol: 1, payload: pong }), lab.rb.mac)
  expect(lab.states).toEqual(['NEW', 'ESTABLISHED'])
  deleteConntrack(lab.r)
  sendRaw(lab.b0, datagram({ from: '10.0.2.2', to: '10.0.1.2', protocol: 1, payload: pong }), lab.rb.mac)
  expect(lab.states.at(-1)).toBe('INVALID')
})

function unreachable(quoted: Uint8Array): Uint8Array {
  const payload = new Uint8Array(8 + quoted.length)
  payload.set([3, 3])
  payload.set(quoted, 8)
  return datagram({ from: '10.0.2.2', to: '10.0.1.2', protocol: 1, payload })
}

test('an error about a known flow is RELATED, about another one INVALID', () => {
  const lab = trackLab()
  const packet = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 53, 1) })
  sendRaw(lab.b0, unreachable(packet), lab.rb.mac)
  sendRaw(lab.a0, packet, lab.ra.mac)
  sendRaw(lab.b0, unreachable(packet), lab.rb.mac)
  expect(lab.states).toEqual(['INVALID', 'NEW', 'RELATED'])
})

test('notrack makes packets UNTRACKED', () => {
  const lab = trackLab('*raw\n-A PREROUTING -j CT --notrack\nCOMMIT\n')
  udpBothWays(lab)
  expect(lab.states).toEqual(['UNTRACKED', 'UNTRACKED'])
})

test('zones keep equal tuples apart', () => {
  const lab = trackLab('*raw\n-A PREROUTING -i ra -j CT --zone 7\nCOMMIT\n')
  udpBothWays(lab)
  expect(lab.states).toEqual(['NEW', 'NEW'])
  expect(conntrackText(lab.r)).toContain('zone=7')
})

test('fragments are put together before raw and cut again behind POSTROUTING (linux 4.11)', () => {
  const lab = trackLab('*raw\n-A PREROUTING -p udp\nCOMMIT\n')
  const whole = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 53, 3000) })
  const part = (start: number, length: number, more: boolean): Uint8Array =>
    datagram({
      from: '10.0.1.2',
      to: '10.0.2.2',
      ident: 9,
      flags: (more ? 0x2000 : 0) | (start / 8),
      payload: whole.subarray(20 + start, 20 + start + length),
    })
  for (const piece of [part(0, 1480, true), part(1480, 1480, true), part(2960, 48, false)])
    sendRaw(lab.a0, piece, lab.ra.mac)
  const raw = lab.r.netfilter.tables?.[4].get('raw')?.chains.get('PREROUTING')?.rules[0]
  expect(raw?.counters).toEqual({ packets: 1, bytes: 3028 })
  expect(lab.states).toEqual(['NEW'])
  expect(lab.b0.counters.rx_packets).toBe(3)
})

test('fragments leave no larger than they came, though the whole would fit', () => {
  const lab = trackLab()
  const whole = datagram({ from: '10.0.1.2', to: '10.0.2.2', payload: udp(5000, 53, 792) })
  for (const [start, length] of [
    [0, 400],
    [400, 400],
  ] as const) {
    const flags = (start === 0 ? 0x2000 : 0) | (start / 8)
    const payload = whole.subarray(20 + start, 20 + start + length)
    sendRaw(lab.a0, datagram({ from: '10.0.1.2', to: '10.0.2.2', ident: 9, flags, payload }), lab.ra.mac)
  }
  expect(lab.states).toEqual(['NEW'])
  expect(lab.b0.counters).toMatchObject({ rx_packets: 2, rx_bytes: 2 * (14 + 20 + 400) })
})

test('rules that need no conntrack do not switch it on (linux 4.8)', () => {
  const lab = ipLab()
  rules(lab.r, '*nat\n-A PREROUTING -j ACCEPT\nCOMMIT\n*filter\n-A FORWARD -p tcp -j DROP\nCOMMIT')
  expect(lab.r.netfilter.conntrack).toBeUndefined()
  rules(lab.r, '*nat\n-A POSTROUTING -s 9.9.9.9 -j MASQUERADE\nCOMMIT')
  expect(lab.r.netfilter.conntrack?.active.has(4)).toBe(true)
})

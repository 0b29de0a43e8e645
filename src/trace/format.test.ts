import { expect, test } from 'vitest'
import { tcpFlag } from '../net/tcp.ts'
import type { HookEvent, Trace } from './event.ts'
import { formatTrace } from './format.ts'
import { hook, packet, snapshot, tcpBytes, trace } from './testing/hand-made.ts'

/** Example 3, case `redirect`: XDP passes, tc redirects with neighbour resolution, the socket takes it. */
function redirect(): Trace {
  const born = snapshot(tcpBytes())
  const sent = snapshot(tcpBytes({ macs: [3, 4] }))
  const events = [
    hook('host/eth0 nic', born),
    hook('host/eth0 rx', born),
    hook('host/eth0 xdp', born, { actor: 'blocklist', decision: { code: 'PASS', value: 2 } }),
    hook('host/eth0 tap-in', born),
    hook('host/eth0 tc-in', born, {
      actor: 'classify',
      decision: { code: 'REDIRECT', target: 'veth0 neigh', value: 7 },
    }),
    hook('host/veth0 neigh', born, { after: sent, actor: 'kernel' }),
    hook('host/veth0 tx', sent),
    hook('app/eth0 rx', sent),
    hook('app/eth0 rx', sent, { actor: 'socket', decision: { code: 'DELIVER', target: 'tcp/80' } }),
  ]
  return trace([packet('p1', events)], { case: 'redirect' })
}

test('hops: a delivery on arrival is one line, bookkeeping and MAC addresses are hidden, only used names are bound', () => {
  expect(formatTrace(redirect(), { level: 'hops' })).toBe(`scn-trace 1 hops

scenario codes case redirect
where app 10.2.0.2 fd00::2
where friend 10.1.0.50
outcome p1 delivered app

packet p1 tcp friend:4000 > app:80 S ttl 64
@ host
  eth0 rx
  eth0 xdp              blocklist           PASS
  eth0 tc-in            classify            REDIRECT veth0 neigh
  veth0 tx
@ app
  eth0 rx               socket              DELIVER tcp/80
`)
})

test('minimal: outcomes, and only hooks that rewrote something', () => {
  expect(formatTrace(redirect(), { level: 'minimal' })).toBe(`scn-trace 1 minimal

scenario codes case redirect
outcome p1 delivered app

packet p1 tcp friend:4000 > app:80 S ttl 64
`)
})

test('full: every stage, and MAC addresses', () => {
  expect(formatTrace(redirect(), { level: 'full' })).toBe(`scn-trace 1 full

scenario codes case redirect
where app 10.2.0.2 fd00::2
where friend 10.1.0.50
outcome p1 delivered app

packet p1 tcp friend:4000 > app:80 S ttl 64
@ host
  eth0 nic
  eth0 rx
  eth0 xdp              blocklist           PASS
  eth0 tap-in
  eth0 tc-in            classify            REDIRECT veth0 neigh
  veth0 neigh           kernel
    eth.dst 00:00:00:00:00:02 -> 00:00:00:00:00:04
    eth.src 00:00:00:00:00:01 -> 00:00:00:00:00:03
  veth0 tx
@ app
  eth0 rx               socket              DELIVER tcp/80
`)
})

test('a drop in the receive function stands on the arrival line, its reason in the decision and in the outcome', () => {
  const born = snapshot(tcpBytes({ to: '10.9.9.9' }))
  const reason = 'SKB_DROP_REASON_OTHERHOST'
  const events = [
    hook('app/eth0 rx', born),
    hook('app/eth0 rx', born, {
      actor: 'kernel',
      decision: { code: 'DROP' },
      facts: [{ kind: 'drop', reason }],
    }),
  ]
  const outcomes = [{ kind: 'dropped', node: 'app', device: 'eth0', stage: 'rx', reason } as const]
  for (const level of ['hops', 'minimal'] as const) {
    const text = formatTrace(trace([packet('p1', events, { outcomes })]), { level })
    expect(text).toContain('outcome p1 dropped app/eth0/rx SKB_DROP_REASON_OTHERHOST\n')
    expect(text).toContain(`packet p1 tcp friend:4000 > 10.9.9.9:80 S ttl 64
@ app
  eth0 rx               kernel              DROP OTHERHOST
`)
  }
})

test('the reason that a return code implies is not repeated', () => {
  const born = snapshot(tcpBytes())
  const shot = hook('host/eth0 tc-in', born, {
    actor: 'classify',
    decision: { code: 'SHOT', value: 2 },
    facts: [{ kind: 'drop', reason: 'SKB_DROP_REASON_TC_INGRESS' }],
  })
  const aborted = hook('host/eth0 xdp', born, {
    actor: 'blocklist',
    decision: { code: 'ABORTED', value: 0 },
    facts: [
      { kind: 'drop', reason: 'XDP_ABORTED' },
      { kind: 'tracepoint', name: 'xdp_exception' },
    ],
  })
  expect(formatTrace(trace([packet('p1', [shot]), packet('p2', [aborted])]), { level: 'hops' })).toContain(`
packet p1 tcp friend:4000 > app:80 S ttl 64
@ host
  eth0 tc-in            classify            SHOT

packet p2 tcp friend:4000 > app:80 S ttl 64
@ host
  eth0 xdp              blocklist           ABORTED
    event xdp_exception
`)
})

test('columns stand at 3, 25 and 45; what is too long pushes its own line only', () => {
  const born = snapshot(tcpBytes())
  const long = hook('host/a-very-long-device tc-in', born, { actor: 'p', decision: { code: 'OK' } })
  const longActor = hook('host/e tc-in', born, {
    actor: 'a_program_with_a_long_name',
    decision: { code: 'OK' },
  })
  const text = formatTrace(trace([packet('p1', [long, longActor])]), { level: 'hops' })
  expect(text).toContain(`
  a-very-long-device tc-in  p               OK
  e tc-in               a_program_with_a_long_name  OK
`)
})

test('forwarding shows the TTL and the route; an on-link destination is its own next hop', () => {
  const born = snapshot(tcpBytes())
  const less = snapshot(tcpBytes({ ttl: 63 }))
  const event = (via: string | undefined): HookEvent =>
    hook('host/ route', born, {
      after: less,
      actor: 'kernel',
      decision: { code: 'FORWARD', target: 'veth0' },
      facts: [{ kind: 'fib', device: 'veth0', ...(via === undefined ? {} : { via }) }],
    })
  const text = formatTrace(trace([packet('p1', [event(undefined)]), packet('p2', [event('10.1.0.1')])]), {
    level: 'hops',
  })
  expect(text).toContain(`
packet p1 tcp friend:4000 > app:80 S ttl 64
@ host
  route                 kernel              FORWARD veth0
    ttl 64 -> 63
    fib app veth0

packet p2 tcp friend:4000 > app:80 S ttl 64
like p1 except
@ host route: fib host veth0
`)
})

test('a packet that went the same way is a reference, with one exception for each effect that differs', () => {
  const lookups = (words: readonly string[]): Partial<HookEvent> => ({
    actor: 'cil',
    decision: { code: 'OK' },
    facts: words.map((text) => ({
      kind: 'kernel' as const,
      word: text.split(' ')[0] ?? '',
      text: text.slice(text.indexOf(' ') + 1),
    })),
  })
  const syn = snapshot(tcpBytes())
  const ack = snapshot(tcpBytes({ flags: tcpFlag.ack }))
  const way = (at: typeof syn, words: readonly string[]): HookEvent[] => [
    hook('host/eth0 rx', at),
    hook('host/eth0 tc-in', at, lookups(words)),
    hook('host/veth0 tx', at),
  ]
  const packets = [
    packet('f1.syn', way(syn, ['ct new service', 'ct new egress', 'policy allow egress', 'dsr learn host'])),
    packet('f1.ack', way(ack, ['ct established service', 'ct new egress'])),
    packet(
      'f1.data1',
      way(ack, ['ct new service', 'ct new egress', 'policy allow egress', 'dsr learn host']),
    ),
  ]
  expect(formatTrace(trace(packets), { level: 'full' })).toContain(`
packet f1.ack tcp friend:4000 > app:80 A ttl 64
like f1.syn except
@ host eth0 tc-in: ct established service
@ host eth0 tc-in: no policy
@ host eth0 tc-in: no dsr learn

packet f1.data1 tcp friend:4000 > app:80 A ttl 64
like f1.syn
`)
})

test('example 2, minimal: NAT and IP options stay, the reverse on the reply says so', () => {
  const syn = { from: '192.168.5.100', to: '192.168.5.11', sport: 55000, dport: 30080 }
  const dsr = { kind: 'dsr', address: 0xc0a8050b as never, port: 30080 } as const
  const bytes = snapshot(tcpBytes(syn))
  const ackBytes = snapshot(tcpBytes({ ...syn, flags: tcpFlag.ack }))
  const at = (before: typeof bytes, more: Partial<HookEvent>): HookEvent[] => [
    hook('n1/eth0 rx', before),
    hook('n1/eth0 tc-in', before, {
      actor: 'cil_from_netdev',
      decision: { code: 'REDIRECT', target: 'eth0' },
      ...more,
    }),
    hook('n1/eth0 tx', more.after ?? before),
  ]
  const there = { ...syn, to: '10.0.2.20', dport: 8080, ttl: 63 }
  const reply = { from: '10.0.2.20', to: '192.168.5.100', sport: 8080, dport: 55000, flags: 18, ttl: 64 }
  const packets = [
    packet('f1.syn', at(bytes, { after: snapshot(tcpBytes({ ...there, options: [dsr] })) })),
    packet('f1.synack', [
      hook('web/eth0 tx', snapshot(tcpBytes(reply))),
      hook('n2/eth0 tc-out', snapshot(tcpBytes({ ...reply, ttl: 63 })), {
        after: snapshot(tcpBytes({ ...reply, from: '192.168.5.11', sport: 30080, ttl: 63 })),
        actor: 'cil_to_netdev',
        decision: { code: 'OK' },
      }),
    ]),
    packet('f1.ack', at(ackBytes, { after: snapshot(tcpBytes({ ...there, flags: tcpFlag.ack })) })),
  ]
  const bindings = [
    { name: 'client', addresses: ['192.168.5.100'], remarks: [] },
    { name: 'n1', addresses: ['192.168.5.11'], remarks: [] },
    { name: 'web', addresses: ['10.0.2.20'], remarks: ['identity 7781'] },
  ]
  const delivered = (node: string) => [{ kind: 'delivered', node, device: 'eth0', stage: 'rx' } as const]
  const outcomes = ['web', 'client', 'web'].map(delivered)
  const ended = packets.map((each, index) => ({ ...each, outcomes: outcomes[index] ?? [] }))
  const value: Trace = { scenario: 'nodeport', case: 'dsr', bindings, packets: ended, state: [] }
  expect(formatTrace(value, { level: 'minimal' })).toBe(`scn-trace 1 minimal

scenario nodeport case dsr
outcome f1.syn delivered web
outcome f1.synack delivered client
outcome f1.ack delivered web

packet f1.syn tcp client:55000 > n1:30080 S ttl 64
@ n1
  eth0 tc-in            cil_from_netdev     REDIRECT eth0
    dnat n1:30080 -> web:8080
    ip-opt add dsr n1:30080

packet f1.synack tcp web:8080 > client:55000 SA ttl 64
@ n2
  eth0 tc-out           cil_to_netdev       OK
    dnat reply web:8080 -> n1:30080

packet f1.ack tcp client:55000 > n1:30080 A ttl 64
like f1.syn except
@ n1 eth0 tc-in: no ip-opt
`)
})

test('unstable ports become variables, equal ever after', () => {
  const born = snapshot(tcpBytes({ sport: 41234 }))
  const events = [
    hook('app/eth0 rx', born, { actor: 'socket', decision: { code: 'DELIVER', target: 'tcp/41234' } }),
  ]
  const state = [{ node: 'host', lines: [{ word: 'conntrack', text: 'tcp 10.1.0.50:41234 > 10.2.0.2:80' }] }]
  const text = formatTrace(
    trace([packet('f1.syn', events)], { unstable: [{ kind: 'port', value: 41234 }], state }),
    { level: 'hops' },
  )
  expect(text).toContain(
    'packet f1.syn tcp friend:$p1 > app:80 S ttl 64\n@ app\n  eth0 rx               socket              DELIVER tcp/$p1\n',
  )
  expect(text).toContain('\nstate host\n  conntrack tcp friend:$p1 > app:80\n')
})

test('map changes and records of unknown maps print by layout or as hex, known ones by their decoder', () => {
  const born = snapshot(tcpBytes())
  const event = hook('host/eth0 tc-in', born, {
    actor: 'classify',
    decision: { code: 'OK' },
    facts: [
      { kind: 'record', map: 'events', bytes: Uint8Array.of(1) },
      { kind: 'record', map: 'events', bytes: Uint8Array.of(2) },
      { kind: 'record', map: 'other', bytes: Uint8Array.of(0xab) },
      {
        kind: 'map',
        map: 'seen',
        key: Uint8Array.of(1),
        keyText: '10.1.0.50',
        after: Uint8Array.of(1),
        afterText: '1',
      },
      {
        kind: 'map',
        map: 'raw',
        key: Uint8Array.of(1),
        keyText: '',
        before: Uint8Array.of(2),
        after: Uint8Array.of(3),
      },
    ],
  })
  const records = new Map([
    [
      'events',
      (fact: { bytes: Uint8Array }) => [
        { order: 'monitor' as const, text: `monitor m${fact.bytes[0]}`, joins: true as const },
      ],
    ],
  ])
  const text = formatTrace(trace([packet('p1', [event])]), {
    level: 'hops',
    decoders: { maps: new Map(), records },
  })
  expect(text).toContain(`
    map seen[friend] add 1
    map raw[0x01] 0x02 -> 0x03
    monitor m1 m2
    record other 0xab
`)
})

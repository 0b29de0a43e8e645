import { expect, test } from 'vitest'
import { concatBytes } from '../net/bytes.ts'
import { etherType } from '../net/protocol.ts'
import { noDecoders } from './effects/decoders.ts'
import { newNatMemory } from './effects/describe.ts'
import { effectsOf } from './effects.ts'
import type { Level, Snapshot } from './event.ts'
import { namesOf } from './names.ts'
import { summaryOf } from './summary.ts'
import { hook, snapshot, tcpBytes, trace, udpBytes } from './testing/hand-made.ts'

function effectsBetween(before: Snapshot, after: Snapshot, level: Level = 'hops'): readonly string[] {
  const names = namesOf(
    trace([], {
      bindings: [
        { name: 'client', addresses: ['10.0.1.10'], remarks: ['identity 4521'] },
        { name: 'n1', addresses: ['192.168.5.11'], remarks: [] },
        { name: 'n2', addresses: ['192.168.5.12'], remarks: [] },
      ],
    }),
  )
  const context = { level, names, memory: newNatMemory(), decoders: noDecoders }
  return effectsOf(hook('n1/eth0 tc-in', before, { after }), context)
}

function withoutChecksumRepair(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = value
  return copy
}

const client = { from: '10.0.1.10', to: '192.168.5.12' }
const plain = tcpBytes(client)
const dsr = { kind: 'dsr', address: 0xc0a8050b as never, port: 30080 } as const

/** The inner frame behind VXLAN to 8472 with this VNI. */
function vxlan(inner: Uint8Array, vni: number): Uint8Array {
  const header = Uint8Array.of(8, 0, 0, 0, vni >>> 16, (vni >>> 8) & 255, vni & 255, 0)
  return udpBytes({
    from: '192.168.5.11',
    to: '192.168.5.12',
    sport: 50000,
    dport: 8472,
    payload: concatBytes([header, inner]),
  })
}

function tagged(bytes: Uint8Array, tci: number): Uint8Array {
  const tag = Uint8Array.of(etherType.vlan >>> 8, etherType.vlan & 255, tci >>> 8, tci & 255)
  return concatBytes([bytes.subarray(0, 12), tag, bytes.subarray(12)])
}

test.each<[string, Uint8Array, Uint8Array, readonly string[]]>([
  ['ttl', plain, tcpBytes({ ...client, ttl: 63 }), ['ttl 64 -> 63']],
  [
    'address and port',
    plain,
    tcpBytes({ ...client, to: '10.9.9.9', dport: 8080 }),
    ['dnat n2:80 -> 10.9.9.9:8080'],
  ],
  ['port only', plain, tcpBytes({ ...client, dport: 8080 }), ['dnat n2:80 -> n2:8080']],
  [
    'both ends',
    plain,
    tcpBytes({ from: '192.168.5.11', to: '10.9.9.9', sport: 5, dport: 6 }),
    ['dnat n2:80 -> 10.9.9.9:6', 'snat client:4000 -> n1:5'],
  ],
  [
    'swap',
    plain,
    tcpBytes({ from: client.to, to: client.from, sport: 80, dport: 4000 }),
    ['swap ip tcp client:4000 <> n2:80'],
  ],
  [
    'tos and flags',
    plain,
    tcpBytes({ ...client, tos: 4, flags: 18 }),
    ['ip.tos 0 -> 4', 'tcp.flags syn -> syn+ack'],
  ],
  [
    'option added',
    plain,
    tcpBytes({ ...client, options: [dsr], ttl: 63 }),
    ['ip-opt add dsr n1:30080', 'ttl 64 -> 63'],
  ],
  ['option removed', tcpBytes({ ...client, options: [dsr] }), plain, ['ip-opt remove dsr n1:30080']],
  ['payload', plain, tcpBytes({ ...client, payload: Uint8Array.of(1, 2) }), ['payload 0B -> 2B']],
  [
    'payload content',
    tcpBytes({ ...client, payload: Uint8Array.of(1) }),
    tcpBytes({ ...client, payload: Uint8Array.of(2) }),
    ['payload changed 1B'],
  ],
  ['MAC addresses are for full', plain, tcpBytes({ ...client, macs: [7, 8] }), []],
  [
    'a forgotten checksum',
    plain,
    withoutChecksumRepair(plain, 22, 63),
    ['ttl 64 -> 63', 'ip.checksum right -> wrong'],
  ],
  ['vlan push', plain, tagged(plain, 5), ['vlan push 5']],
  ['vlan pop', tagged(plain, 0x2005), plain, ['vlan pop 5 prio 1']],
  ['vlan changed', tagged(plain, 5), tagged(plain, 6), ['vlan 5 -> 6']],
  ['encapsulation', plain, vxlan(plain, 4521), ['vxlan vni client n1 > n2']],
  ['decapsulation', vxlan(plain, 99), plain, ['vxlan vni 99']],
  [
    'a change inside while encapsulating',
    plain,
    vxlan(tcpBytes({ ...client, ttl: 63 }), 1),
    ['ttl 64 -> 63', 'vxlan vni 1 n1 > n2'],
  ],
  ['inner change', vxlan(plain, 1), vxlan(tcpBytes({ ...client, ttl: 63 }), 1), ['ttl 64 -> 63']],
  ['another protocol', plain, udpBytes(client).with(12, 8).with(13, 6), ['packet ipv4 -> arp']],
])('%s', (_title, before, after, expected) => {
  expect(effectsBetween(snapshot(before), snapshot(after))).toEqual(expected)
})

test('metadata beside the packet', () => {
  const before = snapshot(plain)
  const after = snapshot(plain, { mark: 0x200, metaBytes: 4, vlanTci: 7 })
  expect(effectsBetween(before, after)).toEqual(['vlan push 7', 'meta 0B -> 4B'])
  expect(effectsBetween(before, after, 'full')).toEqual(['vlan push 7', 'meta 0B -> 4B', 'mark 0x0 -> 0x200'])
  expect(effectsBetween(snapshot(tagged(plain, 7)), after, 'minimal')).toEqual([])
})

test('a packet that loses its Ethernet header keeps its identity', () => {
  expect(effectsBetween(snapshot(plain), snapshot(plain.subarray(14), { start: 'ip' }), 'full')).toEqual([])
})

test('an ARP message gets its Ethernet header: the same message', () => {
  const message = Uint8Array.from([
    0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 1, 10, 0, 0, 0, 0, 0, 0, 10, 0, 1, 1,
  ])
  const frame = concatBytes([
    Uint8Array.from([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6]),
    message,
  ])
  const bare = snapshot(message, { start: 'ip' })
  expect(effectsBetween(bare, snapshot(frame), 'full')).toEqual([])
  const names = namesOf({ bindings: [{ name: 'client', addresses: ['10.0.1.10'], remarks: [] }] })
  expect(summaryOf(bare, names)).toBe('arp who-has 10.0.1.1 tell client')
  expect(summaryOf(snapshot(frame), names)).toBe('arp who-has 10.0.1.1 tell client')
})

test('any bytes can be compared', () => {
  for (const length of [0, 1, 13, 14, 20, 34, 40]) {
    const cut = snapshot(plain.subarray(0, length))
    expect(Array.isArray(effectsBetween(snapshot(plain), cut))).toBe(true)
    expect(Array.isArray(effectsBetween(cut, snapshot(plain)))).toBe(true)
  }
})

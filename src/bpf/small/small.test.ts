import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseIpv4, parseIpv6 } from '../../net/address.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import { checksumOf, segmentChecksumIsRight } from '../../net/checksum.ts'
import { dissect } from '../../net/dissect.ts'
import { fields } from '../../net/fields.ts'
import { hexToBytes } from '../../net/hex.ts'
import { writeTunnelKey } from '../context/structs.ts'
import type { RunContext } from '../contract.ts'
import { indexKey } from '../maps/array-map.ts'
import { createMap, type MapOf } from '../maps/create.ts'
import { layoutOf } from '../maps/layout.ts'
import type { MapSpec, MapType } from '../maps/map.ts'
import { runProgram } from '../run.ts'
import { frameOf, recording, tcContext, xdpContext } from '../test-support/contexts.ts'
import { compileSmall } from './compile.ts'
import { type FieldName, fieldBytes, type HeaderFieldName, headerFields } from './fields.ts'
import { SmallRun } from './headers.ts'
import type { IrAction, IrExpr, IrMap, IrTest, SmallIr } from './ir.ts'
import { readField } from './read.ts'

interface ScapyCase {
  readonly name: string
  readonly hex: string
}

const fixture = JSON.parse(
  readFileSync(new URL('../../net/fixtures/scapy.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly ScapyCase[] }
const captured = fixture.cases.map(({ hex }) => bytesOf(hex)).filter((bytes) => bytes.length >= 14)

function bytesOf(text: string): Uint8Array {
  const bytes = hexToBytes(text)
  if (!(bytes instanceof Uint8Array)) throw new Error(text)
  return bytes
}

function ip(text: string): number {
  return parseIpv4(text) ?? Number.NaN
}

const number = (value: number): IrExpr => ({ kind: 'number', value })
const field = (name: FieldName): IrExpr => ({ kind: 'field', field: name })
const equal = (name: FieldName, value: number): IrTest => ({
  kind: 'compare',
  operator: '==',
  left: field(name),
  right: number(value),
})

function map<Type extends MapType>(type: Type, more: Partial<MapSpec> = {}): MapOf<Type> {
  const spec = { name: 'm', keySize: 4, valueSize: 4, maxEntries: 8, ...more, type }
  const made = createMap(spec, { cpus: 1 })
  if (made.kind === 'refused') throw new Error(made.errno)
  return made.map as MapOf<Type>
}

function program(
  type: 'xdp' | 'sched_cls',
  rules: SmallIr['rules'],
  maps: readonly IrMap[] = [],
): ReturnType<typeof compileSmall> {
  return compileSmall({ name: 'small', type, maps, rules, otherwise: type === 'xdp' ? 2 : -1 })
}

/** Ethernet, IPv4 friend > app, and a TCP SYN or a UDP datagram of 8 bytes, checksums right. */
function frame(
  l4: 'tcp' | 'udp',
  dport: number,
  more: { readonly src?: string; readonly ttl?: number } = {},
): Uint8Array {
  const tcp = '0fa0 0000 00000000 00000000 5002 ffff 0000 0000'
  const udp = '0fa0 0000 0010 0000 0102030405060708'
  const bytes = bytesOf(
    `02000000000b 02000000000a 0800 4500 00${l4 === 'tcp' ? '28' : '24'} 0001 0000 4006 0000 00000000 0a020002 ${l4 === 'tcp' ? tcp : udp}`,
  )
  const from = ip(more.src ?? '10.1.0.50')
  bytes.set([from >>> 24, from >>> 16, from >>> 8, from], 26)
  bytes[22] = more.ttl ?? 64
  bytes[23] = l4 === 'tcp' ? 6 : 17
  writeU16(bytes, 36, dport)
  writeU16(bytes, 24, checksumOf(bytes, 14, 34))
  const at = l4 === 'tcp' ? 50 : 40
  const pseudo = Uint8Array.of(
    ...bytes.subarray(26, 34),
    0,
    bytes[23],
    0,
    bytes.length - 34,
    ...bytes.subarray(34),
  )
  writeU16(bytes, at, checksumOf(pseudo, 0, pseudo.length))
  return bytes
}

function sumsAreRight(bytes: Uint8Array): boolean {
  const protocol = bytes[23] as number
  return (
    checksumOf(bytes, 14, 34) === 0 &&
    segmentChecksumIsRight(bytes, { l3: 14, l4: 34, end: bytes.length, protocol })
  )
}

describe('example 3', () => {
  const deny = map('lpm_trie', { name: 'deny', keySize: 8, valueSize: 4, flags: 1 })
  deny.update(Uint8Array.of(32, 0, 0, 0, 10, 1, 0, 66), indexKey(1), 0, 0)
  deny.update(Uint8Array.of(24, 0, 0, 0, 192, 0, 2, 0), indexKey(1), 0, 0)
  const swaps = (['eth', 'ip', 'udp'] as const).map((layer): IrAction => ({ kind: 'swap', layer }))
  const blocklist = program(
    'xdp',
    [
      { test: { kind: 'in-map', value: field('ip.src'), map: 0 }, code: 1, actions: [] },
      { test: equal('udp.dport', 7), code: 3, actions: swaps },
      { test: equal('ip.ttl', 0), code: 0, actions: [] },
      { code: 2, actions: [] },
    ],
    [{ map: deny, keyOrder: 'be', valueOrder: 'le' }],
  )
  const classify = program('sched_cls', [
    { test: equal('tcp.dport', 22), code: 2, actions: [] },
    { test: equal('udp.dport', 53), code: 4, actions: [] },
    {
      test: equal('tcp.dport', 8080),
      code: 0,
      actions: [{ kind: 'set', field: 'tcp.dport', value: number(80) }],
    },
    { test: equal('tcp.dport', 80), code: 7, actions: [{ kind: 'redirect-neigh', ifindex: 3 }] },
    { test: equal('tcp.dport', 81), code: 7, actions: [{ kind: 'redirect', ifindex: 3, ingress: false }] },
    { code: -1, actions: [] },
  ])

  test.each([
    ['friend', frame('tcp', 80), 2],
    ['attacker', frame('tcp', 80, { src: '10.1.0.66' }), 1],
    ['a blocked network', frame('udp', 7, { src: '192.0.2.9' }), 1],
    ['echo', frame('udp', 7), 3],
    ['ttl 0', frame('tcp', 80, { ttl: 0 }), 0],
  ])('blocklist, %s: %3$i', (_who, bytes, code) => {
    expect(runProgram(blocklist, xdpContext(bytes))).toBe(code)
  })

  test('an echo goes back with everything swapped and its sums right', () => {
    const context = xdpContext(frame('udp', 7))
    runProgram(blocklist, context)
    const out = frameOf(context)
    expect(Buffer.from(out.subarray(0, 12)).toString('hex')).toBe('02000000000a02000000000b')
    expect([...out.subarray(26, 34)]).toEqual([10, 2, 0, 2, 10, 1, 0, 50])
    expect([readU16(out, 34), readU16(out, 36), sumsAreRight(out)]).toEqual([7, 4000, true])
  })

  test.each<[string, Uint8Array, number, RunContext['redirect']]>([
    ['shot', frame('tcp', 22), 2, { kind: 'none' }],
    ['stolen', frame('udp', 53), 4, { kind: 'none' }],
    ['rewrite', frame('tcp', 8080), 0, { kind: 'none' }],
    ['redirect', frame('tcp', 80), 7, { kind: 'neigh', ifindex: 3 }],
    ['wrongmac', frame('tcp', 81), 7, { kind: 'device', ifindex: 3, ingress: false }],
    ['other', frame('udp', 80), -1, { kind: 'none' }],
  ])('classify, %s', (_id, bytes, code, redirect) => {
    const context = tcContext(bytes)
    expect(runProgram(classify, context)).toBe(code)
    expect(context.redirect).toEqual(redirect)
  })

  test('the rewrite calls the helpers that a C program calls', () => {
    const { trace, facts } = recording({ full: true })
    const context = tcContext(frame('tcp', 8080), { trace })
    runProgram(classify, context)
    expect([readU16(frameOf(context), 36), sumsAreRight(frameOf(context))]).toEqual([80, true])
    expect(facts()).toEqual([
      'bpf_l4_csum_replace(50, 36895, 20480, 2) = 0',
      'bpf_skb_store_bytes(36, 0x0050, 0) = 0',
    ])
  })
})

test('every field reads what the dissection of src/net reads', () => {
  let compared = 0
  const names = Object.keys(headerFields) as HeaderFieldName[]
  const readers = names
    .filter((name) => fieldBytes(name) <= 6)
    .map((name) => ({ name, read: readField(name) }))
  for (const bytes of captured) {
    const run = new SmallRun(xdpContext(bytes), [])
    for (const { name, read } of readers) {
      const [layer = '', member = ''] = name.split('.')
      const found = dissect(bytes).layers.find((known) => known.kind === layer && known.depth === 0)
      const specs = fields[layer as keyof typeof fields] as unknown as Record<
        string,
        (typeof fields.tcp)['dport']
      >
      const spec = specs[member]
      if (found === undefined || spec === undefined || run.layer(0) < 0) continue
      const value = spec.read(bytes, found)
      if (value === undefined || Number.isNaN(read(run))) continue
      compared += 1
      expect([name, read(run)]).toEqual([name, Number(value.value)])
    }
  }
  expect(compared).toBeGreaterThan(300)
})

const settable = [
  'ip.src',
  'ip.dst',
  'ip.ttl',
  'ip.tos',
  'ip.dscp',
  'ip.id',
  'ip.df',
  'tcp.sport',
  'tcp.dport',
  'tcp.seq',
  'tcp.flags',
  'tcp.window',
  'udp.sport',
  'udp.dport',
] as const satisfies readonly HeaderFieldName[]

describe.each(['xdp', 'sched_cls'] as const)('setting a field in %s', (type) => {
  test('writes it, repairs every sum, and touches nothing else', () => {
    fc.assert(
      fc.property(fc.constantFrom(...settable), fc.nat(0xffff_ffff), fc.boolean(), (name, raw, tcp) => {
        const { mask } = headerFields[name]
        const wanted = (raw & mask) >>> 0
        const before = frame(tcp ? 'tcp' : 'udp', 80)
        const context = type === 'xdp' ? xdpContext(before) : tcContext(before)
        runProgram(
          program(type, [{ code: 0, actions: [{ kind: 'set', field: name, value: number(wanted) }] }]),
          context,
        )
        const after = frameOf(context)
        const there = name.startsWith('ip.') || name.startsWith(tcp ? 'tcp.' : 'udp.')
        expect(readField(name)(new SmallRun(context, []))).toEqual(there ? wanted : Number.NaN)
        expect(sumsAreRight(after)).toBe(true)
        const { at, bytes } = headerFields[name]
        const start = (name.startsWith('ip.') ? 14 : 34) + at
        const differing = [...after.keys()].filter((index) => after[index] !== before[index])
        const sums = tcp ? [24, 25, 50, 51] : [24, 25, 40, 41]
        expect(
          differing.filter(
            (index) => !(there && index >= start && index < start + bytes) && !sums.includes(index),
          ),
        ).toEqual([])
      }),
    )
  })

  test('a UDP checksum of zero stays', () => {
    const bytes = frame('udp', 80)
    writeU16(bytes, 40, 0)
    const context = type === 'xdp' ? xdpContext(bytes) : tcContext(bytes)
    runProgram(
      program(type, [{ code: 0, actions: [{ kind: 'set', field: 'ip.src', value: number(7) }] }]),
      context,
    )
    expect(readU16(frameOf(context), 40)).toBe(0)
  })
})

test.each<[string, IrTest, boolean]>([
  ['a field of an absent layer', equal('udp.dport', 80), false],
  [
    '!= on an absent layer',
    { kind: 'compare', operator: '!=', left: field('udp.dport'), right: number(1) },
    false,
  ],
  ['not of a test on an absent layer', { kind: 'not', test: equal('udp.dport', 80) }, true],
  [
    'an IPv6 address in an IPv4 packet',
    {
      kind: 'compare',
      operator: '!=',
      left: field('ip6.src'),
      right: { kind: 'ip6', value: parseIpv6('::1')! },
    },
    false,
  ],
  ['a layer', { kind: 'layer', layer: 'tcp' }, true],
  ['a layer that is not there', { kind: 'layer', layer: 'vlan' }, false],
  ['a field that is 0', { kind: 'present', field: 'ip.frag' }, false],
  [
    'a list',
    {
      kind: 'one-of',
      value: field('tcp.dport'),
      items: [
        { kind: 'number', value: 443 },
        { kind: 'number', value: 80 },
      ],
    },
    true,
  ],
  [
    'a prefix',
    {
      kind: 'one-of',
      value: field('ip.src'),
      items: [{ kind: 'prefix4', address: ip('10.1.0.0'), length: 16 }],
    },
    true,
  ],
  [
    'another prefix',
    {
      kind: 'one-of',
      value: field('ip.src'),
      items: [{ kind: 'prefix4', address: ip('10.2.0.0'), length: 16 }],
    },
    false,
  ],
  [
    'the prefix of everything',
    { kind: 'one-of', value: field('ip.src'), items: [{ kind: 'prefix4', address: 0, length: 0 }] },
    true,
  ],
  ['and', { kind: 'and', tests: [equal('ip.ttl', 64), equal('tcp.dport', 81)] }, false],
  ['or', { kind: 'or', tests: [equal('ip.ttl', 64), equal('tcp.dport', 81)] }, true],
  [
    'arithmetic',
    {
      kind: 'compare',
      operator: '>=',
      left: { kind: 'arithmetic', operator: '&', left: field('tcp.flags'), right: number(2) },
      right: number(1),
    },
    true,
  ],
])('%s', (_what, tested, expected) => {
  const small = program('sched_cls', [{ test: tested, code: 1, actions: [] }])
  expect(runProgram(small, tcContext(frame('tcp', 80)))).toBe(expected ? 1 : -1)
})

test('IPv6: a prefix, a map, and a new destination with its checksum', () => {
  const packet = captured.find(
    (bytes) => readU16(bytes, 12) === 0x86dd && bytes[20] === 17 && bytes.length > 62,
  )!
  const source = dissect(packet).layers.find((layer) => layer.kind === 'ip6')!
  expect(source).toBeDefined()
  const prefix = [0, 4, 8, 12]
    .map((at) => (readU16(packet, 22 + at) << 16) | readU16(packet, 24 + at))
    .map((word) => word >>> 0)
  const address = [prefix[0]!, prefix[1]!, prefix[2]!, prefix[3]!] as const
  const context = tcContext(packet)
  const small = program('sched_cls', [
    {
      test: { kind: 'one-of', value: field('ip6.src'), items: [{ kind: 'prefix6', address, length: 65 }] },
      code: 0,
      actions: [{ kind: 'set', field: 'ip6.dst', value: { kind: 'ip6', value: parseIpv6('fd00::99')! } }],
    },
  ])
  expect(runProgram(small, context)).toBe(0)
  const after = frameOf(context)
  expect(after[53]).toBe(0x99)
  expect(segmentChecksumIsRight(after, { l3: 14, l4: 54, end: after.length, protocol: 17 })).toBe(true)
})

describe('actions', () => {
  test('count makes an entry, adds to it, and both show', () => {
    const hits = map('hash', {
      name: 'hits',
      keySize: 1,
      valueSize: 8,
      keyLayout: layoutOf('u8'),
      valueLayout: layoutOf('u64'),
    })
    const small = program(
      'xdp',
      [{ code: 'continue', actions: [{ kind: 'count', map: 0, key: field('ip.proto'), by: number(3) }] }],
      [{ map: hits, keyOrder: 'le', valueOrder: 'le' }],
    )
    for (const expected of ['map hits 6: - -> 3', 'map hits 6: 3 -> 6']) {
      const { trace, facts } = recording({ full: false })
      expect(runProgram(small, xdpContext(frame('tcp', 80), { trace }))).toBe(2)
      expect(facts()).toEqual([expected])
    }
  })

  test('update and delete', () => {
    const seen = map('hash', { keyLayout: layoutOf('ip4'), valueLayout: layoutOf('u32') })
    const maps = [{ map: seen, keyOrder: 'be', valueOrder: 'le' }] as const
    const put = program(
      'xdp',
      [{ code: 2, actions: [{ kind: 'update', map: 0, key: field('ip.src'), value: number(5) }] }],
      maps,
    )
    const { trace, facts } = recording({ full: false })
    runProgram(put, xdpContext(frame('tcp', 80), { trace }))
    expect(facts()).toEqual(['map m 10.1.0.50: - -> 5'])
    const entry: IrExpr = { kind: 'entry', map: 0, key: field('ip.src') }
    const read = program(
      'xdp',
      [
        {
          test: { kind: 'compare', operator: '>', left: entry, right: number(4) },
          code: 1,
          actions: [{ kind: 'delete', map: 0, key: field('ip.src') }],
        },
      ],
      maps,
    )
    expect([1, 2].map(() => runProgram(read, xdpContext(frame('tcp', 80))))).toEqual([1, 2])
  })

  test.each([
    [0, 4, { kind: 'map', ifindex: 7 }],
    [1, 2, { kind: 'none' }],
  ])('redirect-map to slot %i answers %i', (slot, code, redirect) => {
    const ports = map('devmap')
    ports.update(indexKey(0), indexKey(7), 0, 0)
    const small = program(
      'xdp',
      [{ code: 4, actions: [{ kind: 'redirect-map', map: 0, key: number(slot), flags: 2 }] }],
      [{ map: ports, keyOrder: 'le', valueOrder: 'le' }],
    )
    const context = xdpContext(frame('tcp', 80))
    expect(runProgram(small, context)).toBe(code)
    expect(context.redirect).toEqual(redirect)
  })

  test('a tail call runs the other program, or goes on', () => {
    const jumps = map('prog_array', { name: 'jumps' })
    const maps = [{ map: jumps, keyOrder: 'le', valueOrder: 'le' }] as const
    const small = program(
      'sched_cls',
      [{ code: 5, actions: [{ kind: 'tail-call', map: 0, index: number(2) }] }],
      maps,
    )
    expect(runProgram(small, tcContext(frame('tcp', 80)))).toBe(5)
    jumps.set(2, { name: 'other', type: 'sched_cls', run: () => 2 }, 0)
    expect(runProgram(small, tcContext(frame('tcp', 80)))).toBe(2)
    expect(() => program('xdp', [], maps)).toThrow(/program array jumps holds programs of type sched_cls/)
  })

  test('set meta grows data_meta in XDP; tc reads it', () => {
    const context = xdpContext(frame('tcp', 80))
    runProgram(
      program('xdp', [{ code: 2, actions: [{ kind: 'set', field: 'meta', value: number(7) }] }]),
      context,
    )
    expect(context.xdp.data - context.xdp.meta).toBe(4)
    const tc = tcContext(frame('tcp', 80))
    tc.skb.bytes.set(context.xdp.bytes.subarray(context.xdp.meta, context.xdp.data), tc.skb.start - 4)
    tc.skb.metaBytes = 4
    const reading = program('sched_cls', [
      { test: equal('meta', 7), code: 2, actions: [{ kind: 'set', field: 'mark', value: field('meta') }] },
    ])
    expect([runProgram(reading, tc), tc.skb.mark]).toEqual([2, 7])
  })

  test.each([
    [-216, 2, 270],
    [-220, 0, 54],
  ])('adjust-head %i: code %i, %i bytes', (bytes, code, length) => {
    const context = xdpContext(frame('tcp', 80))
    expect(
      runProgram(program('xdp', [{ code: 2, actions: [{ kind: 'adjust', part: 'head', bytes }] }]), context),
    ).toBe(code)
    expect(frameOf(context).length).toBe(length)
  })

  test('a VLAN tag goes into an XDP frame and out again', () => {
    const context = xdpContext(frame('tcp', 80))
    runProgram(program('xdp', [{ code: 2, actions: [{ kind: 'push-vlan', id: number(100) }] }]), context)
    expect(Buffer.from(frameOf(context).subarray(0, 18)).toString('hex')).toBe(
      '02000000000b02000000000a810000640800',
    )
    runProgram(
      program('xdp', [{ test: equal('vlan.id', 100), code: 2, actions: [{ kind: 'pop-vlan' }] }]),
      context,
    )
    expect(frameOf(context)).toEqual(frame('tcp', 80))
  })

  test('in tc it lies beside the packet', () => {
    const context = tcContext(frame('tcp', 80))
    const small = program('sched_cls', [
      { code: 'continue', actions: [{ kind: 'push-vlan', id: number(100) }] },
      { test: equal('vlan.id', 100), code: 0, actions: [] },
    ])
    expect([runProgram(small, context), context.skb.vlanTci, frameOf(context).length]).toEqual([0, 100, 54])
  })

  test('tunnel keys, records, clones', () => {
    const ring = map('ringbuf', { name: 'events', keySize: 0, valueSize: 0, maxEntries: 4096 })
    const key = writeTunnelKey({ id: 7, remote: ip('10.0.0.2'), tos: 0, ttl: 64, flags: 0 })
    const small = program(
      'sched_cls',
      [
        {
          code: 0,
          actions: [
            { kind: 'tunnel', key, flags: 0 },
            { kind: 'emit', map: 0, value: Uint8Array.of(1, 2) },
            { kind: 'emit', map: 0, value: field('tunnel.vni') },
            { kind: 'clone-redirect', ifindex: 4, ingress: false },
          ],
        },
      ],
      [{ map: ring, keyOrder: 'le', valueOrder: 'le' }],
    )
    const clones: number[] = []
    const { trace, facts } = recording({ full: false })
    const cloneRedirect = (ifindex: number): number => clones.push(ifindex) - 1
    expect(runProgram(small, tcContext(frame('tcp', 80), { trace, cloneRedirect }))).toBe(0)
    expect([facts(), clones]).toEqual([['record events 0102', 'record events 0700000000000000'], [4]])
  })
})

test('no packet, however broken, makes a program throw', () => {
  const small = program('xdp', [
    {
      test: {
        kind: 'or',
        tests: [equal('tcp.dport', 1), equal('icmp6.type', 1), equal('vxlan.vni', 1), equal('arp.op', 9)],
      },
      code: 1,
      actions: [],
    },
    {
      code: 2,
      actions: [
        { kind: 'set', field: 'tcp.dport', value: number(1) },
        { kind: 'swap', layer: 'ip6' },
      ],
    },
  ])
  const start = fc.constantFrom('0800', '86dd', '0806', '8100', '88a8', '1234')
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 80 }), (type, rest) => {
      const context = xdpContext(Uint8Array.of(...new Uint8Array(12), ...bytesOf(type), ...rest))
      runProgram(small, context)
      expect(context.fault).toBeUndefined()
    }),
  )
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOfHex } from '../../../test/bytes-of-hex.ts'
import { captures } from '../../../test/captured-packets.ts'
import { equal, field, frame, ip, map, number, program, sumsAreRight } from '../../../test/small-lab.ts'
import { parseIpv6 } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { dissect } from '../../net/dissect.ts'
import type { RunContext } from '../contract.ts'
import { indexKey } from '../maps/array-map.ts'
import { runProgram } from '../run.ts'
import { frameOf, recording, tcContext, xdpContext } from '../test-support/contexts.ts'
import type { IrAction, IrTest } from './ir.ts'

const framed = captures.map(({ bytes }) => bytes).filter((bytes) => bytes.length >= 14)

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
  const packet = framed.find(
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
      const context = xdpContext(Uint8Array.of(...new Uint8Array(12), ...bytesOfHex(type), ...rest))
      runProgram(small, context)
      expect(context.fault).toBeUndefined()
    }),
  )
})

// Small programs as bytecode on the real kernel. Needs Linux, root and koffi; without them everything here is skipped and says why.
import { describe, expect, test } from 'vitest'
import { createMap } from '../src/bpf/maps/create.ts'
import type { MapSpec } from '../src/bpf/maps/map.ts'
import { ProgArray } from '../src/bpf/maps/prog-array.ts'
import { compileSmall } from '../src/bpf/small/compile.ts'
import { type FieldName, headerFields } from '../src/bpf/small/fields.ts'
import type { IrAction, IrExpr, IrMap, IrTest, SmallIr } from '../src/bpf/small/ir.ts'
import { tcContext, xdpContext } from '../src/bpf/test-support/contexts.ts'
import { mapGet, mapKeys } from '../src/bpf/user.ts'
import { parseIpv4, parseIpv6 } from '../src/net/address.ts'
import { bytesToHex } from '../src/net/hex.ts'
import { type Bpf, loadSmall } from '../src/oracle/bpf.ts'
import { captures } from './captured-packets.ts'
import { realKernel } from './support/real-kernel.ts'

const kernel = realKernel()
const bpf = typeof kernel === 'string' ? kernel : kernel.reach.bpf

test.runIf(typeof bpf === 'string')(`the real kernel cannot be asked: ${String(bpf)}`, () => {})

/** Numbers that look random and are always the same: Mulberry32. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Packets of another implementation, and the same with a few bytes changed or the end cut off. */
function packets(count: number): Uint8Array[] {
  const captured = captures.map(({ bytes }) => bytes).filter(({ length }) => length >= 18 && length < 1500)
  const next = chance(count)
  const made = [...captured]
  while (made.length < count) {
    const copy = (captured[Math.floor(next() * captured.length)] ?? new Uint8Array(64)).slice()
    const changes = Math.floor(next() * 4)
    for (let change = 0; change < changes; change += 1)
      copy[Math.floor(next() * Math.min(copy.length, 64))] = Math.floor(next() * 256)
    made.push(next() < 0.2 ? copy.slice(0, Math.max(18, Math.floor(next() * copy.length))) : copy)
  }
  return made
}

const tried = packets(160)
const number = (value: number): IrExpr => ({ kind: 'number', value })
const field = (name: FieldName): IrExpr => ({ kind: 'field', field: name })
const types = ['xdp', 'sched_cls'] as const

function mapOf(spec: Partial<MapSpec> & Pick<MapSpec, 'type'>, order: IrMap['keyOrder'] = 'le'): IrMap {
  const made = createMap({ name: 'm', keySize: 4, valueSize: 8, maxEntries: 16, ...spec }, { cpus: 1 })
  if (made.kind === 'refused') throw new Error(made.errno)
  return { map: made.map, keyOrder: order, valueOrder: 'le' }
}

/** Puts a program on both sides and answers a function that runs both on a packet and compares everything. */
function bothSides(ir: SmallIr, kernel: Bpf): (packet: Uint8Array) => void {
  const descriptors = ir.maps.map(({ map }) => {
    const { type, keySize, valueSize, maxEntries, flags } = map.spec
    const descriptor = kernel.createMap({
      type,
      keySize,
      valueSize,
      maxEntries,
      ...(flags === undefined ? {} : { flags }),
    })
    if ('peek' in map) {
      for (const key of mapKeys(map)) {
        const got = mapGet(map, key, { cpus: 1 })
        if (got.kind === 'value') kernel.update(descriptor, map.spec, key, got.value)
      }
    }
    return descriptor
  })
  const { program } = loadSmall(kernel, ir, descriptors)
  const small = compileSmall(ir)
  return (packet) => {
    const context = ir.type === 'xdp' ? xdpContext(packet) : tcContext(packet)
    const code = small.run(context)
    const left =
      'xdp' in context && context.xdp !== undefined
        ? context.xdp.bytes.slice(context.xdp.meta, context.xdp.dataEnd)
        : 'skb' in context && context.skb !== undefined
          ? context.skb.bytes.slice(context.skb.start, context.skb.end)
          : new Uint8Array()
    const real = kernel.testRun(program, packet)
    const where = bytesToHex(packet)
    expect(`${real.code} ${bytesToHex(real.packet)}`, where).toBe(`${code} ${bytesToHex(left)}`)
    for (const [index, { map }] of ir.maps.entries()) {
      if (!('peek' in map)) continue
      for (const key of mapKeys(map)) {
        const [value] = kernel.lookup(descriptors[index] ?? 0, map.spec, key) ?? []
        const model = mapGet(map, key, { cpus: 1 })
        expect(value === undefined ? '' : bytesToHex(value), where).toBe(
          model.kind === 'value' ? bytesToHex(model.value.subarray(0, map.spec.valueSize)) : '',
        )
      }
    }
  }
}

function trial(type: SmallIr['type'], rules: SmallIr['rules'], maps: readonly IrMap[] = []): void {
  if (typeof bpf === 'string') return
  const run = bothSides({ name: 'trial', type, maps, rules, otherwise: type === 'xdp' ? 2 : -1 }, bpf)
  // the kernel makes no sk_buff for a test run from a packet that ends inside its IP header
  for (const packet of type === 'xdp' ? tried : tried.filter(({ length }) => length >= 54)) run(packet)
}

const readable = (Object.keys(headerFields) as FieldName[]).filter(
  (name) => headerFields[name as keyof typeof headerFields].bytes !== 16,
)

describe.skipIf(typeof bpf === 'string')('bytecode does on the kernel what the executor does', () => {
  describe.each(types)('%s', (type) => {
    test('reads every field of every header', { timeout: 60_000 }, () => {
      for (const name of [...readable, 'packet.len', 'protocol'] as FieldName[]) {
        const out = mapOf({ type: 'array', maxEntries: 1 })
        trial(
          type,
          [{ code: 1, actions: [{ kind: 'update', map: 0, key: number(0), value: field(name) }] }],
          [out],
        )
      }
    })

    test('sets every field of every header and repairs the sums', { timeout: 60_000 }, () => {
      for (const name of readable) {
        for (const value of [0x1234_5677, 3]) {
          trial(type, [{ code: 1, actions: [{ kind: 'set', field: name, value: number(value) }] }])
        }
      }
      const wide = { kind: 'ip6', value: parseIpv6('fd00::7') ?? [0, 0, 0, 0] } as const
      trial(type, [{ code: 1, actions: [{ kind: 'set', field: 'ip6.dst', value: wide }] }])
      trial(type, [{ code: 1, actions: [{ kind: 'set', field: 'ip6.src', value: field('ip6.dst') }] }])
    })

    test('swaps every layer', () => {
      for (const layer of ['eth', 'ip', 'ip6', 'tcp', 'udp', 'sctp'] as const)
        trial(type, [{ code: 1, actions: [{ kind: 'swap', layer }] }])
    })

    const compare = (
      operator: '==' | '!=' | '<' | '<=' | '>' | '>=',
      left: IrExpr,
      right: IrExpr,
    ): IrTest => ({
      kind: 'compare',
      operator,
      left,
      right,
    })
    const some = parseIpv4('10.0.0.0') ?? 0
    const six = parseIpv6('2001:db8::') ?? ([0, 0, 0, 0] as const)
    const tests: readonly (readonly [string, IrTest])[] = [
      ...(['==', '!=', '<', '<=', '>', '>='] as const).map(
        (operator) => [operator, compare(operator, field('ip.ttl'), number(64))] as const,
      ),
      ['two fields', compare('<', field('ip.src'), field('ip.dst'))],
      ['IPv6 equal', compare('==', field('ip6.src'), field('ip6.dst'))],
      ['IPv6 not equal', compare('!=', field('ip6.src'), { kind: 'ip6', value: six })],
      [
        'arithmetic',
        compare(
          '==',
          {
            kind: 'arithmetic',
            operator: '&',
            left: { kind: 'arithmetic', operator: '+', left: field('ip.len'), right: field('ip.id') },
            right: { kind: 'arithmetic', operator: '<<', left: number(1), right: number(2) },
          },
          number(4),
        ),
      ],
      [
        'layers',
        {
          kind: 'or',
          tests: [
            { kind: 'layer', layer: 'tcp' },
            { kind: 'layer', layer: 'vlan' },
          ],
        },
      ],
      [
        'not, and',
        {
          kind: 'and',
          tests: [
            { kind: 'layer', layer: 'ip' },
            { kind: 'not', test: compare('==', field('udp.dport'), number(53)) },
          ],
        },
      ],
      ['present', { kind: 'present', field: 'ip.df' }],
      [
        'prefixes',
        {
          kind: 'one-of',
          value: field('ip.src'),
          items: [
            { kind: 'prefix4', address: some, length: 8 },
            { kind: 'number', value: 0xc0a8_0001 },
          ],
        },
      ],
      [
        'IPv6 prefixes',
        { kind: 'one-of', value: field('ip6.src'), items: [{ kind: 'prefix6', address: six, length: 33 }] },
      ],
      [
        'ports',
        {
          kind: 'one-of',
          value: field('tcp.dport'),
          items: [80, 443].map((value) => ({ kind: 'number', value })),
        },
      ],
    ]
    test.each(tests)('asks: %s', (_name, asked) => trial(type, [{ test: asked, code: 1, actions: [] }]))

    test('looks into maps, counts, stores and deletes', () => {
      const trie = mapOf({ type: 'lpm_trie', keySize: 8, valueSize: 4, flags: 1 }, 'be')
      if ('peek' in trie.map) trie.map.update(Uint8Array.of(8, 0, 0, 0, 10, 0, 0, 0), new Uint8Array(4), 0, 0)
      trial(
        type,
        [{ test: { kind: 'in-map', value: field('ip.src'), map: 0 }, code: 1, actions: [] }],
        [trie],
      )
      const hits = mapOf({ type: 'hash', maxEntries: 512 })
      const key = field('ip.proto')
      const acts: IrAction[] = [{ kind: 'count', map: 0, key, by: field('ip.len') }]
      trial(type, [{ code: 1, actions: acts }], [hits])
      const last = mapOf({ type: 'lru_hash', maxEntries: 512 }, 'be')
      const store: IrAction = { kind: 'update', map: 0, key: field('ip.src'), value: field('eth.src') }
      const forget: IrAction = { kind: 'delete', map: 0, key: field('ip.dst') }
      trial(type, [{ code: 1, actions: [store, forget] }], [last])
      const entry: IrExpr = { kind: 'entry', map: 0, key }
      const known = mapOf({ type: 'array', maxEntries: 256 })
      trial(
        type,
        [
          { code: 'continue', actions: [{ kind: 'count', map: 0, key, by: number(1) }] },
          { test: compare('>', entry, number(3)), code: 0, actions: [] },
        ],
        [known],
      )
    })

    test('moves the ends of the packet', () => {
      const parts = type === 'xdp' ? (['head', 'tail', 'meta'] as const) : (['head', 'tail'] as const)
      for (const part of parts) {
        for (const bytes of part === 'meta' ? [-8] : type === 'xdp' ? [-20, 4, -4] : [-20, -4])
          trial(type, [{ code: 1, actions: [{ kind: 'adjust', part, bytes }] }])
      }
    })

    test('goes through redirects, tail calls into nothing, and records', () => {
      const actions: IrAction[] = [{ kind: 'redirect', ifindex: 1, ingress: false }]
      trial(type, [{ code: type === 'xdp' ? 4 : 7, actions }])
      const empty = new ProgArray({
        name: 'none',
        type: 'prog_array',
        keySize: 4,
        valueSize: 4,
        maxEntries: 1,
      })
      const jump: IrAction = { kind: 'tail-call', map: 0, index: number(0) }
      trial(type, [{ code: 1, actions: [jump] }], [{ map: empty, keyOrder: 'le', valueOrder: 'le' }])
      const ring = mapOf({ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096 })
      trial(type, [{ code: 1, actions: [{ kind: 'emit', map: 0, value: field('ip.src') }] }], [ring])
    })
  })

  test('xdp: a tag goes into the frame and out of it', () => {
    trial('xdp', [{ code: 1, actions: [{ kind: 'push-vlan', id: number(7) }] }])
    trial('xdp', [{ code: 1, actions: [{ kind: 'pop-vlan' }] }])
    trial('xdp', [{ code: 1, actions: [{ kind: 'set', field: 'meta', value: number(7) }] }])
  })

  test('xdp: an empty slot of a device map gives the default', () => {
    const slots = mapOf({ type: 'devmap', valueSize: 4, maxEntries: 4 })
    trial(
      'xdp',
      [{ code: 4, actions: [{ kind: 'redirect-map', map: 0, key: number(1), flags: 2 }] }],
      [slots],
    )
  })

  test('tc: fields of the context can be set', () => {
    for (const name of ['mark', 'priority', 'tc_index', 'cb0', 'hash', 'packet.type'] as const)
      trial('sched_cls', [{ code: 1, actions: [{ kind: 'set', field: name, value: number(3) }] }])
  })
})

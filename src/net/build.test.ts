import { describe, expect, test } from 'vitest'
import { bytesOfHex } from '../../test/bytes-of-hex.ts'
import { parseIpv4, parseIpv6 } from './address.ts'
import { buildPacket } from './build.ts'
import { describeLayers } from './describe.ts'
import { diffPackets } from './difference.ts'
import { dissect } from './dissect.ts'
import { allFieldPaths, parseFieldPath, readField } from './field-path.ts'
import { formatFieldValue } from './field-spec.ts'
import { fieldNamed, layerFields } from './fields.ts'
import { bytesToHex } from './hex.ts'
import type { LayerSpec } from './layer-spec.ts'
import { parseMac } from './mac.ts'
import { plainNaming } from './naming.ts'
import { setField, wrongChecksums } from './rewrite.ts'
import { summarise } from './summarise.ts'
import { formatTcpFlags, parseTcpFlags } from './tcp.ts'

const ip = (text: string) => parseIpv4(text) ?? expect.fail(text)
const ip6 = (text: string) => parseIpv6(text) ?? expect.fail(text)
const mac = (text: string) => parseMac(text) ?? expect.fail(text)

const frame: LayerSpec = {
  kind: 'eth',
  source: mac('02:00:00:00:00:01'),
  destination: mac('02:00:00:00:00:02'),
}
const client = { kind: 'ip', source: ip('10.1.0.50'), destination: ip('10.2.0.2') } as const
const client6 = { kind: 'ip6', source: ip6('fd00:1::50'), destination: ip6('fd00:2::2') } as const
const syn = { kind: 'tcp', source: 4000, destination: 80 } as const
const data: LayerSpec = { kind: 'payload', bytes: new TextEncoder().encode('hello') }
const nodes = { kind: 'ip', source: ip('192.168.5.11'), destination: ip('192.168.5.12') } as const
const tunnel = { kind: 'udp', source: 41000, destination: 8472 } as const

/** What `ip.src` and the like say about a packet; `-` where they say nothing. */
function saying(layers: readonly LayerSpec[], path: string): string {
  const parsed = parseFieldPath(path) ?? expect.fail(path)
  const value = readField(parsed, dissect(buildPacket(layers)))
  return value === undefined ? '-' : formatFieldValue(value, plainNaming)
}

test.each<readonly [string, readonly LayerSpec[]]>([
  ['tcp 10.1.0.50:4000 > 10.2.0.2:80 S ttl 64', [frame, client, syn]],
  [
    'udp [fd00:1::50]:1 > [fd00:2::2]:2 ttl 64',
    [frame, client6, { kind: 'udp', source: 1, destination: 2 }, data],
  ],
  [
    'icmp echo-request 10.1.0.50 > 10.2.0.2 id 1 seq 2 ttl 64',
    [frame, client, { kind: 'icmp', type: 8, rest: 0x10002 }, data],
  ],
  [
    'icmp6 echo-request fd00:1::50 > fd00:2::2 id 1 seq 2 ttl 64',
    [frame, client6, { kind: 'icmp6', type: 128, rest: 0x10002 }],
  ],
  [
    'sctp 10.1.0.50:1 > 10.2.0.2:2 cookie-ack ttl 64',
    [
      frame,
      client,
      { kind: 'sctp', source: 1, destination: 2, chunks: [{ type: 11, flags: 0, value: new Uint8Array() }] },
    ],
  ],
  [
    'vxlan vni 42 192.168.5.11 > 192.168.5.12 tcp 10.1.0.50:4000 > 10.2.0.2:80 S ttl 64',
    [frame, nodes, tunnel, { kind: 'vxlan', vni: 42 }, frame, client, syn],
  ],
  ['ipip 192.168.5.11 > 192.168.5.12 tcp 10.1.0.50:4000 > 10.2.0.2:80 S ttl 64', [frame, nodes, client, syn]],
  [
    'tcp [fd00:1::50]:4000 > [fd00:2::2]:80 S ttl 64',
    [frame, client6, { kind: 'ext', protocol: 60, extension: { kind: 'options', options: [] } }, syn],
  ],
  [
    'arp who-has 10.2.0.2 tell 10.1.0.50',
    [
      frame,
      { kind: 'vlan', vid: 7 },
      { kind: 'arp', operation: 1, senderIp: client.source, targetIp: client.destination },
    ],
  ],
  [
    'nd who-has fd00:2::2 fd00:1::50 > fd00:2::2 ttl 64',
    [
      frame,
      client6,
      { kind: 'nd', message: { kind: 'neighbour-solicitation', target: client6.destination, options: [] } },
    ],
  ],
  ['none 10.1.0.50 > 10.2.0.2 ttl 64', [frame, client, data]],
])('%s', (summary, layers) => {
  const found = dissect(buildPacket(layers))
  expect(found.malformed).toBeUndefined()
  expect(summarise(found)).toBe(summary)
  expect(wrongChecksums(found)).toEqual([])
})

test('what is given is not worked out', () => {
  const found = dissect(
    buildPacket([frame, { ...client, checksum: 0x1234, protocol: 6 }, { ...syn, checksum: 0x5678 }]),
  )
  expect(wrongChecksums(found).map((layer) => layer.kind)).toEqual(['ip', 'tcp'])
  const short = dissect(buildPacket([frame, { ...client, totalLength: 19 }, syn]))
  expect(short.malformed).toEqual({ offset: 14, reason: 'ip: total length is below the header length' })
})

test('the DSR option is the one of Cilium', () => {
  const options = [{ kind: 'dsr', address: ip('10.0.10.1'), port: 30080 }] as const
  const bytes = buildPacket([{ ...client, options }, syn])
  expect(bytesToHex(bytes.subarray(20, 28))).toBe('9a088075010a000a')
  expect(saying([frame, { ...client, options }, syn], 'ip.opt.dsr')).toBe('10.0.10.1:30080')
})

describe('paths', () => {
  const plain = [frame, client, syn]
  const vxlan = [
    { ...frame, source: mac('02:00:00:00:00:99') },
    nodes,
    tunnel,
    { kind: 'vxlan', vni: 42 } as const,
    ...plain,
  ]
  const ipip = [frame, nodes, client6, syn]
  const option = { class: 0x014b, type: 0x81, data: bytesOfHex('0a000a01 7580 0000') }
  const geneveWithDsr = { kind: 'geneve', vni: 2, options: [option] } as const
  const dsr6 = {
    kind: 'option',
    type: 0x1b,
    data: bytesOfHex('fd000009000000000000000000000001 7580 0000'),
  } as const
  const destinationDsr = {
    kind: 'ext',
    protocol: 60,
    extension: { kind: 'options', options: [dsr6] },
  } as const
  const fragment = { kind: 'fragment', fragmentOffset: 1480, moreFragments: true, identification: 7 } as const
  const laterFragment = { kind: 'ext', protocol: 44, extension: fragment, nextHeader: 17 } as const
  const link = { kind: 'source-link', mac: mac('02:00:00:00:00:07') } as const
  const message = { kind: 'neighbour-solicitation', target: client6.destination, options: [link] } as const
  const solicitation = { kind: 'nd', message } as const
  test.each([
    ['ip.src', plain, '10.1.0.50'],
    ['ip.src', vxlan, '10.1.0.50'],
    ['outer.src', vxlan, '192.168.5.11'],
    ['outer.ip.dst', vxlan, '192.168.5.12'],
    ['outer.ttl', vxlan, '64'],
    ['outer.udp.dport', vxlan, '8472'],
    ['udp.dport', vxlan, '-'],
    ['tcp.dport', vxlan, '80'],
    ['tcp.flags', plain, 'syn'],
    ['vxlan.vni', vxlan, '42'],
    ['vxlan.vni', plain, '-'],
    ['outer.src', plain, '-'],
    ['eth.src', vxlan, '02:00:00:00:00:01'],
    ['outer.eth.src', vxlan, '02:00:00:00:00:99'],
    ['eth.src', ipip, '02:00:00:00:00:01'],
    ['ip.src', ipip, '-'],
    ['ip6.src', ipip, 'fd00:1::50'],
    ['outer.src', ipip, '192.168.5.11'],
    ['outer.ttl', [frame, client6, client, syn], '64'],
    ['inner.src', vxlan, '10.1.0.50'],
    ['inner.tcp.dport', vxlan, '80'],
    ['inner.udp.dport', vxlan, '-'],
    ['inner.src', plain, '-'],
    ['tcp.mss', plain, '-'],
    ['tcp.sack', plain, 'false'],
    ['tcp.doff', plain, '5'],
    ['ip.ihl', plain, '5'],
    ['ip.version', plain, '4'],
    [
      'geneve.opt.dsr',
      [frame, nodes, { ...tunnel, destination: 6081 }, geneveWithDsr, ...plain],
      '10.0.10.1:30080',
    ],
    ['geneve.opt.dsr', vxlan, '-'],
    ['ip6.opt.dsr', [frame, client6, destinationDsr, syn], '[fd00:9::1]:30080'],
    ['ip6.opt.dsr', [frame, client6, syn], '-'],
    ['ip6.frag', [frame, client6, laterFragment, data], '1480'],
    ['ip6.id', [frame, client6, laterFragment, data], '7'],
    ['ip6.mf', [frame, client6, laterFragment, data], 'true'],
    ['ip6.mf', [frame, client6, syn], 'false'],
    ['icmp6.lladdr', [frame, client6, solicitation], '02:00:00:00:00:07'],
    ['icmp6.lladdr', [frame, client6, { kind: 'icmp6', type: 128 }], '-'],
    ['ip.df', plain, 'false'],
    ['icmp.type', plain, '-'],
  ] as const)('%s', (path, layers, expected) => {
    expect(saying(layers, path)).toBe(expected)
  })

  test.each([
    'ip.nope',
    'inner.nope',
    'inner.',
    'outer.outer.src',
    'src',
    'nope.src',
    'outer.nope',
    'outer.',
    'ip',
    '',
    'ip.constructor',
    'tcp.',
  ])('`%s` is none', (path) => {
    expect(parseFieldPath(path)).toBeUndefined()
  })

  test('every listed path is one', () => {
    expect(allFieldPaths().filter((path) => parseFieldPath(path) === undefined)).toEqual([])
    expect(layerFields.arp).toEqual(['op', 'sha', 'spa', 'tha', 'tpa'])
  })
})

test('the long view', () => {
  const bytes = buildPacket([frame, nodes, tunnel, { kind: 'vxlan', vni: 42 }, frame, client6, syn, data])
  expect(describeLayers(dissect(bytes)).join('\n')).toMatchInlineSnapshot(`
    "eth 02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4
    ip 192.168.5.11 > 192.168.5.12 udp ttl 64
    udp 41000 > 8472 len 87
    vxlan vni 42
    eth 02:00:00:00:00:01 > 02:00:00:00:00:02 ipv6
    ip6 fd00:1::50 > fd00:2::2 tcp ttl 64
    tcp 4000 > 80 S seq 0 ack 0 win 65535
    payload 5 bytes"
  `)
  const cut = dissect(bytes.subarray(0, 20))
  expect(describeLayers(cut).at(-1)).toBe('malformed at byte 14: ip: shorter than its header')
})

describe('differences', () => {
  const before = buildPacket([frame, client, syn])
  const changesOf = (after: Uint8Array): readonly string[] =>
    diffPackets(dissect(before), dissect(after)).map((change) =>
      change.kind === 'field'
        ? `${change.layer}.${change.name}`
        : `${change.kind} ${'layers' in change ? change.layers.join(' ') : ''}`,
    )

  test('a packet is equal to itself', () => {
    expect(changesOf(before.slice())).toEqual([])
  })
  test('a rewrite is the field, not the checksums', () => {
    const found = dissect(before.slice())
    setField(found, found.layers[1]!, fieldNamed('ip', 'ttl')!, { kind: 'number', value: 63 })
    setField(found, found.layers[2]!, fieldNamed('tcp', 'dport')!, { kind: 'number', value: 8080 })
    expect(changesOf(found.bytes)).toEqual(['ip.ttl', 'tcp.dport'])
  })
  test('an encapsulation is added headers', () => {
    const bytes = buildPacket([frame, nodes, tunnel, { kind: 'vxlan', vni: 1 }, frame, client, syn])
    expect(changesOf(bytes)).toEqual(['added eth ip udp vxlan'])
  })
  test('a tag is an added header, and the frame around it stays', () => {
    const bytes = buildPacket([frame, { kind: 'vlan', vid: 7 }, client, syn])
    expect(changesOf(bytes)).toEqual(['added vlan', 'eth.type'])
  })
  test('IP in IP is one added header', () => {
    expect(changesOf(buildPacket([frame, nodes, client, syn]))).toEqual(['added ip'])
  })
  test('an option that was added is a field', () => {
    const options = [{ kind: 'dsr', address: ip('10.0.10.1'), port: 30080 }] as const
    expect(changesOf(buildPacket([frame, { ...client, options }, syn]))).toEqual(['ip.opt.dsr'])
  })
  test('data is payload', () => {
    expect(changesOf(buildPacket([frame, client, syn, data]))).toEqual(['payload '])
  })
})

test.each([
  ['syn', 2],
  ['syn+ack', 18],
  ['fin+ack', 17],
  ['psh+ack', 24],
  ['rst', 4],
  ['none', 0],
])('TCP flags %s are %i', (text, flags) => {
  expect(parseTcpFlags(text)).toBe(flags)
  expect(formatTcpFlags(flags)).toBe(text)
})

test('unknown TCP flags are none', () => {
  expect(parseTcpFlags('syn+sin')).toBeUndefined()
  expect(parseTcpFlags('')).toBeUndefined()
})

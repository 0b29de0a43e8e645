import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import type { Trace } from './event.ts'
import { formatTrace } from './format.ts'
import { traceFromJson, traceToJson } from './json.ts'
import { traceToMermaid } from './mermaid.ts'
import { traceToPcapng } from './pcapng.ts'
import { traceToTcpdump } from './tcpdump.ts'
import { hook, packet, snapshot, tcpBytes, trace, udpBytes } from './testing/hand-made.ts'
import { traceSchema } from './trace-schema.ts'
import { traceWords } from './words.ts'

/** One delivered and one lost packet, with every kind of fact. */
function sample(): Trace {
  const born = snapshot(tcpBytes())
  const sent = snapshot(tcpBytes({ ttl: 63, macs: [3, 4] }), { vlanTci: 5 })
  const delivered = [
    hook('host/eth0 rx', born, { time: 1_000 }),
    hook('host/ route', born, {
      after: sent,
      actor: 'kernel',
      decision: { code: 'FORWARD', target: 'veth0' },
      facts: [
        { kind: 'fib', device: 'veth0', via: '10.1.0.1', table: 100 },
        { kind: 'map', map: 'm', key: Uint8Array.of(1), keyText: '1', after: Uint8Array.of(2, 3) },
        { kind: 'record', map: 'r', bytes: Uint8Array.of(9) },
        { kind: 'lookup', map: 'm', keyText: '1' },
        { kind: 'helper', name: 'bpf_redirect', args: '3, 0', result: 7 },
        { kind: 'tail-call', map: 'calls', index: 2 },
        { kind: 'kernel', word: 'fdb', text: 'learn' },
      ],
      nested: [hook('host/lxc policy', sent, { actor: 'pol' })],
      time: 2_000,
    }),
    hook('host/veth0 tx', sent, { time: 2_000 }),
    hook('app/eth0 rx', sent, { time: 5_000_000_000 }),
    hook('app/eth0 rx', sent, {
      actor: 'socket',
      decision: { code: 'DELIVER', target: 'tcp/80' },
      time: 5_000_000_000,
    }),
  ]
  const lost = snapshot(udpBytes({ payload: Uint8Array.of(1, 2, 3) }))
  const reason = 'XDP_ABORTED'
  const facts = [{ kind: 'drop', reason } as const, { kind: 'tracepoint', name: 'xdp_exception' } as const]
  const aborted = [
    hook('host/eth0 rx', lost, { time: 10 }),
    hook('host/eth0 xdp', lost, { actor: 'p', decision: { code: 'ABORTED', value: 0 }, facts, time: 10 }),
  ]
  const outcomes = [{ kind: 'dropped', node: 'host', device: 'eth0', stage: 'xdp', reason } as const]
  return trace([packet('p1', delivered), packet('p2', aborted, { cause: 'p1', outcomes })], {
    case: 'a',
    state: [{ node: 'host', lines: [{ word: 'neigh', text: '10.2.0.2' }] }],
    unstable: [{ kind: 'port', value: 4000 }],
  })
}

describe('json', () => {
  test('fits its schema, survives JSON, and gives the trace back', () => {
    const json = traceToJson(sample())
    const text = JSON.stringify(json)
    const validate = new Ajv({ strict: true, allErrors: true }).compile(traceSchema)
    expect(validate(JSON.parse(text)) ? [] : validate.errors).toEqual([])
    expect(traceFromJson(JSON.parse(text))).toEqual(sample())
    expect(formatTrace(traceFromJson(json), { level: 'full' })).toBe(formatTrace(sample(), { level: 'full' }))
  })

  test('the schema refuses what it does not know', () => {
    const validate = new Ajv({ strict: true }).compile(traceSchema)
    expect(validate({ ...traceToJson(sample()), more: 1 })).toBe(false)
    expect(validate({ ...traceToJson(sample()), version: 2 })).toBe(false)
  })

  test('events carry the lines of the text', () => {
    const event = traceToJson(sample()).packets[0]?.events[1]
    expect(event?.line).toBe('route                 kernel              FORWARD veth0')
    expect(event?.effects).toContain('ttl 64 -> 63')
  })
})

test('tcpdump', () => {
  expect(traceToTcpdump(sample())).toBe(`0.000000 host/eth0 In  IP 10.1.0.50.4000 > 10.2.0.2.53: UDP, length 3
0.000001 host/eth0 In  IP 10.1.0.50.4000 > 10.2.0.2.80: Flags [S], seq 1, win 65535, length 0
0.000002 host/veth0 Out IP 10.1.0.50.4000 > 10.2.0.2.80: Flags [S], seq 1, win 65535, length 0
5.000000 app/eth0 In  IP 10.1.0.50.4000 > 10.2.0.2.80: Flags [S], seq 1, win 65535, length 0
`)
})

test('mermaid', () => {
  const born = snapshot(tcpBytes())
  const events = [
    hook('host/eth0 rx', born),
    hook('host/eth0 tc-in', born, { actor: 'a', decision: { code: 'OK' } }),
    hook('app/eth0 rx', born, { actor: 'socket', decision: { code: 'DELIVER', target: 'tcp/80' } }),
  ]
  expect(traceToMermaid(trace([packet('p1', events)]))).toBe(`sequenceDiagram
  participant n0 as host
  participant n1 as app
  Note over n0: p1 tcp friend:4000 #62; app:80 S ttl 64
  Note over n0: eth0 tc-in a OK
  n0->>n1: p1
  Note over n1: eth0 rx socket DELIVER tcp/80
  n1->>n1: p1 delivered app
`)
})

describe('pcapng', () => {
  /** The output of a tool on the capture, or undefined where the tool is not installed. */
  function readBy(tool: string, args: (file: string) => readonly string[]): string | undefined {
    const folder = mkdtempSync(join(tmpdir(), 'scn-pcapng-'))
    try {
      const file = join(folder, 'a.pcapng')
      writeFileSync(file, traceToPcapng(sample()))
      const { status, stdout } = spawnSync(tool, args(file), { encoding: 'utf8' })
      return status === null ? undefined : stdout
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  test('blocks are whole: every length stands at both ends and is a multiple of four', () => {
    const bytes = traceToPcapng(sample())
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const types: number[] = []
    for (let at = 0; at < bytes.length; ) {
      const length = view.getUint32(at + 4, true)
      expect(length % 4).toBe(0)
      expect(view.getUint32(at + length - 4, true)).toBe(length)
      types.push(view.getUint32(at, true))
      at += length
    }
    expect(types).toEqual([0x0a0d0d0a, 1, 1, 1, 6, 6, 6, 6, 6])
  })

  test('tshark reads interfaces, nanoseconds, tags and the golden line as comment', (context) => {
    const fields = ['frame.interface_name', 'frame.time_epoch', 'vlan.id', 'frame.comment']
    const output = readBy('tshark', (file) => [
      '-r',
      file,
      '-T',
      'fields',
      ...fields.flatMap((field) => ['-e', field]),
    ])
    if (output === undefined) return context.skip('tshark is not installed')
    const rows = output
      .trimEnd()
      .split('\n')
      .map((row) => row.split('\t'))
    expect(rows.map(([name, , tag]) => [name, tag])).toEqual([
      ['host/eth0', ''],
      ['host/eth0', ''],
      ['host/eth0', ''],
      ['host/veth0', '5'],
      ['app/eth0', '5'],
    ])
    expect(rows[2]?.[1]).toMatch(/00\.000001000|^0\.000001000$|1970-01-01T00:00:00\.000001000Z/)
    expect(rows[4]?.[3]).toContain('eth0 rx               socket              DELIVER tcp/80')
  })

  test('tcpdump reads a capture of one device', (context) => {
    const output = readBy('tcpdump', (file) => ['-n', '-r', file])
    if (output === undefined) return context.skip('tcpdump is not installed')
    expect(output).toContain('IP 10.1.0.50.4000 > 10.2.0.2.80: Flags [S], seq 1, win 65535, length 0')
  })
})

test('every word of a trace has a page whose example uses it', () => {
  for (const [word, { text, example }] of traceWords) {
    expect(text.endsWith('.'), word).toBe(true)
    if (example !== undefined) expect(example.includes(word) || word === 'decap', word).toBe(true)
  }
})

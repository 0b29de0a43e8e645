import { expect, test } from 'vitest'
import { icmpText } from './icmp-text.ts'
import { monitorLine } from './monitor.ts'
import type { DropNotification, TraceNotification, VerdictNotification } from './notification.ts'

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
/** 10.0.1.10:40000 > 10.0.1.11:8080, SYN: from recorded run `tunnel`, a1. */
const syn = bytes(
  '0e00000010010a000000100108004500002812344000400612880a00010a0a00010b9c401f90000003e8000000005002faf0df240000',
)
const context = {
  era: '1.19',
  device: (ifindex: number) => (ifindex === 10 ? 'eth0' : String(ifindex)),
} as const

const trace: TraceNotification = {
  kind: 'trace',
  source: 1001,
  length: 54,
  captured: syn,
  hash: 0x1234,
  point: 5,
  sourceIdentity: 10001,
  destinationIdentity: 0,
  destinationEndpoint: 0,
  reason: 5,
  encrypted: false,
  ifindex: 0,
  flags: 0,
  original: new Uint8Array(16),
}

test('a trace', () => {
  expect(monitorLine(trace, context)).toBe(
    '<- endpoint 1001 flow 0x1234 , identity 10001->unknown state unknown ifindex 0 orig-ip 0.0.0.0: 10.0.1.10:40000 -> 10.0.1.11:8080 tcp SYN',
  )
  expect(monitorLine({ ...trace, point: 1, destinationEndpoint: 10001, reason: 0 }, context)).toContain(
    '-> proxy port 10001 flow 0x1234 , identity 10001->unknown state new',
  )
})

test('of 1.10 without the comma', () => {
  expect(monitorLine(trace, { ...context, era: '1.10' })).toContain('flow 0x1234 identity 10001->unknown')
})

test('an encrypted trace with the address before translation', () => {
  const original = new Uint8Array(16)
  original.set([10, 0, 1, 10])
  expect(monitorLine({ ...trace, point: 11, encrypted: true, original, ifindex: 10 }, context)).toContain(
    '-> network encrypted  flow 0x1234 , identity 10001->unknown state unknown ifindex eth0 orig-ip 10.0.1.10:',
  )
})

test('a drop', () => {
  const drop: DropNotification = {
    kind: 'drop',
    source: 1001,
    length: 54,
    captured: syn,
    hash: 0,
    reason: 133,
    sourceIdentity: 10001,
    destinationIdentity: 2,
    destinationEndpoint: 0,
    file: 2,
    line: 1651,
    extError: 0,
    ifindex: 21,
    flags: 0,
  }
  expect(monitorLine(drop, context)).toBe(
    'xx drop (Policy denied) flow 0x0 to endpoint 0, ifindex 21, file bpf_lxc.c:1651, , identity 10001->world: 10.0.1.10:40000 -> 10.0.1.11:8080 tcp SYN',
  )
  expect(monitorLine(drop, { ...context, era: '1.10' })).toBe(
    'xx drop (Policy denied) flow 0x0 to endpoint 0, identity 10001->world: 10.0.1.10:40000 -> 10.0.1.11:8080 tcp SYN',
  )
})

test('a policy verdict', () => {
  const verdict: VerdictNotification = {
    kind: 'verdict',
    source: 1001,
    length: 54,
    captured: syn,
    hash: 0xff,
    remoteIdentity: 10002,
    verdict: -133,
    port: 8080,
    protocol: 6,
    direction: 'egress',
    isIpv6: false,
    match: 0,
    audited: false,
    isL3: false,
    authType: 0,
  }
  expect(monitorLine(verdict, context)).toBe(
    'Policy verdict log: flow 0xff local EP ID 1001, remote ID 10002, proto 6, egress, action deny, auth: disabled, match none, 10.0.1.10:40000 -> 10.0.1.11:8080 tcp SYN',
  )
  expect(monitorLine({ ...verdict, verdict: 0, match: 2 }, { ...context, era: '1.10' })).toContain(
    'action allow, match L3-L4, 10.0.1.10',
  )
})

test('types and codes of ICMP', () => {
  expect(icmpText(4, 8, 0)).toBe('EchoRequest')
  expect(icmpText(4, 3, 3)).toBe('DestinationUnreachable(Port)')
  expect(icmpText(6, 129, 0)).toBe('EchoReply')
  expect(icmpText(4, 3, 99)).toBe('DestinationUnreachable(Code: 99)')
  expect(icmpText(4, 200, 1)).toBe('200(1)')
})

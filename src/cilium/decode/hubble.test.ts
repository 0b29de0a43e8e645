import { describe, expect, test } from 'vitest'
import { hubbleFlow, timeText } from './hubble.ts'
import { legacyFlow } from './hubble-era.ts'
import type { HubbleFlow } from './hubble-flow.ts'
import type { Era, TraceNotification } from './notification.ts'

test.each([
  [0, '1970-01-01T00:00:00Z'],
  [1_500_000_000, '1970-01-01T00:00:01.500Z'],
  [1_000_001_000, '1970-01-01T00:00:01.000001Z'],
  [86_399_000_000_001, '1970-01-01T23:59:59.000000001Z'],
  [951_782_400_000_000_000, '2000-02-29T00:00:00Z'],
  [978_307_199_000_000_000, '2000-12-31T23:59:59Z'],
])('%d nanoseconds', (time, text) => {
  expect(timeText(time)).toBe(text)
})

/** 10.0.1.10:40000 > 10.0.1.11:8080, SYN: from recorded run `tunnel`, a1. */
const syn = new Uint8Array(
  Buffer.from(
    '0e00000010010a000000100108004500002812344000400612880a00010a0a00010b9c401f90000003e8000000005002faf0df240000',
    'hex',
  ),
)

function trace(changes: Partial<TraceNotification>): TraceNotification {
  return {
    kind: 'trace',
    source: 1001,
    length: syn.length,
    captured: syn,
    hash: 0,
    point: 0,
    sourceIdentity: 10001,
    destinationIdentity: 0,
    destinationEndpoint: 0,
    reason: 0,
    encrypted: false,
    ifindex: 0,
    flags: 0,
    original: new Uint8Array(16),
    ...changes,
  }
}

/** The flow of a trace on a node whose endpoint 1001 is 10.0.1.10. */
function flowOf(era: Era, changes: Partial<TraceNotification>): HubbleFlow {
  const endpoint = { ID: 1001, cluster_name: 'default' }
  const context = {
    era,
    endpoint: () => endpoint,
    device: String,
    nodeName: 'default/n1',
    uuid: undefined,
    time: 0,
  }
  const line = hubbleFlow(trace(changes), context)
  return (era === '1.10' ? legacyFlow(line) : line)['flow'] as HubbleFlow
}

const fromEndpoint = 5
const toProxy = 1

describe('what Hubble of 1.10 reads otherwise', () => {
  test('only some points tell whether a flow is a reply, and which way it goes', () => {
    expect(flowOf('1.10', {})).toMatchObject({ is_reply: false, traffic_direction: 'EGRESS' })
    expect(flowOf('1.10', { reason: 2 })).toMatchObject({ is_reply: true, traffic_direction: 'INGRESS' })
    const unknown = flowOf('1.10', { point: fromEndpoint })
    expect(unknown).not.toHaveProperty('is_reply')
    expect(unknown).not.toHaveProperty('traffic_direction')
    expect(flowOf('1.19', { point: fromEndpoint })).toMatchObject({ is_reply: false })
    expect(flowOf('1.19', { reason: 5 })).not.toHaveProperty('is_reply')
  })

  test('an address before a translation says nothing of the way, and its place nothing of the header', () => {
    const original = Uint8Array.of(10, 0, 1, 99, ...new Array<number>(12).fill(0))
    expect(flowOf('1.19', { original, reason: 2 })).toMatchObject({
      IP: { source: '10.0.1.99', source_xlated: '10.0.1.10' },
      traffic_direction: 'EGRESS',
    })
    const old = flowOf('1.10', { original, reason: 2 })
    expect(old.IP).toEqual({ source: '10.0.1.99', destination: '10.0.1.11', ipVersion: 'IPv4' })
    expect(old.traffic_direction).toBe('INGRESS')
  })

  test('neither the proxy of a trace nor the cluster of an end', () => {
    const told = { point: toProxy, destinationEndpoint: 10_001 }
    expect(flowOf('1.19', told)).toMatchObject({ proxy_port: 10_001, source: { cluster_name: 'default' } })
    const old = flowOf('1.10', told)
    expect(old).not.toHaveProperty('proxy_port')
    expect(old.source).toEqual({ ID: 1001 })
  })
})

test('where no transport header is found, Summary names the last one that was', () => {
  const piece = Uint8Array.from(syn)
  piece[20] = 0x20
  const arp = Uint8Array.from([...syn.subarray(0, 12), 0x08, 0x06, ...new Array<number>(28).fill(0)])
  expect(flowOf('1.19', { captured: piece })).toMatchObject({ Summary: 'IPv4', IP: { source: '10.0.1.10' } })
  expect(flowOf('1.19', { captured: piece })).not.toHaveProperty('l4')
  expect(flowOf('1.19', { captured: arp, length: arp.length })).toMatchObject({ Summary: 'Ethernet' })
})

// Whole runs of the programs of cilium_wg0, whose packets have no Ethernet header.
import { describe, expect, test } from 'vitest'
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import { runProgram } from '../../bpf/run.ts'
import { frameOf, recording, tcContext } from '../../bpf/test-support/contexts.ts'
import { defaultValues, type NodeConfig } from '../datapath/config.ts'
import { type Define, definesOf } from '../datapath/defines.ts'
import { createNodeMaps, loadObject, programOf } from '../datapath/object.ts'
import { putEndpoint, putIpcache } from '../test-support/entries.ts'
import { frame, hex, lxcObject } from '../test-support/lab.ts'
import { bpfWireguard } from './bpf-wireguard.ts'

const defines: readonly Define[] = [
  'ENABLE_IPV4',
  'ENABLE_ROUTING',
  'ENABLE_WIREGUARD',
  'ENABLE_IDENTITY_MARK',
  'ENABLE_IPV4_FRAGMENTS',
  'DROP_NOTIFY',
  'TRACE_NOTIFY',
]
const ethernetBytes = 14
const remote = '10.0.2.20'
const packet = frame(remote, '10.0.1.10', { kind: 'tcp', source: 40_000, destination: 80 }).slice(
  ethernetBytes,
)

interface Setup {
  readonly more?: readonly Define[]
  readonly mark?: number
  readonly etherType?: number
  readonly host?: boolean
}

function run(symbol: string, { more = [], mark = 0, etherType = 0x0800, host = false }: Setup = {}) {
  const node: NodeConfig = {
    ...definesOf([...defines, ...more]),
    ...defaultValues,
    CILIUM_NET_IFINDEX: 12,
    CILIUM_HOST_MAC: 0x0200_0000_1101,
  }
  const maps = createNodeMaps(1)
  putIpcache(maps, remote, { identity: 20_001 })
  if (host) putEndpoint(maps, '10.0.1.10', { flags: 1 })
  const object = {
    ...lxcObject,
    kind: 'bpf_wireguard',
    endpoint_id: 0,
    security_label: 0,
    eth_header_length: 0,
  } as const
  const loaded = loadObject(bpfWireguard(node), { node, object, maps, suffix: 'wireguard', cpus: 1 })
  const { trace, facts } = recording({ full: true })
  const context = tcContext(packet, { trace })
  context.skb.protocol = etherType
  context.skb.mark = mark
  const code = runProgram(programOf(loaded, symbol), context)
  const events = facts()
    .filter((fact) => fact.startsWith('record cilium_events'))
    .map((fact) => hex(fact.slice('record cilium_events '.length)))
    .map((event) => {
      const line = event[0] === 1 ? ` line ${readLe16(event, 28)}` : ''
      return `${event[0] === 1 ? 'drop' : 'trace'} ${event[1]} ${readLe32(event, 16)}->${readLe32(event, 20)}${line}`
    })
  return { code, mark: context.skb.mark >>> 0, redirect: context.redirect, events, frame: frameOf(context) }
}

const decrypted = 0xd00

describe('cil_from_wireguard', () => {
  test('with a tunnel the packet inside is for bpf_overlay: only the mark', () => {
    expect(run('cil_from_wireguard', { more: ['TUNNEL_MODE'] })).toMatchObject({
      code: 0,
      mark: decrypted,
      events: [],
    })
  })

  test('neither IPv4 nor IPv6', () => {
    expect(run('cil_from_wireguard', { etherType: 0x0806 })).toMatchObject({
      code: 0,
      events: ['trace 12 0->0'],
    })
  })

  test('for the host: identity of the sender, an Ethernet header, one hop, by way of cilium_net', () => {
    const seen = run('cil_from_wireguard', { host: true })
    expect(seen).toMatchObject({ code: 7, mark: decrypted, events: ['trace 12 20001->0'] })
    expect(seen.redirect).toMatchObject({ ifindex: 12 })
    expect(seen.frame.length).toBe(packet.length + ethernetBytes)
    expect([...seen.frame.subarray(0, 6)]).toEqual([2, 0, 0, 0, 0x11, 1])
    expect(seen.frame[ethernetBytes + 8]).toBe((packet[8] as number) - 1)
  })
})

describe('cil_to_wireguard', () => {
  test('the source is what the mark says', () => {
    expect(run('cil_to_wireguard', { mark: 0x4e21_0f00 })).toMatchObject({
      code: 0,
      events: ['trace 13 20001->0'],
    })
  })

  test('without an identity in the mark it is unknown', () => {
    expect(run('cil_to_wireguard').events).toEqual(['trace 13 0->0'])
  })
})

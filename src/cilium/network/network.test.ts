// Whole runs of the program of devices that IPsec packets come through.
import { describe, expect, test } from 'vitest'
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import { runProgram } from '../../bpf/run.ts'
import { recording, tcContext } from '../../bpf/test-support/contexts.ts'
import { defaultValues, type NodeConfig } from '../datapath/config.ts'
import { type Define, definesOf } from '../datapath/defines.ts'
import { createNodeMaps, loadObject, programOf } from '../datapath/object.ts'
import { addressBytes, frame, hex, lxcObject } from '../test-support/lab.ts'
import { bpfNetwork } from './bpf-network.ts'

const defines: readonly Define[] = ['ENABLE_IPV4', 'DROP_NOTIFY', 'TRACE_NOTIFY']

function run(packet: Uint8Array, more: readonly Define[] = [], knownNode?: string) {
  const node: NodeConfig = { ...definesOf([...defines, ...more]), ...defaultValues, CILIUM_HOST_IFINDEX: 11 }
  const maps = createNodeMaps(1)
  if (knownNode !== undefined) {
    const key = new Uint8Array(20)
    key[3] = 1
    key.set(addressBytes(knownNode), 4)
    maps.cilium_node_map_v2.update(key, Uint8Array.of(7, 0, 3, 0), 0, 0)
  }
  const object = { ...lxcObject, kind: 'bpf_network', endpoint_id: 0, security_label: 0 } as const
  const loaded = loadObject(bpfNetwork(node), { node, object, maps, suffix: 'network', cpus: 1 })
  const { trace, facts } = recording({ full: true })
  const context = tcContext(packet, { trace })
  const code = runProgram(programOf(loaded, 'cil_from_network'), context)
  const events = facts()
    .filter((fact) => fact.startsWith('record cilium_events'))
    .map((fact) => hex(fact.slice('record cilium_events '.length)))
    .map((event) =>
      event[0] === 1
        ? `drop ${event[1]} line ${readLe16(event, 28)}`
        : `trace ${event[1]} reason ${event[26]} ${readLe32(event, 16)}->${readLe32(event, 20)}`,
    )
  return { code, mark: context.skb.mark >>> 0, events }
}

const plain = frame('10.0.2.20', '10.0.1.10', { kind: 'tcp', source: 40_000, destination: 80 })

/** The same frame with another protocol in its IP header. */
function withProtocol(protocol: number): Uint8Array {
  const packet = plain.slice()
  packet[14 + 9] = protocol
  return packet
}

const esp = 50

describe('cil_from_network', () => {
  test('without IPsec everything goes to the stack', () => {
    expect(run(plain)).toEqual({
      code: 0,
      mark: 0,
      events: ['trace 10 reason 5 0->0', 'trace 3 reason 5 0->0'],
    })
  })

  test('ESP of a known node is marked for decryption with the node', () => {
    expect(run(withProtocol(esp), ['ENABLE_IPSEC'], '10.0.2.20')).toEqual({
      code: 0,
      mark: 0x0007_0d00,
      events: ['trace 10 reason 128 0->0', 'trace 3 reason 128 0->0'],
    })
  })

  test('ESP of a node that nobody knows', () => {
    expect(run(withProtocol(esp), ['ENABLE_IPSEC'])).toMatchObject({
      code: 2,
      events: ['drop 197 line 53'],
    })
  })

  test('what is in clear stays as it is', () => {
    expect(run(plain, ['ENABLE_IPSEC'], '10.0.2.20')).toMatchObject({ code: 0, mark: 0 })
  })
})

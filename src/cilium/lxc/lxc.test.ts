// Whole runs of the programs of a pod: codes, marks, metadata, events, entries.
import { describe, expect, test } from 'vitest'
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import type { RunContext } from '../../bpf/contract.ts'
import { runProgram } from '../../bpf/run.ts'
import { frameOf, recording, tcContext } from '../../bpf/test-support/contexts.ts'
import { defaultValues, type NodeConfig, type NodeValues } from '../datapath/config.ts'
import { type Define, definesOf } from '../datapath/defines.ts'
import type { LoadedObject } from '../datapath/object.ts'
import { createNodeMaps, createPolicyMap, loadObject, programOf } from '../datapath/object.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { putEndpoint, putIpcache } from '../test-support/entries.ts'
import {
  addPolicy,
  addressBytes,
  entryText,
  frame,
  hex,
  keysOf,
  lxcObject,
  type PolicyRule,
  usualDefines,
} from '../test-support/lab.ts'
import { bpfLxc } from './bpf-lxc.ts'

const { OK, DROP, REDIRECT } = { OK: 0, DROP: 2, REDIRECT: 7 }

interface Setup {
  readonly defines?: readonly Define[]
  readonly values?: Partial<NodeValues>
  readonly rules?: readonly PolicyRule[]
  readonly rulesOfOther?: readonly PolicyRule[]
}

const allowAll: readonly PolicyRule[] = [{ prefix: 0 }, { egress: true, prefix: 0 }]

const macs = ['0a0000001002', '0e0000001002'] as const

/** Pods 101 (10.0.1.10, 5001) and 102 (10.0.1.11, 5003) of one node, the pod 10.0.2.20 (5002) of another. */
function pods(setup: Setup = {}) {
  const node: NodeConfig = {
    ...definesOf(setup.defines ?? [...usualDefines, 'TUNNEL_MODE']),
    ...defaultValues,
    ENCAP_IFINDEX: 13,
    CILIUM_NET_IFINDEX: 12,
    router_ipv6: addressBytes('fd00:1::1'),
    ...setup.values,
  }
  const maps = createNodeMaps(1)
  const load = (id: number, label: number, address: string, rules: readonly PolicyRule[]): LoadedObject => {
    const policy = createPolicyMap(id, 1)
    for (const rule of rules) addPolicy(policy, rule)
    const object = {
      ...lxcObject,
      endpoint_id: id,
      security_label: label,
      endpoint_ipv4: addressBytes(address),
      interface_ifindex: id - 80,
    }
    const loaded = loadObject(bpfLxc(node), { node, object, maps, policy, suffix: String(id), cpus: 1 })
    maps.cilium_call_policy.set(id, programOf(loaded, 'cil_lxc_policy'), 0)
    return loaded
  }
  const pod = load(101, 5001, '10.0.1.10', setup.rules ?? allowAll)
  const other = load(102, 5003, '10.0.1.11', setup.rulesOfOther ?? allowAll)
  putEndpoint(maps, '10.0.1.10', { id: 101, ifindex: 21, macs })
  putEndpoint(maps, '10.0.1.11', { id: 102, ifindex: 22, macs })
  putEndpoint(maps, '192.168.0.1', { flags: 1 })
  putIpcache(maps, '10.0.1.10', { identity: 5001 })
  putIpcache(maps, '10.0.1.11', { identity: 5003 })
  putIpcache(maps, '10.0.2.20', { identity: 5002, tunnel: '192.168.0.2' })
  putIpcache(maps, '192.168.0.1', { identity: 1 })
  return { node, maps, pod, other }
}

interface Outcome {
  readonly code: number
  readonly context: RunContext & { readonly skb: { readonly mark: number; readonly cb: Uint32Array } }
  readonly events: readonly Uint8Array[]
  readonly frame: Uint8Array
}

/** Runs an entry program and collects the events. */
function run(object: LoadedObject, symbol: string, bytes: Uint8Array, mark = 0): Outcome {
  const { trace, facts } = recording({ full: true })
  const context = tcContext(bytes, { trace })
  ;(context.skb as { mark: number }).mark = mark
  const code = runProgram(programOf(object, symbol), context)
  if (context.fault !== undefined) throw new Error(context.fault.message)
  const events = facts()
    .filter((fact) => fact.startsWith('record cilium_events'))
    .map((fact) => hex(fact.slice('record cilium_events '.length)))
  return { code, context, events, frame: frameOf(context) }
}

/** An event in a few words. */
function text(event: Uint8Array): string {
  const [type, subtype] = event
  const at = (offset: number): number => readLe32(event, offset)
  if (type === 1) return `drop ${subtype} ${at(16)}->${at(20)} line ${readLe16(event, 28)}`
  if (type === 4) return `trace ${subtype} ${at(16)}->${at(20)} ep ${readLe16(event, 24)} reason ${event[26]}`
  return `verdict ${at(20) | 0} remote ${at(16)} port ${readLe16(event, 24)} dir ${(event[27] ?? 0) & 3}`
}

const tcp = { kind: 'tcp', source: 40_000, destination: 80, flags: 2 } as const
const syn = (destination: string): Uint8Array => frame('10.0.1.10', destination, tcp)

describe('the worked example (facts 12.2)', () => {
  test('a SYN to a pod of another node: events, mark, entries, tunnel', () => {
    const { pod, maps } = pods()
    const { code, context, events, frame: bytes } = run(pod, 'cil_from_container', syn('10.0.2.20'))
    expect(code).toBe(REDIRECT)
    expect(events.map(text)).toEqual([
      'trace 5 5001->0 ep 0 reason 5',
      'verdict 0 remote 5002 port 80 dir 2',
      'trace 4 5001->5002 ep 0 reason 0',
    ])
    expect(context.skb.mark).toBe(0x1389_0f00)
    expect(context.skb.tunnelKey).toMatchObject({ id: 5001, remote: 0xc0a8_0002, ttl: 64 })
    expect(bytes[22]).toBe(64)
    expect(keysOf(maps.cilium_ct4_global).map(entryText)).toEqual([
      '0 proto 6 10.0.1.10:40000 -> 10.0.2.20:80',
    ])
  })
})

describe('a pod of the same node', () => {
  test('its policy program runs, one hop is counted, both sides have an entry', () => {
    const { pod, maps } = pods()
    const { code, events, frame: bytes } = run(pod, 'cil_from_container', syn('10.0.1.11'))
    expect(code).toBe(REDIRECT)
    expect(events.map(text).slice(1)).toEqual([
      'verdict 0 remote 5003 port 80 dir 2',
      'verdict 0 remote 5001 port 80 dir 1',
      'trace 0 5001->5003 ep 102 reason 0',
    ])
    expect(bytes[22]).toBe(63)
    expect(bytes.slice(0, 12)).toEqual(hex('0a0000001002 0e0000001002'))
    expect(keysOf(maps.cilium_ct4_global).map(entryText).sort()).toEqual([
      '0 proto 6 10.0.1.10:40000 -> 10.0.1.11:80',
      '1 proto 6 10.0.1.10:40000 -> 10.0.1.11:80',
    ])
  })

  test('a denial by the receiver leaves only the entry of the sender', () => {
    const { pod, maps } = pods({ rulesOfOther: [] })
    const { code, events } = run(pod, 'cil_from_container', syn('10.0.1.11'))
    expect(code).toBe(DROP)
    expect(events.map(text).slice(2)).toEqual([
      'verdict -133 remote 5001 port 80 dir 1',
      'drop 133 5001->5003 line 2381',
    ])
    expect(keysOf(maps.cilium_ct4_global).length).toBe(1)
  })

  test('without its program the endpoint is not ready', () => {
    const { pod, maps } = pods()
    putEndpoint(maps, '10.0.1.12', { id: 103, ifindex: 23, macs })
    putIpcache(maps, '10.0.1.12', { identity: 5004 })
    expect(run(pod, 'cil_from_container', syn('10.0.1.12')).events.map(text).at(-1)).toBe(
      'drop 203 5001->5004 line 1651',
    )
  })

  test('with per-endpoint routes the stack takes it, and the receiver decides on its device', () => {
    const defines: Define[] = [
      ...usualDefines.filter((name) => name !== 'ENABLE_ROUTING'),
      'ENABLE_ENDPOINT_ROUTES',
      'USE_BPF_PROG_FOR_INGRESS_POLICY',
    ]
    const { pod, other } = pods({ defines, rulesOfOther: [{ identity: 5001, prefix: 0 }] })
    const sent = run(pod, 'cil_from_container', syn('10.0.1.11'))
    expect([sent.code, sent.context.skb.mark, text(sent.events.at(-1)!)]).toEqual([
      OK,
      0x1389_0f00,
      'trace 3 5001->5003 ep 0 reason 0',
    ])
    const received = run(other, 'cil_to_container', sent.frame, sent.context.skb.mark)
    expect([received.code, received.context.skb.mark]).toEqual([OK, 0])
    expect(received.events.map(text)).toEqual([
      'trace 8 5001->5003 ep 102 reason 5',
      'verdict 0 remote 5001 port 80 dir 1',
      'trace 0 5001->5003 ep 102 reason 0',
    ])
  })
})

describe('the proxy', () => {
  const rules: readonly PolicyRule[] = [
    { protocol: 6, port: 80, prefix: 24, proxyPort: 10_001, precedence: 0xffff_ff02 },
  ]

  test('a redirect by ingress policy marks the packet and its connection', () => {
    const { pod, maps } = pods({ rulesOfOther: rules })
    const { code, context, events } = run(pod, 'cil_from_container', syn('10.0.1.11'))
    expect([code, context.skb.mark, context.skb.cb[0]]).toEqual([OK, 0x1127_0200, 0x1127_0200])
    expect(events.map(text).slice(2)).toEqual([
      'verdict 4391 remote 5001 port 80 dir 1',
      'trace 1 5001->5003 ep 10001 reason 0',
    ])
    const entries = keysOf(maps.cilium_ct4_global).map(
      (key) => new CtEntry(maps.cilium_ct4_global.lookup(key, 0)),
    )
    expect(entries.map((entry) => entry.is('proxy_redirect')).sort()).toEqual([false, true])
  })

  test('its reply goes to the proxy without a port', () => {
    const { pod, other } = pods({ rulesOfOther: rules })
    run(pod, 'cil_from_container', syn('10.0.1.11'))
    const reply = frame('10.0.1.11', '10.0.1.10', {
      kind: 'tcp',
      source: 80,
      destination: 40_000,
      flags: 0x12,
    })
    const { code, context, events } = run(other, 'cil_from_container', reply)
    expect([code, context.skb.mark, text(events.at(-1)!)]).toEqual([
      OK,
      0x200,
      'trace 1 5003->0 ep 0 reason 2',
    ])
  })

  test('with TPROXY by BPF a missing socket is a drop', () => {
    const { pod } = pods({ defines: [...usualDefines, 'ENABLE_TPROXY'], rulesOfOther: rules })
    expect(run(pod, 'cil_from_container', syn('10.0.1.11')).events.map(text).at(-1)).toBe(
      'drop 178 5001->5003 line 2381',
    )
  })
})

describe('drops of what a pod sends', () => {
  test.each([
    ['a foreign source', frame('10.9.9.9', '10.0.2.20', tcp), 132, 1721],
    ['a protocol that nobody knows', gre(), 137, 521],
    ['an 802.3 length', hex('0e0000001001 0a0000001001 0100 00000000'), 166, 1831],
    ['MPLS', hex('0e0000001001 0a0000001001 8847 00000000'), 139, 1831],
  ])('%s', (_, bytes, reason, line) => {
    const { code, events } = run(pods().pod, 'cil_from_container', bytes)
    expect([code, text(events.at(-1)!)]).toEqual([DROP, `drop ${reason} 5001->0 line ${line}`])
  })

  test('the last hop is dropped after its entry was made', () => {
    const bytes = syn('10.0.1.11')
    bytes[22] = 1
    const { pod, maps } = pods()
    expect(run(pod, 'cil_from_container', bytes).events.map(text).at(-1)).toBe(
      'drop 196 5001->5003 line 1651',
    )
    expect(keysOf(maps.cilium_ct4_global).length).toBe(1)
  })

  test('a denied packet may be answered, which is no drop event', () => {
    const { pod } = pods({ rules: [], values: { policy_deny_response_enabled: true } })
    const { code, events, frame: bytes } = run(pod, 'cil_from_container', syn('10.0.2.20'))
    expect(code).toBe(REDIRECT)
    expect(events.map(text).slice(1)).toEqual(['verdict -133 remote 5002 port 80 dir 2'])
    expect([...bytes.slice(34, 36)]).toEqual([3, 13])
  })
})

function gre(): Uint8Array {
  const bytes = frame('10.0.1.10', '10.0.2.20', { kind: 'payload', bytes: new Uint8Array(8) })
  bytes[23] = 47
  return bytes
}

test('a packet for the host goes to the stack with the identity of the pod', () => {
  const { code, context, events } = run(pods().pod, 'cil_from_container', syn('192.168.0.1'))
  expect([code, context.skb.mark, text(events.at(-1)!)]).toEqual([
    OK,
    0x1389_0f00,
    'trace 3 5001->1 ep 0 reason 0',
  ])
})

test('policy is asked for established connections too', () => {
  const rule = { egress: true, protocol: 6, port: 80, prefix: 24 }
  const { pod, node } = pods({ rules: [rule] })
  expect(node.TUNNEL_MODE).toBe(true)
  run(pod, 'cil_from_container', syn('10.0.2.20'))
  const policy = pod.maps.policy!
  for (const key of keysOf(policy)) policy.delete(key)
  const ack = frame('10.0.1.10', '10.0.2.20', { ...tcp, flags: 0x10 })
  expect(run(pod, 'cil_from_container', ack).events.map(text).slice(1)).toEqual([
    'verdict -133 remote 5002 port 80 dir 2',
    'drop 133 5001->5002 line 1651',
  ])
})

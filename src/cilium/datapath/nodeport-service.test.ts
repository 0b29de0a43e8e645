import { describe, expect, test } from 'vitest'
import { writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { tcContext, xdpContext } from '../../bpf/test-support/contexts.ts'
import { bpfHost } from '../host/bpf-host.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { serviceFlag, serviceFlag2 } from '../maps/service.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import { natTexts, putEndpoint, putIpcache, putService, type TestService } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  entryText,
  frame,
  keysOf,
  routeTo,
  usualDefines,
} from '../test-support/lab.ts'
import { bpfXdp } from '../xdp/bpf-xdp.ts'
import type { Define } from './defines.ts'
import { drop } from './drop-reason.ts'

const { NODEPORT, ROUTABLE, SOURCE_RANGE, HOSTPORT } = serviceFlag
const flags = NODEPORT | ROUTABLE
const client = '203.0.113.7'
const node = '192.168.0.1'
const router = '10.0.1.1'
const there = '192.168.0.2'
const localPod = '10.0.1.10'
const remotePod = '10.0.2.10'
const OK = 0
const REDIRECT = 7

const service: TestService = {
  address: node,
  port: 30_080,
  revNatIndex: 4,
  flags,
  backends: [{ id: 1, address: remotePod, port: 8080 }],
}

function lab(...defines: readonly Define[]): DatapathLab {
  const on = datapathLab({
    defines: [...usualDefines, 'ENABLE_HOST_ROUTING', ...defines],
    values: {
      ENCAP_IFINDEX: 13,
      CILIUM_NET_IFINDEX: 12,
      IPV4_DIRECT_ROUTING: addressBytes(node),
      IPV4_GATEWAY: addressBytes(router),
    },
    object: { kind: 'bpf_host', interface_ifindex: 2, security_label: 1, endpoint_id: 0 },
  })
  putEndpoint(on.maps, localPod, { id: 101, identity: 5001 })
  putEndpoint(on.maps, node, { flags: 1 })
  putIpcache(on.maps, '0.0.0.0/0', { identity: 2 })
  putIpcache(on.maps, remotePod, { identity: 6001, tunnel: there })
  return on
}

const packet = (sport = 40_001, port = 30_080): Uint8Array =>
  frame(client, node, { kind: 'tcp', source: sport, destination: port, flags: 2 })

/** Runs cil_from_netdev: result, reasons of drops, the packet and where it goes. */
function receive(on: DatapathLab, bytes: Uint8Array) {
  const reasons: number[] = []
  on.maps.cilium_events.onRecord = (record) => {
    if (record[0] === 1) reasons.push(-(record[1] as number))
  }
  const run = on.runObject(
    bpfHost(on.node),
    'cil_from_netdev',
    tcContext(bytes, { ...routeTo({ ifindex: 3 }), nowNs: () => on.seconds * 1e9, random32: () => 0 }),
  )
  return { ...run, reasons }
}

const addresses = (bytes: Uint8Array): string[] =>
  [26, 30].map((at, index) => {
    const port = 34 + index * 2
    return `${[...bytes.subarray(at, at + 4)].join('.')}:${((bytes[port] as number) << 8) | (bytes[port + 1] as number)}`
  })

function allow(on: DatapathLab, prefix: string): void {
  const [address = '', length] = prefix.split('/')
  const key = new Uint8Array(12)
  writeLe32(key, 0, 32 + Number(length))
  writeLe16(key, 4, service.revNatIndex)
  key.set(addressBytes(address), 8)
  on.maps.cilium_lb4_source_range.update(key, Uint8Array.of(0), 0, 0)
}

describe('a NodePort with a backend on another node (facts: services 4.9)', () => {
  test('is forwarded with this node as source, and remembered for the replies', () => {
    const on = lab()
    putService(on.maps, service)
    const { result, context, frame: sent } = receive(on, packet())
    expect(result).toBe(REDIRECT)
    expect(context.redirect).toMatchObject({ kind: 'neigh', ifindex: 3 })
    expect(addresses(sent)).toEqual([`${node}:40001`, `${remotePod}:8080`])
    expect(sent[22]).toBe(63)
    // SNAT_DONE
    expect((context.skb?.mark ?? 0) & 0xf00).toBe(0x300)
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([
      `IN ${remotePod}:8080 -> ${node}:40001 = ${client}:40001 ct 0`,
      `OUT ${client}:40001 -> ${remotePod}:8080 = ${node}:40001 ct 0`,
    ])
    const kinds = keysOf(on.maps.cilium_ct4_global).map(entryText)
    expect(kinds.some((text) => text.startsWith(`${tupleFlag.SERVICE} `))).toBe(true)
    // MACs that answers will need
    expect(on.maps.cilium_nodeport_neigh4.peek(addressBytes(client), 0)).toBeDefined()
  })

  test('in tunnel mode goes through the tunnel with the router as source', () => {
    const on = lab('TUNNEL_MODE', 'HAVE_ENCAP')
    putService(on.maps, service)
    const { result, context, frame: sent } = receive(on, packet())
    expect(result).toBe(REDIRECT)
    expect(context.redirect).toEqual({ kind: 'device', ifindex: 13, ingress: false })
    expect(context.skb?.tunnelKey).toMatchObject({ id: 2, remote: 0xc0a8_0002 })
    expect(addresses(sent)).toEqual([`${router}:40001`, `${remotePod}:8080`])
  })
})

test('a tunnel endpoint without an address is none for IPv4: the router is the source, the route leads on', () => {
  const on = lab('TUNNEL_MODE', 'HAVE_ENCAP')
  putIpcache(on.maps, remotePod, { identity: 6001, tunnel: '0.0.0.0' })
  putService(on.maps, service)
  const request = receive(on, packet())
  expect(addresses(request.frame)).toEqual([`${router}:40001`, `${remotePod}:8080`])
  expect(request.context.redirect).toMatchObject({ kind: 'neigh', ifindex: 3 })
  expect(request.context.skb?.tunnelKey).toBeUndefined()
  // the client of the reply has no endpoint either
  putIpcache(on.maps, client, { identity: 6002, tunnel: '0.0.0.0' })
  const answer = frame(remotePod, router, { kind: 'tcp', source: 8080, destination: 40_001, flags: 0x12 })
  const reply = receive(on, answer)
  expect(addresses(reply.frame)).toEqual([`${node}:30080`, `${client}:40001`])
  expect(reply.context.skb?.tunnelKey).toBeUndefined()
})

describe('a backend on this node', () => {
  const local = { ...service, backends: [{ id: 1, address: localPod, port: 8080 }] }

  test('keeps the client; conntrack says the service', () => {
    const on = lab()
    putService(on.maps, local)
    const { frame: sent, reasons } = receive(on, packet())
    // without a policy program of the pod the delivery fails; the translation is done
    expect(reasons).toEqual([drop.EP_NOT_READY])
    expect(addresses(sent)).toEqual([`${client}:40001`, `${localPod}:8080`])
    const entries = keysOf(on.maps.cilium_ct4_global).map((key) => ({
      flags: Tuple.of(key).flags,
      entry: new CtEntry(on.maps.cilium_ct4_global.peek(key, 0) ?? new Uint8Array(64)),
    }))
    const tracked = entries.find(({ flags: kind }) => kind === tupleFlag.OUT)?.entry
    expect([tracked?.is('node_port'), tracked?.revNatIndex]).toEqual([true, 4])
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([])
  })
})

describe('who may use a service', () => {
  test.each([
    ['allows', 0, '203.0.113.0/24', []],
    ['allows', 0, '198.51.100.0/24', [drop.NOT_IN_SRC_RANGE]],
    ['denies', serviceFlag2.SOURCE_RANGE_DENY, '203.0.113.0/24', [drop.NOT_IN_SRC_RANGE]],
    ['denies', serviceFlag2.SOURCE_RANGE_DENY, '198.51.100.0/24', []],
  ])('a list that %s (flags %i) %s', (_, flags2, prefix, expected) => {
    const on = lab()
    putService(on.maps, { ...service, flags: flags | SOURCE_RANGE, flags2 })
    allow(on, prefix)
    expect(receive(on, packet()).reasons).toEqual(expected)
  })

  test('cluster addresses are not for the outside', () => {
    const on = lab()
    putService(on.maps, { ...service, flags: 0 })
    expect(receive(on, packet()).reasons).toEqual([drop.IS_CLUSTER_IP])
  })

  test('other ports of an address with a wildcard entry are no service', () => {
    const on = lab()
    putService(on.maps, { ...service, port: 0, protocol: 0, revNatIndex: 9, backends: [] })
    putService(on.maps, service)
    expect(receive(on, packet(40_001, 30_090)).reasons).toEqual([drop.NO_SERVICE])
    expect(receive(on, packet()).reasons).toEqual([])
  })

  test('a host port has its backend on this node', () => {
    const on = lab()
    putService(on.maps, { ...service, flags: HOSTPORT | ROUTABLE })
    expect(receive(on, packet()).reasons).toEqual([drop.INVALID])
  })

  test('without backends and answers the packet is dropped', () => {
    const on = lab()
    putService(on.maps, { ...service, backends: [] })
    expect(receive(on, packet()).reasons).toEqual([drop.NO_SERVICE])
  })
})

describe('a service of the L7 proxy', () => {
  // the proxy's port stands where backends have their id
  const proxied = { ...service, flags2: serviceFlag2.L7_LOADBALANCER, affinity: 0x1027 }

  test('goes to the stack with the port in the mark', () => {
    const on = lab('ENABLE_L7_LB')
    putService(on.maps, proxied)
    const { result, context, frame: sent } = receive(on, packet())
    expect([result, context.skb?.mark]).toEqual([OK, 0x1027_0200])
    expect(sent).toEqual(packet())
  })

  test('in XDP it is left to tc', () => {
    const on = lab('ENABLE_L7_LB', 'ENABLE_NODEPORT_ACCELERATION')
    putService(on.maps, proxied)
    const run = on.runObject(bpfXdp(on.node), 'cil_xdp_entry', xdpContext(packet(), routeTo({})))
    expect(run).toMatchObject({ result: 2, frame: packet() })
  })
})

describe('DSR on the node of the backend (facts: services 4.7)', () => {
  /** A packet for the local pod; `option` says the service, as the first IP option. */
  function arriving(tcpFlags: number, option: readonly number[] = []): Uint8Array {
    const plain = frame(client, localPod, { kind: 'tcp', source: 40_001, destination: 8080, flags: tcpFlags })
    const bytes = Uint8Array.from([...plain.subarray(0, 34), ...option, ...plain.subarray(34)])
    bytes[14] = 0x45 + option.length / 4
    bytes[17] = (bytes[17] as number) + option.length
    return bytes
  }
  const toService = [0x9a, 8, 0x80, 0x75, 1, 0x0a, 0, 0x0a]
  const tracked = (on: DatapathLab) =>
    keysOf(on.maps.cilium_ct4_global)
      .filter((key) => Tuple.of(key).flags === tupleFlag.OUT)
      .map((key) => new CtEntry(on.maps.cilium_ct4_global.peek(key, 0) ?? new Uint8Array(64)))

  test('the option of a SYN goes into conntrack and into an entry for old readers', () => {
    const on = lab('ENABLE_DSR')
    receive(on, arriving(2, toService))
    const [entry] = tracked(on)
    expect(entry?.is('dsr_internal')).toBe(true)
    expect([...(entry?.natAddress.subarray(12) ?? []), entry?.natPort]).toEqual([10, 0, 10, 1, 30_080])
    expect(natTexts(on.maps.cilium_snat_v4_external)).toEqual([
      `OUT ${localPod}:8080 -> ${client}:40001 = 10.0.10.1:30080 ct 0`,
    ])
  })

  test('later packets are known by it; a SYN without the option does not end it', () => {
    const on = lab('ENABLE_DSR')
    receive(on, arriving(2, toService))
    receive(on, arriving(16))
    expect(tracked(on).map((entry) => entry.is('dsr_internal'))).toEqual([true])
    receive(on, arriving(2))
    // Cilium looks for the entry of the other direction
    expect(tracked(on).map((entry) => entry.is('dsr_internal'))).toEqual([true])
  })

  test('packets of other connections are ordinary', () => {
    const on = lab('ENABLE_DSR')
    receive(on, arriving(16))
    expect(tracked(on)).toEqual([])
  })

  test('without DSR the option does not count', () => {
    const on = lab()
    receive(on, arriving(2, toService))
    expect(tracked(on)).toEqual([])
  })

  test('other options do not count', () => {
    const on = lab('ENABLE_DSR')
    receive(on, arriving(2, [1, 1, 1, 1, 1, 1, 1, 0]))
    expect(tracked(on)).toEqual([])
  })
})

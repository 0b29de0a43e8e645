import { describe, expect, test } from 'vitest'
import { readLe32, writeLe32 } from '../../bpf/context/byte-order.ts'
import type { RunContext } from '../../bpf/contract.ts'
import { xdpContext } from '../../bpf/test-support/contexts.ts'
import type { Define } from '../datapath/defines.ts'
import { drop } from '../datapath/drop-reason.ts'
import { serviceFlag } from '../maps/service.ts'
import { putEndpoint, putService } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  frame,
  routeTo,
  usualDefines,
} from '../test-support/lab.ts'
import { bpfXdp } from './bpf-xdp.ts'

const XDP_DROP = 1
const XDP_PASS = 2
const XDP_TX = 3
const client = '203.0.113.7'
const node = '192.168.0.1'

function lab(...defines: readonly Define[]): DatapathLab {
  return datapathLab({
    defines: [...usualDefines, ...defines],
    values: { IPV4_DIRECT_ROUTING: addressBytes(node), direct_routing_dev_ifindex: 2 },
    object: { kind: 'bpf_xdp', interface_ifindex: 2, security_label: 0, endpoint_id: 0 },
  })
}

const toNode = (port: number): Uint8Array =>
  frame(client, node, { kind: 'tcp', source: 40_000, destination: port, flags: 2 })

function entry(on: DatapathLab, packet: Uint8Array, kernel = routeTo({})) {
  const context = xdpContext(packet, { ...kernel, nowNs: () => 1e12 })
  return on.runObject(bpfXdp(on.node), 'cil_xdp_entry', context)
}

/** The flags that tc will find; undefined for none. */
function transfer({ xdp }: RunContext): number | undefined {
  if (xdp === undefined || xdp.meta === xdp.data) return undefined
  return readLe32(xdp.bytes, xdp.meta)
}

function forbid(on: DatapathLab, prefix: string, dynamic: boolean): void {
  const [address = '', length] = prefix.split('/')
  const bytes = addressBytes(address)
  const key = new Uint8Array(4 + bytes.length)
  writeLe32(key, 0, Number(length))
  key.set(bytes, 4)
  const { maps } = on
  const four = bytes.length === 4
  if (dynamic) (four ? maps.cilium_cidr_v4_dyn : maps.cilium_cidr_v6_dyn).update(key, Uint8Array.of(1), 0, 0)
  else (four ? maps.cilium_cidr_v4_fix : maps.cilium_cidr_v6_fix).update(key, Uint8Array.of(1), 0, 0)
}

describe('prefilter', () => {
  test.each([
    ['203.0.113.0/24', true],
    ['203.0.113.7/32', false],
  ])('a source in %s is dropped without a word (dynamic: %s)', (prefix, dynamic) => {
    const on = lab('ENABLE_PREFILTER')
    let events = 0
    on.maps.cilium_events.onRecord = () => {
      events += 1
    }
    expect(entry(on, toNode(22)).result).toBe(XDP_PASS)
    forbid(on, prefix, dynamic)
    expect(entry(on, toNode(22)).result).toBe(XDP_DROP)
    expect(events).toBe(0)
  })

  test('IPv6 sources have their own lists', () => {
    const on = lab('ENABLE_PREFILTER')
    forbid(on, '2001:db8::/32', true)
    const from = (source: string) =>
      frame(source, 'fd01::1', { kind: 'tcp', source: 40_000, destination: 22, flags: 2 })
    expect(entry(on, from('2001:db8::7')).result).toBe(XDP_DROP)
    expect(entry(on, from('2001:db9::7')).result).toBe(XDP_PASS)
  })

  test('without it the lists do not count', () => {
    const on = lab()
    forbid(on, '203.0.113.0/24', true)
    expect(entry(on, toNode(22)).result).toBe(XDP_PASS)
  })
})

describe('what goes on to tc', () => {
  test('without acceleration nothing is noted', () => {
    expect(transfer(entry(lab(), toNode(22)).context)).toBe(undefined)
  })

  test('is known to be for no service', () => {
    const { result, context } = entry(lab('ENABLE_NODEPORT_ACCELERATION'), toNode(22))
    expect([result, transfer(context)]).toEqual([XDP_PASS, 1])
  })

  test('ARP is left alone', () => {
    const arp = new Uint8Array(60)
    arp.set([8, 6], 12)
    const { result, context } = entry(lab('ENABLE_NODEPORT_ACCELERATION'), arp)
    expect([result, transfer(context)]).toEqual([XDP_PASS, undefined])
  })

  test('is translated already where the backend is here', () => {
    const on = lab('ENABLE_NODEPORT_ACCELERATION')
    const flags = serviceFlag.NODEPORT | serviceFlag.ROUTABLE
    const backends = [{ id: 1, address: '10.0.1.10', port: 8080 }]
    putService(on.maps, { address: node, port: 30_080, revNatIndex: 4, flags, backends })
    putEndpoint(on.maps, '10.0.1.10', { id: 101, identity: 5001 })
    const { result, context, frame: sent } = entry(on, toNode(30_080))
    expect([result, transfer(context)]).toEqual([XDP_PASS, 1])
    expect([...sent.subarray(30, 34)]).toEqual([10, 0, 1, 10])
  })
})

describe('a service with a backend on another node', () => {
  const flags = serviceFlag.NODEPORT | serviceFlag.ROUTABLE
  const service = {
    address: node,
    port: 30_080,
    revNatIndex: 4,
    flags,
    backends: [{ id: 1, address: '10.0.2.10', port: 8080 }],
  }

  test('goes back out of the device with this node as its source', () => {
    const on = lab('ENABLE_NODEPORT_ACCELERATION')
    putService(on.maps, service)
    const { result, context, frame: sent } = entry(on, toNode(30_080), routeTo({ ifindex: 2 }))
    expect([result, transfer(context)]).toEqual([XDP_TX, undefined])
    expect([...sent.subarray(26, 34)]).toEqual([192, 168, 0, 1, 10, 0, 2, 10])
  })

  test('a cluster-internal one is refused, one that keeps to local backends is for tc', () => {
    const on = lab('ENABLE_NODEPORT_ACCELERATION')
    const reasons: number[] = []
    on.maps.cilium_events.onRecord = (record) => {
      if (record[0] === 1) reasons.push(-(record[1] as number))
    }
    putService(on.maps, { ...service, flags: 0 })
    expect(entry(on, toNode(30_080)).result).toBe(XDP_DROP)
    expect(reasons).toEqual([drop.IS_CLUSTER_IP])
    putService(on.maps, { ...service, flags: flags | serviceFlag.EXT_LOCAL_SCOPE })
    const { result, frame: sent } = entry(on, toNode(30_080))
    expect([result, sent]).toEqual([XDP_PASS, toNode(30_080)])
  })
})

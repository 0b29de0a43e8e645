// IPv6 through the programs of the tunnel device.
import { describe, expect, test } from 'vitest'
import { TestSkb, tcContext } from '../../../bpf/test-support/contexts.ts'
import type { LayerSpec } from '../../../net/layer-spec.ts'
import { putEndpoint } from '../../test-support/entries.ts'
import { addressBytes, datapathLab, frame, usualDefines } from '../../test-support/lab.ts'
import { bpfOverlay } from './bpf-overlay.ts'

const OK = 0
const DROP = 2
const REDIRECT = 7
const router = 'fd00:1::1'
const node = 'fd01::1'
const other = 'fd00:2::1'
const segment = { kind: 'tcp', source: 40_000, destination: 80 } as const

/** A packet through a program of the tunnel device; `vni` is the sender's identity. */
function run(symbol: string, packet: Uint8Array, vni?: number) {
  const on = datapathLab({
    legacy: true,
    defines: [...usualDefines.filter((name) => name !== 'ENABLE_NODEPORT'), 'TUNNEL_MODE'],
    values: {
      router_ipv6: addressBytes(router),
      HOST_IP: addressBytes(node),
      CILIUM_NET_IFINDEX: 12,
      CILIUM_HOST_MAC: 0x0200_0000_1101,
    },
    object: { kind: 'bpf_overlay', interface_ifindex: 13, interface_mac: 0x0e00_0000_0063 },
  })
  putEndpoint(on.maps, 'fd00:1::10', { id: 101, ifindex: 21 })
  const context = tcContext(packet)
  if (vni !== undefined && context.skb instanceof TestSkb) {
    context.skb.tunnelKey = { id: vni, remote: 0xc0a8_0002, tos: 0, ttl: 64, flags: 0, received: true }
  }
  return on.runObject(bpfOverlay(on.node), symbol, context)
}

const sourceOf = (packet: Uint8Array): Uint8Array => packet.slice(22, 38)
const destinationOf = (packet: Uint8Array): Uint8Array => packet.slice(38, 54)

describe('what goes into the tunnel', () => {
  test("the node's address becomes the router's, so that answers come back through the tunnel", () => {
    const { result, frame: sent } = run('to-overlay', frame(node, other, segment))
    expect(result).toBe(OK)
    expect(sent).toEqual(frame(router, other, segment))
  })

  test('other addresses stay', () => {
    const packet = frame('fd00:1::10', other, segment)
    expect(run('to-overlay', packet).frame).toEqual(packet)
  })

  test('a protocol without a checksum has nothing to repair', () => {
    const packet = frame(node, other, segment)
    packet[20] = 50
    const { frame: sent } = run('to-overlay', packet)
    expect(sourceOf(sent)).toEqual(addressBytes(router))
    expect(sent.slice(54)).toEqual(packet.slice(54))
  })

  test.each([
    ['a fragment', 44],
    ['a header that nothing follows', 59],
  ])('%s of the node is dropped', (_, nexthdr) => {
    const packet = frame(node, other, segment)
    packet[20] = nexthdr
    expect(run('to-overlay', packet).result).toBe(DROP)
  })
})

describe('what comes out of the tunnel', () => {
  const arrive = (layers: readonly LayerSpec[], destination: string, vni: number | undefined = 6) =>
    run('from-overlay', frame(other, destination, ...layers), vni)

  test("the router's address becomes the node's; the packet goes to cilium_net", () => {
    const { result, frame: sent, context } = arrive([segment], router)
    expect([result, context.redirect]).toEqual([REDIRECT, { kind: 'device', ifindex: 12, ingress: false }])
    expect(destinationOf(sent)).toEqual(addressBytes(node))
    expect(Buffer.from(sent.subarray(0, 12)).toString('hex')).toBe('0200000011010e0000000063')
    expect(sent[21]).toBe(63)
  })

  test('a packet for a pod goes to its program with the identity of the sender', () => {
    const { result, context } = arrive([segment], 'fd00:1::10', 20_001)
    // the pod has no program here; the words of the drop begin with the sender
    expect([result, context.skb?.cb[0]]).toEqual([DROP, 20_001])
  })

  test.each([
    ['nobody may be this host', 1],
    ['a packet without a tunnel key', undefined],
  ])('%s', (_, vni) => {
    const packet = frame(other, router, segment)
    expect(run('from-overlay', packet, vni).result).toBe(DROP)
  })
})

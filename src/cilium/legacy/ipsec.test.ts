// What 1.10 does to packets that the kernel is to encrypt or decrypt.
import { describe, expect, test } from 'vitest'
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import { tcContext } from '../../bpf/test-support/contexts.ts'
import type { Define } from '../datapath/defines.ts'
import type { ObjectSource } from '../datapath/object.ts'
import { addLegacyPolicy, putEndpoint, putLegacyIpcache } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  frame,
  routeTo,
  usualDefines,
} from '../test-support/lab.ts'
import { bpfHost } from './host/bpf-host.ts'
import { bpfLxc } from './lxc/bpf-lxc.ts'
import { bpfNetwork } from './network/bpf-network.ts'
import { bpfOverlay } from './overlay/bpf-overlay.ts'

const OK = 0
const DROP = 2
const REDIRECT = 7
const there = '192.168.0.2'
const ENCAP_IFINDEX = 13
const ENCRYPT_IFACE = 3
const ipsec: readonly Define[] = ['ENABLE_IPSEC']
const tunnel: readonly Define[] = ['TUNNEL_MODE', 'HAVE_ENCAP']

function lab(defines: readonly Define[]): DatapathLab {
  const on = datapathLab({
    legacy: true,
    defines: [...usualDefines.filter((name) => name !== 'ENABLE_NODEPORT'), ...defines],
    values: { ENCAP_IFINDEX, ENCRYPT_IFACE, CILIUM_HOST_IFINDEX: 11, CILIUM_NET_IFINDEX: 12 },
    kernel: routeTo({ ifindex: ENCRYPT_IFACE }),
  })
  addLegacyPolicy(on.policy, { egress: true })
  on.maps.cilium_encrypt_state.update(new Uint8Array(4), Uint8Array.of(4), 0, 0)
  putLegacyIpcache(on.maps, '10.0.2.10', { identity: 5002, tunnel: there, key: 3 })
  putLegacyIpcache(on.maps, there, { identity: 6, tunnel: there })
  return on
}

interface Start {
  readonly mark?: number
  readonly cb?: readonly number[]
}

/** A packet through a program: the result, the mark, words 0, 1 and 4 of cb, the tunnel and the redirect. */
function play(on: DatapathLab, source: ObjectSource, symbol: string, packet: Uint8Array, start: Start = {}) {
  const context = tcContext(packet, routeTo({ ifindex: ENCRYPT_IFACE }))
  const { skb } = context
  if (skb === undefined) throw new Error('no skb')
  skb.mark = start.mark ?? 0
  for (const [at, word] of (start.cb ?? []).entries()) skb.cb[at] = word
  const { result, frame: sent } = on.runObject(source, symbol, context)
  return {
    result,
    mark: skb.mark >>> 0,
    cb: [skb.cb[0], skb.cb[1], skb.cb[4]],
    tunnel: skb.tunnelKey,
    redirect: context.redirect,
    sent,
  }
}

const udp = { kind: 'udp', source: 40_000, destination: 7 } as const
const toPod = frame('10.0.1.10', '10.0.2.10', udp)
const esp = frame('10.0.1.1', '10.0.2.1', udp).map((byte, at) => (at === 23 ? 50 : byte))
const endpointWord = ((bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(0, true))(
  addressBytes(there),
)

describe('what a pod sends', () => {
  test('in a tunnel is marked with the older key and the identity; cb has the endpoint', () => {
    const on = lab([...ipsec, ...tunnel])
    const { result, mark, cb, tunnel: key } = play(on, bpfLxc(on.node), 'from-container', toPod)
    expect([result, mark.toString(16), cb[2], key]).toEqual([
      OK,
      ((5001 << 16) | 0x3e00).toString(16),
      endpointWord,
      undefined,
    ])
  })
  test('natively is marked with the key alone; what has no key with the identity', () => {
    const on = lab(ipsec)
    expect(play(on, bpfLxc(on.node), 'from-container', toPod).mark).toBe(0x3e00)
    const toNode = frame('10.0.1.10', there, udp)
    expect(play(on, bpfLxc(on.node), 'from-container', toNode).mark).toBe((5001 << 16) | 0xf00)
  })
  test('with WireGuard is marked for pods of other nodes, in a tunnel, too', () => {
    for (const defines of [[], tunnel]) {
      const on = lab([...defines, 'ENABLE_WIREGUARD'])
      const { result, mark, redirect } = play(on, bpfLxc(on.node), 'from-container', toPod)
      expect([result, mark, redirect]).toMatchObject([OK, 0xe00, {}])
    }
    const on = lab([...tunnel, 'ENABLE_WIREGUARD'])
    const toNode = frame('10.0.1.10', there, udp)
    expect(play(on, bpfLxc(on.node), 'from-container', toNode)).toMatchObject({ result: REDIRECT, mark: 0 })
  })
})

describe('cilium_host', () => {
  test('tells cilium_net how to mark what the host sends', () => {
    const on = lab([...ipsec, ...tunnel])
    const packet = frame('10.0.1.1', '10.0.2.10', udp)
    const { result, mark, cb } = play(on, bpfHost(on.node), 'from-host', packet, { mark: 0xc00 })
    expect([result, mark, cb]).toEqual([OK, 0, [0x3e00, 1, endpointWord]])
    const words = [0x3e00, 1, 0, 0, endpointWord]
    const { mark: marked } = play(on, bpfHost(on.node), 'to-host', packet, { cb: words })
    expect(marked.toString(16)).toBe('13e00')
  })
  test('sends what was encrypted into the tunnel with the identity of its mark', () => {
    const on = lab([...ipsec, ...tunnel])
    const start = { mark: (5001 << 16) | 0x3e00, cb: [0, 0, 0, 0, endpointWord] }
    const { result, mark, tunnel: key, redirect } = play(on, bpfHost(on.node), 'from-host', esp, start)
    expect([result, mark, redirect]).toEqual([
      REDIRECT,
      0,
      { kind: 'device', ifindex: ENCAP_IFINDEX, ingress: false },
    ])
    expect(key).toMatchObject({ id: 5001, remote: 0xc0a8_0002 })
  })
  test('asks natively for the way, and drops what has none', () => {
    const on = lab(ipsec)
    const { result, mark, redirect, sent } = play(on, bpfHost(on.node), 'from-host', esp, { mark: 0x3e00 })
    expect([result, mark, redirect]).toEqual([
      REDIRECT,
      0x3e00,
      { kind: 'device', ifindex: ENCRYPT_IFACE, ingress: false },
    ])
    expect([...sent.subarray(0, 6)]).toEqual([0x0a, 0, 0, 0, 0, 0xfe])
    const context = tcContext(esp, routeTo({ code: 7 }))
    if (context.skb !== undefined) context.skb.mark = 0x3e00
    expect(on.runObject(bpfHost(on.node), 'from-host', context).result).toBe(DROP)
  })
})

describe('what arrives', () => {
  test('as ESP is marked for decryption, and what came of it goes to cilium_host', () => {
    const on = lab(ipsec)
    const network = bpfNetwork(on.node)
    expect(play(on, network, 'from-network', esp)).toMatchObject({ result: OK, mark: 0xd00 })
    expect(play(on, network, 'from-network', toPod)).toMatchObject({ result: OK, mark: 0 })
    expect(play(on, network, 'from-network', toPod, { mark: 0xd00 })).toMatchObject({
      result: REDIRECT,
      mark: 0,
      redirect: { kind: 'device', ifindex: 11, ingress: false },
    })
    const routes = lab([...ipsec, 'ENABLE_ENDPOINT_ROUTES'])
    expect(play(routes, network, 'from-network', toPod, { mark: 0xd00 })).toMatchObject({
      result: OK,
      mark: 0,
    })
  })
  test('from the tunnel keeps the identity while it is decrypted', () => {
    const on = lab([...ipsec, ...tunnel])
    const context = tcContext(esp)
    if (context.skb === undefined) throw new Error('no skb')
    context.skb.tunnelKey = { id: 5002, remote: 0xc0a8_0002, tos: 0, ttl: 64, flags: 0, received: true }
    expect(on.runObject(bpfOverlay(on.node), 'from-overlay', context).result).toBe(OK)
    expect(context.skb.mark >>> 0).toBe(((5002 << 16) | 0xd00) >>> 0)
    putEndpoint(on.maps, '10.0.2.10', { id: 102, ifindex: 22 })
    // the pod has no program here: the delivery fails behind everything else
    const { mark } = play(on, bpfOverlay(on.node), 'from-overlay', toPod, { mark: (5002 << 16) | 0xd00 })
    expect(mark).toBe(0)
  })
})

test('the tunnel map has a key of its own where the ipcache does not know the pod', () => {
  const on = lab([...ipsec, ...tunnel])
  const key = new Uint8Array(20)
  key.set(addressBytes('10.0.3.0'))
  key[16] = 1
  const value = new Uint8Array(20)
  value.set(addressBytes(there))
  value[16] = 1
  value[17] = 15
  expect(on.maps.cilium_tunnel_map?.update(key, value, 0, 0)).toBe(0)
  const { mark } = play(on, bpfLxc(on.node), 'from-container', frame('10.0.1.10', '10.0.3.10', udp))
  // behind the last index the other one counts
  expect(mark & 0xffff).toBe(0x4e00)
  const own = new Uint8Array(4)
  writeLe32(own, 0, 1)
  on.maps.cilium_encrypt_state.update(new Uint8Array(4), own.subarray(0, 1), 0, 0)
  const next = play(on, bpfLxc(on.node), 'from-container', frame('10.0.1.10', '10.0.3.10', udp))
  expect(next.mark & 0xffff).toBe(0xfe00)
})

// IPv6 through the programs of a pod.
import { describe, expect, test } from 'vitest'
import { tcContext } from '../../../bpf/test-support/contexts.ts'
import type { Define } from '../../datapath/defines.ts'
import {
  addLegacyPolicy,
  type LegacyPolicyRule,
  putEndpoint,
  putLegacyIpcache,
} from '../../test-support/entries.ts'
import { addressBytes, datapathLab, entryText, frame, keysOf, usualDefines } from '../../test-support/lab.ts'
import { bpfLxc } from './bpf-lxc.ts'

const OK = 0
const DROP = 2
const REDIRECT = 7
const pod = 'fd00:1::10'
const remote = 'fd00:2::10'
const world = '2001:db8::1'
const segment = { kind: 'tcp', source: 40_000, destination: 80 } as const
const tunnel: readonly Define[] = ['TUNNEL_MODE']
const allowAll: readonly LegacyPolicyRule[] = [{}, { egress: true }]

/** A packet through a program of the pod; what it did, with the connections that are known afterwards. */
function run(
  symbol: string,
  packet: Uint8Array,
  options: { readonly defines?: readonly Define[]; readonly rules?: readonly LegacyPolicyRule[] } = {},
) {
  const on = datapathLab({
    legacy: true,
    defines: [...usualDefines, ...(options.defines ?? [])],
    values: {
      router_ipv6: addressBytes('fd00:1::1'),
      ENCAP_IFINDEX: 13,
      CILIUM_NET_IFINDEX: 12,
      ENABLE_SKIP_FIB: true,
      direct_routing_dev_ifindex: 10,
    },
    object: { endpoint_ipv6: addressBytes(pod) },
  })
  for (const rule of options.rules ?? allowAll) addLegacyPolicy(on.policy, rule)
  putEndpoint(on.maps, pod, { id: 101, ifindex: 21 })
  putEndpoint(on.maps, 'fd01::1', { flags: 1 })
  putLegacyIpcache(on.maps, remote, { identity: 5002, tunnel: '192.168.0.2' })
  putLegacyIpcache(on.maps, 'fd01::1', { identity: 1 })
  const done = on.runObject(bpfLxc(on.node), symbol, tcContext(packet))
  const known = keysOf(on.maps.cilium_ct6_global).map((key) => entryText(key).split(' ')[0])
  return { ...done, known }
}

const out = (destination: string): Uint8Array => frame(pod, destination, segment)

describe('what the pod sends', () => {
  test('to a pod of another node goes through the tunnel with its identity', () => {
    const { result, context, known, frame: sent } = run('from-container', out(remote), { defines: tunnel })
    expect([result, known]).toEqual([REDIRECT, ['0']])
    expect(context.redirect).toEqual({ kind: 'device', ifindex: 13, ingress: false })
    expect(context.skb?.tunnelKey).toMatchObject({ id: 5001, remote: 0xc0a8_0002, ttl: 64 })
    expect(sent).toEqual(out(remote))
  })

  test('to the world goes through the stack: the flow label and the mark say who sent it', () => {
    const { result, context, frame: sent } = run('from-container', out(world), { defines: tunnel })
    expect([result, context.skb?.mark]).toEqual([OK, 0x1389_0f00])
    const label = ((sent[15] ?? 0) & 0xf) * 0x1_0000 + (sent[16] ?? 0) * 0x100 + (sent[17] ?? 0)
    expect([sent[14], label]).toEqual([0x60, 5001])
    expect(sent[21]).toBe(63)
  })

  test.each([
    ['with a tunnel', tunnel],
    ['without', []],
  ] as const)('to the world %s is redirected where BPF routes', (_, defines) => {
    const { result, context } = run('from-container', out(world), {
      defines: [...defines, 'ENABLE_HOST_ROUTING'],
    })
    expect([result, context.redirect]).toEqual([REDIRECT, { kind: 'neigh', ifindex: 10 }])
  })

  test('to the node goes through the stack', () => {
    expect(run('from-container', out('fd01::1'), { defines: ['ENABLE_HOST_ROUTING'] }).result).toBe(OK)
  })

  test.each([
    ['with the address of another', frame('fd00:1::99', remote, segment), allowAll],
    ['where policy does not allow it', out(remote), [{}]],
    ['to a denied port', out(remote), [...allowAll, { egress: true, protocol: 6, port: 80, deny: true }]],
  ] as const)('%s is dropped', (_, packet, rules) => {
    const { result, known } = run('from-container', packet, { defines: tunnel, rules })
    expect([result, known]).toEqual([DROP, []])
  })

  test.each([
    ['a fragment', 44],
    ['a header that nothing follows', 59],
  ])('%s is dropped', (_, nexthdr) => {
    const packet = out(remote)
    packet[20] = nexthdr
    expect(run('from-container', packet, { defines: tunnel }).result).toBe(DROP)
  })

  test('extension headers are skipped', () => {
    const options = { kind: 'payload', bytes: Uint8Array.of(6, 0, 1, 4, 0, 0, 0, 0) } as const
    const plain = out(remote)
    const packet = frame(pod, remote, options, { kind: 'payload', bytes: plain.slice(54) })
    packet[20] = 60
    expect(run('from-container', packet, { defines: tunnel })).toMatchObject({
      result: REDIRECT,
      known: ['0'],
    })
  })

  test('to the proxy is marked with its port', () => {
    const rules = [...allowAll, { egress: true, protocol: 6, port: 80, proxyPort: 10_001 }]
    const { result, context } = run('from-container', out(remote), { defines: tunnel, rules })
    expect([result, context.skb?.mark]).toEqual([OK, 0x1127_0200])
  })
})

describe('what comes to the pod through the stack', () => {
  const arrive = (rules = allowAll) => run('to-container', frame(remote, pod, segment), { rules })

  test('is asked about, and known afterwards', () => {
    expect(arrive()).toMatchObject({ result: OK, known: ['1'] })
    expect(arrive([{ egress: true }])).toMatchObject({ result: DROP, known: [] })
    // by the identity of its address
    expect(arrive([{ identity: 5002, protocol: 6, port: 80 }])).toMatchObject({ result: OK })
  })
})

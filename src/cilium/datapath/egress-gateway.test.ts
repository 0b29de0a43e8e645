import { describe, expect, test } from 'vitest'
import { present } from '../../base/assert.ts'
import { readLe16 } from '../../bpf/context/byte-order.ts'
import type { KernelServices } from '../../bpf/contract.ts'
import { tcContext } from '../../bpf/test-support/contexts.ts'
import { bpfHost } from '../host/bpf-host.ts'
import { egressGatewayHandleRequest } from '../host/egress-gateway-request.ts'
import { putEgressPolicy, putEndpoint, putIpcache } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  frame,
  routeTo,
  usualDefines,
} from '../test-support/lab.ts'
import type { Define } from './defines.ts'
import { drop } from './drop-reason.ts'
import { egressGatewayFibRedirect, egressGatewayReplyTarget } from './egress-gateway.ts'
import { endpointFlag } from './endpoints.ts'
import { type Family, ipv4, ipv6 } from './family.ts'
import { mark } from './mark.ts'

const pod = '10.0.1.10'
const world = '8.8.8.8'
const here = '192.168.0.1'
const there = '192.168.0.2'

function lab(kernel: Partial<KernelServices> = {}, families: readonly Define[] = usualDefines): DatapathLab {
  const on = datapathLab({
    defines: [...families, 'HAVE_ENCAP', 'ENABLE_EGRESS_GATEWAY', 'ENABLE_EGRESS_GATEWAY_COMMON'],
    values: { ENCAP_IFINDEX: 13 },
    object: { kind: 'bpf_host' },
    kernel,
  })
  putEndpoint(on.maps, here, { flags: endpointFlag.HOST })
  putEndpoint(on.maps, pod, { id: 101, identity: 5001 })
  putIpcache(on.maps, '0.0.0.0/0', { identity: 9 })
  return on
}

function request(on: DatapathLab, source = 5001) {
  const packet = frame(pod, world, { kind: 'tcp', source: 40_000, destination: 443, flags: 2 })
  const trace = { reason: 5, monitor: 0 }
  return on.run(packet, (ctx) => egressGatewayHandleRequest(ctx, 0x0800, { source, destination: 0 }, trace))
}

function policy(on: DatapathLab, gateway: string): void {
  putEgressPolicy(on.maps, { source: pod, destination: '0.0.0.0/0', gateway, egress: '0.0.0.0' })
}

describe('a request that leaves a node (facts 2.14)', () => {
  test('without a policy it goes its way', () => {
    expect(request(lab()).result).toBe(0)
  })

  test('for another gateway it goes through the tunnel with the identity of the pod', () => {
    const on = lab()
    policy(on, there)
    const { result, context } = request(on)
    expect(result).toBe(7)
    expect(context.redirect).toEqual({ kind: 'device', ifindex: 13, ingress: false })
    expect(context.skb?.tunnelKey).toMatchObject({ id: 5001, remote: 0xc0a8_0002, ttl: 64 })
  })

  test('for this node it goes its way', () => {
    const on = lab()
    policy(on, here)
    expect(request(on).result).toBe(0)
  })

  test('without a gateway it is dropped, an exempt destination goes its way', () => {
    const on = lab()
    policy(on, '0.0.0.0')
    expect(request(on).result).toBe(drop.NO_EGRESS_GATEWAY)
    policy(on, '0.0.0.1')
    expect(request(on).result).toBe(0)
  })

  test('not for what the host sends, not for what stays in the cluster', () => {
    const on = lab()
    policy(on, there)
    expect(request(on, 1).result).toBe(0)
    putIpcache(on.maps, world, { identity: 6 })
    expect(request(on).result).toBe(0)
  })
})

test('of one family alone to-netdev translates in its own program, with an egress gateway as without', () => {
  const on = lab({}, ['ENABLE_IPV4', 'ENABLE_NODEPORT', 'ENABLE_IPV4_FRAGMENTS', 'DROP_NOTIFY'])
  const events: Uint8Array[] = []
  on.maps.cilium_events.onRecord = (record) => events.push(record)
  // a later fragment whose first was not seen
  const fragment = frame(here, world, { kind: 'udp', source: 40_000, destination: 53 })
  fragment[21] = 0x10
  const context = tcContext(fragment)
  context.skb.mark = mark.HOST
  expect(on.runObject(bpfHost(on.node), 'cil_to_netdev', context).result).toBe(2)
  const [event = new Uint8Array()] = events
  expect([-(event[1] ?? 0), readLe16(event, 28), event[30]]).toEqual([drop.FRAG_NOT_FOUND, 1549, 1])
})

test('the route of an IPv6 packet is asked with the MTU of the device that was found before as its length', () => {
  const lengths: number[] = []
  const { fibLookup } = routeTo({ ifindex: 9 })
  const on = lab({
    fibLookup: (request, flags) => {
      lengths.push(request.totalLength)
      return present(fibLookup, 'a route')(request, flags)
    },
  })
  const asked = (family: Family, source: string, destination: string): number[] => {
    on.run(frame(pod, world), (ctx) => {
      const addresses = [addressBytes(source), addressBytes(destination)] as const
      egressGatewayFibRedirect(ctx, family, ...addresses, 0)
      egressGatewayFibRedirect(ctx, family, ...addresses, 0)
    })
    return lengths.splice(0)
  }
  expect(asked(ipv4, here, world)).toEqual([0, 0])
  expect(asked(ipv6, 'fd01::1', '2001:db8::1')).toEqual([0, 1500])
})

test('a reply for a remote pod goes back through its tunnel endpoint', () => {
  const on = lab()
  const target = (destination: string) =>
    on.run(frame(world, destination), (ctx) =>
      egressGatewayReplyTarget(ctx, ipv4, addressBytes(world), addressBytes(destination)),
    ).result
  const remote = '10.0.2.20'
  expect(target(remote)).toBeUndefined()
  putEgressPolicy(on.maps, { source: remote, destination: '0.0.0.0/0', gateway: here, egress: here })
  expect(target(remote)).toBeUndefined()
  putIpcache(on.maps, remote, { identity: 5002, tunnel: there })
  expect(target(remote)?.secIdentity).toBe(5002)
})

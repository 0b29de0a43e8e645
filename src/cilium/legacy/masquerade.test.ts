import { expect, test } from 'vitest'
import type { Define } from '../datapath/defines.ts'
import { endpointFlag } from '../datapath/endpoints.ts'
import { putEndpoint, putLegacyIpcache } from '../test-support/entries.ts'
import { addressBytes, datapathLab, frame, usualDefines } from '../test-support/lab.ts'
import { handleNatFwd } from './masquerade.ts'

const pod = '10.0.1.10'
const node = '192.168.0.1'
const remoteNode = '192.168.0.2'
const router = '10.0.1.1'
const world = '8.8.8.8'

/** The source of a UDP packet behind handle_nat_fwd(), and whether the host was noted as its sender. */
function sourceBehind(
  source: string,
  destination: string,
  on: { readonly defines?: readonly Define[]; readonly kind?: 'bpf_host' | 'bpf_overlay' } = {},
): string {
  const lab = datapathLab({
    legacy: true,
    defines: [
      ...usualDefines.filter((name) => name !== 'ENABLE_IPV6'),
      'ENABLE_MASQUERADE_IPV4',
      ...(on.defines ?? []),
    ],
    values: {
      ENCAP_IFINDEX: 13,
      IPV4_GATEWAY: addressBytes(router),
      IPV4_DIRECT_ROUTING: addressBytes(node),
      direct_routing_dev_ifindex: 10,
      IPV4_SNAT_EXCLUSION_DST_CIDR: { address: addressBytes('10.0.0.0'), length: 16 },
    },
    object: {
      kind: on.kind ?? 'bpf_host',
      interface_ifindex: 10,
      nat_ipv4_masquerade: addressBytes(node),
    },
  })
  putEndpoint(lab.maps, pod, { id: 101 })
  putEndpoint(lab.maps, node, { flags: endpointFlag.HOST })
  putLegacyIpcache(lab.maps, '0.0.0.0/0', { identity: 2 })
  putLegacyIpcache(lab.maps, remoteNode, { identity: 6 })
  const packet = frame(source, destination, { kind: 'udp', source: 40_000, destination: 53 })
  const { frame: sent } = lab.run(packet, (ctx) => handleNatFwd(ctx))
  return [...sent.subarray(26, 30)].join('.')
}

test.each([
  ['a pod to the world', pod, world, {}, node],
  ['a pod to a pod elsewhere', pod, '10.0.2.10', {}, pod],
  ['a pod to another node, without a tunnel', pod, remoteNode, {}, pod],
  ['a pod to another node, past the tunnel', pod, remoteNode, { defines: ['TUNNEL_MODE'] }, node],
  ['somebody whom this node does not know', '172.16.0.1', world, {}, '172.16.0.1'],
  ['a pod inside the tunnel', pod, world, { defines: ['TUNNEL_MODE'], kind: 'bpf_overlay' }, pod],
  ['the router inside the tunnel', router, world, { defines: ['TUNNEL_MODE'], kind: 'bpf_overlay' }, router],
] as const)('%s leaves as it should', (_, source, destination, on, expected) => {
  expect(sourceBehind(source, destination, on)).toBe(expected)
})

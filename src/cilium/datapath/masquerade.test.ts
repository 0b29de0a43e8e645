import { describe, expect, test } from 'vitest'
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import { putEgressPolicy, putEndpoint, putIpcache } from '../test-support/entries.ts'
import { addressBytes, datapathLab, frame, packetTuple, usualDefines } from '../test-support/lab.ts'
import type { NodeValues } from './config.ts'
import { ctAnyMap, ctCreate, ctMapOf, swapTuple } from './conntrack.ts'
import { ctDirection, newCtState } from './ct-state.ts'
import type { NodeMaps } from './ctx.ts'
import type { Define } from './defines.ts'
import { drop } from './drop-reason.ts'
import { endpointFlag } from './endpoints.ts'
import { ipv4 } from './family.ts'
import { wholePacket } from './fragments.ts'
import { isInSubnet, NAT_NEEDED, needsMasquerade } from './masquerade.ts'
import { NAT_PUNT_TO_STACK } from './nat-embedded.ts'
import { newNatTarget } from './nat-mapping.ts'

const masqueraded = '192.168.0.1'
const pod = '10.0.1.10'
const world = '8.8.8.8'
const remoteNode = '192.168.0.2'

interface Setting {
  readonly defines?: readonly Define[]
  readonly values?: Partial<NodeValues>
  readonly fill?: (maps: NodeMaps) => void
  readonly kind?: 'bpf_host' | 'bpf_overlay'
  /** Somebody connected to the pod from the destination before. */
  readonly replied?: boolean
}

/** What is decided about a TCP packet from `source` to `destination`, and the target. */
function decide(source: string, destination: string, setting: Setting = {}) {
  const lab = datapathLab({
    defines: [...usualDefines, 'ENABLE_MASQUERADE_IPV4', ...(setting.defines ?? [])],
    values: {
      IPV4_SNAT_EXCLUSION_DST_CIDR: { address: addressBytes('10.0.0.0'), length: 16 },
      ...setting.values,
    },
    object: {
      kind: setting.kind ?? 'bpf_host',
      nat_ipv4_masquerade: addressBytes(masqueraded),
    },
  })
  putEndpoint(lab.maps, pod, { id: 101, identity: 5001 })
  putEndpoint(lab.maps, masqueraded, { flags: endpointFlag.HOST })
  putIpcache(lab.maps, '0.0.0.0/0', { identity: 2 })
  setting.fill?.(lab.maps)
  const packet = frame(source, destination, { kind: 'tcp', source: 40_000, destination: 443, flags: 2 })
  return lab.run(packet, (ctx) => {
    if (setting.replied === true) {
      const entry = packetTuple(destination, source, 6)
      entry.dport = 443
      entry.sport = 40_000
      swapTuple(entry)
      entry.flags = 1
      ctCreate(ctx, ctMapOf(ctx, entry), ctAnyMap(ctx, ipv4), entry, ctDirection.INGRESS, newCtState())
    }
    const target = newNatTarget(ctx, ipv4)
    const place = { l3Offset: 14, l4Offset: 34, fragment: wholePacket }
    const code = needsMasquerade(ctx, packetTuple(source, destination, 6), place, target)
    const { needsCt, fromLocalEndpoint, egressGateway } = target
    return { code, address: [...target.address].join('.'), needsCt, fromLocalEndpoint, egressGateway }
  }).result
}

const needed = (address: string) => ({ code: NAT_NEEDED, address })
const punted = { code: NAT_PUNT_TO_STACK }

describe('which packets are masqueraded, question by question (facts 4.4)', () => {
  test('only in bpf_host, only where masquerading is on', () => {
    expect(decide(pod, world, { kind: 'bpf_overlay' })).toMatchObject(punted)
  })

  test("2: the device's own address is tracked, not changed", () => {
    expect(decide(masqueraded, world)).toMatchObject({ ...needed(masqueraded), needsCt: true })
  })

  test('3: a reply of a pod keeps its source', () => {
    expect(decide(pod, world, { replied: true })).toMatchObject({ ...punted, fromLocalEndpoint: true })
    expect(decide(pod, world)).toMatchObject(needed(masqueraded))
  })

  const gateway: Pick<Setting, 'defines'> = {
    defines: ['ENABLE_EGRESS_GATEWAY', 'ENABLE_EGRESS_GATEWAY_COMMON'],
  }
  const policy =
    (change: Partial<Parameters<typeof putEgressPolicy>[1]> = {}) =>
    (maps: NodeMaps) =>
      putEgressPolicy(maps, {
        source: pod,
        destination: '0.0.0.0/0',
        gateway: masqueraded,
        egress: '192.168.0.7',
        ...change,
      })

  test('4: an egress gateway policy goes before exclusions and flags', () => {
    const fill = (maps: NodeMaps): void => {
      policy()(maps)
      putEndpoint(maps, pod, { flags: endpointFlag.NO_SNAT_V4 })
    }
    expect(decide(pod, world, { ...gateway, fill })).toMatchObject({
      ...needed('192.168.0.7'),
      egressGateway: true,
      needsCt: false,
    })
    // no pod of this node: the connection is tracked here
    const remote = policy({ source: '10.0.2.20' })
    expect(decide('10.0.2.20', world, { ...gateway, fill: remote })).toMatchObject({ needsCt: true })
  })

  test('4: no egress address is an error; an exempt destination, no gateway and the cluster are not for it', () => {
    const none = policy({ egress: '0.0.0.0' })
    expect(decide(pod, world, { ...gateway, fill: none }).code).toBe(drop.NO_EGRESS_IP)
    const exempt = policy({ gateway: '0.0.0.1' })
    expect(decide(pod, world, { ...gateway, fill: exempt })).toMatchObject(needed(masqueraded))
    const unknown = policy({ gateway: '0.0.0.0' })
    expect(decide(pod, world, { ...gateway, fill: unknown })).toMatchObject(needed(masqueraded))
    const inside = (maps: NodeMaps): void => {
      policy()(maps)
      putIpcache(maps, world, { identity: 5002 })
    }
    expect(decide(pod, world, { ...gateway, fill: inside })).toMatchObject(needed(masqueraded))
  })

  test('5: destinations in the exclusion prefix', () => {
    expect(decide(pod, '10.0.2.20')).toMatchObject(punted)
    expect(decide(pod, '10.1.2.20')).toMatchObject(needed(masqueraded))
  })

  test.each([endpointFlag.HOST, endpointFlag.NO_SNAT_V4])('6: a source with flag %i', (flags) => {
    expect(decide(pod, world, { fill: (maps) => putEndpoint(maps, pod, { flags }) })).toMatchObject(punted)
  })

  test('7: destinations of the ip-masq-agent', () => {
    const fill = (maps: NodeMaps): void => {
      const key = new Uint8Array(8)
      writeLe32(key, 0, 8)
      key.set(addressBytes('172.0.0.0'), 4)
      maps.cilium_ipmasq_v4.update(key, new Uint8Array(1), 0, 0)
    }
    expect(decide(pod, '172.16.0.1', { fill })).toMatchObject(needed(masqueraded))
    const agent: Setting = { fill, defines: ['ENABLE_IP_MASQ_AGENT_IPV4'] }
    expect(decide(pod, '172.16.0.1', agent)).toMatchObject(punted)
    expect(decide(pod, world, agent)).toMatchObject(needed(masqueraded))
  })

  const toNode = (skipTunnel: boolean) => (maps: NodeMaps) =>
    putIpcache(maps, remoteNode, { identity: 6, skipTunnel })

  test.each([
    ['native routing: not to remote nodes', {}, false, punted],
    [
      'with enable-remote-node-masquerade: to them too',
      { enable_remote_node_masquerade: true },
      false,
      needed(masqueraded),
    ],
  ] as const)('8: %s', (_title, values, skip, expected) => {
    expect(decide(pod, remoteNode, { values, fill: toNode(skip) })).toMatchObject(expected)
  })

  test('8: with a tunnel: to remote nodes, unless they are reached without it', () => {
    const defines: readonly Define[] = ['TUNNEL_MODE', 'HAVE_ENCAP']
    expect(decide(pod, remoteNode, { defines, fill: toNode(false) })).toMatchObject(needed(masqueraded))
    expect(decide(pod, remoteNode, { defines, fill: toNode(true) })).toMatchObject(punted)
  })

  test('9 and 10: pods of this node, nobody else', () => {
    expect(decide(pod, world)).toMatchObject({ ...needed(masqueraded), fromLocalEndpoint: true })
    expect(decide('10.0.2.20', world)).toMatchObject(punted)
  })
})

test.each([
  ['10.0.255.1', '10.0.0.0', 16, true],
  ['10.1.0.0', '10.0.0.0', 16, false],
  ['10.0.0.3', '10.0.0.0', 30, true],
  ['10.0.0.4', '10.0.0.0', 30, false],
  ['1.2.3.4', '0.0.0.0', 0, true],
] as const)('%s in %s/%i: %s', (address, prefix, length, expected) => {
  expect(isInSubnet(addressBytes(address), { address: addressBytes(prefix), length })).toBe(expected)
})

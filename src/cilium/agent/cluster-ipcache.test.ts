// An ipcache in two parts says what it says as a whole.
import { expect, test } from 'vitest'
import { formatPrefix } from '../../net/prefix.ts'
import { decide } from './agent.ts'
import { clusterOf, podYaml, type TestOptions } from './cluster.test-helper.ts'
import type { IpcacheEntry } from './ipcache.ts'

const pods = ['10.0.1.10', '10.0.1.11', '10.0.2.10', '10.0.2.11']
  .map((address, index) => podYaml(`p${index}`, address, `app=a${index}`))
  .join('')

/** A policy that names a node's and a pod's address and one outside. */
const policy = `---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: out }
spec:
  endpointSelector: {}
  egress: [ { toCIDR: [ 192.168.0.1/32, 10.0.2.10/32, 203.0.113.0/24 ] } ]
`

const byPrefix = (entries: readonly IpcacheEntry[]): Record<string, IpcacheEntry> =>
  Object.fromEntries(entries.map((entry) => [formatPrefix(entry.prefix), entry]))

test.each<[string, TestOptions]>([
  ['one family', {}],
  ['both families', { settings: { 'enable-ipv6': 'true' } }],
  ['encrypted by WireGuard', { settings: { 'enable-wireguard': 'true' } }],
  ['no health endpoints', { settings: { 'enable-endpoint-health-checking': 'false' } }],
  ['host firewall', { settings: { 'enable-host-firewall': 'true' } }],
  ['1.10', { version: '1.10' }],
  ['an API server', { nodeLabels: { n1: { 'node-role.kubernetes.io/control-plane': '' } } }],
])('%s: shared and own entries are the whole, and nodes share one list', (_, options) => {
  const { agents } = decide(clusterOf(pods + policy, options))
  const parts = agents.map(({ ipcacheParts }) => ipcacheParts)
  agents.forEach(({ ipcache }, at) => {
    const { shared = [], own = [] } = parts[at] ?? {}
    expect({ ...byPrefix(shared), ...byPrefix(own) }).toEqual(byPrefix(ipcache))
    // the node's own addresses and its two pods, in each family that it has
    expect(own.length).toBeLessThanOrEqual(8)
  })
  expect(parts[0]?.shared).toBe(parts[1]?.shared)
  expect(parts[0]?.shared.length).toBeGreaterThan(6)
})

test('two pods with one address: a node has the last, wherever it is', () => {
  const twice = clusterOf(podYaml('a', '10.0.1.10', 'app=a') + podYaml('b', '10.0.2.10', 'app=b'))
  const [first, second] = twice.pods
  if (first === undefined || second === undefined) throw new Error('two pods')
  const { agents } = decide({ ...twice, pods: [first, { ...second, addresses: first.addresses }] })
  for (const { ipcache, ipcacheParts } of agents) {
    const { shared, own } = ipcacheParts
    expect({ ...byPrefix(shared), ...byPrefix(own) }).toEqual(byPrefix(ipcache))
  }
})

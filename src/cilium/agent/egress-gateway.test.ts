import { expect, test } from 'vitest'
import { formatIp } from '../../net/address.ts'
import { formatPrefix } from '../../net/prefix.ts'
import { decide } from './agent.ts'
import { clusterOf, type TestOptions } from './cluster.test-helper.ts'

const options: TestOptions = {
  settings: {
    'enable-egress-gateway': 'true',
    'enable-bpf-masquerade': 'true',
    'kube-proxy-replacement': 'true',
    'enable-ipv6': 'true',
  },
  nodeLabels: { n1: { role: 'gateway' }, n2: { role: 'gateway', last: 'yes' } },
}

const pods = `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec: { nodeName: n1, containers: [] }
status: { podIPs: [ { ip: 10.0.1.10 }, { ip: "fd00:1::10" } ] }
---
apiVersion: v1
kind: Pod
metadata: { name: db, namespace: data, labels: { app: db } }
spec: { nodeName: n2, containers: [] }
status: { podIP: 10.0.2.10 }
---
apiVersion: v1
kind: Pod
metadata: { name: agent, labels: { app: web } }
spec: { nodeName: n1, hostNetwork: true, containers: [] }
status: { podIP: 192.168.0.1 }
---
apiVersion: v1
kind: Namespace
metadata: { name: data, labels: { team: data } }
`

/** The rules of each node: `web 10.0.0.0/8 -> ADDRESS by GATEWAY`. */
function rulesOf(spec: string, extra: TestOptions = options): Readonly<Record<string, readonly string[]>> {
  const policy = `${pods}---\napiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: { name: out }\nspec: ${spec}\n`
  const { agents } = decide(clusterOf(policy, extra))
  return Object.fromEntries(
    agents.map(({ node, egress }) => [
      node.name,
      egress.rules.map(({ source, destination, egressAddress, gateway, device }) => {
        const by = typeof gateway === 'string' ? gateway : formatIp(gateway)
        const address = egressAddress === undefined ? '-' : formatIp(egressAddress)
        return `${formatIp(source)} ${formatPrefix(destination)} -> ${address} by ${by}${device === undefined ? '' : ` on ${device}`}`
      }),
    ]),
  )
}

test('only the gateway knows the address; a device gives its first address of each family; the first node by name is it', () => {
  const spec =
    '{ selectors: [ { podSelector: { matchLabels: { app: web } } } ], destinationCIDRs: [ 0.0.0.0/0, "::/0" ], excludedCIDRs: [ 10.0.0.0/8 ], egressGateway: { nodeSelector: { matchLabels: { role: gateway } }, interface: eth0 } }'
  expect(rulesOf(spec)).toEqual({
    n1: [
      '10.0.1.10 0.0.0.0/0 -> 192.168.0.1 by 192.168.0.1',
      '10.0.1.10 10.0.0.0/8 -> 192.168.0.1 by excluded',
      'fd00:1::10 ::/0 -> fd01::1 by 192.168.0.1 on eth0',
    ],
    n2: [
      '10.0.1.10 0.0.0.0/0 -> - by 192.168.0.1',
      '10.0.1.10 10.0.0.0/8 -> - by excluded',
      'fd00:1::10 ::/0 -> - by 192.168.0.1',
    ],
  })
})

test('without address and device it is the device of the default route', () => {
  const spec =
    '{ selectors: [ { podSelector: {} } ], destinationCIDRs: [ 8.8.8.0/24 ], egressGateway: { nodeSelector: { matchLabels: { last: "yes" } } } }'
  expect(rulesOf(spec)['n2']).toEqual([
    '10.0.1.10 8.8.8.0/24 -> 192.168.0.2 by 192.168.0.2',
    '10.0.2.10 8.8.8.0/24 -> 192.168.0.2 by 192.168.0.2',
  ])
})

test('namespaces and nodes of pods choose, too', () => {
  const of = (selector: string): readonly string[] | undefined =>
    rulesOf(
      `{ selectors: [ ${selector} ], destinationCIDRs: [ 8.8.8.0/24 ], egressGateway: { nodeSelector: {}, egressIP: 192.168.0.1 } }`,
    )['n1']
  const web = '10.0.1.10 8.8.8.0/24 -> 192.168.0.1 by 192.168.0.1'
  const db = '10.0.2.10 8.8.8.0/24 -> 192.168.0.1 by 192.168.0.1'
  expect(of('{ namespaceSelector: { matchLabels: { team: data } } }')).toEqual([db])
  expect(of('{ namespaceSelector: {} }')).toEqual([web, db])
  expect(of('{ podSelector: {}, nodeSelector: { matchLabels: { last: "yes" } } }')).toEqual([db])
})

test('no gateway, an address that is nowhere', () => {
  const of = (gateway: string): readonly string[] | undefined =>
    rulesOf(
      `{ selectors: [ { podSelector: { matchLabels: { app: db } } } ], destinationCIDRs: [ 8.8.8.0/24 ], egressGateway: ${gateway} }`,
    )['n1']
  expect(of('{ nodeSelector: { matchLabels: { role: none } } }')).toEqual([
    '10.0.2.10 8.8.8.0/24 -> - by not-found',
  ])
  expect(of('{ nodeSelector: {}, egressIP: 192.168.0.99 }')).toEqual([
    '10.0.2.10 8.8.8.0/24 -> - by 192.168.0.1',
  ])
})

test('several gateways: each pod has one of them', () => {
  const spec =
    '{ selectors: [ { podSelector: {} } ], destinationCIDRs: [ 8.8.8.0/24 ], egressGateway: { nodeSelector: {} }, egressGateways: [ { nodeSelector: { matchLabels: { role: gateway } } }, { nodeSelector: { matchLabels: { last: "yes" } } } ] }'
  const all = rulesOf(spec)
  expect(all['n1']).not.toHaveLength(0)
  for (const rule of all['n1'] ?? []) expect(rule).toMatch(/by 192\.168\.0\.[12]$/)
  const gateways = (node: string): readonly string[] =>
    (all[node] ?? []).map((rule) => rule.split(' by ')[1] ?? '')
  expect(gateways('n1')).toEqual(gateways('n2'))
})

test('switched off there are no rules', () => {
  const spec =
    '{ selectors: [ { podSelector: {} } ], destinationCIDRs: [ 8.8.8.0/24 ], egressGateway: { nodeSelector: {} } }'
  expect(rulesOf(spec, { ...options, settings: {} })).toEqual({ n1: [], n2: [] })
})

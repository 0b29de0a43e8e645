import { expect, test } from 'vitest'
import { decide } from './agent.ts'
import { clusterOf, podYaml } from './cluster.test-helper.ts'
import { describeAgent, describeIdentities } from './describe.ts'

test('everything that an agent decided has a line', () => {
  const policy = `---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: p }
spec:
  endpointSelector: {}
  ingress: [ { fromCIDR: [ 10.9.0.0/16 ], toPorts: [ { ports: [ { port: "80", endPort: 83, protocol: TCP } ] } ] } ]
`
  const state = decide(clusterOf(podYaml('web', '10.0.1.10', 'app=web') + policy, { version: '1.10' }))
  const identity = state.registry.outside[0]?.id
  expect(describeIdentities(state)).toContain(`identity ${identity} 10.9.0.0/16`)
  const [agent] = state.agents
  if (agent === undefined) throw new Error('no agent')
  const lines = describeAgent(agent)
  // 1.10 knows no ranges
  expect(lines).toContain(`  policy ingress ${identity} tcp/80 allow by default/p`)
  expect(lines).toContain(`ipcache 10.9.0.0/16 identity=${identity} encryptkey=0 tunnelendpoint=0.0.0.0`)
  expect(lines).toContain('tunnel 10.0.2.0/24 192.168.0.2')
  expect(lines.find((line) => line.includes('default/web'))).toMatch(
    /^endpoint \d+ default\/web on lxc-web identity \d+ 10\.0\.1\.10 enforces ingress$/,
  )
  const current = decide(clusterOf(podYaml('web', '10.0.1.10', 'app=web') + policy)).agents[0]
  expect(current === undefined ? [] : describeAgent(current)).toContain(
    `  policy ingress ${identity} tcp/80-83 allow precedence 0xffffff01 lpm 22 by default/p`,
  )
})

import { expect, test } from 'vitest'
import { parseIp } from '../../net/address.ts'
import { decide } from './agent.ts'
import { clusterOf, podYaml } from './cluster.test-helper.ts'
import { allocatePodIdentities } from './identity.ts'
import { addressIdentity } from './identity-of.test-helper.ts'
import { formatLabel, type Label, podLabels } from './labels.ts'

const at = (text: string) => parseIp(text) ?? (0 as never)

test('security-relevant labels, sorted', () => {
  const pod = {
    labels: { app: 'web', 'pod-template-hash': 'x', 'app.kubernetes.io/name': 'w', 'k8s.io/x': 'y' },
    namespace: 'shop',
    serviceAccount: 'default',
  }
  expect(podLabels(pod, { team: 'a' }, 'default').map(formatLabel)).toEqual([
    'k8s:app=web',
    'k8s:app.kubernetes.io/name=w',
    'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop',
    'k8s:io.cilium.k8s.namespace.labels.team=a',
    'k8s:io.cilium.k8s.policy.cluster=default',
    'k8s:io.cilium.k8s.policy.serviceaccount=default',
    'k8s:io.kubernetes.pod.namespace=shop',
  ])
})

test('same labels, same identity; a pod more changes no number', () => {
  const two = podYaml('a', '10.0.1.10', 'app=web') + podYaml('b', '10.0.2.10', 'app=web')
  const few = decide(clusterOf(two))
  const more = decide(clusterOf(podYaml('z', '10.0.1.11', 'app=zoo') + two))
  const ids = (state: typeof few) =>
    new Map([...state.registry.podIdentities].map(([pod, { id }]) => [pod.name, id]))
  expect(ids(few).get('a')).toBe(ids(few).get('b'))
  expect(ids(more).get('a')).toBe(ids(few).get('a'))
  expect(ids(few).get('a')).toBeGreaterThan(255)
  const endpoints = (state: typeof few) =>
    new Map(state.agents[0]?.endpoints.map(({ name, id }) => [name, id]))
  expect(endpoints(more).get('default/a')).toBe(endpoints(few).get('default/a'))
})

const identityYaml = (id: number, app: string) => `---
apiVersion: cilium.io/v2
kind: CiliumIdentity
metadata: { name: "${id}" }
security-labels:
  k8s:app: ${app}
  k8s:io.kubernetes.pod.namespace: default
  k8s:io.cilium.k8s.policy.serviceaccount: default
  k8s:io.cilium.k8s.policy.cluster: default
  k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: default
`

test('an identity that exists for the labels of a pod is taken, the oldest of several; others get other numbers', () => {
  const pods = podYaml('a', '10.0.1.10', 'app=a') + podYaml('b', '10.0.2.10', 'app=b')
  const numbers = (extra: string): ReadonlyMap<string, number> =>
    new Map(
      [...decide(clusterOf(pods + extra)).registry.podIdentities].map(([pod, { id }]) => [pod.name, id]),
    )
  const free = numbers('')
  const own = numbers(identityYaml(4711, 'a') + identityYaml(4712, 'a'))
  expect(own).toEqual(
    new Map([
      ['a', 4711],
      ['b', free.get('b')],
    ]),
  )
  const taken = numbers(identityYaml(free.get('b') ?? 0, 'a'))
  expect(taken.get('a')).toBe(free.get('b'))
  expect(taken.get('b')).not.toBe(free.get('b'))
})

test('an identity that no pod has is known to everybody', () => {
  const { registry } = decide(clusterOf(podYaml('a', '10.0.1.10', 'app=a') + identityYaml(4711, 'nobody')))
  expect(registry.identities.find(({ id }) => id === 4711)?.labels[0]).toEqual({
    source: 'k8s',
    key: 'app',
    value: 'nobody',
  })
})

test('the ipcache of a node', () => {
  const { agents, registry } = decide(
    clusterOf(podYaml('a', '10.0.1.10', 'app=a') + podYaml('b', '10.0.2.10', 'app=b')),
  )
  const [one] = agents
  if (one === undefined) throw new Error('no agent')
  const told = one.ipcache.find(({ prefix }) => prefix.address === at('10.0.2.10'))
  expect(told).toMatchObject({ tunnelEndpoint: at('192.168.0.2'), encryptKey: 0 })
  expect(one.ipcache.find(({ prefix }) => prefix.address === at('10.0.1.10'))?.tunnelEndpoint).toBeUndefined()
  expect(addressIdentity(one, at('192.168.0.1'))).toBe(1)
  expect(addressIdentity(one, at('10.0.1.1'))).toBe(1)
  expect(addressIdentity(one, at('192.168.0.2'))).toBe(6)
  expect(
    one.ipcache.find(({ prefix }) => prefix.address === at('192.168.0.2'))?.tunnelEndpoint,
  ).toBeUndefined()
  expect(one.ipcache.find(({ prefix }) => prefix.address === at('10.0.2.1'))).toMatchObject({
    identity: 6,
    tunnelEndpoint: at('192.168.0.2'),
  })
  expect(addressIdentity(one, at('10.0.2.254'))).toBe(4)
  expect(addressIdentity(one, at('8.8.8.8'))).toBe(2)
  expect(registry.identities.every(({ id }) => id > 0)).toBe(true)
})

test('in dual stack the world is two', () => {
  const yaml = podYaml('a', '10.0.1.10', 'app=a').replace(
    'podIP: 10.0.1.10',
    'podIPs: [ { ip: 10.0.1.10 }, { ip: "fd00:1::10" } ]',
  )
  const [one] = decide(clusterOf(yaml, { settings: { 'enable-ipv6': 'true' } })).agents
  if (one === undefined) throw new Error('no agent')
  expect(addressIdentity(one, at('8.8.8.8'))).toBe(9)
  expect(addressIdentity(one, at('2001:db8::1'))).toBe(10)
  expect(addressIdentity(one, at('fd00:1::10'))).toBe(addressIdentity(one, at('10.0.1.10')))
})

test('identities that were allocated keep their numbers and stay, also when no pod has them any more', () => {
  const label = (value: string): Label => ({ source: 'k8s', key: 'app', value })
  const first = allocatePodIdentities([[label('a')], [label('b')]])
  const second = allocatePodIdentities([[label('b')], [label('c')]], first)
  for (const [key, { id }] of first) expect(second.get(key)?.id).toBe(id)
  expect(new Set([...second.values()].map(({ id }) => id)).size).toBe(3)
})

import { describe, expect, test } from 'vitest'
import { everything, from, kubernetes, reach, tcp } from './policy.test-helper.ts'

describe('the examples of the Kubernetes documentation', () => {
  test('without a policy everybody reaches everybody', () => expect(reach('')).toEqual(everything))

  test('default deny all ingress traffic', () => {
    expect(reach(kubernetes('podSelector: {}, policyTypes: [ Ingress ]'))).toEqual([
      'web  --.',
      'db - -.',
      'ops -- .',
      'guest --- ',
    ])
  })
  test('allow all ingress traffic', () => {
    expect(reach(kubernetes('podSelector: {}, ingress: [ {} ], policyTypes: [ Ingress ]'))).toEqual(
      everything,
    )
  })
  test('default deny all egress traffic', () => {
    expect(reach(kubernetes('podSelector: {}, policyTypes: [ Egress ]'))).toEqual([
      'web  ---',
      'db - --',
      'ops -- -',
      'guest ... ',
    ])
  })
  test('allow all egress traffic', () => {
    expect(reach(kubernetes('podSelector: {}, egress: [ {} ], policyTypes: [ Egress ]'))).toEqual(everything)
  })
  test('default deny all ingress and all egress traffic', () => {
    expect(reach(kubernetes('podSelector: {}, policyTypes: [ Ingress, Egress ]'))).toEqual([
      'web  ---',
      'db - --',
      'ops -- -',
      'guest --- ',
    ])
  })
  const example = kubernetes(`
    podSelector: { matchLabels: { app: db } },
    policyTypes: [ Ingress, Egress ],
    ingress: [ { from: [
      { ipBlock: { cidr: 172.17.0.0/16, except: [ 172.17.1.0/24 ] } },
      { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: other } } },
      { podSelector: { matchLabels: { app: ops } } } ],
      ports: [ { protocol: TCP, port: 6379 } ] } ],
    egress: [ { to: [ { ipBlock: { cidr: 10.0.0.0/24 } } ], ports: [ { protocol: TCP, port: 5978 } ] } ]`)
  test('the NetworkPolicy example: peers by block, namespace and pod', () => {
    expect(reach(example, { protocol: tcp, port: 6379 })).toEqual([
      'web  -..',
      'db - --',
      'ops .. .',
      'guest ... ',
    ])
    expect(reach(example)).toEqual(['web  -..', 'db - --', 'ops .- .', 'guest .-. '])
    expect(from(example, '172.17.0.5', 'db')(6379)).toBe('.')
    expect(from(example, '172.17.1.5', 'db')(6379)).toBe('-')
    expect(from(example, '8.8.8.8', 'db')(6379)).toBe('-')
    expect(from(example, 'db', '10.0.0.7')(5978)).toBe('.')
  })
  test('a range of ports', () => {
    const policy = kubernetes(
      'podSelector: { matchLabels: { app: web } }, policyTypes: [ Egress ], egress: [ { to: [ { ipBlock: { cidr: 10.0.0.0/24 } } ], ports: [ { protocol: TCP, port: 32000, endPort: 32768 } ] } ]',
    )
    const at = from(policy, 'web', '10.0.0.7')
    expect([31999, 32000, 32700, 32768, 32769].map((port) => at(port)).join('')).toBe('-...-')
  })
  test('several namespaces by label', () => {
    const policy =
      '---\napiVersion: v1\nkind: Namespace\nmetadata: { name: other, labels: { team: x } }\n' +
      kubernetes(
        'podSelector: { matchLabels: { app: db } }, ingress: [ { from: [ { namespaceSelector: { matchExpressions: [ { key: team, operator: In, values: [ x, z ] } ] } } ] } ]',
      )
    expect(reach(policy)).toEqual(['web  -..', 'db . ..', 'ops .- .', 'guest ... '])
  })
  test('a selector of pods and namespaces together is narrower than two peers', () => {
    const both = kubernetes(
      'podSelector: { matchLabels: { app: db } }, ingress: [ { from: [ { namespaceSelector: {}, podSelector: { matchLabels: { app: ops } } } ] } ]',
    )
    expect(reach(both)).toEqual(['web  -..', 'db . ..', 'ops .. .', 'guest .-. '])
  })
})

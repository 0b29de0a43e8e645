import { describe, expect, test } from 'vitest'
import { decide } from '../agent.ts'
import { clusterOf, entriesOf, type TestOptions } from '../cluster.test-helper.ts'
import { cilium, clusterwide, everything, from, kubernetes, pods, reach } from './policy.test-helper.ts'

describe('clusterwide policies and hosts', () => {
  test('a clusterwide policy is about all namespaces; {} are all pods and not the world', () => {
    const policy = clusterwide(
      'endpointSelector: { matchLabels: { app: web } }, ingress: [ { fromEndpoints: [ {} ] } ]',
    )
    expect(reach(policy)).toEqual(everything)
    expect(from(policy, '8.8.8.8', 'guest')(80)).toBe('-')
  })
  test('a host policy needs the host firewall', () => {
    const policy = clusterwide(
      'nodeSelector: { matchLabels: { role: edge } }, ingress: [ { fromEntities: [ cluster ] } ]',
    )
    const options = { nodeLabels: { n1: { role: 'edge' } } }
    const of = (settings: Readonly<Record<string, string>>) =>
      decide(clusterOf(pods + policy, { ...options, settings })).agents.map((agent) => {
        const host = agent.endpoints.find(({ kind }) => kind === 'host')
        return agent.policies.get(host?.id ?? 0)?.ingressEnforced
      })
    expect(of({ 'enable-host-firewall': 'true' })).toEqual([true, false])
    expect(of({})).toEqual([false, false])
  })
})

describe('modes of enforcement', () => {
  const policy = kubernetes('podSelector: { matchLabels: { app: db } }, policyTypes: [ Ingress ]')
  test('never', () =>
    expect(reach(policy, undefined, { settings: { 'enable-policy': 'never' } })).toEqual(everything))
  test('always', () => {
    expect(reach('', undefined, { settings: { 'enable-policy': 'always' } })).toEqual([
      'web  ---',
      'db - --',
      'ops -- -',
      'guest --- ',
    ])
  })
})

describe('1.10 writes a hash without precedence', () => {
  const old: TestOptions = { version: '1.10' }
  const policy = (rest: string): string => cilium(`endpointSelector: { matchLabels: { app: db } }, ${rest}`)
  const tables = (text: string, options: TestOptions) => {
    const { agents } = decide(clusterOf(pods + text, options))
    return entriesOf(agents[1] as never, 'default/db')
      .filter(({ egress }) => !egress)
      .map(
        ({ identity, protocol, port, deny, precedence }) =>
          `${identity > 255 ? 'pod' : identity} ${protocol} ${port}${deny ? ' deny' : ''} ${precedence}`,
      )
  }
  test('a denied peer is denied every port that all others have', () => {
    const text = policy(
      'ingress: [ { toPorts: [ { ports: [ { port: "80", protocol: TCP } ] } ] } ], ingressDeny: [ { fromEndpoints: [ { matchLabels: { app: ops } } ] } ]',
    )
    expect(tables(text, old)).toEqual(['1 0 0 0', 'pod 0 0 deny 0', '0 6 80 0', 'pod 6 80 deny 0'])
    expect(from(text, 'ops', 'db', old)(80)).toBe('x')
    expect(from(text, 'web', 'db', old)(80)).toBe('.')
    expect(tables(text, {})).toEqual(['1 0 0 4294967041', 'pod 0 0 deny 4294967295', '0 6 80 4294967041'])
  })
  test('CIDRs without their exceptions are what is left of them', () => {
    const text = policy('ingress: [ { fromCIDRSet: [ { cidr: 10.96.0.0/14, except: [ 10.97.0.0/16 ] } ] } ]')
    const { registry } = decide(clusterOf(pods + text, old))
    expect(registry.outside.map(({ labels }) => labels.map(({ key }) => key).join(' '))).toEqual([
      '10.96.0.0/16 world',
      '10.98.0.0/15 world',
    ])
    expect(from(text, '10.96.1.1', 'db', old)(80)).toBe('.')
    expect(from(text, '10.97.1.1', 'db', old)(80)).toBe('-')
  })
})

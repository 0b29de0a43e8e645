import { describe, expect, test } from 'vitest'
import { decide } from '../agent.ts'
import { clusterOf, entriesOf } from '../cluster.test-helper.ts'
import { cilium, from, icmp, pods, reach, tcp, udp } from './policy.test-helper.ts'

describe('CiliumNetworkPolicy, field by field', () => {
  const toDb = (rule: string, name?: string): string =>
    cilium(`endpointSelector: { matchLabels: { app: db } }, ingress: [ { ${rule} } ]`, name)
  const egressOf = (app: string, rule: string, name?: string): string =>
    cilium(`endpointSelector: { matchLabels: { app: ${app} } }, egress: [ { ${rule} } ]`, name)
  const fromWeb = (rule: string): string => egressOf('web', rule)

  test('fromEndpoints is in the policy’s namespace unless it says another', () => {
    expect(reach(toDb('fromEndpoints: [ { matchLabels: { app: web } } ]'))).toEqual([
      'web  ...',
      'db . ..',
      'ops .- .',
      'guest .-. ',
    ])
    expect(
      reach(toDb('fromEndpoints: [ { matchLabels: { app: web, io.kubernetes.pod.namespace: other } } ]')),
    ).toEqual(['web  -..', 'db . ..', 'ops .- .', 'guest ... '])
  })
  test('matchExpressions', () => {
    expect(
      reach(
        toDb('fromEndpoints: [ { matchExpressions: [ { key: app, operator: NotIn, values: [ web ] } ] } ]'),
      ),
    ).toEqual(['web  -..', 'db . ..', 'ops .. .', 'guest .-. '])
    expect(
      reach(toDb('fromEndpoints: [ { matchExpressions: [ { key: tier, operator: Exists } ] } ]')),
    ).toEqual(['web  ...', 'db . ..', 'ops .- .', 'guest .-. '])
    expect(
      reach(toDb('fromEndpoints: [ { matchExpressions: [ { key: tier, operator: DoesNotExist } ] } ]')),
    ).toEqual(['web  -..', 'db . ..', 'ops .. .', 'guest .-. '])
  })
  test('an empty rule denies all, an empty list of peers allows nobody, {} everybody of the namespace', () => {
    expect(reach(toDb(''))).toEqual(['web  -..', 'db . ..', 'ops .- .', 'guest .-. '])
    expect(reach(toDb('fromEndpoints: []'))).toEqual(['web  -..', 'db . ..', 'ops .- .', 'guest .-. '])
    expect(reach(toDb('fromEndpoints: [ {} ]'))).toEqual(['web  ...', 'db . ..', 'ops .. .', 'guest .-. '])
  })
  test('entities', () => {
    expect(from(toDb('fromEntities: [ world ]'), '8.8.8.8', 'db')(80)).toBe('.')
    expect(from(toDb('fromEntities: [ world ]'), 'web', 'db')(80)).toBe('-')
    expect(from(toDb('fromEntities: [ cluster ]'), 'web', 'db')(80)).toBe('.')
    expect(from(toDb('fromEntities: [ cluster ]'), '8.8.8.8', 'db')(80)).toBe('-')
    expect(from(toDb('fromEntities: [ remote-node ]'), 'n1', 'db')(80)).toBe('.')
    expect(from(toDb('fromEntities: [ health ]'), 'n1', 'db')(80)).toBe('-')
    expect(from(toDb('fromEntities: [ all ]'), '8.8.8.8', 'db')(80)).toBe('.')
    expect(
      from(toDb('fromEntities: [ kube-apiserver ]'), 'n1', 'db', {
        nodeLabels: { n1: { 'node-role.kubernetes.io/control-plane': '' } },
      })(80),
    ).toBe('.')
  })
  test('the own host is always allowed, unless allow-localhost is policy', () => {
    expect(from(cilium('endpointSelector: {}, ingress: [ {} ]'), 'n2', 'db')(80)).toBe('.')
    expect(
      from(cilium('endpointSelector: {}, ingress: [ {} ]'), 'n2', 'db', {
        settings: { 'allow-localhost': 'policy' },
      })(80),
    ).toBe('-')
    expect(from(cilium('endpointSelector: {}, ingress: [ {} ]'), 'n1', 'db')(80)).toBe('-')
  })
  test('CIDRs: a narrower identity is chosen by a wider rule, exceptions are not', () => {
    const policy = fromWeb('toCIDR: [ 10.99.0.0/16 ]') + egressOf('ops', 'toCIDR: [ 10.99.1.0/24 ]', 'q')
    expect(from(policy, 'web', '10.99.1.1')(80)).toBe('.')
    expect(from(policy, 'web', '10.98.1.1')(80)).toBe('-')
    expect(from(policy, 'ops', '10.99.2.1')(80)).toBe('-')
    const except = fromWeb('toCIDRSet: [ { cidr: 0.0.0.0/0, except: [ 10.0.0.0/8, 9.9.9.9/32 ] } ]')
    expect(from(except, 'web', '8.8.8.8')(80)).toBe('.')
    expect(from(except, 'web', '9.9.9.9')(80)).toBe('-')
    expect(from(except, 'web', '10.1.1.1')(80)).toBe('-')
    expect(from(except, 'web', 'db')(80)).toBe('-')
  })
  test('names with given answers', () => {
    const policy = fromWeb('toFQDNs: [ { matchPattern: "*.example.com" } ]')
    const dns = { 'www.example.com': ['1.2.3.4'], 'example.org': ['1.2.3.5'] }
    expect(from(policy, 'web', '1.2.3.4', { dns })(443)).toBe('.')
    expect(from(policy, 'web', '1.2.3.5', { dns })(443)).toBe('-')
    expect(from(fromWeb('toFQDNs: [ { matchName: www.example.com } ]'), 'web', '1.2.3.4', { dns })(443)).toBe(
      '.',
    )
    // an address that a name resolved to stays in the CIDR around it
    expect(
      from(policy + egressOf('ops', 'toCIDR: [ 1.2.0.0/16 ]', 'q'), 'ops', '1.2.3.4', { dns })(443),
    ).toBe('.')
  })
  test('ports, ranges, any protocol, named ports', () => {
    const at = (ports: string) => from(toDb(`toPorts: [ { ports: [ ${ports} ] } ]`), 'web', 'db')
    expect(at('{ port: "80" }')(80)).toBe('.')
    expect(at('{ port: "80" }')(80, udp)).toBe('.')
    expect(at('{ port: "80", protocol: TCP }')(80, udp)).toBe('-')
    expect(at('{ port: "80", endPort: 90 }')(85)).toBe('.')
    expect(at('{ port: "80", endPort: 90 }')(91)).toBe('-')
    expect(at('{ port: "0", protocol: TCP }')(4711)).toBe('.')
    expect(at('{ port: sql, protocol: TCP }')(5432)).toBe('.')
    expect(at('{ port: sql, protocol: TCP }')(5433)).toBe('-')
    expect(at('{ port: nothing, protocol: TCP }')(80)).toBe('-')
    expect(from(fromWeb('toPorts: [ { ports: [ { port: sql, protocol: TCP } ] } ]'), 'web', 'db')(5432)).toBe(
      '.',
    )
  })
  test('ICMP types are ports', () => {
    const at = from(toDb('icmps: [ { fields: [ { type: EchoRequest, family: IPv4 } ] } ]'), 'web', 'db')
    expect(at(8, icmp)).toBe('.')
    expect(at(13, icmp)).toBe('-')
    expect(at(8)).toBe('-')
  })
  test('denials win over everything, and say so', () => {
    const policy = cilium(
      'endpointSelector: { matchLabels: { app: db } }, ingress: [ { fromEntities: [ all ] } ], ingressDeny: [ { fromEndpoints: [ { matchLabels: { app: ops } } ], toPorts: [ { ports: [ { port: "80", protocol: TCP } ] } ] } ]',
    )
    expect(from(policy, 'ops', 'db')(80)).toBe('x')
    expect(from(policy, 'ops', 'db')(81)).toBe('.')
    expect(from(policy, 'web', 'db')(80)).toBe('.')
  })
  test('without default deny the rest stays allowed', () => {
    const policy = cilium(
      'endpointSelector: { matchLabels: { app: db } }, enableDefaultDeny: { ingress: false }, ingressDeny: [ { fromEndpoints: [ { matchLabels: { app: ops } } ] } ]',
    )
    expect(reach(policy)).toEqual(['web  ...', 'db . ..', 'ops .x .', 'guest ... '])
    expect(reach(policy + toDb('fromEndpoints: [ { matchLabels: { app: web } } ]', 'q'))).toEqual([
      'web  ...',
      'db . ..',
      'ops .x .',
      'guest .-. ',
    ])
  })
  test('L7 rules redirect, and say what the proxy allows', () => {
    const policy = toDb(
      'fromEndpoints: [ { matchLabels: { app: web } } ], toPorts: [ { ports: [ { port: "80", protocol: TCP } ], rules: { http: [ { method: GET } ] } } ]',
    )
    expect(from(policy, 'web', 'db')(80)).toBe('p')
    expect(from(policy, 'ops', 'db')(80)).toBe('-')
    const { agents } = decide(clusterOf(pods + policy))
    const entry = entriesOf(agents[1] ?? (agents[0] as never), 'default/db').find(
      ({ proxyPort }) => proxyPort > 0,
    )
    expect(entry).toMatchObject({ protocol: tcp, port: 80, portLength: 16, precedence: 0xffff_ff9a })
    expect(entry?.proxyPort).toBeGreaterThanOrEqual(10_000)
    const redirects = [...(agents[1]?.policies.values() ?? [])].flatMap((each) => each.redirects)
    expect(redirects).toMatchObject([
      { ingress: true, port: 80, parser: 'http', rules: [{ http: [{ method: 'GET' }] }] },
    ])
  })
  test('DNS rules redirect on egress, below HTTP', () => {
    const policy = fromWeb(
      'toPorts: [ { ports: [ { port: "53", protocol: ANY } ], rules: { dns: [ { matchPattern: "*" } ] } } ]',
    )
    expect(from(policy, 'web', 'db')(53, udp)).toBe('p')
    const { agents } = decide(clusterOf(pods + policy))
    const found = entriesOf(agents[0] as never, 'default/web').filter(({ proxyPort }) => proxyPort > 0)
    expect(found.map(({ protocol, precedence }) => [protocol, precedence & 0xff])).toEqual([
      [tcp, 134],
      [udp, 134],
      [132, 134],
    ])
  })
  test('authentication', () => {
    const policy = toDb(
      'fromEndpoints: [ { matchLabels: { app: web } } ], authentication: { mode: required }',
    )
    expect(from(policy, 'web', 'db')(80)).toBe('a')
    const disabled =
      policy +
      toDb(
        'fromEndpoints: [ { matchLabels: { app: web } } ], toPorts: [ { ports: [ { port: "80", protocol: TCP } ] } ], authentication: { mode: disabled }',
        'q',
      )
    expect(from(disabled, 'web', 'db')(80)).toBe('.')
    expect(from(disabled, 'web', 'db')(81)).toBe('a')
    const derived =
      policy +
      toDb(
        'fromEndpoints: [ { matchLabels: { app: web } } ], toPorts: [ { ports: [ { port: "80", protocol: TCP } ] } ]',
        'q',
      )
    expect(from(derived, 'web', 'db')(80)).toBe('a')
  })
  test('rules that cannot both hold are told', () => {
    const http = 'toPorts: [ { ports: [ { port: "53", protocol: TCP } ], rules: { http: [ {} ] } } ]'
    const dns =
      'toPorts: [ { ports: [ { port: "53", protocol: TCP } ], rules: { dns: [ { matchPattern: "*" } ] } } ]'
    const { agents } = decide(clusterOf(pods + fromWeb(http) + egressOf('web', dns, 'q')))
    const conflicts = [...(agents[0]?.policies.values() ?? [])].flatMap((each) => each.conflicts)
    expect(conflicts).toEqual([
      { message: 'cannot merge conflicting L7 parsers (http/dns)', origins: ['default/p', 'default/q'] },
    ])
  })
})

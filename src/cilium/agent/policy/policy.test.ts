import { describe, expect, test } from 'vitest'
import { decide } from '../agent.ts'
import {
  clusterOf,
  entriesOf,
  podYaml,
  reachability,
  type TestOptions,
  verdict,
} from '../cluster.test-helper.ts'

const tcp = 6
const udp = 17
const icmp = 1

const pods =
  podYaml('web', '10.0.1.10', 'app=web,tier=front') +
  podYaml(
    'db',
    '10.0.2.10',
    'app=db',
    ', containers: [ { name: c, ports: [ { name: sql, containerPort: 5432 } ] } ]',
  ) +
  podYaml('ops', '10.0.1.11', 'app=ops') +
  podYaml('other/guest', '10.0.2.11', 'app=web')

const names = ['web', 'db', 'ops', 'guest']

const kubernetes = (spec: string, namespace = 'default'): string =>
  `---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: p, namespace: ${namespace} }\nspec: { ${spec} }\n`
const cilium = (spec: string, name = 'p'): string =>
  `---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: ${name} }\nspec: { ${spec} }\n`
const clusterwide = (spec: string): string =>
  `---\napiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: { name: p }\nspec: { ${spec} }\n`

function reach(
  policies: string,
  probe = { protocol: tcp, port: 80 },
  options: TestOptions = {},
): readonly string[] {
  return reachability(clusterOf(pods + policies, options), names, probe)
}

/** From one end to another, by the maps. */
function from(policies: string, source: string, target: string, options: TestOptions = {}) {
  const cluster = clusterOf(pods + policies, options)
  const state = decide(cluster)
  return (port: number, protocol = tcp): string => verdict(cluster, state, source, target, { protocol, port })
}

const everything = ['web  ...', 'db . ..', 'ops .. .', 'guest ... ']

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

describe('CiliumNetworkPolicy, field by field', () => {
  const toDb = (rule: string): string =>
    cilium(`endpointSelector: { matchLabels: { app: db } }, ingress: [ { ${rule} } ]`)
  const fromWeb = (rule: string): string =>
    cilium(`endpointSelector: { matchLabels: { app: web } }, egress: [ { ${rule} } ]`)

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
    expect(reach(cilium('endpointSelector: { matchLabels: { app: db } }, ingress: [ {} ]'))).toEqual([
      'web  -..',
      'db . ..',
      'ops .- .',
      'guest .-. ',
    ])
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
    const policy =
      fromWeb('toCIDR: [ 10.99.0.0/16 ]') +
      cilium('endpointSelector: { matchLabels: { app: ops } }, egress: [ { toCIDR: [ 10.99.1.0/24 ] } ]', 'q')
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
      from(
        policy +
          cilium(
            'endpointSelector: { matchLabels: { app: ops } }, egress: [ { toCIDR: [ 1.2.0.0/16 ] } ]',
            'q',
          ),
        'ops',
        '1.2.3.4',
        { dns },
      )(443),
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
    expect(
      reach(
        policy +
          cilium(
            'endpointSelector: { matchLabels: { app: db } }, ingress: [ { fromEndpoints: [ { matchLabels: { app: web } } ] } ]',
            'q',
          ),
      ),
    ).toEqual(['web  ...', 'db . ..', 'ops .x .', 'guest .-. '])
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
      cilium(
        'endpointSelector: { matchLabels: { app: db } }, ingress: [ { fromEndpoints: [ { matchLabels: { app: web } } ], toPorts: [ { ports: [ { port: "80", protocol: TCP } ] } ], authentication: { mode: disabled } } ]',
        'q',
      )
    expect(from(disabled, 'web', 'db')(80)).toBe('.')
    expect(from(disabled, 'web', 'db')(81)).toBe('a')
    const derived =
      policy +
      cilium(
        'endpointSelector: { matchLabels: { app: db } }, ingress: [ { fromEndpoints: [ { matchLabels: { app: web } } ], toPorts: [ { ports: [ { port: "80", protocol: TCP } ] } ] } ]',
        'q',
      )
    expect(from(derived, 'web', 'db')(80)).toBe('a')
  })
  test('rules that cannot both hold are told', () => {
    const http = 'toPorts: [ { ports: [ { port: "53", protocol: TCP } ], rules: { http: [ {} ] } } ]'
    const dns =
      'toPorts: [ { ports: [ { port: "53", protocol: TCP } ], rules: { dns: [ { matchPattern: "*" } ] } } ]'
    const { agents } = decide(
      clusterOf(
        pods +
          fromWeb(http) +
          cilium(`endpointSelector: { matchLabels: { app: web } }, egress: [ { ${dns} } ]`, 'q'),
      ),
    )
    const conflicts = [...(agents[0]?.policies.values() ?? [])].flatMap((each) => each.conflicts)
    expect(conflicts).toEqual([
      { message: 'cannot merge conflicting L7 parsers (http/dns)', origins: ['default/p', 'default/q'] },
    ])
  })
})

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

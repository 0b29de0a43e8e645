import { describe, expect, test } from 'vitest'
import { readManifest } from './manifest.ts'

/** Messages with the words they stand under, and hints behind an arrow. */
function said(text: string): readonly string[] {
  return readManifest(text).mistakes.map(
    ({ severity, start, end, message, hint }) =>
      `${severity} [${text.slice(start, end).trim()}] ${message}${hint === undefined ? '' : ` -> ${hint}`}`,
  )
}

function objects(text: string) {
  const { objects: found, mistakes } = readManifest(text)
  expect(mistakes).toEqual([])
  return found.map(({ object }) => object)
}

test('a pod says what reaches the network', () => {
  const [pod] = objects(`
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  nodeName: n1
  containers:
  - name: nginx
    image: nginx:1.27
    ports: [ { containerPort: 80, name: http }, { containerPort: 53, protocol: UDP, hostPort: 5353 } ]
status: { podIP: 10.0.1.5 }
`)
  expect(pod).toMatchObject({
    kind: 'Pod',
    name: 'web',
    namespace: 'default',
    node: 'n1',
    labels: { app: 'web' },
    addresses: ['10.0.1.5'],
    ports: [
      { name: 'http', port: 80, protocol: 'TCP' },
      { port: 53, protocol: 'UDP', hostPort: 5353 },
    ],
  })
})

test('a deployment gives its replicas, in the namespace of the deployment', () => {
  const pods = objects(`
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [ { name: c, image: x } ] }
`)
  expect(pods.map((pod) => `${'namespace' in pod ? pod.namespace : ''}/${pod.name}`)).toEqual([
    'shop/web-1',
    'shop/web-2',
    'shop/web-3',
  ])
})

test('several documents, a List, anchors', () => {
  const found = objects(`
apiVersion: v1
kind: Namespace
metadata: { name: a, labels: &l { team: x } }
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: { name: n1, labels: { zone: z } }
---
`)
  expect(found.map(({ kind }) => kind)).toEqual(['Namespace', 'Node'])
})

describe('what is wrong is said where it stands', () => {
  test.each([
    [
      'an unknown kind',
      'apiVersion: v1\nkind: Podd',
      ['error [Podd] there is no kind `Podd` -> did you mean `Pod`?'],
    ],
    [
      'a kind of a later version',
      'apiVersion: v1\nkind: NetworkPolicy\nmetadata: { name: a }\nspec: {}',
      ['error [v1] the kind is not in this `apiVersion` -> apiVersion: networking.k8s.io/v1'],
    ],
    [
      'an unknown field',
      'apiVersion: v1\nkind: Pod\nmetadata: { name: a, lables: {} }\nspec: {}',
      ['error [lables] unknown field `lables` -> did you mean `labels`?'],
    ],
    [
      'a wrong type',
      'apiVersion: v1\nkind: Pod\nmetadata: { name: a, labels: { v: 1 } }\nspec: {}',
      ['error [1] a string is expected here, not the number `1` -> write it in quotes: "1"'],
    ],
    [
      'a word that is a boolean to kubectl',
      'apiVersion: v1\nkind: Pod\nmetadata: { name: a, labels: { v: yes } }\nspec: {}',
      ['error [yes] a string is expected here, not the string `yes` -> write it in quotes: "yes"'],
    ],
    [
      'a tab',
      'apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a',
      expect.arrayContaining([expect.stringContaining('a tab does not indent in YAML -> use blanks')]),
    ],
    [
      'a missing name',
      'apiVersion: v1\nkind: Namespace\nmetadata: {}',
      ['error [{}] the field `name` is missing'],
    ],
    [
      'a key twice',
      'apiVersion: v1\nkind: Namespace\nmetadata: { name: a, name: b }',
      ['error [name] map keys must be unique'],
    ],
    [
      'a policy to come',
      'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: a }\nspec: { endpointSelector: {}, ingress: [ { fromNodes: [ {} ] } ] }',
      ['later [[ {} ]] a policy to nodes by their labels'],
    ],
    ['a kind to come', 'apiVersion: v1\nkind: Service', ['later [Service] a Service']],
    [
      'a kind beside the network',
      'apiVersion: v1\nkind: ConfigMap',
      ['warning [ConfigMap] a ConfigMap reaches no packet -> it is read past'],
    ],
  ])('%s', (_, text, expected) => expect(said(text)).toEqual(expected))
})

describe('NetworkPolicy, as the API server checks it', () => {
  const of = (ingress: string): readonly string[] =>
    said(
      `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: a }\nspec: { ingress: [ ${ingress} ] }`,
    )
  test.each([
    [
      '{ from: [ { ipBlock: { cidr: 10.0.0.0/8, except: [ 11.0.0.0/16 ] } } ] }',
      '`11.0.0.0/16` is not a strict part of 10.0.0.0/8',
    ],
    [
      '{ from: [ { ipBlock: { cidr: 10.0.0.300/8 } } ] }',
      '`10.0.0.300/8` is no CIDR -> such as 10.0.0.0/8 or fd00::/8',
    ],
    [
      '{ from: [ { ipBlock: { cidr: 10.0.0.0/8 }, podSelector: {} } ] }',
      '`ipBlock` does not go with `podSelector` or `namespaceSelector` -> make two peers of it',
    ],
    [
      '{ from: [ {} ] }',
      'a peer has `podSelector`, `namespaceSelector` or `ipBlock` -> leave the list out to allow everything',
    ],
    ['{ ports: [ { port: http, endPort: 80 } ] }', '`endPort` needs a `port` that is a number'],
    [
      '{ ports: [ { port: "80" } ] }',
      '`80` is no port -> a number up to 65535 without quotes, or the name of a container port',
    ],
    ['{ ports: [ { protocol: tcp } ] }', 'there is no `tcp` here -> did you mean `TCP`?'],
  ])('%s', (ingress, message) =>
    expect(of(ingress).map((line) => line.replace(/^error \[.*?\] (?=[`a-z])/, ''))).toEqual([message]),
  )
})

describe('CiliumNetworkPolicy, as the agent checks it', () => {
  const of = (spec: string, kind = 'CiliumNetworkPolicy'): readonly string[] =>
    said(`apiVersion: cilium.io/v2\nkind: ${kind}\nmetadata: { name: a }\nspec: { ${spec} }`).map((line) =>
      line.replace(/^error \[.*?\] (?=[`a-zA-Z])/, ''),
    )
  test.each([
    [
      'endpointSelector: {}',
      'a rule has at least one of ingress, ingressDeny, egress and egressDeny -> `ingress: [{}]` denies all',
    ],
    [
      'ingress: [ {} ]',
      'a rule has either `endpointSelector` or `nodeSelector` -> `endpointSelector: {}` selects all pods',
    ],
    [
      'nodeSelector: {}, ingress: [ {} ]',
      'a CiliumNetworkPolicy selects no nodes -> kind: CiliumClusterwideNetworkPolicy',
    ],
    [
      'endpointSelector: {}, ingress: [ { toPorts: [ { ports: [ { port: 80 } ] } ] } ]',
      'a string is expected here, not the number `80` -> write it in quotes: "80"',
    ],
    [
      'endpointSelector: {}, ingress: [ { fromCIDR: [ 1.2.3.4 ], fromEntities: [ world ] } ]',
      'combining fromCIDR and fromEntities is not supported yet -> make two rules of it',
    ],
    [
      'endpointSelector: {}, ingress: [ { fromEntities: [ wrold ] } ]',
      'there is no `wrold` here -> did you mean `world`?',
    ],
    [
      'endpointSelector: {}, ingress: [ { icmps: [ { fields: [ { type: 8 } ] } ], toPorts: [ {} ] } ]',
      'the ICMPs block may only be present without ToPorts -> make two rules of it',
    ],
    [
      'endpointSelector: {}, egress: [ { toCIDRSet: [ { cidr: 10.0.0.0/8, except: [ 172.16.0.0/12 ] } ] } ]',
      'allow CIDR prefix 10.0.0.0/8 does not contain exclude CIDR prefix 172.16.0.0/12',
    ],
    [
      'endpointSelector: {}, ingress: [ { toPorts: [ { ports: [ { port: "53" } ], rules: { dns: [ { matchPattern: "*" } ] } } ] } ]',
      'DNS rules are not allowed on ingress',
    ],
    [
      'endpointSelector: {}, ingress: [ { toPorts: [ { ports: [ { port: "80" } ], rules: { http: [ {} ] } } ] } ]',
      'L7 rules can only apply to TCP (not ANY) except for DNS rules -> protocol: TCP',
    ],
    [
      'endpointSelector: {}, egress: [ { toFQDNs: [ { matchName: "*.x.io" } ] } ]',
      '`*.x.io` is no name -> use `matchPattern` for `*`',
    ],
  ])('%s', (spec, message) => expect(of(spec)).toEqual([message]))

  test('the API server knows no field `fromEndpoint`', () => {
    expect(of('endpointSelector: {}, ingress: [ { fromEndpoint: [] } ]')).toEqual([
      'unknown field `fromEndpoint` -> did you mean `fromEndpoints`?',
    ])
  })

  test('a host has no L7 rules on ingress', () => {
    const spec =
      'nodeSelector: {}, ingress: [ { toPorts: [ { ports: [ { port: "80", protocol: TCP } ], rules: { http: [ {} ] } } ] } ]'
    expect(of(spec, 'CiliumClusterwideNetworkPolicy')).toEqual([
      'L7 policy is not supported on host ingress yet',
    ])
  })
})

test('the name of a CiliumIdentity is its number, and its labels have a source', () => {
  const identity = (name: string, key: string): string =>
    `apiVersion: cilium.io/v2\nkind: CiliumIdentity\nmetadata: { name: "${name}" }\nsecurity-labels: { "${key}": web }\n`
  expect(objects(identity('10001', 'k8s:app'))).toEqual([
    { kind: 'CiliumIdentity', name: '10001', securityLabels: { 'k8s:app': 'web' } },
  ])
  expect(said(identity('web', 'app'))).toEqual([
    'error ["web"] `web` is no number of an identity -> the name is the number: 256 to 65535',
    'error ["app"] `app` has no source -> a label of a pod is `k8s:app`',
  ])
  expect(said(identity('6', 'k8s:app'))).toEqual([
    'error ["6"] `6` is no number of an identity -> the name is the number: 256 to 65535',
  ])
})

// `cluster none` as a whole: what plugins install can be printed, read back, and is the same world; mistakes of a cluster
// point at their words.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Workplace, workplace } from './support/command.ts'

const cluster = (options: string, pods: string): string => `scn 1

doc "A cluster."

topology {
  cluster none { ${options} }
  net lan 192.168.0.0/24
  node n1 { dev eth0 on lan 192.168.0.1 }
  node n2 { dev eth0 on lan 192.168.0.2 }
${pods}
}

scenario s "one" {
  f1: tcp a:40000 > c:80 { open }
  expect f1 established
}
`

const threePods = `  pod a on n1 10.244.1.11
  pod b on n1 10.244.1.12 { listen tcp 80 }
  pod c on n2 10.244.2.11 { listen tcp 80; hostport 8080 -> 80 }`

let place: Workplace

beforeAll(() => {
  place = workplace()
})

afterAll(() => place.remove())

const kinds = [
  'flannel',
  'flannel; routing native',
  'calico',
  'calico; routing tunnel vxlan',
  'calico; routing native',
  'bridge; masquerade on',
]

test.each(kinds)('cni %s: the expanded world can be run, and expands to itself', async (kind) => {
  place.write('one.scn', cluster(`cni ${kind}`, threePods))
  const first = await place.scn(['expand', 'one.scn'])
  expect(first.code).toBe(0)
  const topology = first.out.replace(/^# .*\n/, '')
  place.write(
    'two.scn',
    `scn 1\n\ndoc "Expanded."\n\n${topology}\nscenario s "one" {\n  f1: tcp a:40000 > c:80 { open }\n  expect f1 established\n}\n`,
  )
  const second = await place.scn(['expand', 'two.scn'])
  expect(second.out.replace('two.scn', 'one.scn')).toBe(first.out)
  const traces = await Promise.all(['one', 'two'].map((name) => place.scn(['trace', `${name}.scn`])))
  // an address that a plugin gave names its device; one that the file gave names the node too
  const story = (text: string | undefined): string | undefined => text?.replace(/^where .*\n/gm, '')
  expect(story(traces[1]?.out)).toBe(story(traces[0]?.out))
})

const views: readonly (readonly [string, string, string, string])[] = [
  ['flannel', 'ip route', 'n1', '10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink \n'],
  ['flannel', 'bridge fdb show dev flannel.1', 'n1', 'dst 192.168.0.2 self permanent\n'],
  [
    'flannel',
    'ip -d link show dev flannel.1',
    'n1',
    'vxlan id 1 local 192.168.0.1 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 noudpcsum noudp6zerocsumtx noudp6zerocsumrx ',
  ],
  ['flannel; routing native', 'ip route', 'n1', '10.244.2.0/24 via 192.168.0.2 dev eth0 \n'],
  ['calico; routing native', 'ip route', 'n1', '10.244.1.11 dev cali-a scope link \n'],
  ['calico; routing native', 'ip route', 'n1', 'blackhole 10.244.1.0/26 proto 80 \n'],
  ['calico; routing native', 'ip route', 'n1', '10.244.2.0/26 via 192.168.0.2 dev eth0 proto bird \n'],
  ['calico', 'ip route', 'a', 'default via 169.254.1.1 dev eth0 \n169.254.1.1 dev eth0 scope link \n'],
  ['calico', 'ip neigh', 'a', '169.254.1.1 dev eth0 lladdr ee:ee:ee:ee:ee:ee'],
  ['bridge', 'iptables-save -t nat', 'n2', '-j DNAT --to-destination 10.244.2.11:80\n'],
  ['bridge', 'sysctl net.bridge.bridge-nf-call-iptables', 'n1', ' = 1\n'],
  [
    'bridge; sysctl net.bridge.bridge-nf-call-iptables = 0',
    'sysctl net.bridge.bridge-nf-call-iptables',
    'n1',
    ' = 0\n',
  ],
]

test.each(views)('cni %s: %s on %s', async (kind, command, node, text) => {
  place.write('one.scn', cluster(`cni ${kind}`, threePods))
  const { out, code } = await place.scn(['show', 'one.scn', command, '--node', node, '--before'])
  expect(code).toBe(0)
  expect(out).toContain(text)
})

test('rules of the file and of the plugin share their tables', async () => {
  const text = cluster('cni flannel', threePods).replace(
    'node n1 { dev eth0 on lan 192.168.0.1 }',
    'node n1 {\n    dev eth0 on lan 192.168.0.1\n    iptables """\n    *filter\n    -A FORWARD -p udp -j DROP\n    COMMIT\n    """\n  }',
  )
  place.write('one.scn', text)
  const { out } = await place.scn(['show', 'one.scn', 'iptables -S', '--node', 'n1'])
  expect(out.split('\n').filter((line) => line.startsWith('-A FORWARD'))).toEqual([
    '-A FORWARD -p udp -j DROP',
    '-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
  ])
})

describe('mistakes', () => {
  const cases: readonly (readonly [string, string, string, string, string])[] = [
    [
      'a pod without an address',
      'cni flannel',
      'pod a on n1\n  pod c on n2 10.244.2.1',
      'S143',
      'pod a on n1 10.244.1.10',
    ],
    [
      'a pod outside its node’s /24',
      'cni flannel',
      `${threePods}\n  pod d on n1 10.244.3.1`,
      'S105',
      '10.244.1.0/24',
    ],
    [
      'a pod outside the cluster',
      'cni calico; pod-cidr 10.244.0.0/16',
      `${threePods}\n  pod d on n1 10.9.0.1`,
      'S105',
      'pod-cidr',
    ],
    [
      'a routing that the plugin has not',
      'cni flannel; routing tunnel ipip',
      threePods,
      'S137',
      'routing tunnel vxlan',
    ],
    ['an IPv6 pod', 'cni calico', `${threePods}\n  pod d on n1 fd00::1`, 'S190', 'not available yet'],
  ]

  test.each(cases)('%s', async (_, options, pods, code, hint) => {
    place.write('one.scn', cluster(options, pods))
    const { err, out } = await place.scn(['check', 'one.scn'])
    expect(out + err).toContain(`[${code}]`)
    expect(out + err).toContain(hint)
  })

  test('a device that no plugin makes', async () => {
    const text = cluster('cni calico', threePods).replace(
      'expect f1 established',
      'expect f1.syn path a > n1/cali-aa > .. > c',
    )
    place.write('one.scn', text)
    const { err, out } = await place.scn(['check', 'one.scn'])
    expect(out + err).toContain('did you mean `cali-a`?')
  })
})

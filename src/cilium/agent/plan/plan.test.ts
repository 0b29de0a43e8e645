import { describe, expect, test } from 'vitest'
import { parseRuleset } from '../../../kernel/netfilter/parse.ts'
import { formatIp } from '../../../net/address.ts'
import { formatPrefix } from '../../../net/prefix.ts'
import { decide } from '../agent.ts'
import { clusterOf, podYaml, type TestOptions } from '../cluster.test-helper.ts'
import { planAgent } from './node.ts'
import type { HostPlan, RoutePlan } from './plan.ts'

const pods = podYaml('a', '10.0.1.10', 'app=a') + podYaml('b', '10.0.2.10', 'app=b')

function plansOf(options: TestOptions = {}): ReadonlyMap<string, HostPlan> {
  const state = decide(clusterOf(pods, options))
  return new Map(state.agents.flatMap((agent) => planAgent(agent, state)).map((plan) => [plan.name, plan]))
}

const host = (options?: TestOptions): HostPlan => plansOf(options).get('n1') as HostPlan

/** A route as ip(8) prints it. */
function routeText({ type, prefix, via, device, source, mtu, scopeLink, table }: RoutePlan): string {
  const words = [
    ...(type === 'unicast' ? [] : [type]),
    formatPrefix(prefix),
    ...(via === undefined ? [] : [`via ${formatIp(via)}`]),
    `dev ${device}`,
    ...(scopeLink ? ['scope link'] : []),
    ...(source === undefined ? [] : [`src ${formatIp(source)}`]),
    ...(mtu === undefined ? [] : [`mtu ${mtu}`]),
    ...(table === undefined ? [] : [`table ${table}`]),
  ]
  return words.join(' ')
}

const rulesOf = ({ tables }: HostPlan, table: string, family = 4): readonly string[] =>
  tables.find((each) => each.table === table && each.family === family)?.rules ?? []

describe('routes', () => {
  test('a tunnel: every range goes to cilium_host', () => {
    expect(host().routes.map(routeText)).toEqual([
      '10.0.1.1/32 dev cilium_host scope link',
      '10.0.1.0/24 via 10.0.1.1 dev cilium_host src 10.0.1.1',
      '10.0.2.0/24 via 10.0.1.1 dev cilium_host src 10.0.1.1 mtu 1450',
      'local 0.0.0.0/0 dev lo table 2004',
    ])
  })
  test('native routing with direct routes', () => {
    const settings = { 'routing-mode': 'native', 'auto-direct-node-routes': 'true' }
    expect(host({ settings }).routes.map(routeText)).toContain('10.0.2.0/24 via 192.168.0.2 dev eth0')
  })
  test('per-endpoint routes', () => {
    const routes = host({ settings: { 'enable-endpoint-routes': 'true' } }).routes.map(routeText)
    expect(routes).toContain('10.0.1.10/32 dev lxc-a scope link')
    expect(routes).not.toContain('10.0.1.0/24 via 10.0.1.1 dev cilium_host src 10.0.1.1')
  })
  test('inside a pod', () => {
    expect(plansOf().get('a')?.routes.map(routeText)).toEqual([
      '10.0.1.1/32 dev eth0 scope link',
      '0.0.0.0/0 via 10.0.1.1 dev eth0 mtu 1450',
    ])
  })
  test('1.10 sends what the proxy sends to cilium_host', () => {
    expect(host({ version: '1.10' }).rules).toMatchObject([
      { priority: 9, table: 2004 },
      { priority: 10, mark: 0xa00, table: 2005 },
    ])
    expect(host().rules).toMatchObject([{ priority: 9, mark: 0x200, mask: 0xf00, table: 2004 }])
  })
})

test('1.10 has the address of the node on cilium_host in IPv6, where 1.19 has that of the router', () => {
  const yaml = podYaml('a', '10.0.1.10', 'app=a') + podYaml('b', '10.0.2.10', 'app=b')
  const of = (version: '1.10' | '1.19'): HostPlan => {
    const state = decide(clusterOf(yaml, { version, settings: { 'enable-ipv6': 'true' } }))
    const plans = state.agents.flatMap((agent) => planAgent(agent, state))
    return plans.find(({ name }) => name === 'n1') as HostPlan
  }
  const facts = ({ devices, routes, tables }: HostPlan): readonly string[] => [
    ...(devices.find(({ name }) => name === 'cilium_host')?.addresses ?? []).map(formatPrefix),
    ...routes.map(routeText).filter((text) => text.startsWith('fd00:')),
    ...rulesOf({ tables } as HostPlan, 'nat', 6).flatMap((rule) => /SNAT .*/.exec(rule)?.slice(0, 1) ?? []),
  ]
  expect(facts(of('1.19'))).toEqual([
    '10.0.1.1/32',
    'fd00:1::1/128',
    'fd00:1::1/128 dev cilium_host scope link',
    'fd00:1::/64 dev cilium_host src fd00:1::1',
    'fd00:2::/64 dev cilium_host src fd00:1::1 mtu 1450',
    ...Array(3).fill('SNAT --to-source fd00:1::1'),
  ])
  expect(facts(of('1.10'))).toEqual([
    '10.0.1.1/32',
    'fd01::1/128',
    'fd00:1::1/128 dev cilium_host scope link',
    'fd00:1::/64 via fd00:1::1 dev cilium_host src fd01::1',
    'fd00:2::/64 via fd00:1::1 dev cilium_host src fd01::1 mtu 1450',
    ...Array(3).fill('SNAT --to-source fd01::1'),
  ])
})

describe('IPsec', () => {
  const native = { 'routing-mode': 'native', 'enable-ipsec': 'true' }
  const tunnel = { 'enable-ipsec': 'true' }
  /** What of a line another agent would write otherwise: keys and node ids. */
  const bare = (lines: readonly string[]): readonly string[] =>
    lines.map((line) =>
      line
        .replace(/ replay-window.* 128(?= mark)/, '')
        .replace(/0x[0-9a-f]{1,4}(3e00|0d00)\b/g, '0xNODE$1')
        .replace(/0x[0-9a-f]{1,3}(d00)\b(?= mask 0xffff0f00)/g, '0xNODE0$1'),
    )

  test('rule and routes of table 200', () => {
    const { rules, routes } = host({ settings: native })
    expect(rules[0]).toEqual({ family: 4, priority: 1, mark: 0xd00, mask: 0xf00, table: 200 })
    const texts = routes.map(routeText).filter((text) => text.endsWith('table 200'))
    expect(texts).toEqual([
      'local 10.0.1.0/24 dev eth0 table 200',
      '10.0.2.0/24 dev cilium_host mtu 1500 table 200',
    ])
    expect(host({ settings: tunnel }).routes.map(routeText)).toContain(
      'local 10.0.1.0/24 dev cilium_vxlan table 200',
    )
    const each = { ...native, 'enable-endpoint-routes': 'true' }
    expect(host({ settings: each }).rules.filter(({ priority }) => priority === 1)).toEqual([])
  })
  test('routes leave room, and what the egress proxy sends goes to cilium_host', () => {
    const { rules, routes } = host({ settings: native })
    expect(rules).toContainEqual({ family: 4, priority: 10, mark: 0xb00, mask: 0xf00, table: 2005 })
    expect(routes.map(routeText)).toContain('0.0.0.0/0 via 10.0.1.1 dev cilium_host mtu 1423 table 2005')
    expect(host({ settings: tunnel }).routes.map(routeText)).toContain(
      '10.0.2.0/24 via 10.0.1.1 dev cilium_host src 10.0.1.1 mtu 1373',
    )
  })
  test('states and policies between the routers', () => {
    expect(bare(host({ settings: native }).xfrm)).toEqual([
      'policy update src 0.0.0.0/0 dst 0.0.0.0/0 dir out priority 100 mark 0xe00 mask 0xf00 action block',
      'state add src 10.0.1.1 dst 10.0.2.1 proto esp spi 3 reqid 1 mode tunnel mark 0xNODE3e00 mask 0xffffff00 output-mark 0xe00 mask 0xffffff00',
      'policy update src 0.0.0.0/0 dst 10.0.2.0/24 dir out mark 0xNODE3e00 mask 0xffffff00 tmpl src 10.0.1.1 dst 10.0.2.1 proto esp spi 3 reqid 1 mode tunnel',
      'policy update src 0.0.0.0/0 dst 0.0.0.0/0 dir fwd priority 2975 tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode tunnel level use',
      'state add src 10.0.2.1 dst 10.0.1.1 proto esp spi 3 reqid 1 mode tunnel mark 0xNODE0d00 mask 0xffff0f00 output-mark 0xd00 mask 0xffffff00',
      'policy update src 0.0.0.0/0 dst 0.0.0.0/0 dir in tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode tunnel level use',
    ])
  })
  test('in tunnel mode between the nodes as well, and both nodes have the same keys', () => {
    const lines = host({ settings: tunnel }).xfrm
    expect(bare(lines)).toContain(
      'policy update src 192.168.0.1/32 dst 192.168.0.2/32 dir out mark 0xNODE3e00 mask 0xffffff00 tmpl src 192.168.0.1 dst 192.168.0.2 proto esp spi 3 reqid 1 mode tunnel',
    )
    const keysOf = (name: string): readonly string[] =>
      (plansOf({ settings: tunnel }).get(name)?.xfrm ?? [])
        .flatMap(
          (line) => /state add (src \S+ dst \S+).*(0x[0-9a-f]{40})/.exec(line)?.slice(1).join(' ') ?? [],
        )
        .sort()
    expect(keysOf('n1')).toHaveLength(4)
    expect(keysOf('n1')).toEqual(keysOf('n2'))
    expect(new Set(keysOf('n1').map((key) => key.split(' ').at(-1))).size).toBe(4)
  })
})

describe('encryption of 1.10', () => {
  const bare = (lines: readonly string[]): readonly string[] =>
    lines.map((line) => line.replace(/ aead .* 128(?= mark)/, ''))
  const native = { tunnel: 'disabled', 'enable-ipsec': 'true' }

  test('IPsec: states and policies between the routers, whatever carries them', () => {
    const { xfrm } = host({ version: '1.10', settings: native })
    expect(bare(xfrm)).toEqual([
      'state add src 0.0.0.0 dst 10.0.1.1 proto esp spi 3 reqid 1 mode tunnel mark 0xd00 mask 0xf00 output-mark 0xd00 mask 0xf00',
      'policy update src 0.0.0.0/0 dst 10.0.1.0/24 dir in mark 0xd00 mask 0xf00 tmpl src 0.0.0.0 dst 10.0.1.1 proto esp reqid 1 mode tunnel',
      'policy update src 0.0.0.0/0 dst 10.0.1.0/24 dir fwd priority 2975 tmpl src 0.0.0.0 dst 10.0.1.1 proto esp reqid 1 mode tunnel level use',
      'state add src 10.0.1.1 dst 10.0.2.1 proto esp spi 3 reqid 1 mode tunnel mark 0x3e00 mask 0xff00 output-mark 0xe00 mask 0xf00',
      'policy update src 10.0.1.0/24 dst 10.0.2.0/24 dir out mark 0x3e00 mask 0xff00 tmpl src 10.0.1.1 dst 10.0.2.1 proto esp spi 3 reqid 1 mode tunnel',
      'policy update src 0.0.0.0/0 dst 10.0.2.0/24 dir fwd priority 2975 tmpl src 10.0.1.1 dst 10.0.2.1 proto esp reqid 1 mode tunnel level use',
    ])
    expect(host({ version: '1.10', settings: { 'enable-ipsec': 'true' } }).xfrm).toEqual(xfrm)
  })
  test('IPsec: rules for both marks, and routes of table 200', () => {
    const of = (settings: Readonly<Record<string, string>>): readonly string[] => {
      const { rules, routes } = host({ version: '1.10', settings })
      const ruled = rules.filter(({ table }) => table === 200)
      return [
        ...ruled.map(({ priority, mark }) => `${priority} ${mark.toString(16)}`),
        ...routes.map(routeText).filter((text) => text.endsWith('table 200')),
      ]
    }
    expect(of(native)).toEqual([
      '1 d00',
      '1 e00',
      'local 10.0.1.0/24 dev eth0 table 200',
      '10.0.2.0/24 dev cilium_host mtu 1500 table 200',
    ])
    expect(of({ 'enable-ipsec': 'true' })).toEqual([
      '1 d00',
      '1 e00',
      'local 10.0.1.0/24 dev cilium_vxlan table 200',
      '10.0.2.0/24 dev cilium_host mtu 1450 table 200',
    ])
    // the device has this name alone
    expect(of({ 'enable-ipsec': 'true', tunnel: 'geneve' })).not.toContainEqual(
      expect.stringContaining('local'),
    )
    expect(of({ ...native, 'enable-endpoint-routes': 'true' })[0]).toBe('1 e00')
  })
  test('IPsec: marks are excepted in IPv4 alone, where they arrive', () => {
    const plan = host({ version: '1.10', settings: { ...native, 'enable-ipv6': 'true' } })
    expect(rulesOf(plan, 'raw').filter((rule) => rule.includes('cilium-xfrm-notrack:'))).toEqual([
      '-I CILIUM_PRE_raw -m mark --mark 0x000e00/0x000f00 -m comment --comment "cilium-xfrm-notrack:" -j CT --notrack',
      '-I CILIUM_PRE_raw -m mark --mark 0x000d00/0x000f00 -m comment --comment "cilium-xfrm-notrack:" -j CT --notrack',
    ])
    const accepted = (family: 4 | 6): number =>
      ['filter', 'nat'].flatMap((table) =>
        rulesOf(plan, table, family).filter((rule) => rule.includes('exclude xfrm marks')),
      ).length
    expect([accepted(4), accepted(6)]).toEqual([12, 0])
  })
  test('neighbours are known for good where programs look them up', () => {
    const known = (settings: Readonly<Record<string, string>>, version: '1.10' | '1.19' = '1.10') =>
      host({ version, settings }).neighbours.map(({ address, device }) => `${formatIp(address)} ${device}`)
    expect(known(native)).toEqual(['192.168.0.2 eth0'])
    expect(known({ 'kube-proxy-replacement': 'strict' })).toEqual(['192.168.0.2 eth0'])
    expect(known({ 'kube-proxy-replacement': 'disabled', 'enable-ipsec': 'true' })).toEqual([])
    expect(known({ 'kube-proxy-replacement': 'true' }, '1.19')).toEqual([])
  })
  test('WireGuard: a rule and a default route, peers with whatever is behind them, in tunnels, too', () => {
    const { devices, rules, routes } = host({
      version: '1.10',
      settings: { 'enable-wireguard': 'true', 'enable-l7-proxy': 'false' },
    })
    expect(rules).toEqual([{ family: 4, priority: 1, mark: 0xe00, mask: 0xf00, table: 201 }])
    const texts = routes.map(routeText)
    expect(texts).toContain('0.0.0.0/0 dev cilium_wg0 table 201')
    expect(texts).toContain('10.0.2.0/24 via 10.0.1.1 dev cilium_host src 10.0.1.1 mtu 1450')
    const device = devices.find(({ name }) => name === 'cilium_wg0')
    expect(device).toMatchObject({ mtu: 1420, kind: { fwmark: 0 } })
    if (device?.kind.type !== 'wireguard') throw new Error('no device')
    const allowed = device.kind.peers.flatMap(({ allowedIps }) => allowedIps.map(formatPrefix))
    expect(allowed.sort()).toEqual(['10.0.2.1/32', '10.0.2.10/32', '10.0.2.254/32'])
  })
})

describe('devices', () => {
  test('of a node', () => {
    expect(
      host().devices.map(({ name, kind, noarp }) => `${name} ${kind.type}${noarp ? ' noarp' : ''}`),
    ).toEqual([
      'cilium_net veth noarp',
      'cilium_host veth noarp',
      'cilium_vxlan vxlan',
      'lxc-a veth',
      'lxc_health veth',
    ])
    expect(host({ settings: { 'routing-mode': 'native' } }).devices.map(({ name }) => name)).not.toContain(
      'cilium_vxlan',
    )
    expect(host({ settings: { 'tunnel-protocol': 'geneve' } }).devices.map(({ name }) => name)).toContain(
      'cilium_geneve',
    )
  })
  test('of a pod and of the health endpoint', () => {
    const plans = plansOf()
    expect(plans.get('a')?.devices).toMatchObject([{ name: 'eth0', mtu: 1500, addresses: [{ length: 32 }] }])
    expect(plans.get('n1-health')?.devices).toMatchObject([{ name: 'cilium' }])
  })
})

describe('iptables', () => {
  test('masquerading in the stack', () => {
    expect(rulesOf(host(), 'nat').slice(0, 5)).toEqual([
      '-A CILIUM_POST_nat ! -d 10.0.1.0/24 -s 10.0.1.0/24 ! -o cilium_+ -m comment --comment "cilium masquerade non-cluster" -j MASQUERADE',
      '-A CILIUM_POST_nat -m mark --mark 0x000a00/0x000e00 -m comment --comment "exclude proxy return traffic from masquerade" -j ACCEPT',
      '-A CILIUM_POST_nat ! -s 10.0.1.0/24 ! -d 10.0.1.0/24 -o cilium_host -m comment --comment "cilium host->cluster masquerade" -j SNAT --to-source 10.0.1.1',
      '-A CILIUM_POST_nat -s 127.0.0.1 -o cilium_host -m comment --comment "cilium host->cluster from 127.0.0.1 masquerade" -j SNAT --to-source 10.0.1.1',
      '-A CILIUM_POST_nat -m mark --mark 0x000f00/0x000f00 -o cilium_host -m conntrack --ctstate DNAT -m comment --comment "hairpin traffic that originated from a local pod" -j SNAT --to-source 10.0.1.1',
    ])
  })
  test('masquerading by BPF leaves the stack alone', () => {
    expect(
      rulesOf(
        host({ settings: { 'enable-bpf-masquerade': 'true', 'kube-proxy-replacement': 'true' } }),
        'nat',
      ).every((rule) => rule.startsWith('-I ')),
    ).toBe(true)
  })
  test('the mark of the host', () => {
    expect(rulesOf(host(), 'filter')).toContain(
      '-A CILIUM_OUTPUT -m mark ! --mark 0x000d00/0x000f00 -m mark ! --mark 0x000e00/0x000f00 -m mark ! --mark 0x000400/0x000f00 -m mark ! --mark 0x000a00/0x000e00 -m mark ! --mark 0x000800/0x000e00 -m comment --comment "cilium: host->any mark as from host" -j MARK --set-xmark 0x000c00/0x000f00',
    )
  })
  test('1.10 looks for sockets at no address, and follows what its proxies send on', () => {
    const plan = host({ version: '1.10' })
    expect(rulesOf(plan, 'mangle')[0]).toBe(
      '-A CILIUM_PRE_mangle -m socket --transparent -m comment --comment "cilium: any->pod redirect proxied traffic to host proxy" -j MARK --set-mark 0x000200',
    )
    expect(rulesOf(plan, 'mangle').filter((rule) => rule.includes('TPROXY'))).toHaveLength(2)
    expect(rulesOf(plan, 'mangle').join()).not.toContain('--on-ip')
    expect(rulesOf(plan, 'raw').filter((rule) => rule.includes('OUTPUT_raw -o'))).toEqual(
      ['lxc+', 'cilium_host'].map(
        (device) =>
          `-A CILIUM_OUTPUT_raw -o ${device} -m mark --mark 0x000a00/0xfffffeff -m comment --comment "cilium: NOTRACK for proxy return traffic" -j CT --notrack`,
      ),
    )
    expect(host({ version: '1.10', settings: { tunnel: 'disabled' } }).sets).toEqual([])
  })
  test('native routing spares the nodes', () => {
    const plan = host({ settings: { 'routing-mode': 'native' } })
    expect(plan.sets).toEqual([
      'create cilium_node_set_v4 hash:ip family inet',
      'add cilium_node_set_v4 192.168.0.2',
    ])
    expect(rulesOf(plan, 'nat')[0]).toContain('--match-set cilium_node_set_v4 dst')
  })
  test.each([
    [{}],
    [{ version: '1.10' as const }],
    [{ settings: { 'enable-endpoint-routes': 'true', 'enable-ipv6': 'true' } }],
  ])('every rule is one that iptables takes: %j', (options) => {
    for (const { family, table, chains, rules } of host(options).tables) {
      const text = [`*${table}`, ...chains.map((chain) => `:${chain} - [0:0]`), ...rules, 'COMMIT', ''].join(
        '\n',
      )
      const parsed = parseRuleset(text, family, { sets: new Map() })
      expect(parsed.ok ? [] : parsed.problems).toEqual([])
    }
  })
})

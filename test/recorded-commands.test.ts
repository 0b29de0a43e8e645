// Commands between the steps of a recorded case, as an administrator may write them.
import { describe, expect, test } from 'vitest'
import { addBridge } from '../src/kernel/device/bridge.ts'
import { bridgeState } from '../src/kernel/device/bridge-state.ts'
import { addVethPair } from '../src/kernel/device/veth.ts'
import { addVxlan } from '../src/kernel/device/vxlan.ts'
import { vxlanState } from '../src/kernel/device/vxlan-state.ts'
import { type FibRoute, routeTable } from '../src/kernel/ip/route.ts'
import { familyState } from '../src/kernel/ip/state.ts'
import { createMachine } from '../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../src/kernel/namespace.ts'
import { formatIp } from '../src/net/address.ts'
import { buildMachine } from './recorded/build.ts'
import { runCommand } from './recorded/commands.ts'
import { Notebook } from './recorded/markers.ts'
import { deviceOf, namespaceOf } from './recorded/named.ts'
import { Chosen } from './recorded/normalise.ts'

function host(): Namespace {
  const ns = addNamespace(createMachine({ seed: 1, trace: { full: false } }), { name: 'R' })
  addVethPair({ ns, name: 'r0' }, { ns, name: 'r1' })
  runCommand(ns, 'ip link set r0 up; ip link set r1 up; ip addr add 10.0.1.1/24 dev r0')
  return ns
}

/** With IPv6, and a second network behind r1. */
function routed(): Namespace {
  const ns = host()
  runCommand(ns, 'ip link set r0 address 02:00:00:00:00:01; ip link set r1 address 02:00:00:00:00:02')
  runCommand(ns, 'ip link set r0 down; ip link set r1 down; ip link set r0 up; ip link set r1 up')
  runCommand(ns, 'ip addr add 10.0.2.1/24 dev r1; ip addr add fd00:1::1/64 dev r0 nodad')
  runCommand(ns, 'ip -6 addr add fd00:2::1/64 dev r1 nodad')
  return ns
}

function routesOf(ns: Namespace, family: 4 | 6, table: number): FibRoute[] {
  return [...(familyState(ns, family).tables.get(table)?.routes() ?? [])]
}

describe('a command', () => {
  test('ip rule del names a rule by its preference, ip rule add means main where it names no table', () => {
    const ns = host()
    runCommand(ns, 'ip rule add iif r0 unreachable pref 5 && ip rule add from 10.0.9.0/24 pref 6')
    expect(ns.ip.v4.rules?.find(({ priority }) => priority === 6)?.action).toEqual({
      kind: 'lookup',
      table: 254,
    })
    runCommand(ns, 'ip rule del pref 5')
    expect(ns.ip.v4.rules?.map(({ priority }) => priority)).toEqual([0, 6, 32_766, 32_767])
  })

  test('echo writes a sysctl', () => {
    const ns = host()
    runCommand(ns, 'echo 1 > /proc/sys/net/ipv4/conf/r0/rp_filter')
    expect(ns.sysctls.get('net.ipv4.conf.r0.rp_filter')).toBe(1)
  })

  test('ip neigh add and change mind what is known', () => {
    const ns = host()
    const macs = (): number[] => [...ns.ip.v4.neighbours.entries.values()].map(({ mac }) => mac & 0xff)
    runCommand(ns, 'ip neigh change 10.0.1.2 lladdr 02:00:00:00:00:01 dev r0')
    expect(macs()).toEqual([])
    runCommand(ns, 'ip neigh add 10.0.1.2 lladdr 02:00:00:00:00:02 dev r0')
    runCommand(ns, 'ip neigh add 10.0.1.2 lladdr 02:00:00:00:00:03 dev r0')
    expect(macs()).toEqual([2])
    runCommand(ns, 'ip neigh change 10.0.1.2 lladdr 02:00:00:00:00:04 dev r0')
    expect(macs()).toEqual([4])
  })

  test('ip rule flush leaves the rule of the table local alone, or takes what a word names', () => {
    const ns = host()
    const left = (): number[] | undefined => ns.ip.v4.rules?.map(({ priority }) => priority)
    runCommand(ns, 'ip rule add to 10.0.9.0/24 table 50 pref 5; ip rule add from 10.0.9.0/24 preference 6')
    runCommand(ns, 'ip -6 rule flush; ip rule flush table 50')
    expect(left()).toEqual([0, 6, 32_766, 32_767])
    expect(ns.ip.v6.rules?.map(({ priority }) => priority)).toEqual([0])
    runCommand(ns, 'ip rule flush')
    expect(left()).toEqual([0])
  })

  test.each([
    ['ip route add 10.9.0.0/16 nexthop via 10.0.1.2 dev r0 weight 3 nexthop via 10.0.2.2', 4],
    ['ip -6 route add fd00:9::/64 nexthop via fd00:1::2 weight 3 nexthop via fd00:2::2 dev r1', 6],
    ['ip -6 route replace default nexthop via fe80::2 dev r0 weight 3 nexthop via fe80::2 dev r1', 6],
  ] as const)('%s has two next hops', (line, family) => {
    const ns = routed()
    runCommand(ns, line)
    const [found] = routesOf(ns, family, routeTable.main).filter(({ nextHops }) => nextHops.length > 1)
    const hops = found?.nextHops.map(({ device, weight }) => [device?.name, weight])
    expect(hops).toEqual([
      ['r0', 3],
      ['r1', 1],
    ])
  })

  test('IPv6 refuses nexthop without a gateway', () => {
    const ns = routed()
    runCommand(ns, 'ip -6 route add fd00:9::/64 nexthop dev r0; ip route add 10.9.0.0/16 nexthop dev r0')
    const lengths = ([4, 6] as const).map((family) => routesOf(ns, family, routeTable.main).length)
    expect(lengths).toEqual([3, 4])
  })

  test.each([
    ['ip route flush table 50', ['10.7.0.0', '10.8.0.0', '10.0.1.0', '10.0.2.0'], []],
    ['ip route flush table main', [], ['10.9.0.0']],
    ['ip route flush table all', [], []],
    ['ip route flush dev r1', ['10.8.0.0', '10.0.1.0'], ['10.9.0.0']],
    ['ip route flush table 50 dev r1', ['10.7.0.0', '10.8.0.0', '10.0.1.0', '10.0.2.0'], ['10.9.0.0']],
    ['ip route flush proto static', ['10.8.0.0', '10.0.1.0', '10.0.2.0'], ['10.9.0.0']],
    ['ip route flush type blackhole', ['10.7.0.0', '10.0.1.0', '10.0.2.0'], ['10.9.0.0']],
    ['ip route flush via 10.0.2.2', ['10.8.0.0', '10.0.1.0', '10.0.2.0'], ['10.9.0.0']],
    ['ip route flush exact 10.7.0.0/16', ['10.8.0.0', '10.0.1.0', '10.0.2.0'], ['10.9.0.0']],
    ['ip route flush 10.7.0.0/15', ['10.7.0.0', '10.8.0.0', '10.0.1.0', '10.0.2.0'], ['10.9.0.0']],
    ['ip -6 route flush table main', ['10.7.0.0', '10.8.0.0', '10.0.1.0', '10.0.2.0'], ['10.9.0.0']],
  ] as const)('%s leaves %j of main and %j of table 50', (line, main, fifty) => {
    const ns = routed()
    runCommand(ns, 'ip route add 10.7.0.0/16 via 10.0.2.2 proto static; ip route add blackhole 10.8.0.0/16')
    runCommand(ns, 'ip route add 10.9.0.0/16 via 10.0.1.2 table 50')
    runCommand(ns, line)
    const left = (table: number) =>
      routesOf(ns, 4, table)
        .map(({ prefix }) => formatIp(prefix.address))
        .sort()
    expect(left(routeTable.main)).toEqual([...main].sort())
    expect(left(50)).toEqual(fifty)
  })

  test.each([
    ['ip addr flush dev r1', []],
    ['ip addr flush r1', []],
    ['ip -4 addr flush dev r1', ['fd00:2::1', 'fe80::ff:fe00:2']],
    ['ip -6 addr flush dev r1', ['10.0.2.1']],
    ['ip addr flush dev r1 scope global', ['fe80::ff:fe00:2']],
    ['ip addr flush to fd00:2::/64 dev r1', ['10.0.2.1', 'fe80::ff:fe00:2']],
  ] as const)('%s leaves %j', (line, left) => {
    const ns = routed()
    const { ifindex } = deviceOf(ns, 'r1')
    runCommand(ns, line)
    const own = [ns.ip.v4, ns.ip.v6].flatMap(({ addresses }) => addresses.get(ifindex) ?? [])
    expect(own.map(({ address }) => formatIp(address)).sort()).toEqual([...left])
  })

  test('ip neigh add and del proxy', () => {
    const ns = routed()
    const known = () => [ns.ip.v4, ns.ip.v6].flatMap(({ neighbours }) => [...neighbours.proxies.values()])
    runCommand(ns, 'ip neigh add proxy 10.0.1.9 dev r0; ip -6 neigh replace proxy fd00:1::9 dev r0')
    expect(known().map(({ address }) => formatIp(address))).toEqual(['10.0.1.9', 'fd00:1::9'])
    runCommand(ns, 'ip neigh del proxy 10.0.1.9 dev r1; ip neigh del proxy fd00:1::9 dev r0')
    expect(known().map(({ address }) => formatIp(address))).toEqual(['10.0.1.9'])
  })

  test('ip -6 neigh flush leaves what IPv4 knows', () => {
    const ns = routed()
    runCommand(
      ns,
      'ip neigh add 10.0.1.9 lladdr 02:00:00:00:00:09 dev r0 nud reachable; ip -6 neigh flush all',
    )
    expect(ns.ip.v4.neighbours.entries.size).toBe(1)
  })

  test('bridge fdb speaks of the ports of a bridge', () => {
    const ns = host()
    const state = bridgeState(addBridge(ns, { name: 'br' }))
    runCommand(ns, 'ip link set r0 master br; ip link set r1 master br')
    const entry = (): unknown => {
      const found = state.fdb.get(9)
      return found && [found.port?.dev.name ?? 'br', found.local, found.updated]
    }
    runCommand(ns, 'bridge fdb add 00:00:00:00:00:09 dev r0 master static')
    expect(entry()).toEqual(['r0', false, Number.POSITIVE_INFINITY])
    runCommand(ns, 'bridge fdb add 00:00:00:00:00:09 dev r1 master dynamic')
    expect(entry()).toEqual(['r0', false, Number.POSITIVE_INFINITY])
    runCommand(ns, 'bridge fdb replace 00:00:00:00:00:09 dev r1 master dynamic')
    expect(entry()).toEqual(['r1', false, 0])
    runCommand(ns, 'bridge fdb append 00:00:00:00:00:09 dev r1 master')
    expect(entry()).toEqual(['r1', true, 0])
    runCommand(ns, 'bridge fdb del 00:00:00:00:00:09 dev r0 master')
    expect(entry()).toBeDefined()
    runCommand(ns, 'bridge fdb del 00:00:00:00:00:09 dev r1 master')
    expect(entry()).toBeUndefined()
    runCommand(ns, 'bridge fdb replace 00:00:00:00:00:09 dev br self permanent')
    expect(entry()).toEqual(['br', true, 0])
    runCommand(ns, 'ip link set br type bridge ageing_time 100 stp_state 0')
    expect(state.ageingNanoseconds).toBe(1_000_000_000)
  })

  test('bridge fdb speaks of the remote hosts of a VXLAN device', () => {
    const ns = host()
    const dev = addVxlan(ns, { name: 'vx', vni: 1 })
    const at = (mac: number) =>
      vxlanState(dev)
        .fdb.get(mac)
        ?.remotes.map(({ address }) => formatIp(address))
    const run = (line: string): void => {
      for (const host of line.match(/(?<=\+)\d/g) ?? [])
        runCommand(ns, `bridge fdb ${line.replace(/\+.*/, '')} dst 192.0.2.${host}`)
    }
    run('append 00:00:00:00:00:00 dev vx +1 +2 +3')
    run('add 00:00:00:00:00:00 dev vx +4')
    run('replace 00:00:00:00:00:00 dev vx +5')
    run('del 00:00:00:00:00:00 dev vx +2')
    expect(at(0)).toEqual(['192.0.2.1', '192.0.2.3'])
    run('add 00:00:00:00:00:09 dev vx self permanent +1 +2')
    expect(at(9)).toEqual(['192.0.2.1'])
    run('replace 00:00:00:00:00:09 dev vx self dynamic +2')
    expect(vxlanState(dev).fdb.get(9)?.fixed).toBe(false)
    run('del 00:00:00:00:00:09 dev vx +1')
    expect(at(9)).toEqual(['192.0.2.2'])
    runCommand(ns, 'bridge fdb del 00:00:00:00:00:09 dev vx')
    expect(at(9)).toBeUndefined()
    runCommand(ns, 'bridge fdb add 00:00:00:00:00:09 dev vx dst 192.0.2.1 port 9999 via r0')
    run('del 00:00:00:00:00:09 dev vx +1')
    expect(at(9)).toEqual(['192.0.2.1'])
    runCommand(ns, 'bridge fdb del 00:00:00:00:00:09 dev vx dst 192.0.2.1 port 9999 via r0')
    expect(at(9)).toBeUndefined()
    runCommand(ns, 'ip link set vx type vxlan ttl 9 tos inherit nolearning')
    runCommand(ns, 'ip link set vx type vxlan ttl inherit learning')
    expect(vxlanState(dev)).toMatchObject({ ttl: 9, tos: 'inherit', learning: false })
  })

  test('a VXLAN device has the source ports that it is given', () => {
    const vx = { name: 'vx', kind: 'vxlan', up: true, opts: 'id 1 srcport 1000 2000 dstport 8472 nolearning' }
    const topology = { namespaces: { R: { devices: [vx], traced: false } }, programs: [] }
    const machine = buildMachine(
      { id: 'vx', topology, steps: [], events: [], final: {} },
      new Notebook(new Chosen()),
    )
    const { srcport } = vxlanState(deviceOf(namespaceOf(machine, 'R'), 'vx'))
    expect(srcport).toEqual({ first: 1000, last: 2000 })
  })

  test.each([
    ['ip maddr show', 'ip maddr show'],
    ['ip route add 10.9.0.0/16 via 10.0.1.2 mtu lock 1000', 'mtu lock'],
    ['ip route add 10.9.0.0/16 via 10.0.1.2 realms 1', 'realms'],
    ['ip route flush root 10.0.0.0/8', 'ip route flush root'],
    ['ip route flush', 'ip route flush'],
    ['ip link set r0 netns other', 'netns'],
    ['ip link set r0 type bridge ageing_time 1', 'bridge r0'],
    ['ip link set br type bridge vlan_filtering 1', 'vlan_filtering 1'],
    ['ip link set br type bridge mcast_snooping 0', 'mcast_snooping'],
    ['ip link set r0 type vlan id 1', 'type vlan'],
    ['bridge fdb flush dev r0', 'bridge fdb flush'],
    ['bridge fdb add 02:00:00:00:00:09 dev r0', 'without master'],
    ['bridge fdb add 02:00:00:00:00:09 dev r0 master vlan 1', 'vlan'],
    ['bridge vlan add dev r0 vid 1', 'bridge vlan add'],
  ])('%s is an error that names %s', (line, word) => {
    const ns = host()
    addBridge(ns, { name: 'br' })
    expect(() => runCommand(ns, line)).toThrow(word)
  })
})

import { expect, test } from 'vitest'
import { present } from '../base/assert.ts'
import { formatIp, parseIp } from '../net/address.ts'
import { formatMac } from '../net/mac.ts'
import { expandWorld } from './expand.ts'
import { checkText, modelOf } from './marked.test-helper.ts'
import type { World } from './model.ts'
import { warmLookup, warmNeighbours } from './warm.ts'

const worldOf = (topology: string): World =>
  present(
    modelOf(`scn 1\ntopology {\n${topology}\n}\nscenario s { wait 1s }\n`).scenarios[0]?.cases[0],
    'a case',
  ).world

const topology = `net lan 10.1.0.0/24
external friend on lan 10.1.0.50 mac 02:00:00:00:00:50
node host {
  dev eth0 on lan 10.1.0.1 mac 02:00:00:00:00:01
  dev br0 bridge 10.2.0.1/24
  dev p0 peer app/eth0 mac 02:00:00:00:00:02 master br0
  sysctl net.ipv4.ip_forward = 1
}
netns app on host {
  neighbours cold
  dev eth0 10.2.0.2/24 peer host/p0 mac 02:00:00:00:00:03
  route default via 10.2.0.1
  listen udp 53 echo
}`

test('a world is written out, what the kernel adds as comments', () => {
  expect(expandWorld(worldOf(topology))).toMatchInlineSnapshot(`
    "topology {
      net lan 10.1.0.0/24

      external friend on lan 10.1.0.50/24 mac 02:00:00:00:00:50 {   # answers nothing above ARP and ND
        # dev lo   ifindex 1, 127.0.0.1/8, ::1/128
        # dev eth0   ifindex 2, mtu 1500
        # route local 10.1.0.50 dev eth0 table local
        # route 10.1.0.0/24 dev eth0 scope link src 10.1.0.50
        # route broadcast 10.1.0.255 dev eth0 table local
        # neigh 10.1.0.1 02:00:00:00:00:01 dev eth0 reachable
      }

      node host {
        # dev lo   ifindex 1, 127.0.0.1/8, ::1/128
        dev eth0 phys on lan 10.1.0.1/24 mac 02:00:00:00:00:01 mtu 1500   # ifindex 2
        dev br0 bridge 10.2.0.1/24 mac 02:00:00:00:00:02 mtu 1500   # ifindex 3
        dev p0 veth peer app/eth0 master br0 mac 02:00:00:00:00:02 mtu 1500   # ifindex 4
        sysctl net.ipv4.conf.all.forwarding = 1
        # route local 10.1.0.1 dev eth0 table local
        # route 10.1.0.0/24 dev eth0 scope link src 10.1.0.1
        # route broadcast 10.1.0.255 dev eth0 table local
        # route local 10.2.0.1 dev br0 table local
        # route 10.2.0.0/24 dev br0 scope link src 10.2.0.1
        # route broadcast 10.2.0.255 dev br0 table local
        # neigh 10.1.0.50 02:00:00:00:00:50 dev eth0 reachable
        # neigh 10.2.0.2 02:00:00:00:00:03 dev br0 reachable
      }

      netns app on host {
        neighbours cold
        # dev lo   ifindex 1, 127.0.0.1/8, ::1/128
        dev eth0 veth 10.2.0.2/24 peer host/p0 mac 02:00:00:00:00:03 mtu 1500   # ifindex 2
        # route local 10.2.0.2 dev eth0 table local
        # route 10.2.0.0/24 dev eth0 scope link src 10.2.0.2
        # route broadcast 10.2.0.255 dev eth0 table local
        route default via 10.2.0.1 dev eth0
        listen udp 53 echo
      }
    }
    "
  `)
})

test.each([
  'listen tcp 80 http status 404 reply 0 chunked',
  'listen udp 53 dns answer www.example.com 192.0.2.7 answer api.example.com 192.0.2.8 for 60s',
  'listen tcp 81 on 10.2.0.1 ttl 7 mark 1 backlog 2 reuseport transparent',
])('a host has `%s`', (line) => {
  expect(expandWorld(worldOf(`node n { dev eth0 dummy 10.2.0.1/24; ${line} }`))).toContain(`${line}\n`)
})

test('what is written out checks, and is written out the same again', () => {
  const text = expandWorld(worldOf(topology))
  const checked = checkText(`scn 1\n${text}scenario s { wait 1s }\n`)
  expect(checked.diagnostics).toEqual([])
  expect(checked.ok && expandWorld(present(checked.value.scenarios[0]?.cases[0], 'a case').world)).toBe(text)
})

test('a host knows whoever shares its wire or bridge, unless it is cold', () => {
  const world = worldOf(topology)
  const known = warmNeighbours(world).map(
    (each) => `${each.namespace}/${each.device} ${formatIp(each.address)} ${formatMac(each.mac).slice(-2)}`,
  )
  expect(known).toEqual(['friend/eth0 10.1.0.1 01', 'host/eth0 10.1.0.50 50', 'host/br0 10.2.0.2 03'])
})

test.each([
  ['host', 'br0', '10.2.0.2', '02:00:00:00:00:03'],
  ['host', 'eth0', '10.1.0.50', '02:00:00:00:00:50'],
  ['host', 'eth0', '10.1.0.1', undefined],
  ['host', 'eth0', '10.2.0.2', undefined],
  ['app', 'eth0', '10.2.0.1', undefined],
  ['nobody', 'eth0', '10.2.0.1', undefined],
] as const)('%s/%s knows %s: %s', (namespace, device, address, mac) => {
  const found = warmLookup(worldOf(topology))(namespace, device, present(parseIp(address), 'an address'))
  expect(found && formatMac(found)).toBe(mac)
})

test('a vlan hears the same vlan and no other', () => {
  const world = worldOf(`net trunk 10.0.0.0/24
node a { dev eth0 on trunk; dev v7 vlan 10.7.0.1/24 dev eth0 id 7; dev v8 vlan 10.8.0.1/24 dev eth0 id 8 }
node b { dev eth0 on trunk; dev v7 vlan 10.7.0.2/24 dev eth0 id 7; dev v9 vlan 10.8.0.2/24 dev eth0 id 9 }`)
  expect(
    warmNeighbours(world).map((each) => `${each.namespace}/${each.device} ${formatIp(each.address)}`),
  ).toEqual(['a/v7 10.7.0.2', 'b/v7 10.7.0.1'])
})

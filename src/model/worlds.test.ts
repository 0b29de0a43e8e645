import { describe, expect, test } from 'vitest'
import { present } from '../base/assert.ts'
import { formatMac } from '../net/mac.ts'
import { formatPrefix } from '../net/prefix.ts'
import { caseOf, lan, scn } from './case.test-helper.ts'
import { modelOf } from './marked.test-helper.ts'
import type { CaseModel } from './model.ts'

describe('worlds', () => {
  const world = (topology: string): CaseModel['world'] => caseOf(modelOf(scn(topology, 'wait 1s'))).world

  test('a MAC address is a function of its device’s name', () => {
    const mac = (topology: string): string => {
      const host = world(topology).namespaces.find((each) => each.name === 'n')
      return formatMac(
        present(
          host?.devices.find((each) => each.name === 'd'),
          'n/d',
        ).mac,
      )
    }
    const alone = mac('node n { dev d dummy }')
    expect(alone).toMatch(/^02:/)
    expect(mac('node a { dev x dummy }\n node n { dev c dummy; dev d dummy 10.0.0.1/24 }')).toBe(alone)
  })

  test('a bridge has the lowest MAC address of its ports, a vlan that of its lower device', () => {
    const devices = world(
      'node n { dev br0 bridge; dev a dummy mac 02:00:00:00:00:09 master br0; dev b dummy mac 02:00:00:00:00:07 master br0; dev a.5 vlan dev a id 5 }',
    ).namespaces[0]?.devices
    expect(devices?.map((each) => formatMac(each.mac).slice(-2))).toEqual(['07', '09', '07', '09'])
  })

  test('the other end of a veth pair is made where it is named', () => {
    const [n, b] = world('node n { dev v 10.0.0.1/24 peer b/w }\n netns b on n').namespaces
    expect(n?.devices[0]?.peer).toEqual({ namespace: 'b', device: 'w' })
    expect(b?.devices.map((each) => [each.name, each.kind, each.peer])).toEqual([
      ['w', 'veth', { namespace: 'n', device: 'v' }],
    ])
  })

  test('a classic filter has an action, with a device where it forwards', () => {
    const hooks = 'tc-in p classic classid 1:10; tc-in p classic action mirror d'
    const text = scn(`node n { dev d dummy { ${hooks} } }`, 'wait 1s')
    const { world } = caseOf(modelOf(`${text}\nprog p tc { otherwise => -1 }`))
    const device = world.namespaces[0]?.devices[0]
    expect(device?.attachments.map(({ classid, action }) => [classid, action])).toEqual([
      [0x1_0010, undefined],
      [undefined, { kind: 'mirror', device: 'd' }],
    ])
  })

  test('an IPv6 address brings its link-local address along', () => {
    const [n] = world('node n { dev d dummy fd00::1/64 mac 02:00:00:00:00:01 }').namespaces
    expect(n?.devices[0]?.addresses.map(formatPrefix)).toEqual(['fd00::1/64', 'fe80::ff:fe00:1/64'])
  })

  test('columns that reach into the topology make worlds of their own', () => {
    const text = scn(
      `${lan}\n node n { dev d dummy mtu $mtu }`,
      'cases {\n | id | mtu |\n | a | 1400 |\n | b | 1500 |\n | c | 1400 |\n }\n p1: packet udp friend:1 > host:2 on host/eth0',
    )
    const worlds = modelOf(text).scenarios[0]?.cases.map((each) => each.world)
    expect(worlds?.[0]).toBe(worlds?.[2])
    expect(worlds?.[0]).not.toBe(worlds?.[1])
    expect(worlds?.map((each) => each.namespaces[2]?.devices[0]?.mtu)).toEqual([1400, 1500, 1400])
  })

  test('a gateway may be on-link by a route without gateway, as Calico writes it', () => {
    const [n] = world(
      'node n { dev d dummy 10.0.0.1/32; route 169.254.1.1 dev d; route default via 169.254.1.1 }',
    ).namespaces
    expect(n?.routes.map((each) => [formatPrefix(each.prefix), each.nexthops[0]?.device])).toEqual([
      ['169.254.1.1/32', 'd'],
      ['0.0.0.0/0', 'd'],
    ])
  })

  test('maps are laid out by what is put into them', () => {
    const model = modelOf(
      scn(
        `${lan}\n node n { dev eth0 on lan 10.1.0.9 { xdp p } }`,
        'wait 1s',
        'prog p xdp { map a array; map h hash [02:00:00:00:00:01]; map c percpu-hash; map d devmap { 0 -> 2 }; map e hash key u16 value u8[16] max-entries 9\n ip.src in c and tcp.dport in e and eth.src in h => XDP_DROP { count a[ip.proto]; count c[ip.src] }\n otherwise => XDP_REDIRECT { redirect-map d[0] } }',
      ),
    )
    const maps = caseOf(model).world.programs[0]?.maps
    expect(
      maps?.map(
        (map) =>
          `${map.name} ${map.keyType} ${map.valueType} ${map.keyBytes}+${map.valueBytes} ${map.maxEntries}`,
      ),
    ).toEqual([
      'a u32 u64 4+8 256',
      'h mac u8 6+1 1024',
      'c ipv4 u64 4+8 1024',
      'd u32 ifindex 4+4 1',
      'e u16 u8[16] 2+16 9',
    ])
  })
})

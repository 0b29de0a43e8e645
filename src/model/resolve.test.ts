import { describe, expect, test } from 'vitest'
import { present } from '../base/assert.ts'
import { positionOf } from '../base/text.ts'
import { formatIp } from '../net/address.ts'
import { dissect } from '../net/dissect.ts'
import { formatMac } from '../net/mac.ts'
import { formatPrefix } from '../net/prefix.ts'
import { wrongChecksums } from '../net/rewrite.ts'
import { summarise } from '../net/summarise.ts'
import { example3 } from './example-3.test-helper.ts'
import { checkText, modelOf } from './marked.test-helper.ts'
import type { CaseModel, Model } from './model.ts'

const packets = (one: CaseModel): readonly string[] =>
  one.steps.flatMap((step) => (step.kind === 'packet' ? [summarise(dissect(step.frame))] : []))

const caseOf = (model: Model, id?: string): CaseModel =>
  present(
    model.scenarios[0]?.cases.find((each) => id === undefined || each.id === id),
    'the case',
  )

/** A file with one scenario. */
const scn = (topology: string, steps: string, rest = ''): string =>
  `scn 1\ntopology {\n${topology}\n}\n${rest}\nscenario s {\n${steps}\n}\n`

const lan = `net lan 10.1.0.0/24 fd00:1::/64
  external friend on lan 10.1.0.50 fd00:1::50 mac 02:00:00:00:00:50
  node host { dev eth0 on lan 10.1.0.1 fd00:1::1 mac 02:00:00:00:00:01 }`

describe('example 3', () => {
  const model = modelOf(example3)
  const [codes, flood] = model.scenarios

  test('has eight cases and a repeat of a hundred', () => {
    expect(codes?.cases.map((each) => each.id)).toEqual([
      'redirect',
      'wrongmac',
      'rewrite',
      'shot',
      'stolen',
      'echo',
      'blocked',
      'aborted',
    ])
    expect(codes?.cases.map((each) => each.expectations.length)).toEqual([4, 4, 4, 3, 3, 3, 3, 4])
    expect([codes?.tags, codes?.golden, flood?.golden]).toEqual([['xdp', 'tc'], 'hops', 'minimal'])
    const steps = present(flood?.cases[0], 'a case').steps
    expect(steps.map((step) => step.kind === 'packet' && step.name)).toEqual(
      Array.from({ length: 100 }, (_, i) => `p[${i + 1}]`),
    )
  })

  test('builds the packets of every row', () => {
    expect(codes?.cases.flatMap(packets)).toEqual([
      'tcp 10.1.0.50:4000 > 10.2.0.2:80 S ttl 64',
      'tcp 10.1.0.50:4000 > 10.2.0.2:81 S ttl 64',
      'tcp 10.1.0.50:4000 > 10.2.0.2:8080 S ttl 64',
      'tcp 10.1.0.50:4000 > 10.2.0.2:22 S ttl 64',
      'udp 10.1.0.50:4000 > 10.2.0.2:53 ttl 64',
      'udp 10.1.0.50:4000 > 10.2.0.2:7 ttl 64',
      'tcp 10.1.0.66:4000 > 10.2.0.2:80 S ttl 64',
      'tcp 10.1.0.50:4000 > 10.2.0.2:80 S ttl 0',
    ])
  })

  test('shares one world between all cases of both scenarios', () => {
    const worlds = new Set(model.scenarios.flatMap((each) => each.cases.map((one) => one.world)))
    expect(worlds.size).toBe(1)
  })

  test('derives the world', () => {
    const { namespaces, segments, bindings, programs } = caseOf(model).world
    expect(segments.map((net) => [net.name, net.prefixes.map(formatPrefix)])).toEqual([
      ['lan', ['10.1.0.0/24']],
    ])
    expect(namespaces.map((each) => [each.name, each.kind, each.node, each.mute])).toEqual([
      ['friend', 'external', 'friend', true],
      ['attacker', 'external', 'attacker', true],
      ['host', 'node', 'host', false],
      ['app', 'netns', 'host', false],
    ])
    const devices = namespaces.flatMap((each) =>
      each.devices.map((device) => [
        `${each.name}/${device.name}`,
        device.kind,
        device.addresses.map(formatPrefix).join(),
        device.peer?.namespace ?? device.segment,
      ]),
    )
    expect(devices).toEqual([
      ['friend/eth0', 'phys', '10.1.0.50/24', 'lan'],
      ['attacker/eth0', 'phys', '10.1.0.66/24', 'lan'],
      ['host/eth0', 'phys', '10.1.0.1/24', 'lan'],
      ['host/veth0', 'veth', '10.2.0.1/24', 'app'],
      ['app/eth0', 'veth', '10.2.0.2/24', 'host'],
    ])
    const [route] = present(namespaces[3], 'app').routes
    expect(route?.nexthops.map((hop) => [hop.via && formatIp(hop.via), hop.device])).toEqual([
      ['10.2.0.1', 'eth0'],
    ])
    expect(bindings.map((each) => `${each.name} ${each.addresses.map(formatIp).join(' ')}`)).toEqual([
      'friend 10.1.0.50',
      'attacker 10.1.0.66',
      'host 10.1.0.1 10.2.0.1',
      'app 10.2.0.2',
    ])
    expect(present(namespaces[2], 'host').sysctls.map(({ key, value }) => [key, value])).toEqual([
      ['net.ipv4.conf.all.forwarding', 1],
    ])
    expect(
      present(namespaces[2], 'host').devices[0]?.attachments.map((each) => [
        each.hook,
        each.mode,
        each.program,
      ]),
    ).toEqual([
      ['xdp', 'native', 'blocklist'],
      ['tc-in', undefined, 'classify'],
    ])
    expect(
      programs.map((program) => [
        program.name,
        program.type,
        program.maps.map((map) => [map.name, map.keyType, map.keyBytes, map.valueType]),
      ]),
    ).toEqual([
      ['blocklist', 'xdp', [['deny', 'prefix', 8, 'u8']]],
      ['classify', 'tc', []],
    ])
  })

  test('reads the claims with the cells they came from', () => {
    const { expectations } = caseOf(model, 'shot')
    const said = expectations.map(({ subject, claim: { body, at, never } }) => ({
      subject: subject.name,
      body: body.kind,
      at: at?.value.text,
      never,
    }))
    expect(said).toEqual([
      { subject: 'p1', body: 'verdict', at: undefined, never: false },
      { subject: 'p1', body: 'verdict', at: undefined, never: false },
      { subject: 'p1', body: 'outcome', at: undefined, never: false },
    ])
    const [, tc, end] = expectations.map((each) => each.claim.body)
    expect(tc?.kind === 'verdict' && [tc.place.value, tc.code.value]).toEqual([
      { text: 'host/eth0/tc-in', node: 'host', device: 'eth0', stage: 'tc-in', nothing: false },
      'TC_ACT_SHOT',
    ])
    const cell = tc?.kind === 'verdict' ? present(tc.code.cell, 'a cell') : undefined
    expect(cell && positionOf(cell.source, cell.start)).toEqual({ line: 51, column: 63 })
    expect(
      end?.kind === 'outcome' && [end.outcome.value, end.place?.value.text, end.place?.cell !== undefined],
    ).toEqual(['dropped', 'host/eth0/tc-in', true])
    expect(expectations.map((each) => each.afterStep)).toEqual([0, 0, 0])
  })

  test('`-` is a verdict of nobody', () => {
    const [, tc] = caseOf(model, 'echo').expectations.map((each) => each.claim.body)
    expect(tc?.kind === 'verdict' && tc.code.value).toBe('-')
  })
})

describe('raw packets', () => {
  const built = (packet: string): readonly string[] =>
    packets(caseOf(modelOf(scn(lan, `p1: packet ${packet} on host/eth0`))))

  test.each([
    ['tcp friend:1 > host:80 flags syn+ack', 'tcp 10.1.0.50:1 > 10.1.0.1:80 SA ttl 64'],
    ['tcp [fd00:1::50]:1 > host:80 hoplimit 9', 'tcp [fd00:1::50]:1 > [fd00:1::1]:80 S ttl 9'],
    ['udp 192.0.2.9:1 > host:53 len 8', 'udp 192.0.2.9:1 > 10.1.0.1:53 ttl 64'],
    ['icmp echo-request friend > host', 'icmp echo-request 10.1.0.50 > 10.1.0.1 id 1 seq 1 ttl 64'],
    ['icmp6 echo-request friend > host', 'icmp6 echo-request fd00:1::50 > fd00:1::1 id 1 seq 1 ttl 64'],
    ['icmp6 ns friend > host', 'nd who-has fd00:1::1 fd00:1::50 > ff02::1:ff00:1 ttl 255'],
    ['arp request friend > host', 'arp who-has 10.1.0.1 tell 10.1.0.50'],
    [
      'ip { src friend dst host ttl 3 } udp { sport 1 dport 2 } payload "hi"',
      'udp 10.1.0.50:1 > 10.1.0.1:2 ttl 3',
    ],
    [
      'eth { } vlan { id 7 } ip { src friend dst host } tcp { sport 1 dport 2 }',
      'tcp 10.1.0.50:1 > 10.1.0.1:2 S ttl 64',
    ],
  ])('%s', (packet, expected) => {
    expect(built(packet)).toEqual([expected])
  })

  test('go from the sender’s MAC address to that of the device', () => {
    const [step] = caseOf(modelOf(scn(lan, 'p1: packet udp friend:1 > host:2 on host/eth0'))).steps
    const frame = step?.kind === 'packet' ? step.frame : new Uint8Array()
    expect([...frame.subarray(0, 12)].map((byte) => byte.toString(16)).join(' ')).toBe(
      '2 0 0 0 0 1 2 0 0 0 0 50',
    )
  })

  test('are right unless a checksum is asked to be bad', () => {
    const wrong = (packet: string): readonly string[] => {
      const [step] = caseOf(modelOf(scn(lan, `p1: packet ${packet} on host/eth0`))).steps
      return step?.kind === 'packet' ? wrongChecksums(dissect(step.frame)).map((layer) => layer.kind) : []
    }
    expect(wrong('tcp friend:1 > host:80')).toEqual([])
    expect(wrong('tcp friend:1 > host:80 checksum bad')).toEqual(['tcp'])
    expect(wrong('ip { src friend dst host checksum 1 } udp { sport 1 dport 2 }')).toEqual(['ip'])
  })

  test('silence their senders, but not nodes or listeners', () => {
    const model = modelOf(
      scn(
        `${lan}\n netns quiet on host { dev e 10.9.0.2/24 peer host/q }\n netns loud on host { dev e 10.8.0.2/24 peer host/l; listen udp 1 }`,
        'p1: packet udp quiet:1 > host:2 on host/q\n p2: packet udp loud:1 > host:2 on host/l\n p3: packet udp host:1 > friend:2 on friend/eth0',
      ),
    )
    expect(
      caseOf(model)
        .world.namespaces.filter((each) => each.mute)
        .map((each) => each.name),
    ).toEqual(['friend', 'quiet'])
  })
})

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

test('a flow has a port of its own when none is given, the same in every run', () => {
  const [flow] = caseOf(
    modelOf(
      scn(
        `${lan}\n netns n on host { dev e 10.3.0.2/24 peer host/e }`,
        'f1: tcp n > host:80 { open send 100 close }',
      ),
    ),
  ).steps
  expect(
    flow?.kind === 'flow' && { ...flow, span: 0, operations: flow.operations.map((each) => each.kind) },
  ).toMatchInlineSnapshot(`
    {
      "first": true,
      "from": {
        "namespace": "n",
        "port": 47640,
      },
      "kind": "flow",
      "label": "f1",
      "operations": [
        "open",
        "send",
        "close",
      ],
      "protocol": "tcp",
      "span": 0,
      "to": {
        "address": 167837697,
        "namespace": "host",
        "port": 80,
      },
    }
  `)
})

test('a thousand cases are read in well under the time of a blink', () => {
  const rows = Array.from(
    { length: 1000 },
    (_, i) => ` | c${i} | ${i % 2 === 0 ? 'friend' : '10.1.0.7'} | ${1000 + i} | delivered |`,
  )
  const text = scn(
    lan,
    `cases {\n | id | src | port | end |\n${rows.join('\n')}\n }\n p1: packet tcp $src:1 > host:$port on host/eth0\n expect p1 { outcome $end host; ip.ttl == 64; tcp.dport == $port }`,
  )
  checkText(text)
  const start = performance.now()
  const checked = checkText(text)
  expect(checked.ok && checked.value.scenarios[0]?.cases.length).toBe(1000)
  expect(performance.now() - start).toBeLessThan(2000)
})

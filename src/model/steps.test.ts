import { describe, expect, test } from 'vitest'
import { dissect } from '../net/dissect.ts'
import { wrongChecksums } from '../net/rewrite.ts'
import { caseOf, lan, packets, scn } from './case.test-helper.ts'
import { modelOf } from './marked.test-helper.ts'

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

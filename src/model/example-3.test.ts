import { describe, expect, test } from 'vitest'
import { present } from '../base/assert.ts'
import { positionOf } from '../base/text.ts'
import { formatIp } from '../net/address.ts'
import { formatPrefix } from '../net/prefix.ts'
import { caseOf, packets } from './case.test-helper.ts'
import { example3 } from './example-3.test-helper.ts'
import { modelOf } from './marked.test-helper.ts'

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

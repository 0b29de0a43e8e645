// A node's agent is woken through cilium_signals, as a program does that finds no free port.
import { expect, test } from 'vitest'
import { boot } from '../src/boot/boot.ts'
import { clusterKnowledge } from '../src/boot/clusters.ts'
import { rulesetMistakes } from '../src/boot/rulesets.ts'
import { writeLe32 } from '../src/bpf/context/byte-order.ts'
import { mapKeys } from '../src/bpf/user.ts'
import { ipv4 } from '../src/cilium/datapath/family.ts'
import { signal } from '../src/cilium/datapath/signal.ts'
import { CtEntry } from '../src/cilium/maps/ct-entry.ts'
import { NatEntry } from '../src/cilium/maps/nat-entry.ts'
import { Tuple, tupleFlag } from '../src/cilium/maps/tuple.ts'
import { second } from '../src/kernel/clock.ts'
import { caseOf, scn } from '../src/model/case.test-helper.ts'
import { check } from '../src/model/check.ts'
import { Run } from '../src/run/run-state.ts'
import { parse } from '../src/syntax/parse.ts'

const uptime = 3600

function booted(cluster: string) {
  const topology = `cluster cilium ${cluster}
    net lan 192.168.5.0/24
    node n1 { dev eth0 on lan 192.168.5.11 }
    pod client on n1 10.0.1.10`
  const parsed = parse({ name: 'one.scn', text: scn(topology, 'f1: udp client:1 > n1:2 { send 1 }') })
  if (!parsed.ok) throw new Error('the text is right')
  const checked = check({ main: parsed.value, imports: new Map() }, rulesetMistakes, clusterKnowledge)
  if (!checked.ok) throw new Error(checked.diagnostics.map(({ message }) => message).join('\n'))
  const one = caseOf(checked.value)
  const run = new Run(boot(one.world, { seed: 1, trace: { full: false } }), one)
  const node = run.booted.agents?.nodes.get('n1')
  if (node === undefined) throw new Error('an agent runs on n1')
  const { maps } = node
  const entry = new CtEntry()
  entry.lifetime = uptime + 60
  maps.cilium_ct_any4_global.update(udp(40_000).bytes, entry.raw, 0, 0)
  // a translation whose connection was evicted
  maps.cilium_snat_v4_external.update(udp(40_001).bytes, new NatEntry(ipv4).raw, 0, 0)
  const ask = (number: number): void => {
    const record = new Uint8Array(8)
    writeLe32(record, 0, number)
    maps.cilium_signals.output(0, 0, record)
  }
  const left = () =>
    [maps.cilium_ct_any4_global, maps.cilium_snat_v4_external].map((map) => mapKeys(map).length)
  return { run, ask, left, titles: () => run.steps.map(({ title }) => title) }
}

function udp(port: number): Tuple {
  const tuple = new Tuple(ipv4)
  tuple.saddr = Uint8Array.of(10, 0, 1, 10)
  tuple.daddr = Uint8Array.of(8, 8, 8, 8)
  tuple.sport = port
  tuple.dport = 53
  tuple.nexthdr = 17
  tuple.flags = tupleFlag.OUT
  return tuple
}

test('it collects at once, orphans included, however often it is asked', () => {
  const { run, ask, left, titles } = booted('1.19')
  run.pass(100 * second)
  ask(signal.NAT_FILL_UP)
  ask(signal.NAT_FILL_UP)
  expect(left()).toEqual([1, 1])
  run.settle()
  expect(left()).toEqual([0, 0])
  expect(titles()).toEqual(['ct-nat-map-gc on n1 at 100s'])
})

test('the next round comes when its time is over', () => {
  const { run, ask, left } = booted('1.19 { conntrackGCInterval = 1m }')
  run.pass(50 * second)
  ask(signal.CT_FILL_UP)
  run.settle()
  expect(left()).toEqual([1, 0])
  run.pass(59 * second)
  expect(left()).toEqual([1, 0])
  run.pass(second)
  expect(left()).toEqual([0, 0])
})

test('what asks for authentication does not wake it', () => {
  const { run, ask, left } = booted('1.19')
  run.pass(100 * second)
  ask(signal.AUTH_REQUIRED)
  run.settle()
  expect(left()).toEqual([1, 1])
})

test('without a signal orphans stay', () => {
  const { run, left } = booted('1.19')
  run.pass(301 * second)
  expect(left()).toEqual([0, 1])
})

test('twelve hours of rounds every ten seconds end', () => {
  const { run, left } = booted('1.19 { conntrackGCInterval = 10s }')
  run.pass(12 * 3600 * second)
  expect([...left(), run.steps.length]).toEqual([0, 1, 1])
})

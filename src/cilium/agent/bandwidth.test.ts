import { describe, expect, test } from 'vitest'
import { decide } from './agent.ts'
import { parseQuantity, podRates } from './bandwidth.ts'
import { clusterOf, podYaml } from './cluster.test-helper.ts'

test.each([
  ['10M', 10_000_000],
  ['1Gi', 1_073_741_824],
  ['1e6', 1_000_000],
  ['1.5k', 1500],
  ['0.1M', 100_000],
  ['100m', 1],
  ['.5', 1],
  ['8', 8],
  ['10Mbit', undefined],
  ['10 M', undefined],
  ['M', undefined],
  ['1K', undefined],
])('the quantity %s', (text, value) => {
  expect(parseQuantity(text)).toBe(value)
})

const of = (annotations: Readonly<Record<string, string>>) =>
  podRates({ annotations } as unknown as Parameters<typeof podRates>[0])

describe('annotations of a pod', () => {
  const egress = 'kubernetes.io/egress-bandwidth'
  const ingress = 'kubernetes.io/ingress-bandwidth'
  const priority = 'bandwidth.cilium.io/priority'
  test('none: an entry without a limit', () => {
    expect(of({})).toEqual({
      egress: { bytesPerSecond: 0, priority: 0 },
      ingress: undefined,
      unread: undefined,
    })
  })
  test('bits become bytes, rounded down', () => {
    expect(of({ [egress]: '10M', [ingress]: '15' })).toMatchObject({
      egress: { bytesPerSecond: 1_250_000, priority: 0 },
      ingress: 1,
    })
  })
  test.each([
    ['guaranteed', 7],
    ['Best-Effort', 6],
    ['burstable', 9],
    ['4', 5],
  ])('priority %s', (text, value) => {
    expect(of({ [priority]: text }).egress).toEqual({ bytesPerSecond: 0, priority: value })
  })
  test('what cannot be read ends the reading', () => {
    const bad = of({ [egress]: 'fast', [ingress]: '8M' })
    expect(bad).toEqual({
      egress: undefined,
      ingress: undefined,
      unread: { annotation: egress, text: 'fast' },
    })
    expect(of({ [egress]: '8M', [ingress]: '8M', [priority]: 'first' })).toEqual({
      egress: { bytesPerSecond: 1_000_000, priority: 0 },
      ingress: undefined,
      unread: { annotation: priority, text: 'first' },
    })
    // the error of the rate is overwritten by that of the number
    expect(of({ [egress]: 'fast', [ingress]: '8M', [priority]: '3' })).toMatchObject({
      egress: { bytesPerSecond: 0, priority: 4 },
      ingress: 1_000_000,
    })
  })
})

test('the entries of a node', () => {
  const yaml = podYaml('web', '10.0.1.10', 'app=web').replace(
    'labels:',
    'annotations: { kubernetes.io/ingress-bandwidth: "8M", kubernetes.io/egress-bandwidth: "80k" }, labels:',
  )
  const [agent] = decide(clusterOf(yaml, { settings: { 'enable-bandwidth-manager': 'true' } })).agents
  const idOf = (name: string) => agent?.endpoints.find((each) => each.name === name)?.id
  expect(agent?.throttles).toEqual([
    { endpoint: idOf('host'), direction: 'egress', bytesPerSecond: 0, priority: 7 },
    { endpoint: idOf('default/web'), direction: 'egress', bytesPerSecond: 10_000, priority: 0 },
    { endpoint: idOf('default/web'), direction: 'ingress', bytesPerSecond: 1_000_000, priority: 0 },
  ])
  expect(decide(clusterOf(yaml)).agents[0]?.throttles).toEqual([])
})

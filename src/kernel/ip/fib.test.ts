// Longest-prefix match against a plain search, and the tables that addresses bring with them.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ip, ipLab, net, routes } from '../../../test/ip-lab.ts'
import { type IpAddress, ipv4From, parseIp } from '../../net/address.ts'
import { covers, networkOf, type Prefix, prefixOf } from '../../net/prefix.ts'
import { setUp } from '../device/change.ts'
import { addDummy } from '../device/dummy.ts'
import { findNeighbour } from '../neighbour-entry.ts'
import { ruleLines } from '../show/ip-rule.ts'
import { addAddress, removeAddress } from './admin-address.ts'
import { addNeighbour } from './admin-neighbour.ts'
import { addRoute, removeRoute } from './admin-route.ts'
import { addRule, removeRule } from './admin-rule.ts'
import { FibTable } from './fib.ts'
import { formatRoute, listRoutes } from './list.ts'
import { lookupRoute } from './lookup.ts'
import { type FibRoute, type Flow, type NextHop, routeTable } from './route.ts'
import { plainFlow } from './source.ts'

const hop: NextHop = {
  device: undefined,
  gateway: undefined,
  weight: 1,
  onlink: false,
  scope: 255,
  dead: false,
  linkDown: false,
}

function entry(prefix: Prefix, metric = 0): FibRoute {
  const network = networkOf(prefix)
  return {
    family: typeof prefix.address === 'number' ? 4 : 6,
    table: 254,
    prefix: network,
    type: 'unicast',
    scope: 0,
    protocol: 3,
    tos: 0,
    metric,
    preferredSource: undefined,
    mtu: 0,
    nextHops: [hop],
  }
}

function flowTo(destination: IpAddress): Flow {
  const flow = plainFlow(ip('0.0.0.0'))
  return typeof destination === 'number'
    ? { ...flow, destination }
    : { ...flow, family: 6, destination, source: [0, 0, 0, 0] }
}

/** The longest covering prefix; of equal ones the smallest metric. */
function plainSearch(entries: readonly FibRoute[], destination: IpAddress): FibRoute | undefined {
  return entries
    .filter((route) => covers(route.prefix, destination))
    .sort((left, right) => right.prefix.length - left.prefix.length || left.metric - right.metric)[0]
}

const word = fc.integer({ min: 0, max: 0xffff_ffff })
// few distinct high bits, so that prefixes nest
const near = fc.nat(0xff).map((low) => (0x0a00_0000 + low * 0x01_0101) >>> 0)
const prefix4 = fc
  .tuple(fc.oneof(near, word), fc.integer({ min: 0, max: 32 }))
  .map(([address, length]) => prefixOf(ipv4From(address), length))
const prefix6 = fc
  .tuple(fc.nat(3), fc.nat(0xffff), fc.integer({ min: 0, max: 128 }))
  .map(([high, low, length]) => prefixOf([0xfd00_0000 + high, 0, 0, low], length))

describe('longest-prefix match', () => {
  test.each([
    { family: 4, prefixes: prefix4 as fc.Arbitrary<Prefix> },
    { family: 6, prefixes: prefix6 as fc.Arbitrary<Prefix> },
  ])('IPv$family answers like a search of all entries', ({ prefixes }) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(prefixes, fc.nat(2)), { maxLength: 40 }), prefixes, (list, probe) => {
        const table = new FibTable(254)
        const entries = list.map(([prefix, metric]) => entry(prefix, metric))
        for (const route of entries) table.insert(route, 'last')
        const found = table.lookup(flowTo(probe.address), () => hop)
        const expected = plainSearch(entries, probe.address)
        expect(found?.route.prefix).toEqual(expected?.prefix)
        expect(found?.route.metric).toEqual(expected?.metric)
        expect([...table.routes()]).toHaveLength(entries.length)
      }),
    )
  })

  test('taking out what was put in leaves nothing', () => {
    fc.assert(
      fc.property(fc.array(prefix4, { maxLength: 30 }), (prefixes) => {
        const table = new FibTable(254)
        const entries = prefixes.map((prefix) => entry(prefix))
        for (const route of entries) table.insert(route)
        for (const route of entries) expect(table.remove(route)).toBe(true)
        expect(table.size).toBe(0)
        expect([...table.routes()]).toEqual([])
      }),
    )
  })

  test('an entry without a usable next hop is passed over', () => {
    const table = new FibTable(254)
    const far = entry(net('10.0.0.0/8'))
    const near8 = entry(net('10.1.0.0/16'))
    for (const route of [far, near8]) table.insert(route)
    const found = table.lookup(flowTo(ip('10.1.1.1')), (route) => (route === near8 ? undefined : hop))
    expect(found?.route).toBe(far)
  })
})

describe('routes that addresses bring', () => {
  // recorded/kernel: initial_state of every rt-* case
  test('are what `ip route show table all` prints', () => {
    const { a } = ipLab()
    expect(listRoutes(a, { family: 4 }).map(formatRoute)).toEqual([
      'default via 10.0.1.1 dev a0',
      '10.0.1.0/24 dev a0 proto kernel scope link src 10.0.1.2',
    ])
    expect(listRoutes(a, { family: 4, table: routeTable.local }).map(formatRoute)).toEqual([
      'local 10.0.1.2 dev a0 proto kernel scope host src 10.0.1.2',
      'broadcast 10.0.1.255 dev a0 proto kernel scope link src 10.0.1.2',
      'local 127.0.0.0/8 dev lo proto kernel scope host src 127.0.0.1',
      'local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1',
      'broadcast 127.255.255.255 dev lo proto kernel scope link src 127.0.0.1',
    ])
    expect(ruleLines(a, 4)).toEqual([
      '0:\tfrom all lookup local',
      '32766:\tfrom all lookup main',
      '32767:\tfrom all lookup default',
    ])
  })

  test.each([
    { address: '10.9.0.1/32', main: [], local: ['local 10.9.0.1'] },
    { address: '10.9.0.0/31', main: ['10.9.0.0/31'], local: ['local 10.9.0.0'] },
    { address: '10.9.0.1/30', main: ['10.9.0.0/30'], local: ['local 10.9.0.1', 'broadcast 10.9.0.3'] },
  ])('of $address', ({ address, main, local }) => {
    const { a } = ipLab()
    const dummy = addDummy(a, { name: 'd0' })
    setUp(dummy)
    addAddress(dummy, net(address))
    const over = (table: number): string[] =>
      listRoutes(a, { family: 4, table })
        .filter((route) => route.nextHops[0]?.device === dummy)
        .map((route) => formatRoute(route).split(' dev ')[0] as string)
    expect(over(routeTable.main)).toEqual(main)
    expect(over(routeTable.local)).toEqual(local)
    expect(removeAddress(dummy, net(address))).toEqual({ ok: true })
    expect([...over(routeTable.main), ...over(routeTable.local)]).toEqual([])
  })

  test('a second address of a subnet is secondary, and goes with the first', () => {
    const { a, a0 } = ipLab()
    addAddress(a0, net('10.0.1.3/24'))
    expect(a.ip.v4.addresses.get(a0.ifindex)?.map((own) => own.secondary)).toEqual([false, true])
    removeAddress(a0, net('10.0.1.2/24'))
    expect(a.ip.v4.addresses.get(a0.ifindex)).toBeUndefined()
  })

  test('the last address takes every route and neighbour of the device along, permanent ones too', () => {
    const { a, a0 } = ipLab()
    addAddress(a0, net('10.0.9.2/24'))
    routes(a, '203.0.113.0/24 dev a0')
    addNeighbour(a0, ip('10.0.1.9'), { mac: 0x0200_0000_0009 })
    removeAddress(a0, net('10.0.9.2/24'))
    expect(findNeighbour(a0, ip('10.0.1.9'))?.state).toBe('PERMANENT')
    removeAddress(a0, net('10.0.1.2/24'))
    expect(findNeighbour(a0, ip('10.0.1.9'))).toBeUndefined()
    expect(listRoutes(a)).toEqual([])
  })
})

describe('what `ip route add` refuses', () => {
  test.each([
    { line: '10.0.1.5/24 via 10.0.1.1', errno: 'EINVAL' },
    { line: '10.9.0.0/24 via 192.0.2.1', errno: 'ENETUNREACH' },
    { line: '10.9.0.0/24', errno: 'ENODEV' },
    { line: 'default via 10.0.1.1', errno: 'EEXIST' },
    { line: '10.9.0.0/24 via 224.0.0.1 dev a0', errno: 'EINVAL' },
  ])('$line', ({ line, errno }) => {
    const { a } = ipLab()
    expect(() => routes(a, line)).toThrow(errno)
  })

  test('an on-link gateway is taken at its word', () => {
    const { a } = ipLab()
    routes(a, '10.9.0.0/24 via 169.254.1.1 dev a0 onlink')
    expect(lookupRoute(a, plainFlow(ip('10.9.0.7')))).toMatchObject({
      nextHop: { gateway: ip('169.254.1.1') },
    })
  })

  test('the smaller metric wins; without it the next one is used', () => {
    const { a } = ipLab()
    routes(a, '10.9.0.0/24 via 10.0.1.5 metric 200', '10.9.0.0/24 via 10.0.1.6 metric 100')
    expect(lookupRoute(a, plainFlow(ip('10.9.0.7')))).toMatchObject({ route: { metric: 100 } })
    removeRoute(a, { prefix: net('10.9.0.0/24'), metric: 100 })
    expect(lookupRoute(a, plainFlow(ip('10.9.0.7')))).toMatchObject({ route: { metric: 200 } })
  })

  test('several next hops: one flow keeps its way, many flows use all', () => {
    const { a, a0 } = ipLab()
    const hops = ['10.0.1.5', '10.0.1.6'].map((text) => ({ device: a0, gateway: ip(text) }))
    expect(addRoute(a, { prefix: net('10.9.0.0/24'), nextHops: hops })).toEqual({ ok: true })
    const gateways = new Set<unknown>()
    for (let host = 1; host < 60; host += 1) {
      const flow = plainFlow(ipv4From(ip('10.9.0.0') + host))
      const once = lookupRoute(a, flow)
      expect(lookupRoute(a, flow)).toEqual(once)
      if (typeof once !== 'string') gateways.add(once.nextHop.gateway)
    }
    expect(gateways.size).toBe(2)
  })
})

describe('rules', () => {
  test.each([
    { what: 'fwmark 0x20/0xff', rule: { fwmark: 0x20, fwmask: 0xff }, flow: { mark: 0x120 }, hit: true },
    { what: 'fwmark, other mark', rule: { fwmark: 0x20, fwmask: 0xff }, flow: { mark: 0x21 }, hit: false },
    { what: 'not fwmark', rule: { fwmark: 0x20, invert: true }, flow: { mark: 0x21 }, hit: true },
    { what: 'from', rule: { from: net('10.0.1.0/24') }, flow: { source: ip('10.0.1.2') }, hit: true },
    { what: 'from, other source', rule: { from: net('10.0.1.0/24') }, flow: {}, hit: false },
    { what: 'to', rule: { to: net('10.0.9.0/24') }, flow: {}, hit: true },
    { what: 'iif', rule: { iif: 'a0' }, flow: { iif: 2 }, hit: true },
    { what: 'iif lo, forwarded', rule: { iif: 'lo' }, flow: { iif: 2 }, hit: false },
    { what: 'oif', rule: { oif: 'a0' }, flow: { oif: 2 }, hit: true },
    { what: 'tos', rule: { tos: 0x10 }, flow: { tos: 0x10 }, hit: true },
    {
      what: 'dport',
      rule: { protocol: 6, dport: [80, 90] as const },
      flow: { protocol: 6, dport: 85 },
      hit: true,
    },
    {
      what: 'dport, outside',
      rule: { protocol: 6, dport: [80, 90] as const },
      flow: { protocol: 6, dport: 91 },
      hit: false,
    },
    { what: 'suppress_prefixlength 24', rule: { suppressPrefixLength: 24 }, flow: {}, hit: false },
  ])('$what', ({ rule, flow, hit }) => {
    const { a } = ipLab()
    routes(a, '10.0.9.0/24 via 10.0.1.5 table 100')
    const spec = { family: 4, priority: 100, ...rule, action: { kind: 'lookup', table: 100 } } as const
    expect(addRule(a, spec)).toEqual({ ok: true })
    expect(addRule(a, spec)).toMatchObject({ errno: 'EEXIST' })
    const found = lookupRoute(a, { ...plainFlow(ip('10.0.9.1')), ...flow })
    expect(typeof found === 'string' ? found : found.route.table).toBe(hit ? 100 : routeTable.main)
    expect(removeRule(a, { family: 4, priority: 100 })).toEqual({ ok: true })
    expect(a.ip.v4.rules).toBeUndefined()
  })

  test.each([
    { added: 'from all', there: true },
    { added: 'from 10.9.0.0/16', there: true },
    { added: 'from 10.8.0.0/16', there: false },
    { added: 'not from 10.9.0.0/16', there: true },
    { added: 'from 10.9.0.0/16 iif lo', there: false },
  ])('$added beside from 10.9.0.0/16: rule_exists() says $there', ({ added, there }) => {
    const { a } = ipLab()
    const prefix = /10\.\d\.0\.0/.exec(added)?.[0]
    const rule = { family: 4, priority: 100, action: { kind: 'unreachable' } } as const
    addRule(a, { ...rule, from: { address: ip('10.9.0.0'), length: 16 } })
    const second = {
      ...rule,
      ...(prefix === undefined ? {} : { from: { address: ip(prefix), length: 16 } }),
      ...(added.startsWith('not') ? { invert: true } : {}),
      ...(added.includes('iif') ? { iif: 'lo' } : {}),
    }
    expect('errno' in addRule(a, second)).toBe(there)
  })

  test('goto skips what lies between', () => {
    const { a } = ipLab()
    addRule(a, { family: 4, priority: 10, action: { kind: 'goto', priority: 30 } })
    addRule(a, { family: 4, priority: 20, action: { kind: 'prohibit' } })
    addRule(a, { family: 4, priority: 30, action: { kind: 'nop' } })
    expect(lookupRoute(a, plainFlow(ip('10.0.9.1')))).toMatchObject({ route: { table: routeTable.main } })
  })

  test('the first rule without a priority gets 32765', () => {
    const { a } = ipLab()
    addRule(a, { family: 4, action: { kind: 'lookup', table: 7 } })
    expect(ruleLines(a, 4)[1]).toBe('32765:\tfrom all lookup 7')
  })
})

test('IPv6 addresses bring their own routes', () => {
  const { a } = ipLab()
  const dummy = addDummy(a, { name: 'd0', mac: 0x0200_0000_0001 })
  setUp(dummy)
  const address = parseIp('fd00::5')
  if (address === undefined || typeof address === 'number') throw new Error('not IPv6')
  addAddress(dummy, { address, length: 64 })
  const lines = [routeTable.main, routeTable.local].flatMap((table) =>
    listRoutes(a, { family: 6, table }).map(formatRoute),
  )
  expect(lines).toContain('fd00::/64 dev d0 proto kernel metric 256')
  expect(lines).toContain('local fd00::5 dev d0 proto kernel')
})

import { describe, expect, test } from 'vitest'
import { ip, ipLab, routes } from '../../../test/ip-lab.ts'
import { setDown } from '../device/change.ts'
import { formatRoute, listRoutes } from './list.ts'
import { routeOutput } from './output-route.ts'
import { routeTable } from './route.ts'
import { plainFlow } from './source.ts'

describe('what senders are told', () => {
  // facts/linux 8.15
  test.each([
    { line: 'blackhole 203.0.113.0/24', errno: 'EINVAL' },
    { line: 'unreachable 203.0.113.0/24', errno: 'EHOSTUNREACH' },
    { line: 'prohibit 203.0.113.0/24', errno: 'EACCES' },
    { line: 'throw 203.0.113.0/24', errno: 'ENETUNREACH' },
    { line: '198.51.100.0/24 via 10.0.1.2', errno: 'ENETUNREACH' },
  ])('$line', ({ line, errno }) => {
    const lab = ipLab()
    routes(lab.r, line)
    expect(routeOutput(lab.r, plainFlow(ip('203.0.113.9')))).toEqual({ kind: 'error', errno })
  })

  test('a foreign source is ENETUNREACH, one that nobody has EINVAL', () => {
    const { a } = ipLab()
    const flow = { ...plainFlow(ip('10.0.2.2')), source: ip('10.0.1.99') }
    expect(routeOutput(a, flow)).toEqual({ kind: 'error', errno: 'ENETUNREACH' })
    const group = { ...flow, source: ip('224.0.0.1') }
    expect(routeOutput(a, group)).toEqual({ kind: 'error', errno: 'EINVAL' })
  })

  test('own device down: its routes vanish', () => {
    const { a, a0 } = ipLab()
    setDown(a0)
    expect(routeOutput(a, plainFlow(ip('10.0.2.2')))).toEqual({ kind: 'error', errno: 'ENETUNREACH' })
    expect(listRoutes(a, { family: 4 }).map(formatRoute)).toEqual([])
    expect(listRoutes(a, { family: 4, table: routeTable.local }).map(formatRoute)).toContain(
      'local 10.0.1.2 dev a0 proto kernel scope host src 10.0.1.2',
    )
  })

  test('every own address is reached over lo', () => {
    const { r } = ipLab()
    for (const own of ['10.0.1.1', '10.0.2.1', '127.0.0.1', '127.3.3.3']) {
      expect(routeOutput(r, plainFlow(ip(own)))).toMatchObject({
        route: { device: { name: 'lo' }, local: true },
      })
    }
  })
})

import { expect, test } from 'vitest'
import { datapathLab, frame } from '../test-support/lab.ts'
import { redirectNodeport } from './nodeport-route.ts'

const packet = frame('203.0.113.7', '192.168.0.1', { kind: 'udp', source: 40_000, destination: 30_080 })
/** Test packets come from this device. */
const here = 2
const REDIRECT = 7
const XDP_TX = 3
const ENOTSUPP = -524

test('XDP sends packets back only where they came from, tc anywhere', () => {
  const on = datapathLab({ legacy: true })
  const xdp = (oif: number) => on.runXdp(packet, (ctx) => redirectNodeport(ctx, oif)).result
  const tc = (oif: number) => on.run(packet, (ctx) => redirectNodeport(ctx, oif)).result
  expect([xdp(here), xdp(5)]).toEqual([XDP_TX, ENOTSUPP])
  expect([tc(here), tc(5)]).toEqual([REDIRECT, REDIRECT])
})

// A service and packets to it, for tests.
import { expect } from 'vitest'
import type { TestService } from '../test-support/entries.ts'
import { type DatapathLab, datapathLab, frame, usualDefines } from '../test-support/lab.ts'
import type { NodeValues, ObjectConfig } from './config.ts'
import type { Ctx } from './ctx.ts'
import type { Define } from './defines.ts'
import { type Family, ipv4 } from './family.ts'
import { ethernetLength, walkHeaders } from './headers.ts'
import { lbExtractTuple, lbTuple } from './lb.ts'

export const client = '203.0.113.7'
export const vip = '10.96.0.10'
export const flagSyn = 2
export const flagAck = 16

export const backends = [
  { id: 1, address: '10.0.1.11', port: 8080 },
  { id: 2, address: '10.0.2.12', port: 8080 },
  { id: 3, address: '10.0.2.13', port: 8080 },
]
export const web: TestService = { address: vip, port: 80, revNatIndex: 5, backends }

interface Options {
  readonly random?: number
  readonly defines?: readonly Define[]
  readonly values?: Partial<NodeValues>
  readonly object?: Partial<ObjectConfig>
}

export function lab(options: Options = {}): DatapathLab {
  return datapathLab({
    defines: [...usualDefines, ...(options.defines ?? [])],
    ...(options.values === undefined ? {} : { values: options.values }),
    object: { kind: 'bpf_host', ...options.object },
    kernel: { random32: () => options.random ?? 0 },
  })
}

export const tcp = (sport: number, flags = flagSyn, source = client): Uint8Array =>
  frame(source, vip, { kind: 'tcp', source: sport, destination: 80, flags })

/** The tuple and the place of the packet of a run. */
export function packetOf(ctx: Ctx, family: Family = ipv4) {
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') throw new Error('headers')
  const place = { l3Offset, l4Offset: l3Offset + walk.length, fragment: walk.fragment }
  const tuple = lbTuple(family, walk.nexthdr)
  expect(lbExtractTuple(ctx, tuple, place)).toBe(0)
  return { tuple, place }
}

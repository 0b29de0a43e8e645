// Facts: linux 7.3: the source port of the outer packet is a hash of the inner flow, and a fragment has no ports to hash.
import { expect, test } from 'vitest'
import { sendThrough, type TunnelLab, tunnelLab } from '../../../test/tunnel-lab.ts'
import { readU16 } from '../../net/bytes.ts'
import { addVxlan } from './vxlan.ts'

/** Outer UDP source ports of what sending so many bytes puts on the wire. */
function ports(bytes: number): number[] {
  const lab: TunnelLab = tunnelLab((ns, remote, lower) => addVxlan(ns, { name: 't0', vni: 7, remote, lower }))
  expect(sendThrough(lab, { bytes })).toBe(1)
  return lab.wire.map((frame) => readU16(frame, 34))
}

test('the fragments of one datagram share a port that its whole datagrams do not have', () => {
  const [whole] = ports(100)
  const cut = ports(2000)
  expect(cut).toHaveLength(2)
  expect(cut[1]).toBe(cut[0])
  expect(cut[0]).not.toBe(whole)
})

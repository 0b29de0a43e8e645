import { expect, test } from 'vitest'
import { createLegacyNodeMaps } from '../legacy/object.ts'
import { legacyBandwidthList } from './feature-lists.ts'
import { legacyEgressList } from './legacy-lists.ts'

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

test('bandwidths have no direction', () => {
  const maps = createLegacyNodeMaps(1, 251)
  expect(legacyBandwidthList(maps)).toBeUndefined()
  // endpoint 2403, 1,250,000 bytes a second
  maps.cilium_throttle.update(bytes('6309000000000000'), bytes(`d0121300${'00'.repeat(52)}`), 0, 0)
  expect(legacyBandwidthList(maps)).toBe('IDENTITY   EGRESS BANDWIDTH (BitsPerSec)\n2403       10M\n')
})

test('the gateway’s node stands before the address that it takes', () => {
  const maps = createLegacyNodeMaps(1, 251)
  expect(legacyEgressList(maps)).toBeUndefined()
  const key = bytes('380000000a00010ac0a80000')
  maps.cilium_egress_v4?.update(key, bytes('c0a80009c0a80002'), 0, 0)
  expect(legacyEgressList(maps)).toBe(
    'SRC IP & DST CIDR          EGRESS INFO\n10.0.1.10 192.168.0.0/24   192.168.0.2 192.168.0.9   \n',
  )
})

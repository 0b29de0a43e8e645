import { expect, test } from 'vitest'
import { datapathLab, frame } from '../test-support/lab.ts'
import { validEtherType } from './ethernet.ts'

test.each([
  [0x0800, 0x0800],
  [0x0600, 0x0600],
  [0x05ff, undefined],
  // 1.19, which compares in network order, takes this length for a type
  [0x0599, undefined],
  [0x0100, undefined],
])('%i', (type, expected) => {
  const packet = frame('10.0.1.10', '10.0.2.20', { kind: 'udp', source: 1, destination: 2 })
  packet.set([type >>> 8, type & 0xff], 12)
  const on = datapathLab({ legacy: true })
  expect(on.run(packet, validEtherType).result).toBe(expected)
  expect(on.run(packet.slice(0, 13), validEtherType).result).toBe(undefined)
})

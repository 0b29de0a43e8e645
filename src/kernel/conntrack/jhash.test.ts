// Observed on Linux 6.18: `SNAT --to-source 10.9.2.100-10.9.2.120` for sources 10.9.1.2 to 10.9.1.9 towards 10.9.2.2.
import { expect, test } from 'vitest'
import { ipv4From } from '../../net/address.ts'
import { createMachine } from '../machine.ts'
import { addNamespace } from '../namespace.ts'
import { setupNat } from './nat.ts'
import { ConntrackTable } from './table.ts'
import { invertTuple } from './tuple.ts'

test.each([
  [false, [109, 104, 101, 105, 104, 104, 116, 108]],
  [true, [114, 120, 118, 101, 104, 101, 103, 109]],
])('the address of a range is the one the kernel chooses (persistent: %s)', (persistent, chosen) => {
  const table = new ConntrackTable(addNamespace(createMachine({ seed: 1 }), { name: 'n' }))
  const addresses = { first: ipv4From(0x0a09_0264), last: ipv4From(0x0a09_0278) }
  const range = { addresses, ports: undefined, random: false, persistent, basePort: undefined }
  const found = chosen.map((_last, index) => {
    const source = ipv4From(0x0a09_0102 + index)
    const destination = ipv4From(0x0a09_0202)
    const tuple = { family: 4, source, destination, protocol: 17, sport: 4000, dport: 7 } as const
    const reply = invertTuple(tuple)
    if (reply === undefined) throw new Error('UDP has answers')
    const connection = table.create(tuple, reply, 0)
    setupNat(table, connection, range, 'source')
    return Number(connection.reply.destination) & 255
  })
  expect(found).toEqual(chosen)
})

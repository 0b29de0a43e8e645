// A device that goes takes its far end, its routes, its port and everything above it along.
import { expect, test } from 'vitest'
import { lab } from '../../../test/lab.ts'
import { ipv4From } from '../../net/address.ts'
import { addAddress } from '../ip/admin-address.ts'
import { listRoutes } from '../ip/list.ts'
import { addNamespace } from '../namespace.ts'
import { addBridge, setMaster } from './bridge.ts'
import { bridgeState } from './bridge-state.ts'
import { setUp } from './change.ts'
import { emptyNamespace, isEmptied, removeDevice } from './remove.ts'
import { addVethPair } from './veth.ts'
import { addVlan } from './vlan.ts'

const address = { address: ipv4From(0x0a00_0001), length: 24 }

test('the far end of a pair goes with it, with addresses and routes of both', () => {
  const { a, b, a0, b0 } = lab()
  addAddress(a0, address)
  addAddress(b0, { ...address, address: ipv4From(0x0a00_0002) })
  expect(removeDevice(a0)).toEqual({ ok: true })
  expect([a.devicesByName.has('a0'), b.devicesByName.has('b0')]).toEqual([false, false])
  for (const ns of [a, b]) {
    expect(listRoutes(ns)).toEqual([])
    expect(
      listRoutes(ns, { family: 4, table: 255 }).filter((route) => route.nextHops[0]?.device?.name !== 'lo'),
    ).toEqual([])
  }
})

test('its index is not used again', () => {
  const { a, b, a0 } = lab()
  const { ifindex } = a0
  removeDevice(a0)
  const [again] = addVethPair({ ns: a, name: 'a1' }, { ns: b, name: 'b1' })
  expect(again.ifindex).toBe(ifindex + 1)
})

test('a vlan on top goes first', () => {
  const { a, a0 } = lab()
  addVlan(a, { name: 'a0.5', lower: a0, id: 5 })
  removeDevice(a0)
  expect([...a.devicesByName.keys()]).toEqual(['lo'])
})

test('a port leaves its bridge, and a bridge its ports', () => {
  const { a, b } = lab()
  const bridge = addBridge(a, { name: 'br0' })
  const [one] = addVethPair({ ns: a, name: 'v1' }, { ns: b, name: 'w1' })
  const [two] = addVethPair({ ns: a, name: 'v2' }, { ns: b, name: 'w2' })
  for (const port of [one, two]) {
    setMaster(port, bridge)
    setUp(port)
  }
  removeDevice(one)
  expect(bridgeState(bridge).ports.map((port) => port.dev.name)).toEqual(['v2'])
  expect([...bridgeState(bridge).fdb.values()].map((entry) => entry.port?.dev.name)).not.toContain('v1')
  removeDevice(bridge)
  expect(two.master).toBeUndefined()
})

test('lo cannot be deleted', () => {
  const { a } = lab()
  const lo = a.devicesByName.get('lo')!
  expect(removeDevice(lo)).toEqual({ ok: false, errno: 'EOPNOTSUPP' })
})

test('a namespace that ends leaves nothing behind on the other side', () => {
  const { machine, a, b } = lab()
  const other = addNamespace(machine, { name: 'C' })
  addVethPair({ ns: a, name: 'x' }, { ns: other, name: 'y' })
  expect(isEmptied(a)).toBe(false)
  emptyNamespace(a)
  expect([...a.devices.values()].map(({ name, up }) => [name, up])).toEqual([['lo', false]])
  expect([isEmptied(a), isEmptied(b)]).toEqual([true, false])
  expect([...b.devicesByName.keys(), ...other.devicesByName.keys()]).toEqual(['lo', 'lo'])
})

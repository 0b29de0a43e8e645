import { expect, test } from 'vitest'
import { SysctlTable } from './sysctl-table.ts'

const rpFilter = 'net.ipv4.conf.DEV.rp_filter'

test('a fresh table has the defaults of the kernel', () => {
  const table = new SysctlTable()
  expect(table.get('net.ipv4.ip_default_ttl')).toBe(64)
  expect(table.get('net.ipv4.conf.eth0.rp_filter')).toBe(0)
  expect(table.device('net.ipv4.neigh.DEV.proxy_delay', 'eth0')).toBe(80)
})

test('an unknown name is refused', () => {
  const table = new SysctlTable()
  expect(table.set('net.ipv4.no_such', 1)).toBe(false)
  expect(table.set('net.ipv4.conf.eth0.no_such', 1)).toBe(false)
})

test('a device without a value of its own has that of default, never that of all', () => {
  const table = new SysctlTable()
  table.set('net.ipv4.conf.all.rp_filter', 2)
  expect(table.device(rpFilter, 'eth0')).toBe(0)
  table.set('net.ipv4.conf.default.rp_filter', 1)
  expect([table.device(rpFilter, 'eth0'), table.max(rpFilter, 'eth0')]).toEqual([1, 2])
  table.set('net.ipv4.conf.eth0/100.rp_filter', 0)
  expect(table.device(rpFilter, 'eth0.100')).toBe(0)
})

test('ip_forward is conf/all/forwarding, and sets every device', () => {
  const table = new SysctlTable()
  table.set('net.ipv4.conf.eth0.forwarding', 0)
  table.set('net.ipv4.ip_forward', 1)
  expect(table.get('net.ipv4.conf.all.forwarding')).toBe(1)
  expect(table.device('net.ipv4.conf.DEV.forwarding', 'eth0')).toBe(1)
  table.set('net.ipv4.conf.eth0.forwarding', 0)
  expect(table.device('net.ipv4.conf.DEV.forwarding', 'eth0')).toBe(0)
  expect(table.get('net.ipv4.ip_forward')).toBe(1)
})

test('either and both combine all and the device', () => {
  const table = new SysctlTable()
  const name = 'net.ipv4.conf.DEV.proxy_arp'
  table.set('net.ipv4.conf.eth0.proxy_arp', 1)
  expect([table.either(name, 'eth0'), table.both(name, 'eth0'), table.either(name, 'eth1')]).toEqual([
    true,
    false,
    false,
  ])
})

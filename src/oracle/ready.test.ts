// When addresses of IPv6 are usable, from what Linux 6.18 has in /proc/net.
import { expect, test } from 'vitest'
import { allUsable } from './ready.ts'

const none = '0'.repeat(32)
const route = (address: string, length: string, flags: string, device: string): string =>
  `${address} ${length} ${none} 00 ${none} 00000000 00000001 00000000 ${flags}       ${device}\n`
const address = (digits: string, flags: string, device: string): string =>
  `${digits} 02 40 00 ${flags}       ${device}\n`

const one = 'fd000000000000000000000000000001'
const connected = route('fd000000000000000000000000000000', '40', '00000001', 'v0')
const local = route(one, '80', '80200001', 'v0')

test.each([
  ['no address at all', '', connected, true],
  ['a local route', address(one, '80', 'v0'), connected + local, true],
  ['a probe goes on', address(one, 'c0', 'v0'), connected + local, false],
  ['no probe is wanted, and no worker was there', address(one, '82', 'v0'), connected, false],
  ['no probe is wanted, a worker was there', address(one, '82', 'v0'), connected + local, true],
  ['the route is that of another device', address(one, '82', 'v1'), connected + local, false],
  ['one of two waits', address(one, '80', 'v0') + address(one, '82', 'v1'), local, false],
  ['a route to a host is not local', address(one, '80', 'v0'), route(one, '80', '00000001', 'v0'), false],
] as const)('%s', (_what, addresses, routes, usable) => {
  expect(allUsable(addresses, routes)).toBe(usable)
})

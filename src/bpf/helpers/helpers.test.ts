import { expect, test } from 'vitest'
import { readU16 } from '../../net/bytes.ts'
import { swap16 } from '../context/byte-order.ts'
import { writeTunnelKey } from '../context/structs.ts'
import type { RunContext } from '../contract.ts'
import { createMap } from '../maps/create.ts'
import { frameOf, tcContext, udpFrame, xdpContext } from '../test-support/contexts.ts'
import { skbAdjustRoom } from './adjust-room.ts'
import { checkMtu, fibLookup, skAssign } from './lookup.ts'
import { redirect, redirectMap, redirectNeigh, redirectPeer } from './redirect.ts'
import { skbLoadBytes, skbLoadBytesRelative, skbPullData, skbStoreBytes } from './skb-bytes.ts'
import { skbChangeHead, skbChangeProto, skbChangeTail, skbChangeType } from './skb-shape.ts'
import { helperNames, helperTable, mayCall, refusalText } from './table.ts'
import { skbGetTunnelKey, skbGetTunnelOpt, skbSetTunnelKey, skbSetTunnelOpt } from './tunnel.ts'
import { skbVlanPop, skbVlanPush } from './vlan.ts'

// the error numbers were observed on Linux 6.18 with BPF_PROG_TEST_RUN
test.each<[string, (context: RunContext) => number, number, number]>([
  ['store past the end', (c) => skbStoreBytes(c, 49, Uint8Array.of(1, 2)), -14, 50],
  ['store with unknown flags', (c) => skbStoreBytes(c, 0, Uint8Array.of(1), 4), -22, 50],
  ['load past the end', (c) => skbLoadBytes(c, 49, new Uint8Array(2)), -14, 50],
  ['pull all', (c) => skbPullData(c, 50), 0, 50],
  ['pull more', (c) => skbPullData(c, 51), -12, 50],
  ['change_head', (c) => skbChangeHead(c, 14), 0, 64],
  ['change_head with flags', (c) => skbChangeHead(c, 14, 1), -22, 50],
  ['change_tail shorter', (c) => skbChangeTail(c, 42), 0, 42],
  ['change_tail longer', (c) => skbChangeTail(c, 100), 0, 100],
  ['change_tail into the MAC header', (c) => skbChangeTail(c, 13), -22, 50],
  ['change_type to OTHERHOST', (c) => skbChangeType(c, 3), 0, 50],
  ['change_type to OUTGOING', (c) => skbChangeType(c, 4), -22, 50],
  ['change_proto to IPv6', (c) => skbChangeProto(c, swap16(0x86dd)), 0, 70],
  ['change_proto to ARP', (c) => skbChangeProto(c, swap16(0x0806)), -524, 50],
  ['adjust_room at the MAC header', (c) => skbAdjustRoom(c, 20, 1), 0, 70],
  ['adjust_room with a mode that is none', (c) => skbAdjustRoom(c, 20, 2), -524, 50],
  ['adjust_room too much', (c) => skbAdjustRoom(c, 0x1000, 1), -14, 50],
  ['adjust_room down below an IP header', (c) => skbAdjustRoom(c, -17, 1), -524, 50],
  ['adjust_room down to an IP header', (c) => skbAdjustRoom(c, -16, 1), 0, 34],
  ['adjust_room with unknown flags', (c) => skbAdjustRoom(c, 20, 1, 512), -22, 50],
  ['adjust_room up with a decap flag', (c) => skbAdjustRoom(c, 20, 1, 128), -22, 50],
  ['sk_assign with flags', (c) => skAssign(c, undefined, 1), -22, 50],
  ['check_mtu that fits', (c) => checkMtu(c, 2, new Uint8Array(4), 0), 0, 50],
  ['check_mtu that does not', (c) => checkMtu(c, 2, new Uint8Array(4), 1500), 1, 50],
  ['check_mtu of no device', (c) => checkMtu(c, 99, new Uint8Array(4), 0), -19, 50],
  ['fib_lookup with a short struct', (c) => fibLookup(c, new Uint8Array(60)), -22, 50],
  ['fib_lookup of no family', (c) => fibLookup(c, new Uint8Array(64)), -97, 50],
])('%s: %3$i, %4$i bytes', (_what, act, expected, length) => {
  const context = tcContext(udpFrame())
  expect(act(context)).toBe(expected)
  expect(frameOf(context).length).toBe(length)
})

test('adjust_room puts zeros where they belong', () => {
  const frame = udpFrame()
  const mac = tcContext(frame)
  skbAdjustRoom(mac, 4, 1)
  expect(frameOf(mac)).toEqual(Uint8Array.from([...frame.subarray(0, 14), 0, 0, 0, 0, ...frame.subarray(14)]))
  const net = tcContext(frame)
  skbAdjustRoom(net, 4, 0)
  expect(frameOf(net)).toEqual(Uint8Array.from([...frame.subarray(0, 34), 0, 0, 0, 0, ...frame.subarray(34)]))
})

test('loads relative to the network header start at the IP header', () => {
  const to = new Uint8Array(4)
  expect(skbLoadBytesRelative(tcContext(udpFrame()), 12, to, 1)).toBe(0)
  expect(to).toEqual(Uint8Array.of(10, 0, 0, 1))
  expect(skbLoadBytesRelative(tcContext(udpFrame()), 12, to, 2)).toBe(-14)
  expect(to).toEqual(new Uint8Array(4))
})

test('VLAN tags: the outermost beside the packet, further ones in it', () => {
  const frame = udpFrame()
  const context = tcContext(frame)
  skbVlanPush(context, swap16(0x8100), 100)
  expect([context.skb.vlanTci, frameOf(context).length]).toEqual([100, 50])
  skbVlanPush(context, swap16(0x88a8), 200)
  expect([context.skb.vlanTci, context.skb.vlanProtocol, context.skb.protocol]).toEqual([200, 0x88a8, 0x8100])
  expect(readU16(frameOf(context), 14)).toBe(100)
  skbVlanPop(context)
  expect([context.skb.vlanTci, context.skb.protocol]).toEqual([100, 0x0800])
  skbVlanPop(context)
  expect([context.skb.vlanTci, frameOf(context)]).toEqual([-1, frame])
  expect(skbVlanPop(context)).toBe(0)
})

test.each<[string, (context: RunContext) => number, number, RunContext['redirect']]>([
  ['redirect', (c) => redirect(c, 5), 7, { kind: 'device', ifindex: 5, ingress: false }],
  ['redirect to ingress', (c) => redirect(c, 5, 1), 7, { kind: 'device', ifindex: 5, ingress: true }],
  ['redirect with unknown flags', (c) => redirect(c, 5, 2), 2, { kind: 'none' }],
  ['redirect_peer', (c) => redirectPeer(c, 5), 7, { kind: 'peer', ifindex: 5 }],
  ['redirect_peer with flags', (c) => redirectPeer(c, 5, 1), 2, { kind: 'none' }],
  ['redirect_neigh', (c) => redirectNeigh(c, 5, undefined), 7, { kind: 'neigh', ifindex: 5 }],
  ['redirect_neigh with a short struct', (c) => redirectNeigh(c, 5, new Uint8Array(4)), 2, { kind: 'none' }],
  [
    'redirect_neigh with a next hop',
    (c) => redirectNeigh(c, 5, Uint8Array.of(2, 0, 0, 0, 10, 0, 0, 9, ...new Uint8Array(12))),
    7,
    { kind: 'neigh', ifindex: 5, nextHop: { family: 4, address: [0x0a00_0009] } },
  ],
])('%s returns %3$i', (_what, act, code, expected) => {
  const context = tcContext(udpFrame())
  expect(act(context)).toBe(code)
  expect(context.redirect).toEqual(expected)
})

test.each([
  [0, 0, 4, { kind: 'map', ifindex: 7 }],
  [1, 0, 0, { kind: 'none' }],
  [1, 2, 2, { kind: 'none' }],
  [9, 3, 3, { kind: 'none' }],
  [0, 4, 0, { kind: 'none' }],
  [0, 8, 4, { kind: 'map', ifindex: 0, broadcast: [7, 2] }],
  [0, 24, 4, { kind: 'map', ifindex: 0, broadcast: [7] }],
])('redirect_map to slot %i with flags %i returns %i', (slot, flags, code, expected) => {
  const created = createMap(
    { name: 'd', type: 'devmap', keySize: 4, valueSize: 4, maxEntries: 4 },
    { cpus: 1 },
  )
  if (created.kind === 'refused') throw new Error(created.errno)
  created.map.update(Uint8Array.of(0, 0, 0, 0), Uint8Array.of(7, 0, 0, 0), 0, 0)
  created.map.update(Uint8Array.of(3, 0, 0, 0), Uint8Array.of(2, 0, 0, 0), 0, 0)
  const context = xdpContext(udpFrame())
  expect(redirectMap(context, created.map, slot, flags)).toBe(code)
  expect(context.redirect).toEqual(expected)
})

test('tunnel keys keep IPv4 addresses in host byte order', () => {
  const context = tcContext(udpFrame())
  const key = writeTunnelKey({ id: 7, remote: 0x0a00_0002, tos: 0, ttl: 64, flags: 0 })
  expect(key.subarray(4, 8)).toEqual(Uint8Array.of(2, 0, 0, 10))
  expect(skbSetTunnelKey(context, key.subarray(0, 27))).toBe(-22)
  expect(skbGetTunnelKey(context, new Uint8Array(44))).toBe(-22)
  expect(skbSetTunnelOpt(context, new Uint8Array(4))).toBe(-22)
  expect(skbSetTunnelKey(context, key)).toBe(0)
  expect(context.skb.tunnelKey).toMatchObject({ id: 7, remote: 0x0a00_0002, ttl: 64 })
  const back = new Uint8Array(44)
  expect([skbGetTunnelKey(context, back), back]).toEqual([0, key])
  expect(skbGetTunnelKey(context, back, 1)).toBe(-71)
  expect(skbGetTunnelOpt(context, back)).toBe(-2)
  expect(skbSetTunnelOpt(context, Uint8Array.of(1, 2, 3, 4))).toBe(0)
  expect([skbGetTunnelOpt(context, new Uint8Array(2)), skbGetTunnelOpt(context, back)]).toEqual([-12, 4])
})

test('numbers are unique and rise, so that the table reads like the UAPI', () => {
  const numbers = helperNames.map((name) => helperTable[name].id)
  expect(numbers).toEqual([...new Set(numbers)].sort((left, right) => left - right))
})

test('the verifier names helper and type', () => {
  expect(mayCall('xdp', 'redirect_peer')).toBe(false)
  expect(refusalText('xdp', 'redirect_peer')).toBe(
    'program of type xdp cannot use helper bpf_redirect_peer#155',
  )
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOfHex } from '../../../test/bytes-of-hex.ts'
import { readU16, writeU16, writeU32 } from '../../net/bytes.ts'
import { checksumOf, writeSegmentChecksum } from '../../net/checksum.ts'
import { swap16, swap32 } from '../context/byte-order.ts'
import { readFibResult, writeFib, writeTunnelKey } from '../context/structs.ts'
import type { RunContext } from '../contract.ts'
import { createMap } from '../maps/create.ts'
import { frameOf, tcContext, xdpContext } from '../test-support/contexts.ts'
import { skbAdjustRoom } from './adjust-room.ts'
import { csumDiff, l3CsumReplace, l4CsumReplace } from './checksum.ts'
import { checkMtu, fibLookup, getHashRecalc, skAssign } from './lookup.ts'
import { redirect, redirectMap, redirectNeigh, redirectPeer } from './redirect.ts'
import { skbLoadBytes, skbLoadBytesRelative, skbPullData, skbStoreBytes } from './skb-bytes.ts'
import { skbChangeHead, skbChangeProto, skbChangeTail, skbChangeType } from './skb-shape.ts'
import { helperNames, helperTable, mayCall, refusalText } from './table.ts'
import { skbGetTunnelKey, skbGetTunnelOpt, skbSetTunnelKey, skbSetTunnelOpt } from './tunnel.ts'
import { skbVlanPop, skbVlanPush } from './vlan.ts'
import { xdpAdjustHead, xdpAdjustMeta, xdpAdjustTail } from './xdp.ts'

/** Ethernet, IPv4 10.0.0.1 > 10.0.0.2, UDP 4000 > 80 with `payload` bytes, checksums right. */
function udpFrame(payload = 8): Uint8Array {
  const head =
    '02000000000b02000000000a0800 4500 0000 0001 0000 4011 0000 0a000001 0a000002 0fa0 0050 0000 0000'
  const bytes = new Uint8Array(42 + payload)
  bytes.set(
    Uint8Array.from(
      head
        .replace(/\s/g, '')
        .match(/../g)!
        .map((pair) => Number.parseInt(pair, 16)),
    ),
  )
  writeU16(bytes, 16, 28 + payload)
  writeU16(bytes, 38, 8 + payload)
  writeU16(bytes, 24, checksumOf(bytes, 14, 34))
  writeSegmentChecksum(bytes, { l3: 14, l4: 34, end: bytes.length, protocol: 17 })
  return bytes
}

describe('an XDP frame of 256 bytes headroom (facts: linux 2.10)', () => {
  const room = (context: RunContext): number => context.xdp!.data - context.xdp!.meta

  test.each([
    [-216, 0],
    [-220, -22],
    [-217, -22],
    [34, 0],
    [36, 0],
    [37, -22],
  ])('adjust_head(%i) of 50 bytes: %i', (offset, expected) => {
    const context = xdpContext(udpFrame())
    expect(xdpAdjustHead(context, offset)).toBe(expected)
    expect(frameOf(context).length).toBe(expected === 0 ? 50 - offset : 50)
  })

  test.each([
    [-4, 0, 4],
    [-32, 0, 32],
    [-212, 0, 212],
    [-216, 0, 216],
    [-220, -22, 0],
    [-252, -22, 0],
    [-2, -13, 0],
    [-7, -13, 0],
    [4, -22, 0],
  ])('adjust_meta(%i): %i, %i bytes', (offset, expected, bytes) => {
    const context = xdpContext(udpFrame())
    expect(xdpAdjustMeta(context, offset)).toBe(expected)
    expect(room(context)).toBe(bytes)
  })

  test('metadata moves with the head and needs its room', () => {
    const context = xdpContext(udpFrame())
    xdpAdjustMeta(context, -32)
    context.xdp!.bytes[context.xdp!.meta] = 0xaa
    expect(xdpAdjustHead(context, -200)).toBe(-22)
    expect(xdpAdjustHead(context, -100)).toBe(0)
    expect([room(context), context.xdp!.bytes[context.xdp!.meta]]).toEqual([32, 0xaa])
  })

  test.each([
    [-36, 0],
    [-37, -22],
    [100, 0],
    [4096 - 320 - 256 - 50, 0],
    [4096 - 320 - 256 - 50 + 1, -22],
  ])('adjust_tail(%i): %i', (offset, expected) => {
    const context = xdpContext(udpFrame())
    context.xdp!.bytes.fill(0xee, context.xdp!.dataEnd)
    expect(xdpAdjustTail(context, offset)).toBe(expected)
    expect(
      frameOf(context)
        .subarray(50)
        .every((byte) => byte === 0),
    ).toBe(true)
  })
})

describe('checksums', () => {
  test('replacing an address and a port keeps both checksums right, as a full computation finds', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff), fc.nat(40), (address, port, payload) => {
        const context = tcContext(udpFrame(payload))
        const to = swap32(address)
        const from = swap32(0x0a00_0002)
        expect(l3CsumReplace(context, 24, from, to, 4)).toBe(0)
        expect(l4CsumReplace(context, 40, from, to, 0x34)).toBe(0)
        expect(l4CsumReplace(context, 40, swap16(80), swap16(port), 0x22)).toBe(0)
        const fresh = new Uint8Array(4)
        writeU32(fresh, 0, address)
        skbStoreBytes(context, 30, fresh)
        skbStoreBytes(context, 36, Uint8Array.of(port >>> 8, port))
        const incremental = frameOf(context)
        const full = incremental.slice()
        writeSegmentChecksum(full, { l3: 14, l4: 34, end: full.length, protocol: 17 })
        expect(checksumOf(incremental, 14, 34)).toBe(0)
        expect(readU16(incremental, 40)).toBe(readU16(full, 40))
      }),
    )
  })

  test('a UDP checksum of zero stays with MARK_MANGLED_0 and is computed with MARK_ENFORCE', () => {
    const frame = udpFrame()
    writeU16(frame, 40, 0)
    const context = tcContext(frame)
    expect(l4CsumReplace(context, 40, 1, 2, 0x22)).toBe(0)
    expect(readU16(frameOf(context), 40)).toBe(0)
    expect(l4CsumReplace(context, 40, 1, 2, 0x62)).toBe(0)
    expect(readU16(frameOf(context), 40)).not.toBe(0)
  })

  test.each([
    ['an odd offset', 25, 0, 4, -14],
    ['an offset past the end', 50, 0, 4, -14],
    ['size 3', 24, 0, 3, -22],
    ['size 0 with a from', 24, 1, 0, -22],
    ['unknown flags', 24, 0, 0x14, -22],
  ])('l3_csum_replace with %s', (_what, offset, from, flags, expected) => {
    expect(l3CsumReplace(tcContext(udpFrame()), offset, from, 0, flags)).toBe(expected)
  })

  // observed on Linux 6.18 with BPF_PROG_TEST_RUN
  test.each([
    ['01020304', '05060708', 0, 0x0808],
    ['', '05060708', 0, 0x0e0c],
    ['01020304', '', 0, 0xf9fb],
    ['', '', 0x12345, 0x2346],
    ['ffffffff', '00000000', 0x1234, 0x1234],
    ['01020304', '01020304', 0, 0xffff],
    ['0102030405060708', '0a0b0c0d', 0xffff, 0x0406],
  ])('csum_diff(%s, %s, %i)', (from, to, seed, expected) => {
    const bytes = (text: string): Uint8Array | undefined => (text === '' ? undefined : bytesOfHex(text))
    expect(csumDiff(tcContext(udpFrame()), bytes(from), bytes(to), seed)).toBe(expected)
  })

  test('csum_diff wants multiples of four', () => {
    expect(csumDiff(tcContext(udpFrame()), new Uint8Array(3), undefined, 0)).toBe(-22)
  })
})

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

test('fib_lookup fills the struct of a neighbour that was found', () => {
  const answer = {
    code: 0,
    ifindex: 3,
    gateway: [0x0a00_0063],
    sourceMac: 0x0200_0000_0001,
    destinationMac: 0x0200_0000_0002,
    mtu: 1400,
    metric: 100,
    preferredSource: [0],
  }
  const context = tcContext(udpFrame(), { fibLookup: () => answer })
  const request = {
    family: 4,
    source: [1],
    destination: [2],
    protocol: 17,
    sport: 1,
    dport: 2,
    tos: 0,
    ifindex: 2,
    mark: 0,
  } as const
  const params = writeFib({ ...request, totalLength: 100 })
  expect(fibLookup(context, params)).toBe(0)
  const { preferredSource: _none, code: _code, ...rest } = answer
  expect(readFibResult(params)).toMatchObject(rest)
})

/** 3000 bytes of TCP payload behind 54 bytes of headers, to be cut into segments of `size`. */
function largeFrame(size: number) {
  const context = tcContext(new Uint8Array(3054))
  const gsoSegs = Math.ceil(3000 / size)
  const wireLength = { value: 3054 + (gsoSegs - 1) * 54 }
  Object.defineProperties(context.skb, { gsoSize: { value: size }, gsoSegs: { value: gsoSegs }, wireLength })
  return context
}

test('a packet that is cut later fits a device, whole or by its segments', () => {
  const asked = (context: RunContext, flags: number): number =>
    checkMtu(context, 2, new Uint8Array(4), 0, flags)
  expect([asked(largeFrame(1460), 0), asked(largeFrame(1460), 1)]).toEqual([0, 0])
  expect([asked(largeFrame(1461), 0), asked(largeFrame(1461), 1)]).toEqual([0, 2])
  expect(asked(tcContext(new Uint8Array(3054)), 1)).toBe(1)
})

test('fib_lookup without a length asks whether the packet fits, which one that is cut later does', () => {
  const answer = {
    ...{ code: 0, ifindex: 3, gateway: [1], sourceMac: 1, destinationMac: 2, mtu: 1500 },
    ...{ metric: 100, preferredSource: [0] },
  }
  const request = writeFib({
    ...{ family: 4, source: [1], destination: [2], protocol: 6, sport: 1, dport: 2 },
    ...{ tos: 0, ifindex: 2, mark: 0, totalLength: 0 },
  })
  const of = (context: RunContext): number => {
    context.kernel.fibLookup = () => answer
    return fibLookup(context, request.slice())
  }
  expect([of(largeFrame(1448)), of(tcContext(new Uint8Array(3054)))]).toEqual([0, 8])
})

test('the hash is asked for once', () => {
  const context = tcContext(udpFrame())
  expect([getHashRecalc(context), context.skb.hash]).toEqual([77, 77])
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

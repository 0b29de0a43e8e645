import { expect, test } from 'vitest'
import { tcContext, xdpContext } from '../test-support/contexts.ts'
import { Packet } from './packet.ts'
import { loadSkb, storeSkb } from './skb.ts'
import { mayRead, mayWrite, type SkbField, skbAccess, skbAt, skbBytes, skbFieldSize } from './skb-fields.ts'
import { loadXdp, storeXdp, xdpAt } from './xdp.ts'

const frame = new Uint8Array(60)
frame[12] = 8

// offsetof() of struct __sk_buff as clang lays it out for the bpf target
test('fields lie one behind the other up to the end of the struct', () => {
  const fields = Object.keys(skbAt) as SkbField[]
  let end = 0
  for (const field of fields) {
    expect(skbAt[field], field).toBe(Math.ceil(end / skbAlign(field)) * skbAlign(field))
    end = skbAt[field] + skbFieldSize(field)
  }
  expect(end).toBe(skbBytes)
})

function skbAlign(field: SkbField): number {
  return skbFieldSize(field) === 8 ? 8 : field === 'tstamp_type' ? 1 : 4
}

test.each([
  ['sched_cls', 'mark', mayRead | mayWrite],
  ['sched_cls', 'tc_classid', mayRead | mayWrite],
  ['sched_cls', 'queue_mapping', mayRead | mayWrite],
  ['sched_cls', 'protocol', mayRead],
  ['sched_cls', 'len', mayRead],
  ['sched_cls', 'family', 0],
  ['cgroup_skb', 'tc_classid', 0],
  ['cgroup_skb', 'mark', mayRead | mayWrite],
  ['cgroup_skb', 'family', mayRead],
  ['socket_filter', 'mark', mayRead],
  ['socket_filter', 'cb', mayRead | mayWrite],
  ['socket_filter', 'data', 0],
  ['xdp', 'mark', 0],
] as const)('%s and __sk_buff.%s', (type, field, expected) => {
  expect(skbAccess(type)[skbAt[field]]).toBe(expected)
})

test('loads and stores reach the packet at once', () => {
  const context = tcContext(frame)
  storeSkb(context, skbAt.mark, 4, 0xabcd_1234)
  storeSkb(context, skbAt.cb + 8, 4, 9)
  expect([context.skb.mark, context.skb.cb[2]]).toEqual([0xabcd_1234, 9])
  expect([0, 1, 2, 3].map((byte) => loadSkb(context, skbAt.mark + byte, 1))).toEqual([0x34, 0x12, 0xcd, 0xab])
  expect(loadSkb(context, skbAt.mark + 2, 2)).toBe(0xabcd)
  expect(loadSkb(context, skbAt.protocol, 4)).toBe(8)
  expect(loadSkb(context, skbAt.data_end, 4)).toBe(60)
})

test('a queue mapping of "none" is ignored', () => {
  const context = tcContext(frame)
  storeSkb(context, skbAt.queue_mapping, 4, 3)
  storeSkb(context, skbAt.queue_mapping, 4, 0xffff)
  expect(context.skb.queueMapping).toBe(3)
})

test.each([
  [
    'a write to len',
    () => storeSkb(tcContext(frame), skbAt.len, 4, 1),
    /off=0 size=4 \(__sk_buff.len\): no write/,
  ],
  ['half a write', () => storeSkb(tcContext(frame), skbAt.mark, 2, 1), /no write/],
  ['a read of the family', () => loadSkb(tcContext(frame), skbAt.family, 4), /__sk_buff.family/],
  ['a read past the struct', () => loadSkb(tcContext(frame), 192, 4), /off=192/],
  ['a read across two fields', () => loadSkb(tcContext(frame), skbAt.mark, 8), /size=8/],
  ['a read of egress_ifindex', () => loadXdp(xdpContext(frame), xdpAt.egress_ifindex, 4), /off=20/],
  ['a write to xdp_md', () => storeXdp(xdpContext(frame), 0, 4), /read-only/],
  ['a packet read past the end', () => new Packet(xdpContext(frame)).u16(59), /offset 59, valid size is 60/],
  ['a packet read of one byte', () => new Packet(xdpContext(frame)).u8(60), /read of 1 byte:/],
  [
    'metadata that is not there',
    () => new Packet(xdpContext(frame)).le32(-4),
    /metadata: offset -4, valid size is 0/,
  ],
  [
    'a direct write from cgroup_skb',
    () => new Packet({ ...tcContext(frame), type: 'cgroup_skb' }).setU8(0, 1),
    /cannot write into packet/,
  ],
  [
    'a direct read from a socket filter',
    () => new Packet({ ...tcContext(frame), type: 'socket_filter' }).u8(0),
    /no direct packet access/,
  ],
])('%s is a fault', (_what, act, message) => {
  expect(act).toThrow(message)
})

test('metadata lies in front of the packet, in host byte order', () => {
  const context = xdpContext(frame)
  context.xdp.meta -= 4
  const packet = new Packet(context)
  packet.setLe32(-4, 0x0102_0304)
  expect([...context.xdp.bytes.subarray(252, 256)]).toEqual([4, 3, 2, 1])
  expect([packet.le32(-4), packet.metaLength, loadXdp(context, xdpAt.data_meta, 4)]).toEqual([
    0x0102_0304, 4, -4,
  ])
  expect(() => packet.u32(-2)).toThrow(/metadata/)
})

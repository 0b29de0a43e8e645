import { describe, expect, test } from 'vitest'
import {
  lab,
  labFrame,
  labType,
  macA,
  macB,
  outcomes,
  packet,
  path,
  program,
  send,
} from '../../../test/lab.ts'
import { etherType } from '../../net/protocol.ts'
import { addNamespace } from '../namespace.ts'
import { pktType, type Skb } from '../skb.ts'
import { attachTc } from '../tc/attach.ts'
import { addTap, setDown, setMac, setMtu, setUp } from './change.ts'
import { transmitCongested, transmitDown, transmitDropped } from './device.ts'
import { addDummy } from './dummy.ts'
import { addMacvlan } from './macvlan.ts'
import { addPhys } from './phys.ts'
import { addSegment } from './segment.ts'
import { addVlan } from './vlan.ts'

const toB = labFrame({ to: macB, from: macA })
const broadcast = 0xffff_ffff_ffff

describe('veth', () => {
  // facts/linux 8.18: frames up to the far end's MTU + 14 + 4
  test.each([
    { length: 1018, passes: true },
    { length: 1019, passes: false },
  ])('a frame of $length bytes to a far end with MTU 1000', ({ length, passes }) => {
    const { machine, a0, b0, received } = lab()
    setMtu(b0, 1000)
    const frame = new Uint8Array(length)
    frame.set(toB)
    expect(send(a0, frame)).toBe(passes ? 0 : transmitDropped)
    expect(received).toHaveLength(passes ? 1 : 0)
    expect([a0.counters.tx_dropped, b0.counters.rx_dropped]).toEqual(passes ? [0, 0] : [1, 1])
    expect(outcomes(machine)).toEqual(passes ? [] : ['dropped A/a0/tx SKB_DROP_REASON_PKT_TOO_BIG'])
  })

  test('far end down: the tap sees frames for about a second, then only tc egress does', () => {
    const { machine, a0, b0 } = lab()
    const seen: string[] = []
    addTap(a0, () => seen.push('tap'))
    attachTc(a0, 'egress', {
      kind: 'tcx',
      program: program('t', () => {
        seen.push('tc')
        return -1
      }),
    })
    setDown(b0)
    expect(a0.carrier).toBe(false)
    expect(send(a0, toB)).toBe(transmitDropped)
    machine.clock.advance(1_300_000_000)
    expect(send(a0, toB)).toBe(transmitCongested)
    expect(seen).toEqual(['tc', 'tap', 'tc'])
    expect([a0.counters.tx_dropped, b0.counters.rx_dropped]).toEqual([2, 1])
  })

  test('own device down', () => {
    const { a0 } = lab()
    setDown(a0)
    expect(send(a0, toB)).toBe(transmitDown)
  })

  test('counters and the owner of a packet survive the crossing', () => {
    const { a0, b0, received } = lab()
    send(a0, toB)
    expect(a0.counters).toMatchObject({ tx_packets: 1, tx_bytes: 60 })
    expect(b0.counters).toMatchObject({ rx_packets: 1, rx_bytes: 60 })
    expect(received[0]?.ingressIfindex).toBe(b0.ifindex)
  })
})

test.each([
  { to: macB, type: pktType.host },
  { to: macA, type: pktType.otherHost },
  { to: broadcast, type: pktType.broadcast },
  { to: 0x0100_5e00_0001, type: pktType.multicast },
])('pkt_type $type of a frame to $to', ({ to, type }) => {
  const { a0, received } = lab()
  send(a0, labFrame({ to, from: macA }))
  expect(received[0]?.pktType).toBe(type)
})

test('an ethertype that nobody handles is a drop that the device counts', () => {
  const { machine, a0, b0 } = lab()
  send(a0, labFrame({ to: macB, from: macA, type: 0x88b6 }))
  expect(outcomes(machine)).toEqual(['dropped B/b0/rx SKB_DROP_REASON_UNHANDLED_PROTO'])
  expect(b0.counters.rx_dropped).toBe(1)
})

test('changing the MTU and the address of a device', () => {
  const { a0 } = lab()
  expect(setMtu(a0, 67)).toEqual({ ok: false, errno: 'EINVAL' })
  expect(setMtu(a0, 9000)).toEqual({ ok: true })
  expect(setMac(a0, 0x0100_5e00_0001)).toEqual({ ok: false, errno: 'EADDRNOTAVAIL' })
  expect(setMac(a0, 0x0200_0000_0001)).toEqual({ ok: true })
})

// tried on 6.18
test.each([
  { length: 13, type: 0x88b5, answer: -22 },
  { length: 14, type: 0x88b5, answer: 0 },
  { length: 1514, type: 0x88b5, answer: 0 },
  { length: 1515, type: 0x88b5, answer: -90 },
  { length: 1518, type: 0x8100, answer: 0 },
  { length: 1519, type: 0x8100, answer: -90 },
])('an AF_PACKET socket that sends $length bytes is answered $answer', ({ length, type, answer }) => {
  const { a0 } = lab()
  const frame = new Uint8Array(2000)
  frame.set(labFrame({ to: macB, from: macA, type }))
  expect(send(a0, frame.slice(0, length))).toBe(answer)
})

describe('network cards on a segment', () => {
  function town(mute = false) {
    const { machine } = lab()
    const segment = addSegment(machine, 'lan')
    const received: string[] = []
    machine.protocols.set(labType, (skb: Skb) => received.push(skb.dev.ns.name))
    const cards = ['X', 'Y', 'Z'].map((name, index) => {
      const ns = addNamespace(machine, { name, mute: mute && name === 'Y' })
      const dev = addPhys(ns, { name: 'eth0', mac: 0x0200_0000_0001 + index, segment })
      setUp(dev)
      return dev
    })
    return { machine, received, cards }
  }

  test('a known address goes to its owner, an unknown one and broadcasts to all others', () => {
    const { received, cards } = town()
    const [x] = cards
    send(x!, labFrame({ to: cards[1]!.mac, from: x!.mac }))
    expect(received.splice(0)).toEqual(['Y'])
    send(x!, labFrame({ to: 0x0200_0000_00ee, from: x!.mac }))
    expect(received.splice(0)).toEqual(['Y', 'Z'])
    send(x!, labFrame({ to: broadcast, from: x!.mac }))
    expect(received.splice(0)).toEqual(['Y', 'Z'])
    // an address that was seen as a source is learned
    send(cards[2]!, labFrame({ to: broadcast, from: 0x0200_0000_00ee }))
    received.length = 0
    send(x!, labFrame({ to: 0x0200_0000_00ee, from: x!.mac }))
    expect(received).toEqual(['Z'])
  })

  test('level full shows ring, interrupt, poll and skb in their order', () => {
    const { machine, cards } = town()
    send(cards[0]!, labFrame({ to: cards[1]!.mac, from: cards[0]!.mac }))
    const stages = packet(machine)
      .events.filter((event) => event.node === 'Y')
      .map(({ stage, decision }) => [stage, decision?.code])
    expect(stages).toEqual([
      ['rx', undefined],
      ['nic', 'DMA'],
      ['irq', 'IRQ'],
      ['napi', 'POLL'],
      ['alloc', 'SKB'],
      ['napi', 'COMPLETE'],
    ])
  })

  test('a mute namespace takes what is addressed to it, and nothing else', () => {
    const mine = town(true)
    send(mine.cards[0]!, labFrame({ to: mine.cards[1]!.mac, from: mine.cards[0]!.mac }))
    expect(outcomes(mine.machine)).toEqual(['delivered Y/eth0/rx'])
    const others = town(true)
    send(others.cards[0]!, labFrame({ to: 0x0200_0000_00ee, from: others.cards[0]!.mac }))
    expect(outcomes(others.machine)).toEqual(['dropped Y/eth0/rx SKB_DROP_REASON_OTHERHOST'])
    expect(others.received).toEqual(['Z'])
  })
})

describe('vlan', () => {
  test('a tagged device sends with its tag and receives what carries it', () => {
    const { a, b, a0, b0, received } = lab()
    const a7 = addVlan(a, { name: 'a0.7', lower: a0, id: 7 })
    const b7 = addVlan(b, { name: 'b0.7', lower: b0, id: 7 })
    setUp(a7)
    setUp(b7)
    send(a7, toB)
    expect(received.map((skb) => [skb.dev.name, skb.pktType, skb.vlanTci])).toEqual([
      ['b0.7', pktType.host, -1],
    ])
  })

  // facts/linux 15
  test('an unknown tag is stripped at tap and tc, where the frame is for this host; then it is dropped', () => {
    const { machine, a0, b0, received } = lab()
    const seen: (number | undefined)[] = []
    addTap(b0, (_dev, skb) => seen.push(skb.protocol, skb.pktType, skb.vlanTci, skb.length))
    const tagged = new Uint8Array(64)
    tagged.set(toB.subarray(0, 12))
    tagged.set([0x81, 0x00, 0x00, 0x09, 0x88, 0xb5], 12)
    send(a0, tagged)
    expect(seen).toEqual([labType, pktType.host, 9, 60])
    expect(outcomes(machine)).toEqual(['dropped B/b0/rx VLAN_UNKNOWN_SCN'])
    expect(received).toHaveLength(0)
  })

  test('a frame that ends inside its tag is too short', () => {
    const { machine, a0 } = lab()
    const cut = toB.slice(0, 16)
    cut.set([0x81, 0x00, 0x00, 0x09], 12)
    send(a0, cut)
    expect(outcomes(machine)).toEqual(['dropped B/b0/rx SKB_DROP_REASON_PKT_TOO_SMALL'])
    expect(etherType.vlan).toBe(0x8100)
  })
})

test('macvlan to macvlan shows on the lower tap as a frame for another host', () => {
  const { machine, a0, received } = lab()
  const seen: string[] = []
  addTap(a0, (_dev, skb, direction) => seen.push(`${direction} ${skb.pktType}`))
  const pods = ['M1', 'M2'].map((name, index) => {
    const ns = addNamespace(machine, { name })
    const dev = addMacvlan(ns, { name: 'eth0', mac: 0x0200_0000_0031 + index, lower: a0, mode: 'bridge' })
    setUp(dev)
    return dev
  })
  send(pods[0]!, labFrame({ to: pods[1]!.mac, from: pods[0]!.mac }))
  expect(seen).toEqual(['in 3'])
  expect(received.map((skb) => [skb.dev, skb.pktType])).toEqual([[pods[1], pktType.host]])
  send(pods[0]!, labFrame({ to: macB, from: pods[0]!.mac }))
  expect(received[1]?.dev.name).toBe('b0')
})

test('a dummy swallows what it is sent', () => {
  const { machine, a } = lab()
  const dummy = addDummy(a, { name: 'd0' })
  setUp(dummy)
  send(dummy, toB)
  expect(outcomes(machine)).toEqual(['consumed A/d0/tx'])
  expect(path(machine)).toEqual(['A/d0/tx'])
})

test('past the limit of packets a new one ends at its first hop', () => {
  const { machine, a0, received } = lab({ limits: { packetsMax: 1 } })
  send(a0, toB)
  send(a0, toB)
  expect(received).toHaveLength(1)
  expect([...machine.reached]).toEqual(['packetsMax', 'hopsMax'])
})

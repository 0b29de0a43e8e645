import { describe, expect, test } from 'vitest'
import { lab, labFrame, macA, macB, outcomes, packet, path, program, send } from '../../test/lab.ts'
import { addTap, setMtu, setUp } from './device/change.ts'
import { addPhys } from './device/phys.ts'
import { addSegment } from './device/segment.ts'
import { addVethPair } from './device/veth.ts'
import { carriesLarge } from './gso.ts'
import { addNamespace } from './namespace.ts'
import { attachTc } from './tc/attach.ts'
import { attachXdp, detachXdp } from './xdp-attach.ts'

const toB = labFrame({ to: macB, from: macA })
const pass = program('pass', 2, 'xdp')

// facts/linux 2.2
const codes = [
  {
    code: 0,
    end: 'dropped',
    reason: 'XDP_ABORTED',
    exception: true,
    native: { xdp_packets: 1, xdp_drops: 1 },
  },
  { code: 1, end: 'dropped', reason: 'XDP_DROP', exception: false, native: { xdp_packets: 1, xdp_drops: 1 } },
  { code: 2, end: 'pass', reason: '', exception: false, native: { xdp_packets: 1 } },
  {
    code: 42,
    end: 'dropped',
    reason: 'XDP_ABORTED',
    exception: true,
    native: { xdp_packets: 1, xdp_drops: 1 },
  },
] as const

describe.each(['native', 'generic'] as const)('%s XDP', (mode) => {
  test.each(codes)('code $code: $end', ({ code, end, reason, exception, native }) => {
    const { machine, a0, b0, received } = lab()
    const seen: string[] = []
    addTap(a0, () => seen.push('sender'))
    addTap(b0, () => seen.push('receiver'))
    attachXdp(b0, program('x', code, 'xdp'), mode)
    expect(send(a0, toB)).toBe(0)
    expect(received).toHaveLength(end === 'pass' ? 1 : 0)
    expect(seen).toEqual(end === 'pass' ? ['sender', 'receiver'] : ['sender'])
    expect(outcomes(machine)).toEqual(end === 'pass' ? [] : [`dropped B/b0/xdp ${reason}`])
    const event = packet(machine).events.find((each) => each.stage === 'xdp')
    expect(event?.facts.some((fact) => fact.kind === 'tracepoint')).toBe(exception)
    expect(b0.counters.rx_packets).toBe(1)
    const counted = Object.fromEntries(
      Object.entries(native).map(([name, count]) => [`rx_queue_0_${name}`, count]),
    )
    expect(Object.fromEntries(b0.counters.ethtool)).toEqual(mode === 'native' ? counted : {})
  })

  test('a rewritten frame is what taps, tc and the stack see', () => {
    const { a0, b0, received } = lab()
    const bytes: number[] = []
    addTap(b0, (_dev, skb) => bytes.push(skb.bytes[skb.data + 20] ?? -1))
    attachXdp(
      b0,
      program(
        'x',
        ({ xdp }) => {
          if (xdp !== undefined) xdp.bytes[xdp.data + 20] = 0x77
          return 2
        },
        'xdp',
      ),
      mode,
    )
    send(a0, toB)
    expect(bytes).toEqual([0x77])
    expect(received[0]?.bytes[(received[0]?.macHeader ?? 0) + 20]).toBe(0x77)
  })

  test('metadata reaches tc and nobody else', () => {
    const { a0, b0, received } = lab()
    const lengths: (number | undefined)[] = []
    addTap(b0, (_dev, skb) => lengths.push(skb.length))
    attachTc(b0, 'ingress', {
      kind: 'tcx',
      program: program('t', ({ skb }) => {
        lengths.push(skb?.metaBytes)
        return -1
      }),
    })
    attachXdp(
      b0,
      program(
        'x',
        ({ xdp }) => {
          if (xdp !== undefined) xdp.meta -= 32
          return 2
        },
        'xdp',
      ),
      mode,
    )
    send(a0, toB)
    expect(lengths).toEqual([60, 32])
    expect(received[0]?.metaBytes).toBe(0)
  })

  test('TX goes back through the wire, unseen by tc egress and taps of its own device', () => {
    const { machine, a0, b0 } = lab()
    const seen: string[] = []
    addTap(b0, () => seen.push('b0'))
    addTap(a0, (_dev, skb, direction) => seen.push(`a0 ${direction} ${skb.pktType}`))
    attachTc(b0, 'egress', { kind: 'tcx', program: program('out', 2) })
    attachXdp(b0, program('x', 3, 'xdp'), mode)
    attachXdp(a0, pass, 'native')
    send(a0, toB)
    // without swapped addresses the frame is another host's when it is back (facts: linux 2.5)
    expect(seen).toEqual(['a0 out 0', 'a0 in 3'].map((text) => text.replace('out 0', 'out 4')))
    expect(b0.counters.tx_packets).toBe(1)
    expect(b0.counters.ethtool.get('rx_queue_0_xdp_tx')).toBe(mode === 'native' ? 1 : undefined)
    expect(path(machine)).toContain('B/b0/tx')
  })

  test('TX keeps the VLAN tag beside the frame only where an skb goes back', () => {
    const { a0, b0 } = lab()
    const tags: number[] = []
    addTap(a0, (_dev, skb, direction) => direction === 'in' && tags.push(skb.vlanTci))
    attachXdp(b0, program('x', 3, 'xdp'), mode)
    attachXdp(a0, pass, 'native')
    send(a0, toB, (skb) => {
      skb.vlanTci = 5
      skb.vlanProtocol = 0x8100
    })
    expect(tags).toEqual([mode === 'native' ? -1 : 5])
  })

  test('a failed redirect is silent, and native counts it', () => {
    const targets = [
      program('none', 4, 'xdp'),
      program(
        'missing',
        (context) => {
          context.redirect = { kind: 'device', ifindex: 999, ingress: false }
          return 4
        },
        'xdp',
      ),
    ]
    for (const x of targets) {
      const { machine, a0, b0 } = lab()
      attachXdp(b0, x, mode)
      expect(send(a0, toB)).toBe(0)
      expect(outcomes(machine)).toEqual(['dropped B/b0/xdp XDP_REDIRECT_FAILED_SCN'])
      expect(b0.counters.rx_dropped).toBe(mode === 'native' ? 1 : 0)
      expect(b0.counters.ethtool.get('rx_queue_0_drops')).toBe(mode === 'native' ? 1 : undefined)
    }
  })

  test.each([true, false])('redirect to a veth whose far end has native XDP: %s', (far) => {
    const { machine, a0, b, b0 } = lab()
    const c = addNamespace(machine, { name: 'C' })
    const [b1, c0] = addVethPair(
      { ns: b, name: 'b1', mac: 0x0200_0000_00b1 },
      { ns: c, name: 'c0', mac: macB },
    )
    setUp(b1)
    setUp(c0)
    const redirect = program(
      'x',
      (context) => {
        context.redirect = { kind: 'device', ifindex: b1.ifindex, ingress: false }
        return 4
      },
      'xdp',
    )
    attachTc(b1, 'egress', { kind: 'tcx', program: program('out', 2) })
    attachXdp(b0, redirect, mode)
    if (far) attachXdp(c0, pass, 'native')
    send(a0, toB)
    const arrives = far || mode === 'generic'
    expect(c0.counters.rx_packets).toBe(arrives ? 1 : 0)
    expect(b1.counters.tx_packets).toBe(arrives ? 1 : 0)
    expect(outcomes(machine)).toEqual(arrives ? [] : ['dropped B/b0/xdp XDP_REDIRECT_FAILED_SCN'])
    if (mode === 'native') {
      expect(b0.counters.rx_dropped).toBe(far ? 0 : 1)
      expect(b0.counters.ethtool.get('rx_queue_0_xdp_redirect')).toBe(far ? 1 : undefined)
      expect(b1.counters.ethtool.get('tx_queue_0_xdp_xmit')).toBe(far ? 1 : undefined)
    }
  })
})

test('native TX is lost when the far end has no native program', () => {
  const { machine, a0, b0 } = lab()
  attachXdp(b0, program('x', 3, 'xdp'), 'native')
  expect(send(a0, toB)).toBe(0)
  expect(outcomes(machine)).toEqual(['dropped B/b0/xdp XDP_TX_FAILED_SCN'])
  expect([a0.counters.rx_dropped, b0.counters.tx_dropped]).toEqual([1, 1])
  expect(b0.counters.ethtool.get('rx_queue_0_xdp_tx_errors')).toBe(1)
})

test('a broadcast redirect sends a copy to each device of the map', () => {
  const { machine, a0, b, b0 } = lab()
  const far = ['C', 'D'].map((name, index) => {
    const ns = addNamespace(machine, { name })
    const [near, end] = addVethPair({ ns: b, name: `b${index + 1}` }, { ns, name: 'eth0', mac: macB })
    setUp(near)
    setUp(end)
    attachXdp(end, pass, 'native')
    return end
  })
  const redirect = program(
    'x',
    (context) => {
      context.redirect = { kind: 'map', ifindex: 0, broadcast: [3, 4] }
      return 4
    },
    'xdp',
  )
  attachXdp(b0, redirect, 'native')
  send(a0, toB)
  expect(far.map((dev) => dev.counters.rx_packets)).toEqual([1, 1])
})

test('two ends that send back for ever end as looped', () => {
  const { machine, a0, b0 } = lab()
  attachXdp(b0, program('x', 3, 'xdp'), 'native')
  attachXdp(a0, program('y', 3, 'xdp'), 'native')
  send(a0, toB)
  expect(outcomes(machine).map((text) => text.split(' ')[0])).toEqual(['looped'])
  expect([...machine.reached]).toEqual(['hopsMax'])
})

describe('attach', () => {
  test('one program per device, in one mode', () => {
    const { b0 } = lab()
    expect(attachXdp(b0, program('tc', 0), 'native')).toEqual({ ok: false, errno: 'EINVAL' })
    expect(detachXdp(b0)).toEqual({ ok: false, errno: 'ENOENT' })
    expect(attachXdp(b0, pass, 'generic')).toEqual({ ok: true })
    expect(attachXdp(b0, pass, 'native')).toEqual({ ok: false, errno: 'EEXIST' })
    expect(attachXdp(b0, pass, 'generic')).toEqual({ ok: false, errno: 'EBUSY' })
    expect(detachXdp(b0)).toEqual({ ok: true })
    expect(attachXdp(b0, pass, 'native')).toEqual({ ok: true })
  })

  test.each([
    { mtu: 3506, result: { ok: true } },
    { mtu: 3507, result: { ok: false, errno: 'ERANGE' } },
  ])('native on a veth whose far end has MTU $mtu', ({ mtu, result }) => {
    const { a0, b0 } = lab()
    setMtu(a0, mtu)
    expect(attachXdp(b0, pass, 'native')).toEqual(result)
    expect(attachXdp(lab().b0, pass, 'generic')).toEqual({ ok: true })
  })

  test('the far end of a native program may not be given a larger MTU, and loses TSO', () => {
    const { a0, b0 } = lab()
    a0.offloads.tso = true
    expect(carriesLarge(a0)).toBe(true)
    attachXdp(b0, pass, 'native')
    expect(setMtu(a0, 3507)).toEqual({ ok: false, errno: 'EINVAL' })
    expect(carriesLarge(a0)).toBe(false)
  })

  test.each([
    { driver: 'e1000', kernelVersion: 6018, mode: 'native', ok: false },
    { driver: 'ixgbe', kernelVersion: 4011, mode: 'native', ok: false },
    { driver: 'ixgbe', kernelVersion: 4012, mode: 'native', ok: true },
    { driver: 'ixgbe', kernelVersion: 6018, mode: 'offload', ok: false },
    { driver: 'nfp', kernelVersion: 6018, mode: 'offload', ok: true },
    { driver: 'e1000', kernelVersion: 6018, mode: 'generic', ok: true },
  ] as const)('$driver on $kernelVersion, $mode: $ok', ({ driver, kernelVersion, mode, ok }) => {
    const { machine } = lab()
    const ns = addNamespace(machine, { name: 'N', kernelVersion })
    const dev = addPhys(ns, { name: 'eth0', driver, segment: addSegment(machine, 'lan') })
    expect(attachXdp(dev, pass, mode).ok).toBe(ok)
  })

  test('native needs a driver that has it: not lo', () => {
    const { b } = lab()
    const lo = b.devicesByName.get('lo')
    expect(lo && attachXdp(lo, pass, 'native')).toEqual({ ok: false, errno: 'EOPNOTSUPP' })
    expect(lo && attachXdp(lo, pass, 'generic')).toEqual({ ok: true })
  })
})

test('room in a frame: 256 in front; behind it none worth having on a veth, some in generic mode', () => {
  const room = (mode: 'native' | 'generic'): readonly number[] => {
    const { a0, b0 } = lab()
    const seen: number[] = []
    const look = program(
      'x',
      ({ xdp }) => {
        if (xdp !== undefined)
          seen.push(xdp.data - xdp.hardStart, xdp.frameEnd - xdp.dataEnd, xdp.bytes.length - xdp.frameEnd)
        return 1
      },
      'xdp',
    )
    attachXdp(b0, look, mode)
    send(a0, toB)
    return seen
  }
  const [nativeHead, nativeTail] = room('native')
  const [genericHead, genericTail] = room('generic')
  expect([nativeHead, genericHead]).toEqual([256, 256])
  expect(nativeTail).toBeLessThan(100)
  expect(genericTail).toBeGreaterThanOrEqual(100)
  expect(genericTail).toBeLessThan(2000)
})

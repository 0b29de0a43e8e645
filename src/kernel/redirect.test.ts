import { describe, expect, test } from 'vitest'
import { type Lab, lab, labFrame, macA, macB, outcomes, path, program, send } from '../../test/lab.ts'
import type { Redirect } from '../bpf/contract.ts'
import { addTap, setDown, setUp } from './device/change.ts'
import type { NetDevice } from './device/device.ts'
import { addVethPair } from './device/veth.ts'
import { addNamespace } from './namespace.ts'
import { pktType } from './skb.ts'
import { attachTc } from './tc/attach.ts'
import { attachXdp } from './xdp-attach.ts'

const toB = labFrame({ to: macB, from: macA })

/** A (a0) - (b0) B (b1) - (c0) C. */
interface Row extends Lab {
  readonly b1: NetDevice
  readonly c0: NetDevice
  readonly marks: string[]
}

const macC = 0x0200_0000_00c0

function row(): Row {
  const made = lab()
  const c = addNamespace(made.machine, { name: 'C' })
  const [b1, c0] = addVethPair(
    { ns: made.b, name: 'b1', mac: 0x0200_0000_00b1 },
    { ns: c, name: 'c0', mac: macC },
  )
  setUp(b1)
  setUp(c0)
  const marks: string[] = []
  for (const dev of [made.b0, b1, c0]) {
    addTap(dev, (_dev, skb, direction) => marks.push(`${dev.name} ${direction} ${skb.mark} ${skb.pktType}`))
  }
  return { ...made, b1, c0, marks }
}

function redirecting(to: Redirect, mark = 0) {
  return program('r', (context) => {
    context.redirect = to
    if (context.skb !== undefined) context.skb.mark = mark
    return 7
  })
}

test('bpf_redirect to egress: mark kept until the crossing, addresses unchanged, another host at the far end', () => {
  const { machine, a0, b0, b1, marks, received } = row()
  attachTc(b0, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: b1.ifindex, ingress: false }, 5),
  })
  attachTc(b1, 'egress', { kind: 'tcx', program: program('out', -1) })
  send(a0, toB)
  expect(path(machine)).toEqual([
    'A/a0/tx',
    'B/b0/rx',
    'B/b0/tc-in r REDIRECT b1',
    'B/b1/tc-out out UNSPEC',
    'B/b1/tx',
    'C/c0/rx',
  ])
  expect(marks).toEqual(['b0 in 0 0', `b1 out 5 ${pktType.outgoing}`, `c0 in 0 ${pktType.otherHost}`])
  expect(received).toHaveLength(1)
})

test('bpf_redirect to ingress: tap and tc of the target without its native XDP and counters, type judged anew', () => {
  const { machine, a0, b0, b1, marks } = row()
  attachXdp(b1, program('x', 1, 'xdp'), 'native')
  attachTc(b0, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: b1.ifindex, ingress: true }, 5),
  })
  attachTc(b1, 'ingress', { kind: 'tcx', program: program('in', -1) })
  send(a0, toB)
  expect(path(machine)).toEqual([
    'A/a0/tx',
    'B/b0/rx',
    'B/b0/tc-in r REDIRECT b1 ingress',
    'B/b1/tc-in in UNSPEC',
  ])
  expect(marks).toEqual(['b0 in 0 0', `b1 in 5 ${pktType.otherHost}`])
  expect(b1.counters.rx_packets).toBe(0)
})

test('bpf_redirect_peer: straight into the pod, mark and PACKET_HOST kept, no native XDP, no egress of the near end', () => {
  const { machine, a0, b0, b1, c0, marks, received } = row()
  attachXdp(c0, program('x', 1, 'xdp'), 'native')
  attachTc(b0, 'ingress', { kind: 'tcx', program: redirecting({ kind: 'peer', ifindex: b1.ifindex }, 5) })
  attachTc(b1, 'egress', { kind: 'tcx', program: program('never', 2) })
  attachTc(c0, 'ingress', { kind: 'tcx', program: program('in', -1) })
  send(a0, toB)
  expect(path(machine)).toEqual([
    'A/a0/tx',
    'B/b0/rx',
    'B/b0/tc-in r REDIRECT C/c0 peer',
    'C/c0/tc-in in UNSPEC',
  ])
  expect(marks).toEqual(['b0 in 0 0', 'c0 in 5 0'])
  expect([b0.counters.rx_packets, b1.counters.tx_packets, c0.counters.rx_packets]).toEqual([1, 0, 1])
  expect(received[0]?.dev).toBe(c0)
})

test('a generic program of the device that a packet is put on does run (tried on 6.18)', () => {
  const toPeer = row()
  attachXdp(toPeer.c0, program('x', 1, 'xdp'), 'generic')
  attachTc(toPeer.b0, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'peer', ifindex: toPeer.b1.ifindex }),
  })
  send(toPeer.a0, toB)
  expect(outcomes(toPeer.machine)).toEqual(['dropped C/c0/xdp XDP_DROP'])

  const toIngress = row()
  attachXdp(toIngress.b1, program('x', 1, 'xdp'), 'generic')
  const redirect = redirecting({ kind: 'device', ifindex: toIngress.b1.ifindex, ingress: true })
  attachTc(toIngress.b0, 'ingress', { kind: 'tcx', program: redirect })
  send(toIngress.a0, toB)
  expect(outcomes(toIngress.machine)).toEqual(['dropped B/b1/xdp XDP_DROP'])
})

describe('bpf_redirect_peer fails silently', () => {
  test('from an egress program', () => {
    const { machine, a0 } = row()
    attachTc(a0, 'egress', { kind: 'tcx', program: redirecting({ kind: 'peer', ifindex: a0.ifindex }) })
    expect(send(a0, toB)).toBe(0)
    expect(outcomes(machine)).toEqual(['dropped A/a0/tc-out TC_REDIRECT_FAILED_SCN'])
  })

  test.each(['peer down', 'no peer', 'no such device', 'same namespace'])('%s', (why) => {
    const { machine, a0, b, b0, b1, c0 } = row()
    let ifindex = b1.ifindex
    if (why === 'peer down') setDown(c0)
    if (why === 'no peer') ifindex = 1
    if (why === 'no such device') ifindex = 999
    if (why === 'same namespace') {
      const [x, y] = addVethPair({ ns: b, name: 'x' }, { ns: b, name: 'y' })
      setUp(x)
      setUp(y)
      ifindex = x.ifindex
    }
    attachTc(b0, 'ingress', { kind: 'tcx', program: redirecting({ kind: 'peer', ifindex }) })
    expect(send(a0, toB)).toBe(0)
    expect(outcomes(machine)).toEqual(['dropped B/b0/tc-in TC_REDIRECT_FAILED_SCN'])
  })
})

test('a target that does not exist: silent, no counter; a target that is down: its tc egress runs, then it counts', () => {
  const missing = row()
  attachTc(missing.b0, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: 999, ingress: false }),
  })
  expect(send(missing.a0, toB)).toBe(0)
  expect(outcomes(missing.machine)).toEqual(['dropped B/b0/tc-in TC_REDIRECT_FAILED_SCN'])
  expect(missing.b0.counters.rx_dropped).toBe(0)

  const down = row()
  setDown(down.b1)
  attachTc(down.b0, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: down.b1.ifindex, ingress: false }),
  })
  attachTc(down.b1, 'egress', { kind: 'tcx', program: program('out', -1) })
  send(down.a0, toB)
  expect(path(down.machine)).toContain('B/b1/tc-out out UNSPEC')
  expect(down.b1.counters.tx_dropped).toBe(1)
})

test('hairpin: out of the device it came in on, seen by its tc egress and tap, another host at home', () => {
  const { a0, b0, marks } = row()
  addTap(a0, (_dev, skb, direction) => marks.push(`a0 ${direction} ${skb.pktType}`))
  attachTc(b0, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: b0.ifindex, ingress: false }),
  })
  send(a0, toB)
  expect(marks).toEqual(['a0 out 4', 'b0 in 0 0', 'b0 out 0 4', 'a0 in 3'])
})

test('from an egress program: the own tap does not see it', () => {
  const { machine, b0, b1, marks } = row()
  attachTc(b0, 'egress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: b1.ifindex, ingress: false }),
  })
  send(b0, labFrame({ to: macC, from: macB }))
  expect(marks).toEqual(['b1 out 0 4', 'c0 in 0 0'])
  expect(path(machine)[0]).toBe('B/b0/tc-out r REDIRECT b1')
})

test('a program that redirects to its own egress runs ten times, then the packet is dropped; the sender sees success', () => {
  const { machine, a0 } = lab()
  attachTc(a0, 'egress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: a0.ifindex, ingress: false }),
  })
  expect(send(a0, toB)).toBe(0)
  expect(path(machine).filter((line) => line === 'A/a0/tc-out r REDIRECT a0')).toHaveLength(10)
  expect(outcomes(machine)).toEqual(['dropped A/a0/tc-out SKB_DROP_REASON_RECURSION_LIMIT'])
})

test('ingress to ingress without end is looped at the hop limit', () => {
  const { machine, a0, b0 } = lab({ limits: { hopsMax: 20 } })
  attachTc(b0, 'ingress', {
    kind: 'tcx',
    program: redirecting({ kind: 'device', ifindex: b0.ifindex, ingress: true }),
  })
  send(a0, toB)
  expect(outcomes(machine)).toEqual(['looped B/b0/rx'])
  expect([...machine.reached]).toEqual(['hopsMax'])
})

test('clone_redirect: the copy is out before the helper returns, the packet goes on', () => {
  const { machine, a0, b0, b1, marks, received } = row()
  attachTc(b0, 'ingress', {
    kind: 'tcx',
    program: program('c', ({ kernel }) => {
      const before = marks.length
      expect(kernel.cloneRedirect(b1.ifindex, 0)).toBe(0)
      expect(marks.slice(before)).toEqual(['b1 out 0 4'])
      expect(kernel.cloneRedirect(999, 0)).toBe(-22)
      return 0
    }),
  })
  send(a0, toB)
  expect(received.map((skb) => skb.dev.name)).toEqual(['b0', 'c0'])
  expect(outcomes(machine)).toEqual([])
})

test('a redirect that an earlier program of the hook asked for is still there', () => {
  const { machine, a0, b0, b1 } = row()
  attachTc(b0, 'ingress', {
    kind: 'tcx',
    program: program('asks', (context) => {
      context.redirect = { kind: 'device', ifindex: b1.ifindex, ingress: false }
      return -1
    }),
  })
  attachTc(b0, 'ingress', { kind: 'tcx', program: program('goes', 7) })
  send(a0, toB)
  expect(path(machine)).toContain('B/b0/tc-in goes REDIRECT b1')
})

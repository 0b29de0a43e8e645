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
import { addTap } from '../device/change.ts'
import { transmitDropped, transmitted } from '../device/device.ts'
import { attachTc, detachTc } from './attach.ts'
import { tcAct } from './hook.ts'

const toB = labFrame({ to: macB, from: macA })

// facts/linux section 1, left half of the table
const clsact = [
  { code: -1, next: true, end: 'pass' },
  { code: 0, next: false, end: 'pass' },
  { code: 1, next: true, end: 'pass' },
  { code: 2, next: false, end: 'dropped' },
  { code: 3, next: true, end: 'pass' },
  { code: 4, next: false, end: 'consumed' },
  { code: 5, next: true, end: 'pass' },
  { code: 6, next: true, end: 'pass' },
  { code: 7, next: false, end: 'redirect failed' },
  { code: 8, next: false, end: 'consumed' },
  { code: 42, next: true, end: 'pass' },
] as const

describe.each(['ingress', 'egress'] as const)('clsact %s', (direction) => {
  const place = direction === 'ingress' ? 'B/b0/tc-in' : 'A/a0/tc-out'
  const ends = {
    pass: [],
    dropped: [`dropped ${place} SKB_DROP_REASON_TC_${direction.toUpperCase()}`],
    consumed: [`consumed ${place}`],
    'redirect failed': [`dropped ${place} TC_REDIRECT_FAILED_SCN`],
  } as const

  test.each(clsact)('code $code: next filter runs $next, $end', ({ code, next, end }) => {
    const { machine, a0, b0, received } = lab()
    const dev = direction === 'ingress' ? b0 : a0
    let ran = false
    attachTc(dev, direction, { kind: 'clsact', pref: 1, program: program('p1', code) })
    attachTc(dev, direction, {
      kind: 'clsact',
      pref: 2,
      program: program('p2', () => {
        ran = true
        return 0
      }),
    })
    send(a0, toB)
    expect(ran).toBe(next)
    expect(received).toHaveLength(end === 'pass' ? 1 : 0)
    expect(outcomes(machine)).toEqual(ends[end])
    expect((direction === 'ingress' ? dev.tcIngress : dev.tcEgress)?.drops).toBe(end === 'dropped' ? 1 : 0)
    expect(dev.counters.rx_dropped + dev.counters.tx_dropped).toBe(0)
  })
})

// facts/linux section 1, right half of the table
const tcx = [
  { code: -1, nextTcx: true, filters: true, end: 'pass' },
  { code: 0, nextTcx: false, filters: false, end: 'pass' },
  { code: 1, nextTcx: false, filters: true, end: 'pass' },
  { code: 2, nextTcx: false, filters: false, end: 'dropped' },
  { code: 3, nextTcx: false, filters: true, end: 'pass' },
  { code: 4, nextTcx: false, filters: true, end: 'pass' },
  { code: 5, nextTcx: false, filters: true, end: 'pass' },
  { code: 6, nextTcx: false, filters: true, end: 'pass' },
  { code: 7, nextTcx: false, filters: false, end: 'dropped' },
  { code: 8, nextTcx: false, filters: true, end: 'pass' },
  { code: 42, nextTcx: false, filters: true, end: 'pass' },
] as const

describe.each(['ingress', 'egress'] as const)('tcx %s', (direction) => {
  test.each(tcx)(
    'code $code: next tcx $nextTcx, filters $filters, $end',
    ({ code, nextTcx, filters, end }) => {
      const { machine, a0, b0, received } = lab()
      const dev = direction === 'ingress' ? b0 : a0
      const ran: string[] = []
      const witness = (name: string) =>
        program(name, () => {
          ran.push(name)
          return -1
        })
      attachTc(dev, direction, { kind: 'clsact', program: witness('filter') })
      attachTc(dev, direction, { kind: 'tcx', program: program('t1', code) })
      attachTc(dev, direction, { kind: 'tcx', program: witness('t2') })
      send(a0, toB)
      expect(ran).toEqual([...(nextTcx ? ['t2'] : []), ...(filters ? ['filter'] : [])])
      expect(received).toHaveLength(end === 'pass' ? 1 : 0)
      expect(outcomes(machine).map((text) => text.split(' ')[0])).toEqual(end === 'pass' ? [] : ['dropped'])
      expect((direction === 'ingress' ? dev.tcIngress : dev.tcEgress)?.drops).toBe(0)
    },
  )
})

test('what a sender is told: only an egress SHOT is an error', () => {
  const answer = (direction: 'ingress' | 'egress', code: number): number => {
    const { a0, b0 } = lab()
    attachTc(direction === 'ingress' ? b0 : a0, direction, { kind: 'clsact', program: program('p', code) })
    return send(a0, toB)
  }
  expect(answer('egress', tcAct.shot)).toBe(transmitDropped)
  for (const code of [tcAct.stolen, tcAct.trap, tcAct.redirect])
    expect(answer('egress', code)).toBe(transmitted)
  for (const code of [tcAct.shot, tcAct.stolen]) expect(answer('ingress', code)).toBe(transmitted)
})

test('filters without a preference run in reverse order, also inside one preference; lower preferences first', () => {
  const { machine, a0, b0 } = lab()
  const add = (name: string, pref?: number): void => {
    attachTc(b0, 'ingress', {
      kind: 'clsact',
      program: program(name, -1),
      ...(pref === undefined ? {} : { pref }),
    })
  }
  for (const name of ['first', 'second']) add(name)
  add('p5-old', 5)
  add('p5-new', 5)
  add('p1', 1)
  expect(b0.tcIngress?.filters.map((entry) => [entry.program.name, entry.pref])).toEqual([
    ['p1', 1],
    ['p5-new', 5],
    ['p5-old', 5],
    ['second', 49151],
    ['first', 49152],
  ])
  send(a0, toB)
  expect(path(machine).filter((line) => line.includes('tc-in'))).toHaveLength(5)
})

test('tcx programs stand where they were put', () => {
  const { machine, a0, b0 } = lab()
  const [t1, t2, t3, t4, t5] = ['T1', 'T2', 'T3', 'T4', 'T5'].map((name) => program(name, -1)) as [
    ReturnType<typeof program>,
    ReturnType<typeof program>,
    ReturnType<typeof program>,
    ReturnType<typeof program>,
    ReturnType<typeof program>,
  ]
  attachTc(b0, 'ingress', { kind: 'clsact', program: program('clsact', -1) })
  attachTc(b0, 'ingress', { kind: 'tcx', program: t1 })
  attachTc(b0, 'ingress', { kind: 'tcx', program: t2 })
  attachTc(b0, 'ingress', { kind: 'tcx', program: t3, before: 'all' })
  attachTc(b0, 'ingress', { kind: 'tcx', program: t4, before: t2 })
  attachTc(b0, 'ingress', { kind: 'tcx', program: t5, after: t1 })
  send(a0, toB)
  const order = packet(machine)
    .events.filter((event) => event.stage === 'tc-in')
    .map((event) => event.actor)
  expect(order).toEqual(['T3', 'T1', 'T5', 'T4', 'T2', 'clsact'])
})

test('refusals of attach and detach', () => {
  const { b0 } = lab()
  const p = program('p', 0)
  const other = program('other', 0)
  expect(attachTc(b0, 'ingress', { kind: 'tcx', program: program('x', 0, 'xdp') })).toEqual({
    ok: false,
    errno: 'EINVAL',
  })
  expect(attachTc(b0, 'ingress', { kind: 'tcx', program: p, after: other })).toEqual({
    ok: false,
    errno: 'ENOENT',
  })
  expect(attachTc(b0, 'ingress', { kind: 'tcx', program: p })).toEqual({ ok: true })
  expect(attachTc(b0, 'ingress', { kind: 'tcx', program: p })).toEqual({ ok: false, errno: 'EEXIST' })
  expect(attachTc(b0, 'ingress', { kind: 'clsact', program: p, pref: 1, handle: 1 })).toEqual({ ok: true })
  expect(attachTc(b0, 'ingress', { kind: 'clsact', program: other, pref: 1, handle: 1 })).toEqual({
    ok: false,
    errno: 'EEXIST',
  })
  expect(detachTc(b0, 'ingress', other)).toEqual({ ok: false, errno: 'ENOENT' })
  expect(detachTc(b0, 'ingress', p)).toEqual({ ok: true })
})

// facts/linux 1.10
test.each([
  { code: 0, end: 'next filter', classid: undefined },
  { code: -1, end: 'accepts', classid: 0x10 },
  { code: 2, end: 'accepts', classid: 2 },
  { code: 0x2_0007, end: 'accepts', classid: 7 },
])('classic filter returns $code: $end', ({ code, end, classid }) => {
  const { machine, a0, b0, received } = lab()
  attachTc(b0, 'ingress', {
    kind: 'clsact',
    pref: 1,
    directAction: false,
    classid: 0x1_0010,
    program: program('classic', code),
  })
  attachTc(b0, 'ingress', { kind: 'clsact', pref: 2, program: program('shot', tcAct.shot) })
  send(a0, toB)
  expect(received).toHaveLength(end === 'accepts' ? 1 : 0)
  if (classid !== undefined) expect(received[0]?.tcIndex).toBe(classid)
  expect(outcomes(machine)).toHaveLength(end === 'accepts' ? 0 : 1)
})

test('actions of a classic filter: drop, pass, and mirror to another device', () => {
  for (const [action, count] of [
    [{ kind: 'drop' }, 0],
    [{ kind: 'pass' }, 1],
  ] as const) {
    const { a0, b0, received } = lab()
    const filter = {
      kind: 'clsact',
      directAction: false,
      program: program('all', -1),
      actions: [action],
    } as const
    attachTc(b0, 'ingress', filter)
    send(a0, toB)
    expect(received).toHaveLength(count)
    expect(b0.tcIngress?.drops).toBe(1 - count)
  }
  const { machine, a0, b0, received } = lab()
  const seen: string[] = []
  addTap(b0, (_dev, _skb, direction) => seen.push(direction))
  attachTc(b0, 'ingress', {
    kind: 'clsact',
    directAction: false,
    program: program('all', -1),
    actions: [{ kind: 'mirred', mode: 'mirror', direction: 'egress', ifindex: b0.ifindex }],
  })
  send(a0, toB)
  // the copy goes back to A, where it is another host's frame; the packet itself goes up
  expect(seen).toEqual(['in', 'out'])
  expect(received).toHaveLength(2)
  expect(path(machine)).toContain('B/b0/tc-in kernel MIRROR b0')
})

test('a filter sees only the ethertype it asks for', () => {
  const { a0, b0, received } = lab()
  attachTc(b0, 'ingress', { kind: 'clsact', protocol: 0x0800, program: program('ip', tcAct.shot) })
  send(a0, toB)
  expect(received).toHaveLength(1)
  attachTc(b0, 'ingress', { kind: 'clsact', protocol: labType, program: program('lab', tcAct.shot) })
  send(a0, toB)
  expect(received).toHaveLength(1)
})

test('cb is shared inside one hook; a mark survives a veth only inside one namespace', () => {
  const { a0, b0, received } = lab()
  const seen: (number | undefined)[] = []
  attachTc(b0, 'ingress', {
    kind: 'tcx',
    program: program('write', ({ skb }) => {
      seen.push(skb?.mark)
      skb?.cb.fill(7)
      return -1
    }),
  })
  attachTc(b0, 'ingress', {
    kind: 'clsact',
    program: program('read', ({ skb }) => {
      seen.push(skb?.cb[4])
      return -1
    }),
  })
  send(a0, toB, (skb) => {
    skb.mark = 5
  })
  expect(seen).toEqual([0, 7])
  expect(received[0]?.mark).toBe(0)
})

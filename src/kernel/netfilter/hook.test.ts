import { expect, test } from 'vitest'
import { lab, labFrame, macA, macB } from '../../../test/lab.ts'
import { skbFromFrame } from '../skb.ts'
import { type HookVerdict, NetfilterHooks, priority } from './hook.ts'

const { a, a0 } = lab()
const skb = skbFromFrame(a0, labFrame({ to: macB, from: macA }))
const nowhere = { in: undefined, out: undefined }

function hooks(ran: string[], entries: readonly (readonly [string, number, HookVerdict])[]): NetfilterHooks {
  const subject = new NetfilterHooks()
  for (const [name, at, verdict] of entries) {
    const run = (): HookVerdict => {
      ran.push(name)
      return verdict
    }
    subject.register({ family: 4, hook: 'FORWARD', priority: at, run })
  }
  return subject
}

test('functions run by priority, of equal ones the last to come first (Linux 6.18: two chains of nft)', () => {
  const ran: string[] = []
  const subject = hooks(ran, [
    ['filter', priority.filter, 'accept'],
    ['mangle', priority.mangle, 'accept'],
    ['filter2', priority.filter, 'accept'],
    ['raw', priority.raw, 'accept'],
  ])
  expect(subject.run(a, { family: 4, hook: 'FORWARD' }, skb, nowhere)).toBe('accept')
  expect(ran).toEqual(['raw', 'mangle', 'filter2', 'filter'])
})

test.each(['drop', 'stolen'] as const)('%s ends the hook', (verdict) => {
  const ran: string[] = []
  const subject = hooks(ran, [
    ['first', 0, verdict],
    ['second', 1, 'accept'],
  ])
  expect(subject.run(a, { family: 4, hook: 'FORWARD' }, skb, nowhere)).toBe(verdict)
  expect(ran).toEqual(['first'])
})

test('each family and each hook has its own list', () => {
  const ran: string[] = []
  const subject = hooks(ran, [['only', 0, 'drop']])
  expect(subject.run(a, { family: 6, hook: 'FORWARD' }, skb, nowhere)).toBe('accept')
  expect(subject.run(a, { family: 4, hook: 'INPUT' }, skb, nowhere)).toBe('accept')
  expect(ran).toEqual([])
})

// What the real iptables-legacy-save 1.8.9 printed after it had loaded fixtures/written-*.txt: fixtures/saved-*.txt.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createMachine } from '../machine.ts'
import { addNamespace } from '../namespace.ts'
import { attachIptables, currentRuleset, iptablesSave } from './iptables.ts'
import { parseRuleset } from './parse.ts'

function fixture(name: string): string {
  return readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8')
}

function saved(text: string, family: 4 | 6, counters = false): string {
  const parsed = parseRuleset(text, family)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'n' })
  attachIptables(ns, family, parsed.ruleset)
  return iptablesSave(ns, family, { counters })
}

describe.each([4, 6] as const)('IPv%i', (family) => {
  test('every option prints as the real tool prints it', () => {
    const lines = saved(fixture(`written-v${family}.txt`), family)
      .trim()
      .split('\n')
    expect(lines).toEqual(fixture(`saved-v${family}.txt`).trim().split('\n'))
  })

  test('what is printed is read as the same rules', () => {
    const once = fixture(`saved-v${family}.txt`)
    const tables = [...saved(once, family).matchAll(/^\*[\s\S]*?^COMMIT$/gm)].map(([text]) => text)
    expect(tables.reverse().join('\n')).toBe(once.trim())
  })
})

test('counters of rules and chains survive', () => {
  const text = ['*filter', ':INPUT DROP [7:70]', '[3:4] -A INPUT -j ACCEPT', 'COMMIT'].join('\n')
  expect(saved(text, 4, true)).toContain(':INPUT DROP [7:70]\n')
  expect(saved(text, 4, true)).toContain('[3:4] -A INPUT -j ACCEPT\n')
})

test('a table that is given back keeps the counters of its rules and loses those of its policies (iptables 1.8.9)', () => {
  const parsed = parseRuleset(
    ['*filter', ':INPUT DROP [7:70]', '[3:4] -A INPUT -j ACCEPT', 'COMMIT'].join('\n'),
    4,
  )
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'n' })
  attachIptables(ns, 4, parsed.ruleset)
  attachIptables(ns, 4, currentRuleset(ns, 4))
  const text = iptablesSave(ns, 4, { counters: true })
  expect(text).toContain(':INPUT DROP [0:0]\n')
  expect(text).toContain('[3:4] -A INPUT -j ACCEPT\n')
})

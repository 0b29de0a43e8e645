// Mistakes in the texts of other tools stand at their words; what is right is attached.
import { expect, test } from 'vitest'
import { createMachine } from '../kernel/machine.ts'
import { addNamespace } from '../kernel/namespace.ts'
import { iptablesSave } from '../kernel/netfilter/iptables.ts'
import type { RulesetModel, RulesetModelTool } from '../model/ruleset.ts'
import { attachRulesets, rulesetMistakes } from './rulesets.ts'

function model(tool: RulesetModelTool, text: string): RulesetModel {
  return { tool, text, span: { source: { name: 'x', text }, start: 0, end: text.length } }
}

const sets = model('ipset', 'create nodes hash:ip\nadd nodes 10.0.0.1\n')

test.each([
  ['a target that is unknown', '-A INPUT -j DORP', [3, 13]],
  ['a chain that is unknown', '-A INPOT -j DROP', [3, 4]],
  ['a match that is unknown', '-A INPUT -m tpc -j DROP', [3, 13]],
  ['a set that is missing', '-A INPUT -m set --match-set nobody src -j DROP', [3, 29]],
])('%s', (_name, rule, [line, column]) => {
  const [, [mistake]] = rulesetMistakes([sets, model('iptables', `# text\n*filter\n${rule}\nCOMMIT\n`)]) as [
    unknown,
    [{ line: number; column: number }],
  ]
  expect([mistake.line, mistake.column]).toEqual([line, column])
})

test('what is right is attached, sets first', () => {
  const rules = model('iptables', '*filter\n-A INPUT -m set --match-set nodes src -j DROP\nCOMMIT\n')
  expect(rulesetMistakes([rules, sets])).toEqual([[], []])
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'n' })
  attachRulesets(ns, [rules, sets])
  expect(iptablesSave(ns, 4, { counters: false })).toContain('-A INPUT -m set --match-set nodes src -j DROP')
  expect(ns.netfilter.sets?.get('nodes')?.members.size).toBe(1)
})

// Rule sets as texts of other tools.
import type { Report } from '../../base/diagnostic.ts'
import type { Ruleset } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import type { RulesetModel } from '../ruleset.ts'

/** `-t nat -A POSTROUTING ...` as a text of iptables-save; the table is filter where none is named. */
function commandText(words: string): string {
  const table = /(?:^|\s)(?:-t|--table)\s+(\S+)/.exec(words)
  const rest = table === null ? words : words.replace(table[0], ' ')
  return `*${table?.[1] ?? 'filter'}\n${rest.replace(/(?:^|\s)(?:-w|--wait)(?=\s)/, ' ').trim()}\nCOMMIT\n`
}

/**
 * A text of a tool whose texts can be carried out; nothing for others, of which a check has told. One line in quotes is a
 * command of the tool, which only a running host can be given.
 */
export function readRuleset(
  { tool, text, span }: Ruleset,
  place: 'topology' | 'step',
  report: Report,
): RulesetModel | undefined {
  if (tool === 'arptables' || tool === 'ebtables') return undefined
  if (text.form !== 'quoted') return { tool, text: text.text, span: text.span }
  if (place === 'topology') {
    const hint = `write the text that \`${tool}\` saves between \`"""\``
    report(mistake('S118', span, 'a command changes a host that runs: it stands in a step', { hint }))
    return undefined
  }
  const isTables = tool === 'iptables' || tool === 'ip6tables'
  return { tool, text: isTables ? commandText(text.text) : `${text.text}\n`, span: text.span }
}

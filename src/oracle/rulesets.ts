// Rule sets of other tools on the real kernel: installed before the first packet, and changed between packets.
import type { NamespaceModel } from '../model/model.ts'
import type { RulesetChange } from '../model/ruleset.ts'
import type { Namespaces } from './namespaces.ts'

/** What takes each tool's text; iptables by its legacy name, for plain `iptables` may be a front end of nft. */
const restoreCommands = {
  ipset: ['ipset', 'restore'],
  iptables: ['iptables-legacy-restore'],
  ip6tables: ['ip6tables-legacy-restore'],
  nft: ['nft', '-f', '-'],
} as const

/** Rule sets as text, through their own tools. */
export function installRulesets(namespaces: Namespaces, { name, rulesets = [] }: NamespaceModel): void {
  for (const { text } of rulesets)
    for (const [, counter = ''] of text.matchAll(/--nfacct-name +(\S+)/g))
      namespaces.read(name, ['nfacct', 'add', counter])
  for (const { tool, text } of rulesets) if (tool === 'xfrm') namespaces.batch(name, ['ip'], xfrmLines(text))
  for (const wanted of ['ipset', 'iptables', 'ip6tables', 'nft'] as const) {
    for (const { tool, text } of rulesets) {
      if (tool !== wanted) continue
      const lines = text.split('\n').map((line) => line.trim())
      namespaces.pipe(name, restoreCommands[wanted], `${lines.filter((line) => line !== '').join('\n')}\n`)
    }
  }
}

/** Lines of `ip xfrm` for `ip -batch`. */
function xfrmLines(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim())
  return lines.filter((line) => line !== '').map((line) => `xfrm ${line}`)
}

/** The tools' own ways: `--noflush`, and `-D` and `del` for what goes. */
export function changeRules(
  namespaces: Namespaces,
  name: string,
  { verb, ruleset: { tool, text } }: RulesetChange,
): void {
  if (tool === 'nft') {
    namespaces.pipe(name, restoreCommands.nft, `${text}\n`)
    return
  }
  if (tool === 'xfrm') {
    namespaces.batch(name, ['ip'], xfrmLines(text))
    return
  }
  const lines = text.split('\n').map((line) => {
    const bare = line.trim()
    if (verb !== 'del') return bare
    return tool === 'ipset'
      ? bare.replace(/^(add|-A) (\S+ \S+).*/, 'del $2').replace(/^(create|-N) (\S+).*/, 'destroy $2')
      : bare.replace(/^(\[\d+:\d+\] )?(-A|--append) /, '-D ')
  })
  const command =
    tool === 'ipset'
      ? ['ipset', 'restore']
      : [`${tool}-legacy-restore`, ...(verb === 'replace' ? [] : ['--noflush'])]
  namespaces.pipe(name, command, `${lines.filter((line) => line !== '').join('\n')}\n`)
}

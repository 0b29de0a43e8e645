// A program returns codes of its own type: TC_ACT_SHOT means nothing to XDP.
import type { Report } from '../../base/diagnostic.ts'
import type { Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'
import { hookFamily, isCgroupSkb } from '../resolve/program.ts'
import { codeFits } from '../resolve/verdict.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { cgroupCodes } from '../words/closed.ts'
import { isOpen } from '../words/fill.ts'
import { integerOf } from '../words/numbers.ts'
import { optionValue } from '../words/options.ts'

/** Codes of rules, and of the `default` of a redirect_map. */
export function programCodes({ programs, scope }: WorldDraft, report: Report): void {
  for (const { syntax, uses } of programs) {
    const family = hookFamily(syntax.type)
    if (family === 'other') continue
    for (const word of uses.codes) if (codeFits(word, family, scope)) inRange(word, syntax.type, report)
    for (const action of uses.actions) {
      const code = action.kind === 'redirect-map' ? optionValue(action.options, 'default') : undefined
      if (code !== undefined) codeFits(code, family, scope)
    }
  }
}

/** The verifier knows what a program of a cgroup may return: 0 and 1, and at egress 2 and 3 too. */
function inRange(word: Word, type: string, report: Report): void {
  if (!isCgroupSkb(type)) return
  const most = type === 'cgroup/egress' ? 3 : 1
  const code = integerOf(word.text) ?? (cgroupCodes as readonly string[]).indexOf(word.text)
  if (isOpen(word) || (code >= 0 && code <= most)) return
  const hint = `a ${type} program returns a number from 0 to ${most}`
  report(mistakeIn('S107', word, `the verifier refuses \`${word.text}\` here`, { hint }))
}

// A program returns codes of its own type: TC_ACT_SHOT means nothing to XDP.
import type { Report } from '../../base/diagnostic.ts'
import { hookFamily } from '../resolve/program.ts'
import { codeFits } from '../resolve/verdict.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { optionValue } from '../words/options.ts'

/** Codes of rules, and of the `default` of a redirect_map. */
export function programCodes({ programs, scope }: WorldDraft, _report: Report): void {
  for (const { syntax, uses } of programs) {
    const family = hookFamily(syntax.type)
    if (family === 'other') continue
    for (const word of uses.codes) codeFits(word, family, scope)
    for (const action of uses.actions) {
      const code = action.kind === 'redirect-map' ? optionValue(action.options, 'default') : undefined
      if (code !== undefined) codeFits(code, family, scope)
    }
  }
}
